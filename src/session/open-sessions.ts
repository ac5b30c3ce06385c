import type { FastifyBaseLogger } from 'fastify'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import type { Config, CookieDomain } from '../config/schema.ts'
import { cookieValues } from '../http/cookies.ts'
import { newReference } from '../problems/reference.ts'
import { type Redis, RedisDown } from '../storage/redis/redis.ts'
import { fileDown } from '../storage/sqlite-dialect.ts'
import type { Storage } from '../storage/storage.ts'
import type { Audit } from '../telemetry/audit.ts'
import { occasional } from '../telemetry/occasional.ts'
import { cookieOptions, cookieValuesSignedWith } from './cookie.ts'
import { judge, NOBODY, whyOver } from './judge.ts'
import { watchOlderCopies } from './older-copies.ts'
import { recordsTaggedWith } from './record.ts'
import { redisStore } from './redis-store.ts'
import { watchSecrets } from './secrets.ts'
import { type Found, type SeenSession, type SessionRecord, type Sessions, type Started, StoreDown } from './session.ts'
import { sqliteStore } from './sqlite-store.ts'
import { steadyClock } from './steady-clock.ts'
import type { LookedUp } from './store.ts'

interface Parts {
  readonly config: Config['session']
  readonly storage: Pick<Storage, 'sessions' | 'health' | 'mark' | 'records'>
  /** Null: they are kept in the SQLite file of this machine. */
  readonly redis: Redis | null
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  /** A server, which notes that the store is in use, and ends what an older copy of it has. A command beside it does neither. */
  readonly serves?: true
}

// cookieValues() stops there: with more than it tells, the answer would depend on their order.
const CANDIDATES_AT_MOST = 8
const STAMP_AT_MOST_EVERY = MINUTE
/** Nothing hangs on the stamp of a session with *remember me* but what a list of sessions shows. */
const REMEMBERED_STAMP_EVERY = 10 * MINUTE
const SHOWN_OF_A_PREFIX = 10

