import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock, Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { Unavailable } from '../problems/unavailable.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Asked } from './asked.ts'
import type { Preauthorized } from './asking.ts'
import type { DuoClient } from './client.ts'
import type { Device, Duo, Offer, Owner, PushView, RequestFacts, RingingWay, StartOutcome, Unapproved } from './duo.ts'
import { mayHaveActed } from './failure.ts'
import { openFollower, SENDING_LEASE } from './follower.ts'
import { pausedUntil } from './guard.ts'
import { approvedPush, isClaimable, isWaiting, newPush, type PushEvent } from './push.ts'
import { pushinfo } from './push-details.ts'
import { type PushRecords, viewOf } from './push-records.ts'
import { plainText } from './text.ts'
import { openWatchers } from './watchers.ts'

/** Pushes of a person that may still ring though they are over here. Cancelling must not be a way to make a phone ring all night. */
const RINGING_AT_MOST = 3
const DISPLAY_NAME_LIMIT = 100
const ASK_STORE_AGAIN: Milliseconds = 250

export interface Pushes extends Pick<Duo, 'newest' | 'change' | 'claim' | 'cancel'> {
  /** @param choose preauth, and the way to use by it */
  start(owner: Owner, way: RingingWay | undefined, facts: RequestFacts, choose: Choose): Promise<StartOutcome>
  /** An approval by a factor that Duo answers at once: the newest of its session, to be claimed as any. A push that waits there ends. */
  approve(owner: Owner, facts: RequestFacts, how: { said: string; bypassed: boolean }): Promise<PushView>
  close(): Promise<void>
}

export interface Chosen {
  readonly factor: RingingWay['kind']
  readonly device: Device
  /** The name that Duo knows the person by. */
  readonly name: string
  readonly verified: Preauthorized['verified']
}
type Choose = () => Promise<Chosen | 'unknown-device' | Offer>

interface Parts {
  readonly config: Pick<NonNullable<Config['duo_api']>, 'matching_code' | 'type' | 'guard'>
  /** What the phone shows as the name of all this. */
  readonly application: string
  readonly records: PushRecords
  readonly asked: Pick<Asked, 'take'>
  readonly client: Pick<DuoClient, 'auth' | 'authStatus'>
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  readonly alarm: (username: string) => Promise<void>
  readonly unapproved: (unapproved: Unapproved) => void
  /** Keeps Duo's token for a browser that it remembers from here on. */
  readonly hold: (from: { pushId: string; username: string; browser: string }, token: string) => Promise<void>
}

