import type { FastifyBaseLogger } from 'fastify'
import type { Kysely } from 'kysely'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import type { Tables } from '../storage/tables.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { DuoClient } from './client.ts'
import type { Device, Duo, Offer, Owner, RequestFacts, RingingWay, StartOutcome } from './duo.ts'
import type { DuoFailure } from './failure.ts'
import { openFollower } from './follower.ts'
import { pausedUntil, readGuard } from './guard.ts'
import { isClaimable, isWaiting, newPush, type PushEvent } from './push.ts'
import { pushinfo } from './push-details.ts'
import { pushRecords, viewOf } from './push-records.ts'
import { plainText } from './text.ts'
import { openWatchers } from './watchers.ts'

/** Longer than Duo's answer to /auth may take: whoever sends a push holds its lease meanwhile. */
const SENDING_LEASE: Milliseconds = 20 * SECOND
/** Pushes of a person that may still ring though they are over here. Cancelling must not be a way to make a phone ring all night. */
const RINGING_AT_MOST = 3
const DISPLAY_NAME_LIMIT = 100

export interface Pushes extends Pick<Duo, 'newest' | 'change' | 'claim' | 'cancel'> {
  /** @param choose preauth, and the way to use by it */
  start(owner: Owner, way: RingingWay | undefined, facts: RequestFacts, choose: Choose): Promise<StartOutcome>
  close(): Promise<void>
}

export interface Chosen {
  readonly factor: RingingWay['kind']
  readonly device: Device
}
type Choose = () => Promise<Chosen | 'unknown-device' | Offer>

interface Parts {
  readonly db: Kysely<Tables>
  readonly client: Pick<DuoClient, 'auth' | 'authStatus'>
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  readonly alarm: (username: string) => Promise<void>
}

/** All pushes of all people, kept in records that any process of this machine may show. */
export function openPushes({ db, client, clock, log, audit, alarm }: Parts): Pushes {
  const records = pushRecords(db)
  const newest = (sessionKey: string) => records.newest(sessionKey)
  const watchers = openWatchers(async key => (await newest(key))?.version ?? 0, log)
  const follower = openFollower({ records, client, clock, log, audit, alarm, changed: watchers.wake })
  /** One start of a person after the other: of ten that come at once, nine find the push of the first. */
  const turns = new Map<string, Promise<unknown>>()

  /** What a start finds: a push to join, somebody else's, one of this session in another way, or nothing in its way. */
  async function standing(owner: Owner, way: RingingWay | undefined) {
    const own = await newest(owner.sessionKey)
    if (own !== undefined && isClaimable(own.push, clock())) return { outcome: 'joined', push: viewOf(own) } as const
    const open = await records.inFlight(owner.username)
    if (open === undefined) return undefined
    if (open.sessionKey !== owner.sessionKey)
      return { outcome: 'busy', until: open.push.deadline, facts: open.facts } as const
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
      const pause = pausedUntil(await readGuard(db, owner.username), clock()) ?? (await tooManyRing(owner.username))
      const found = await standing(owner, way)
      if (found !== undefined && found.outcome !== 'other-way') return found
      if (pause !== null) return { outcome: 'paused', ...pause }
      const chosen = await choose()
      if (chosen === 'unknown-device') return { outcome: 'unknown-device' }
      if ('kind' in chosen) return { outcome: 'offer', offer: chosen }
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
  async function send(
    owner: Owner,
    { factor, device }: Chosen,
    facts: RequestFacts,
  ): Promise<StartOutcome | undefined> {
    const startedAt = clock()
    const record = await records.insert(
      {
        sessionKey: owner.sessionKey,
        username: owner.username,
        push: newPush(startedAt),
        factor,
        code: null,
        device: { id: device.id, name: device.name },
        facts,
        startedAt,
      },
      { holder: follower.holder, until: startedAt + SENDING_LEASE },
    )
    if (record === undefined) return undefined
    watchers.wake(owner.sessionKey)
    const whom = { username: owner.username, device: device.id, ipaddr: facts.ip }
    const answer = await client.auth(
      factor === 'phone'
        ? { ...whom, factor }
        : {
            ...whom,
            factor,
            displayUsername: plainText(owner.displayName, DISPLAY_NAME_LIMIT),
            pushinfo: pushinfo(facts),
          },
    )
    if (!answer.ok) log.warn({ ...answer.failure }, 'Duo did not take a push')
    const event: PushEvent = answer.ok ? { type: 'sent', txid: answer.value.txid } : notSent(answer.failure)
    const applied = await follower.byHolder(record.id, event)
    const current = applied?.record ?? (await records.read(record.id)) ?? record
    if (applied !== undefined && current.push.upstream.at === 'ringing') follower.follow(current)
    return { outcome: 'started', push: viewOf(current) }
  }

  async function tooManyRing(username: string) {
    const untils = (await records.stillRinging(username)).flatMap(({ push }) =>
      push.upstream.at === 'ringing' ? [push.upstream.until] : [],
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

  return {
    start,

    async newest(sessionKey) {
      const record = await newest(sessionKey)
      return record === undefined ? null : viewOf(record)
    },

    async change(sessionKey, seq, within, signal) {
      const end = performance.now() + within
      for (;;) {
        const record = await newest(sessionKey)
        const view = record === undefined ? null : viewOf(record)
        const left = end - performance.now()
        if (view === null || view.seq > seq || !isWaiting(view) || left <= 0 || signal.aborted) return view
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
      watchers.close()
      await Promise.allSettled(turns.values())
      await follower.close()
    },
  }
}

/** A push whose answer was lost may ring all the same. */
function notSent({ sent, kind, reason }: DuoFailure): PushEvent {
  const refused = kind !== 'unavailable' || reason === 'duo-throttled'
  return { type: 'not-sent', reason, mayRing: sent && !refused }
}
