import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { type Clock, HOUR, MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import { referenceOf } from '../problems/reference.ts'
import { Unavailable } from '../problems/unavailable.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { AuthStatus } from './answers.ts'
import type { DuoAnswer, DuoClient } from './client.ts'
import type { Unapproved } from './duo.ts'
import { SAID_LIMIT } from './offer.ts'
import { advance, type Command, type Push, type PushEvent } from './push.ts'
import { GIVEN_BACK, type Leased, type PushRecord, type PushRecords, UnreadablePush } from './push-records.ts'
import { plainText } from './text.ts'

/** A follower that is silent for so long has lost its push to another process. */
const LEASE: Milliseconds = 10 * SECOND
/** Longer than Duo's answer to /auth may take: whoever sends a push holds its lease meanwhile, and does not renew it. */
export const SENDING_LEASE: Milliseconds = 20 * SECOND
const RENEW_BELOW: Milliseconds = 7 * SECOND
/** How often the clock is looked at while a push waits: a clock that jumps must end it too. */
const TICK: Milliseconds = 250
const SWEEP_EVERY: Milliseconds = SECOND
/** What one look may add to a silence: a clock that jumped, or a process that stood still, would make a holder silent that is none. */
const SEEN_AT_MOST: Milliseconds = 5 * SECOND
/** More than a lease is old when it is seen. */
const SKEW_TOLD_FROM: Milliseconds = 10 * SECOND
const CLEAN_EVERY: Milliseconds = 10 * MINUTE
/** Between the beginnings of two polls of one push, once Duo has answered two at once. */
const POLL_INTERVAL: Milliseconds = SECOND
const WRITE_TRIES = 5
/** About a minute: whoever waits for the answer waits no longer. Nobody else can take the push over meanwhile. */
const TRIES_WHILE_DOWN = 60

export interface Follower {
  /** Name of this process in a lease. */
  readonly holder: string
  /** Feeds an event of somebody who holds no lease: a person's. Undefined: the push is gone. */
  byPerson(id: string, event: PushEvent): Promise<Applied | undefined>
  /** Feeds an event of the lease's holder. Undefined: the lease is lost, and nothing was written. */
  byHolder(id: string, event: PushEvent): Promise<Applied | undefined>
  /** Keeps the lease, and once the push rings, asks Duo until it has nothing more to say. */
  follow(record: PushRecord): void
  close(): Promise<void>
}

export interface Applied {
  readonly record: PushRecord
  /** Whether this event changed the push. */
  readonly changed: boolean
}

interface Parts {
  readonly records: PushRecords
  readonly client: Pick<DuoClient, 'authStatus'>
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  /** Keeps Duo's token for a browser that it remembers from here on. */
  readonly hold: (record: PushRecord, token: string) => Promise<void>
  /** Everybody who acts on a fraud report. Rejects: it is told again, at the latest by another process. */
  readonly alarm: (username: string) => Promise<void>
  readonly unapproved: (unapproved: Unapproved) => void
  /** The push of this session changed. */
  readonly changed: (sessionKey: string) => void
}

interface Followed {
  readonly stop: AbortController
  /** The newest known here; another process may have moved it. */
  push: Push
  leaseUntil: Milliseconds
  /** Settles when nothing of this push goes on here any more. */
  done: Promise<void>
}

/**
 * Follows pushes at Duo, each under a lease, so that one process alone asks for it: two would take each other's answers. What a late
 * holder writes is refused by the record.
 */
export function openFollower(parts: Parts): Follower {
  const { records, client, clock, log, audit, hold, alarm, unapproved, changed } = parts
  const holder = `run_${randomBytes(12).toString('base64url')}`
  const followed = new Map<string, Followed>()
  const leaseUntil = () => clock() + LEASE
  let closing = false
  let cleanedAt = Number.NEGATIVE_INFINITY

  /** Reads, advances, writes; again when somebody else wrote meanwhile. The commands come back only once the state is written. */
  async function apply(id: string, event: PushEvent, asHolder: boolean) {
    for (let tries = 1; ; tries += 1) {
      const seen = await records.read(id)
      if (seen === undefined || (asHolder && seen.holder !== holder)) return undefined
      const now = clock()
      const { push, commands } = advance(seen.push, event, now)
      if (push === seen.push) return { record: seen, changed: false, commands }
      const notes = commands.flatMap(command => (command.do === 'guard' ? [command.note] : []))
      const written = await records.write(seen, push, {
        by: asHolder ? { holder, until: now + LEASE } : 'anybody',
        notes,
        now,
      })
      if (written === 'taken') {
        // An answer that belongs to another push says nothing about this one.
        return apply(id, { type: 'not-sent', reason: 'duo-malformed', mayRing: true }, asHolder)
      }
      if (written !== undefined) {
        for (const command of commands) tell(command, written)
        const known = followed.get(id)
        if (known !== undefined) known.push = push
        changed(written.sessionKey)
        return { record: written, changed: true, commands }
      }
      if (tries === 100) throw new Error('a push could not be written: others write it all the time')
    }
  }

  function tell(command: Command, { id, username, factor, device, facts, push }: PushRecord) {
    if (command.do !== 'audit') return
    const how = endOf[command.event]
    if (how !== undefined && factor !== 'passcode') unapproved({ username, factor, how, facts })
    audit(command.event, {
      ref: referenceOf(id),
      username,
      factor,
      ...(device.name === '' ? {} : { device: device.name }),
      ...(facts.site === null ? {} : { host: facts.site }),
      ...(facts.ip === undefined ? {} : { ip: facts.ip }),
      ...(command.reason === undefined ? {} : { reason: command.reason }),
      ...(push.said === '' ? {} : { detail: push.said }),
    })
  }

  /** An answer that Duo gives once must not be lost to a store that is busy for a moment, nor to one that is restarted. */
  async function applyFirmly(id: string, event: PushEvent) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await apply(id, event, true)
      } catch (error) {
        const isDown = error instanceof Unavailable
        if (closing || tries >= (isDown ? TRIES_WHILE_DOWN : WRITE_TRIES)) throw error
        if (isDown) log.debug({ tries }, 'what became of a push waits for the store')
        else log.warn({ err: error }, 'a push could not be written; trying again')
        await sleep(Math.min(tries * 200, SECOND), undefined, { ref: false })
      }
    }
  }

  async function poll(id: string, entry: Followed): Promise<void> {
    const { signal } = entry.stop
    let quick = 0
    while (!signal.aborted) {
      const { upstream } = entry.push
      if (upstream.at === 'reporting') return report(id)
      if (upstream.at !== 'ringing') return
      const startedAt = performance.now()
      const answer = await client.authStatus(upstream.txid, signal)
      if (signal.aborted) return
      // Before the approval can be claimed: the claim gives the browser its cookie.
      if (answer.ok && answer.value.trusted_device_token !== undefined)
        await holdToken(id, answer.value.trusted_device_token)
      const applied = await applyFirmly(id, eventOf(answer))
      if (applied === undefined) return letGo(entry)
      entry.push = applied.record.push
      const took = performance.now() - startedAt
      quick = took < POLL_INTERVAL ? quick + 1 : 0
      // A Duo that answers `waiting` at once for ever is asked once a second; the first states may come close together.
      if (quick > 1 && entry.push.upstream.at === 'ringing') await pause(POLL_INTERVAL - took, signal)
    }
  }

  /** Never rejects: a browser that is not remembered is asked again, no more. */
  async function holdToken(id: string, token: string): Promise<void> {
    try {
      const record = await records.read(id)
      if (record !== undefined) await hold(record, token)
    } catch (err) {
      log.warn({ err }, 'a browser that Duo would remember is not remembered')
    }
  }

  async function report(id: string): Promise<void> {
    const record = await records.read(id)
    if (record === undefined) return
    await alarm(record.username)
    await applyFirmly(id, { type: 'alarmed' })
  }

  function follow(record: PushRecord): void {
    if (closing || followed.has(record.id)) {
      const known = followed.get(record.id)
      if (known !== undefined) known.push = record.push
      return
    }
    const entry: Followed = {
      stop: new AbortController(),
      push: record.push,
      leaseUntil: record.leaseUntil ?? leaseUntil(),
      done: Promise.resolve(),
    }
    followed.set(record.id, entry)
    entry.done = run(record.id, entry)
  }

  /** Never rejects. What fails here is left to the lease: it ends, and whoever takes over closes the push. */
  async function run(id: string, entry: Followed): Promise<void> {
    let ticked: Promise<void> = Promise.resolve()
    let isTicking = false
    const ticking = setInterval(() => {
      if (isTicking) return
      isTicking = true
      ticked = tick(id, entry).finally(() => {
        isTicking = false
      })
    }, TICK).unref()
    try {
      await poll(id, entry)
    } catch (err) {
      // A store that does not answer is told of by itself, once; this would be for each push that rang then.
      if (!(err instanceof Unavailable)) log.error({ err }, 'a push is no longer followed here')
    } finally {
      clearInterval(ticking)
      await ticked
      followed.delete(id)
    }
  }

  function letGo({ stop }: Followed): void {
    if (stop.signal.aborted) return
    stop.abort()
    log.info('a push is gone, or another process follows it by now: what Duo says of it here is not written')
  }

  async function tick(id: string, entry: Followed): Promise<void> {
    try {
      const now = clock()
      if (advance(entry.push, { type: 'time' }, now).push !== entry.push) {
        const applied = await apply(id, { type: 'time' }, true)
        if (applied === undefined) return letGo(entry)
        entry.push = applied.record.push
        if (entry.push.upstream.at === 'over') entry.stop.abort()
      }
      const left = entry.leaseUntil - now
      // More than the whole: the clock was set back. The others must see this lease move all the same.
      if ((left < RENEW_BELOW || left > LEASE) && !entry.stop.signal.aborted) {
        const until = leaseUntil()
        if (await records.renew(id, holder, until)) entry.leaseUntil = until
        else if (entry.push.upstream.at !== 'over') letGo(entry)
      }
    } catch (err) {
      if (!(err instanceof Unavailable)) log.warn({ err }, 'a push could not be looked at; trying again')
    }
  }

  /** For how long each lease of others was seen to be as it is now, by this process' clock. */
  let stands = new Map<string, { readonly until: Milliseconds; readonly silence: Milliseconds }>()
  let lookedAt: Milliseconds = clock()
  let skewToldAt = Number.NEGATIVE_INFINITY

  /**
   * For how long nobody has renewed each lease. Its date is by its holder's clock: by ours it may be over while the holder lives, or last for as
   * long as the clock was set back since.
   */
  function silences(leases: readonly Leased[]): (Leased & { readonly silence: Milliseconds })[] {
    const now = clock()
    const elapsed = now - lookedAt
    lookedAt = now
    const seen = Math.min(Math.max(elapsed, 0), SEEN_AT_MOST)
    const before = stands
    stands = new Map()
    return leases.map(lease => {
      const { id, until } = lease
      const known = before.get(id)
      const isRenewed = known !== undefined && known.until !== until && until !== GIVEN_BACK
      if (isRenewed && elapsed === seen) tellSkew(until - LEASE - now, now)
      const silence = known?.until === until ? known.silence + seen : 0
      stands.set(id, { until, silence })
      return { ...lease, silence: until === GIVEN_BACK ? Number.POSITIVE_INFINITY : silence }
    })
  }

  /** Once in a while: it stays as it is until somebody mends it. */
  function tellSkew(ahead: Milliseconds, now: Milliseconds): void {
    if (Math.abs(ahead) < SKEW_TOLD_FROM || Math.abs(now - skewToldAt) < HOUR) return
    skewToldAt = now
    log.warn(
      { seconds: Math.round(ahead / SECOND) },
      'the clock of another Postern differs from this one’s by so much (minus: it is behind): turn on time synchronization on both',
    )
  }

  async function takeOver({ id, until, silence }: ReturnType<typeof silences>[number]): Promise<void> {
    const seen = await records.read(id)
    if (seen === undefined || seen.leaseUntil !== until || followed.has(id)) return
    if (seen.push.upstream.at === 'sending' && silence < SENDING_LEASE) return
    const taken = await records.takeOver(seen, { holder, until: leaseUntil() })
    if (taken === undefined) return
    const applied = await apply(id, { type: 'resumed' }, true)
    if (applied !== undefined && applied.record.push.upstream.at !== 'over') follow(applied.record)
  }

  async function sweep(): Promise<void> {
    const leases = await records.leases().catch((error: unknown) => {
      // No holder could renew its lease meanwhile: none was silent for it.
      stands = new Map()
      throw error
    })
    for (const lease of silences(leases.filter(({ id }) => !followed.has(id)))) {
      const { id, silence } = lease
      if (closing) return
      if (silence < LEASE) continue
      try {
        await takeOver(lease)
      } catch (err) {
        if (!(err instanceof UnreadablePush)) throw err
        log.error({ err }, 'a push cannot be read: it is dropped')
        await records.discard(id)
      }
    }
    const now = clock()
    if (now - cleanedAt < CLEAN_EVERY) return
    cleanedAt = now
    await records.forgetOld(now)
  }

  let sweeping: Promise<void> = Promise.resolve()
  let busy = false
  const sweeper = setInterval(() => {
    if (busy) return
    busy = true
    sweeping = sweep()
      .catch((err: unknown) => {
        // A store that does not answer is told of by itself, once; this would be each second.
        if (!(err instanceof Unavailable)) log.warn({ err }, 'pushes that nobody follows could not be looked for')
      })
      .finally(() => {
        busy = false
      })
  }, SWEEP_EVERY).unref()

  return {
    holder,
    byPerson: (id, event) => apply(id, event, false),
    byHolder: (id, event) => applyFirmly(id, event),
    follow,
    async close() {
      closing = true
      clearInterval(sweeper)
      await sweeping
      const open = [...followed]
      for (const [, { stop }] of open) stop.abort()
      await Promise.all(open.map(([, { done }]) => done))
      // Another process, or this one after its restart, goes on at once.
      for (const [id] of open)
        await records.release(id, holder).catch((err: unknown) => log.warn({ err }, 'a lease could not be given back'))
    },
  }
}

const endOf: Readonly<Record<string, Unapproved['how']>> = {
  'push.denied': 'denied',
  'push.fraud': 'fraud',
  'push.timed-out': 'timed-out',
}

function eventOf(answer: DuoAnswer<AuthStatus>): PushEvent {
  if (answer.ok) {
    const { result, status, status_msg } = answer.value
    return { type: 'answer', result, status, said: plainText(status_msg, SAID_LIMIT) }
  }
  const { kind, reason, parameter } = answer.failure
  if (kind === 'misconfigured') return { type: 'no-answer', miss: 'refused', reason }
  if (kind === 'request')
    return { type: 'no-answer', miss: parameter === 'txid' ? 'unknown-transaction' : 'refused', reason }
  return { type: 'no-answer', miss: reason === 'duo-malformed' ? 'unreadable' : 'unreachable', reason }
}

/** A pause that an abort ends early; it does not reject. */
async function pause(duration: Milliseconds, signal: AbortSignal): Promise<void> {
  if (duration > 0) await sleep(duration, undefined, { signal, ref: false }).catch(() => {})
}