/** All pushes of all people, kept in records that any process may show. */
export function openPushes(parts: Parts): Pushes {
  const { config, application, records, asked, client, clock, log, audit, alarm, unapproved, hold } = parts
  const newest = (sessionKey: string) => records.newest(sessionKey)
  const watchers = openWatchers({
    versionOf: async key => (await newest(key))?.version ?? 0,
    areTold: () => changes.areTold(),
    log,
  })
  const changes = records.watch(watchers.wake)
  const follower = openFollower({
    records,
    client,
    clock,
    log,
    audit,
    alarm,
    unapproved,
    hold: ({ id, username, facts }, token) => hold({ pushId: id, username, browser: facts.browser }, token),
    changed: watchers.wake,
  })
  /** One start of a person after the other: of ten that come at once, nine find the push of the first. */
  const turns = new Map<string, Promise<unknown>>()

  /** What a start finds: a push to join, somebody else's, one of this session in another way, or nothing in its way. */
  async function standing(owner: Owner, way: RingingWay | undefined) {
    const own = await newest(owner.sessionKey)
    if (own !== undefined && isClaimable(own.push, clock())) return { outcome: 'joined', push: viewOf(own) } as const
    const open = await records.inFlight(owner.username)
    if (open === undefined) return undefined
    if (open.sessionKey !== owner.sessionKey) return { outcome: 'busy', until: open.push.deadline } as const
    const sameWay = way === undefined || (way.device === open.device.id && way.kind === open.factor)
    return sameWay ? ({ outcome: 'joined', push: viewOf(open) } as const) : { outcome: 'other-way' as const, open }
  }

  async function start(
    owner: Owner,
    way: RingingWay | undefined,
    facts: RequestFacts,
    choose: Choose,
  ): Promise<StartOutcome> {
    const before = await standing(owner, way)
    if (before !== undefined && before.outcome !== 'other-way') return before
    return inTurn(owner.username, async () => {
      const now = clock()
      const pause = pausedUntil(await records.guardOf(owner.username, now), now) ?? (await tooManyRing(owner.username))
      const found = await standing(owner, way)
      if (found !== undefined && found.outcome !== 'other-way') return found
      if (pause !== null) return { outcome: 'paused', ...pause }
      const chosen = await choose()
      if (chosen === 'unknown-device') return { outcome: 'unknown-device' }
      if ('kind' in chosen) return { outcome: 'offer', offer: chosen }
      const refused = await asked.take({ ...owner, ip: facts.ip }, chosen.factor)
      if (refused !== null) return { ...refused, outcome: 'paused', why: 'budget' }
      for (;;) {
        // Another process may have sent one meanwhile; then that one stands.
        const standsNow = await standing(owner, way)
        if (standsNow !== undefined && standsNow.outcome !== 'other-way') return standsNow
        if (standsNow !== undefined) await follower.byPerson(standsNow.open.id, { type: 'cancel' })
        const sent = await send(owner, chosen, facts)
        if (sent !== undefined) return sent
      }
    })
  }

  /** Undefined: another process sent one meanwhile. */
  async function send(owner: Owner, chosen: Chosen, facts: RequestFacts): Promise<StartOutcome | undefined> {
    const { factor, device, verified } = chosen
    const startedAt = clock()
    const code = codeOf(chosen)
    const record = await records.insert(
      {
        sessionKey: owner.sessionKey,
        username: owner.username,
        push: newPush(startedAt),
        factor,
        code,
        device: { id: device.id, name: device.name },
        facts,
        startedAt,
      },
      { holder: follower.holder, until: startedAt + SENDING_LEASE },
    )
    if (record === undefined) return undefined
    watchers.wake(owner.sessionKey)
    const whom = { username: chosen.name, device: device.id, ipaddr: facts.ip, hostname: facts.site ?? undefined }
    const matchingCode = code?.kind === 'matching' ? code.digits : null
    const answer = await client.auth(
      factor === 'phone'
        ? { ...whom, factor }
        : {
            ...whom,
            factor,
            type: config.type,
            displayUsername: plainText(owner.displayName, DISPLAY_NAME_LIMIT),
            pushinfo: pushinfo(facts, { application, matchingCode }),
            txid: verified?.txid,
          },
    )
    if (!answer.ok) log.warn({ ...answer.failure }, 'Duo did not take a push')
    const event: PushEvent = answer.ok
      ? { type: 'sent', txid: answer.value.txid }
      : { type: 'not-sent', reason: answer.failure.reason, mayRing: mayHaveActed(answer.failure) }
    const applied = await follower.byHolder(record.id, event)
    const current = applied?.record ?? (await records.read(record.id)) ?? record
    if (applied !== undefined && current.push.upstream.at === 'ringing') follower.follow(current)
    return { outcome: 'started', push: viewOf(current) }
  }

  /** A push that a code is typed for needs none to compare. */
  function codeOf({ factor, verified }: Chosen): PushView['code'] {
    if (factor === 'phone') return null
    if (verified !== null) return { kind: 'verified', digits: verified.digits }
    return config.matching_code ? { kind: 'matching', digits: String(randomInt(1000)).padStart(3, '0') } : null
  }

  async function tooManyRing(username: string) {
    const untils = (await records.stillRinging(username)).flatMap(({ push }) =>
      push.upstream.at === 'ringing' && push.upstream.until > clock() ? [push.upstream.until] : [],
    )
    return untils.length < RINGING_AT_MOST ? null : { until: Math.min(...untils), why: 'denied' as const }
  }

  async function inTurn<T>(username: string, work: () => Promise<T>): Promise<T> {
    const before = turns.get(username) ?? Promise.resolve()
    const turn = before.then(work, work)
    turns.set(username, turn)
    try {
      return await turn
    } finally {
      if (turns.get(username) === turn) turns.delete(username)
    }
  }

  async function approve(owner: Owner, facts: RequestFacts, { said, bypassed }: { said: string; bypassed: boolean }) {
    const { sessionKey, username } = owner
    const before = await newest(sessionKey)
    if (before !== undefined) await follower.byPerson(before.id, { type: 'cancel' })
    const startedAt = clock()
    const record = await records.insert(
      {
        sessionKey,
        username,
        push: approvedPush(startedAt, said, bypassed),
        factor: 'passcode',
        code: null,
        device: { id: '', name: '' },
        facts,
        startedAt,
      },
      null,
    )
    if (record === undefined) throw new Error('a push that is over stood in the way of another')
    watchers.wake(sessionKey)
    return viewOf(record)
  }

  return {
    start,
    approve,

    async newest(sessionKey) {
      const record = await newest(sessionKey)
      return record === undefined ? null : viewOf(record)
    },

    async change(sessionKey, seq, within, signal) {
      const end = performance.now() + within
      let last: PushView | null = null
      for (;;) {
        const record = await newest(sessionKey).catch((error: unknown) => {
          // A page that is held already does not break because the store is restarted.
          if (last === null || !(error instanceof Unavailable) || performance.now() >= end) throw error
          return 'down' as const
        })
        if (record === 'down') {
          await sleep(ASK_STORE_AGAIN, undefined, { signal, ref: false }).catch(() => {})
          if (signal.aborted) return last
          continue
        }
        const view = record === undefined ? null : viewOf(record)
        const left = end - performance.now()
        if (view === null || view.seq > seq || !isWaiting(view) || left <= 0 || signal.aborted) return view
        last = view
        const evicted = await watchers.wait(sessionKey, view.seq, left, signal)
        if (evicted) return view
      }
    },

    async claim(sessionKey) {
      const record = await newest(sessionKey)
      if (record === undefined) return null
      const applied = await follower.byPerson(record.id, { type: 'claim' })
      if (applied?.changed !== true || applied.record.push.state !== 'claimed') return null
      const { factor, push } = applied.record
      return { how: push.bypassed ? 'duo-allow' : factor, said: push.said, push: viewOf(applied.record) }
    },

    async cancel(sessionKey) {
      const record = await newest(sessionKey)
      if (record !== undefined) await follower.byPerson(record.id, { type: 'cancel' })
    },

    async close() {
      changes.close()
      watchers.close()
      await Promise.allSettled(turns.values())
      await follower.close()
    },
  }
}
