import type { FastifyBaseLogger } from 'fastify'
import { type Clock, DAY, MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import type { Config, CookieDomain } from '../config/schema.ts'
import { cookieValues } from '../http/cookies.ts'
import { isBusy, whenFree } from '../storage/busy.ts'
import type { Storage } from '../storage/storage.ts'
import type { Audit } from '../telemetry/audit.ts'
import { cookieOptions, cookieValuesSignedWith } from './cookie.ts'
import { type Known, knownSessions } from './known-sessions.ts'
import { recordsTaggedWith } from './record.ts'
import { type Found, type Session, type SessionRecord, type Sessions, type Started, StoreDown } from './session.ts'
import { sessionRows } from './session-rows.ts'
import { steadyClock } from './steady-clock.ts'

interface Parts {
  readonly config: Config['session']
  readonly storage: Storage
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
}

type Ended = Extract<Found, { state: 'anonymous' }>['ended']

const anonymous = (ended: Ended): Found => Object.freeze({ state: 'anonymous', ended })
const NOBODY = anonymous(null)
const OVER = { expired: anonymous('expired'), inactive: anonymous('inactive'), revoked: anonymous('revoked') } as const

// cookieValues() stops there: with more than it tells, the answer would depend on their order.
const CANDIDATES_AT_MOST = 8
const STAMP_AT_MOST_EVERY = MINUTE
const STAMP_AGAIN_AFTER = SECOND
/** How far the clocks of two processes on one machine may be apart after it was set back. */
const AHEAD_AT_MOST = MINUTE
/** Kept for a day after its end, so that the portal can say why a session is over. */
const FORGOTTEN_AFTER = DAY
const CLEAR_AT_ONCE = 100
const CLEAR_EVERY = 10 * SECOND

/** Sessions in the SQLite file of this machine. Several processes may share it: what one ends, no other lets in from its next turn on. */
export async function openSessions({ config, storage, clock, log, audit }: Parts): Promise<Sessions> {
  const now = steadyClock(clock, log)
  const values = cookieValuesSignedWith(config.secret)
  const records = recordsTaggedWith(config.secret)
  const rows = sessionRows(storage.sessions)
  const domains = new Map(config.cookies.map(domain => [domain.domain, domain]))
  const known = knownSessions(rows, values, records, audit)

  let loggedAt: Milliseconds = 0
  /** Whatever SQLite's trouble is, callers learn that the store is down; the log learns the cause, once a second. */
  function storeDown(error: unknown): StoreDown {
    if (error instanceof StoreDown) return error
    const at = clock()
    if (Math.abs(at - loggedAt) >= SECOND) {
      loggedAt = at
      log.error({ err: error }, 'the session store does not answer')
    }
    return new StoreDown('The session store does not answer', { cause: error })
  }
  async function write<T>(work: () => T): Promise<T> {
    try {
      return await rows.write(work)
    } catch (error) {
      throw storeDown(error)
    } finally {
      known.recheck()
    }
  }

  function whyOver(session: Session, seenAt: Milliseconds, domain: CookieDomain, at: Milliseconds) {
    if (at >= session.expiresAt || Math.max(session.passwordAt, seenAt) > at + AHEAD_AT_MOST) return 'expired'
    return !session.remember && at >= seenAt + domain.inactivity ? 'inactive' : null
  }

  function judge(candidates: readonly string[], domain: CookieDomain): Found {
    if (candidates.length >= CANDIDATES_AT_MOST) {
      audit('session.ambiguous', { host: domain.domain, detail: `${CANDIDATES_AT_MOST} or more cookies of one name` })
      return NOBODY
    }
    const at = now()
    let best: Known | null = null
    let over: Ended = null
    for (const value of candidates) {
      const candidate = known.lookUp(value)
      if (candidate === null) continue
      if (typeof candidate === 'string') {
        over = worse(over, candidate === 'gone' ? 'expired' : 'revoked')
        continue
      }
      const { session, seenAt } = candidate
      if (session.cookieDomain !== domain.domain) {
        audit('session.foreign-domain', {
          username: session.username,
          host: domain.domain,
          detail: session.cookieDomain,
        })
        continue
      }
      const why = whyOver(session, seenAt, domain, at)
      if (why !== null) {
        over = worse(over, why)
        continue
      }
      if (best !== null && best.session.username !== session.username) {
        audit('session.ambiguous', { host: domain.domain, detail: 'live sessions of two people' })
        return NOBODY
      }
      if (best === null || outranks(session, best.session)) best = candidate
    }
    return best?.found ?? (over === null ? NOBODY : OVER[over])
  }

  async function swap(
    domain: CookieDomain,
    at: Milliseconds,
    old: string | null,
    next: SessionRecord,
  ): Promise<Started> {
    const { value, key } = values.mint()
    await write(() => {
      if (old !== null) rows.remove(old)
      rows.insert(records.toRow(key, next), at)
    })
    return started(domain, at, value, key, next)
  }

  function started(domain: CookieDomain, at: Milliseconds, value: string, key: string, record: SessionRecord): Started {
    const maxAge = record.remember ? record.expiresAt - at : undefined
    const cookie = { name: domain.name, value, options: cookieOptions(domain, maxAge) }
    return { session: Object.freeze({ ...record, key }), cookie }
  }

  /** The session under a key if it lives, asked of the store. */
  function readLive(key: string, at: Milliseconds): { session: Session; domain: CookieDomain } | null {
    const stored = known.read(key)
    if (typeof stored === 'string') return null
    const domain = domains.get(stored.session.cookieDomain)
    if (domain === undefined || whyOver(stored.session, stored.seenAt, domain, at) !== null) return null
    return { session: stored.session, domain }
  }

  let clearing = setTimeout(clear, CLEAR_EVERY).unref()
  function clear(): void {
    let cleared = 0
    try {
      cleared = rows.clear(now() - FORGOTTEN_AFTER, CLEAR_AT_ONCE)
    } catch (error) {
      if (!isBusy(error)) log.error({ err: error }, 'sessions that ended could not be cleared away')
    }
    clearing = setTimeout(clear, cleared < CLEAR_AT_ONCE ? CLEAR_EVERY : SECOND / 10).unref()
  }

  return {
    find(rawHeaders, domain) {
      const candidates = cookieValues(rawHeaders, domain.name)
      if (candidates.length === 0) return NOBODY
      try {
        return judge(candidates, domain)
      } catch (error) {
        if (!isBusy(error)) throw storeDown(error)
        return whenFree(() => judge(candidates, domain)).catch(later => Promise.reject(storeDown(later)))
      }
    },

    async start(domain, { username, credential, remember }, replaces) {
      const at = now()
      const kept = remember ? domain.remember_me : null
      return swap(domain, at, replaces?.key ?? null, {
        username,
        credential,
        level: 1,
        cookieDomain: domain.domain,
        remember: kept !== null,
        passwordAt: at,
        secondFactor: null,
        expiresAt: at + (kept ?? domain.expiration),
      })
    },

    async raise({ key: old }, secondFactor) {
      const { value, key } = values.mint()
      return write(() => {
        const at = now()
        const live = readLive(old, at)
        if (live === null) return 'ended'
        const { key: _old, ...record } = live.session
        const raised: SessionRecord = { ...record, level: 2, secondFactor }
        rows.remove(old)
        rows.insert(records.toRow(key, raised), at)
        return started(live.domain, at, value, key, raised)
      })
    },

    end: ({ key }) => write(() => rows.revoke(key)),
    endAllOf: username => write(() => rows.revokeAllOf(username)),

    async lives(key) {
      try {
        return await whenFree(() => readLive(key, now()) !== null)
      } catch (error) {
        throw storeDown(error)
      }
    },

    touch(session) {
      const domain = domains.get(session.cookieDomain)
      if (session.remember || domain === undefined) return
      const at = now()
      const every = Math.min(STAMP_AT_MOST_EVERY, domain.inactivity / 10)
      const cached = known.of(session)
      if (cached !== undefined && (at < cached.seenAt + every || at < cached.nextStamp)) return
      try {
        // An older stamp than these bounds is of a session that is over; a newer one was set by another process.
        const moved = rows.stamp(session.key, at, [at - domain.inactivity, at - every])
        if (moved && cached !== undefined) cached.seenAt = at
        else known.recheck()
      } catch (error) {
        if (!isBusy(error)) log.warn({ err: error }, 'the activity of a session could not be written')
      }
      if (cached !== undefined) cached.nextStamp = at + STAMP_AGAIN_AFTER
    },

    async close() {
      clearTimeout(clearing)
    },
  }
}

/** Of two live sessions of one person: the higher level, then the newer; the key only makes the answer the same in either order. */
function outranks(a: Session, b: Session): boolean {
  if (a.level !== b.level) return a.level > b.level
  if (a.passwordAt !== b.passwordAt) return a.passwordAt > b.passwordAt
  return a.key > b.key
}

/** Which of two reasons is told where a browser sent several cookies; a fixed order, so that theirs does not matter. */
function worse(a: Ended, b: NonNullable<Ended>): NonNullable<Ended> {
  return a !== null && reasons.indexOf(a) > reasons.indexOf(b) ? a : b
}
const reasons: readonly Ended[] = ['revoked', 'inactive', 'expired']