/** Sessions over the store of this configuration: what one process ends, no other lets in from its next turn on. */
export async function openSessions(parts: Parts): Promise<Sessions> {
  const { config, storage, redis, clock, log, audit } = parts
  const now = steadyClock(clock, log)
  const values = cookieValuesSignedWith(config.secret)
  const records = recordsTaggedWith(config.secret)
  const domains = new Map(config.cookies.map(domain => [domain.domain, domain]))
  const olderCopies = parts.serves === undefined ? null : watchOlderCopies({ storage, redis, clock, now, log, audit })
  const requireOurs = () => olderCopies?.requireOurs()
  const store =
    redis === null
      ? sqliteStore({ file: storage, values, records, now, log, audit })
      : redisStore({ redis, values, records, clock, now, log, audit, isInactive, requireOurs })
  try {
    await olderCopies?.begin(before => store.endAll(before, lives))
  } catch (error) {
    store.close()
    throw error
  }
  const secrets = await watchSecrets({ store, fingerprint: records.secretFingerprint, now, log })

  const occasionally = occasional(clock, newReference)
  /** Whatever the store's trouble is, callers learn that it is down. The log learns the cause where the state of Redis or of the file changes. */
  function storeDown(error: unknown): StoreDown {
    if (error instanceof StoreDown) return error
    if (error instanceof RedisDown) return new StoreDown('Redis does not answer', { cause: error })
    const down = new StoreDown('The session store does not answer', { cause: error })
    const ref = redis === null ? fileDown(error, storage.health)?.ref : undefined
    if (ref !== undefined) return Object.assign(down, { ref })
    occasionally('down', (_, unwritten) =>
      log.error({ err: error, ...(unwritten > 0 ? { unwritten } : {}) }, 'the session store does not answer'),
    )
    return down
  }
  async function asked<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      throw storeDown(error)
    }
  }

  function isInactive(seen: SeenSession): boolean {
    const domain = domains.get(seen.session.cookieDomain)
    return domain !== undefined && whyOver(seen, domain, now()) === 'inactive'
  }

  function lives(seen: SeenSession): boolean {
    const domain = domains.get(seen.session.cookieDomain)
    return domain !== undefined && whyOver(seen, domain, now()) === null
  }

  function find(rawHeaders: readonly string[], domain: CookieDomain): Found | Promise<Found> {
    const candidates = cookieValues(rawHeaders, domain.name)
    if (candidates.length === 0) return NOBODY
    if (candidates.length >= CANDIDATES_AT_MOST) {
      audit('session.ambiguous', { host: domain.domain, detail: `${CANDIDATES_AT_MOST} or more cookies of one name` })
      return NOBODY
    }
    const looked = candidates.map(lookUp)
    if (looked.every(isHere)) return judge(looked, domain, now(), audit)
    return asked(Promise.all(looked).then(all => judge(all, domain, now(), audit)))
  }

  function lookUp(value: string): LookedUp | Promise<LookedUp> {
    const answer = store.lookUp(value)
    if (answer instanceof Promise) answer.catch(() => {}) // told by whoever waits for it, unless another cookie fails first
    return answer
  }

  function started(domain: CookieDomain, at: Milliseconds, value: string, key: string, record: SessionRecord): Started {
    const maxAge = record.remember ? record.expiresAt - at : undefined
    const cookie = { name: domain.name, value, options: cookieOptions(domain, maxAge) }
    return { session: Object.freeze({ ...record, key }), cookie }
  }

  const lately = (seen: readonly SeenSession[]) => seen.filter(lives).sort((a, b) => b.seenAt - a.seenAt)

  return {
    find(rawHeaders, domain) {
      try {
        return find(rawHeaders, domain)
      } catch (error) {
        throw storeDown(error)
      }
    },

    async start(domain, { username, credential, remember, browser, ip }, replaces) {
      const at = now()
      const kept = remember ? domain.remember_me : null
      const record: SessionRecord = {
        username,
        credential,
        level: 1,
        cookieDomain: domain.domain,
        remember: kept !== null,
        passwordAt: at,
        secondFactor: null,
        expiresAt: at + (kept ?? domain.expiration),
        browser,
        ip,
      }
      const wishes = { replaces: replaces?.key ?? null, atMost: config.max_sessions_per_user, lives }
      for (;;) {
        const { value, key } = values.mint()
        const count = await asked(store.start(key, record, at, wishes))
        if (count === 'ended') continue // at the same time as this sign-in, which counts as the later
        if (count > 0) audit('session.ended-by-limit', { username, count })
        return started(domain, at, value, key, record)
      }
    },

    async raise({ key: old }, secondFactor) {
      const { value, key } = values.mint()
      const raised = await asked(
        store.replace(old, key, seen => {
          const { key: _old, ...record } = seen.session
          return lives(seen) ? { ...record, level: 2, secondFactor } : null
        }),
      )
      const domain = raised && domains.get(raised.cookieDomain)
      return raised && domain ? started(domain, now(), value, key, raised) : 'ended'
    },

    end: ({ key }) => asked(store.end(key)),
    endAllOf: (username, { except } = {}) => asked(store.endAllOf(username, except)),
    endAll: () => asked(store.endAll(Number.POSITIVE_INFINITY, lives)),

    list: async username => lately(await asked(store.allOf(username))),
    listAll: async limit => lately(await asked(store.some(limit, lives))),
    withKeyPrefix: async prefix =>
      /^[A-Za-z0-9_-]+$/.test(prefix) ? lately(await asked(store.withKeyPrefix(prefix, SHOWN_OF_A_PREFIX))) : [],

    async lives(key) {
      const seen = await asked(store.read(key))
      return seen !== null && lives(seen)
    },

    touch(session) {
      const domain = domains.get(session.cookieDomain)
      if (domain === undefined) return
      const at = now()
      const every = session.remember ? REMEMBERED_STAMP_EVERY : Math.min(STAMP_AT_MOST_EVERY, domain.inactivity / 10)
      const known = store.known(session)
      if (known !== undefined && (at < known.seenAt + every || at < known.nextStamp)) return
      // An older stamp than these bounds is of a session that is over; a newer one was set by another process.
      store.stamp(session, at, [session.remember ? 0 : at - domain.inactivity, at - every])
    },

    async close() {
      secrets.close()
      store.close()
      await olderCopies?.close()
    },
  }
}

const isHere = (answer: LookedUp | Promise<LookedUp>): answer is LookedUp => !(answer instanceof Promise)
