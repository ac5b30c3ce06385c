import type { FastifyBaseLogger } from 'fastify'
import { type Clock, SECOND } from '../clock.ts'
import { type Redis, RedisDown } from '../storage/redis/redis.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { CookieValues } from './cookie.ts'
import { beyondLimit } from './judge.ts'
import { localCache } from './local-cache.ts'
import { recent } from './recent.ts'
import type { Records } from './record.ts'
import { type Answer, keyIn, RECORDS, redisRecords } from './redis-records.ts'
import type { SeenSession } from './session.ts'
import type { LookedUp, SessionStore } from './store.ts'

interface Parts {
  readonly redis: Redis
  readonly values: CookieValues
  readonly records: Records
  readonly clock: Clock
  /** The same, steady. */
  readonly now: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  /** Whether a stamp that is not the newest would end it. */
  readonly isInactive: (seen: SeenSession) => boolean
  /** Throws while it is not known whether this Redis is an older copy: nothing in it is believed then. */
  readonly requireOurs: () => void
}

const VALUES_AT_MOST = 20_000
const STAMP_AGAIN_AFTER = SECOND
/** Of one person, or of a list: so many are read at a time. */
const READ_AT_ONCE = 100

/**
 * Sessions in Redis, for Posterns on many machines. Each record has a slot of its own, so the old and the new one of a swap may be on different nodes:
 * the old one dies first, and what is killed in between has ended. An index for each person tells what to end; a key is entered before
 * its record is there, and what was ended under a key is never inserted late.
 */
export function redisStore({
  redis,
  values,
  records,
  clock,
  now,
  log,
  audit,
  isInactive,
  requireOurs,
}: Parts): SessionStore {
  const stored = redisRecords(redis, records)
  const read = async (key: string) => {
    requireOurs()
    return await stored.read(key)
  }
  const cache = localCache({ read, watch: watcher => redis.watch(RECORDS, watcher), clock })
  const keyOf = recent<string>(VALUES_AT_MOST / 2)

  async function readOrNull(key: string): Promise<SeenSession | null> {
    const answer = await read(key)
    if (answer === 'invalid') tellInvalid()
    return typeof answer === 'string' ? null : answer
  }

  function tellInvalid(): void {
    audit('session.invalid-record', { detail: 'A stored session was altered, or written by another version: ignored.' })
  }

  async function ask(key: string): Promise<LookedUp> {
    const answer = await cache.ask(key)
    if (answer === 'invalid') {
      tellInvalid()
      return 'revoked'
    }
    return answer
  }

  /** A write that takes a session away: nothing read before its end is believed after it. */
  async function ending<T>(key: string, work: () => Promise<T>): Promise<T> {
    cache.drop(key)
    try {
      return await work()
    } finally {
      cache.drop(key)
    }
  }

  async function end(key: string): Promise<boolean> {
    const username = await ending(key, () => stored.revoke(key))
    cache.bury(key, 'revoked')
    if (username === undefined) return false
    await tidily(stored.leave(username, key))
    return true
  }

  /** The index may name what is gone: it is looked through, and forgets by itself. */
  async function tidily(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (!(error instanceof RedisDown)) throw error
    }
  }

  async function inPieces<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = []
    for (let at = 0; at < items.length; at += READ_AT_ONCE)
      results.push(...(await Promise.all(items.slice(at, at + READ_AT_ONCE).map(work))))
    return results
  }

  async function readAll(keys: readonly string[]): Promise<readonly SeenSession[]> {
    return (await inPieces(keys, readOrNull)).filter(seen => seen !== null)
  }

  const allOf = async (username: string) =>
    // The index is not sealed: what it names is believed only as far as the record is.
    (await readAll(await stored.keysOf(username))).filter(({ session }) => session.username === username)

  async function some(prefix: string, limit: number, passes: (seen: SeenSession) => boolean) {
    const found = new Map<string, SeenSession>()
    for await (const names of stored.scan(prefix)) {
      for (const seen of await readAll(names.map(keyIn))) if (passes(seen)) found.set(seen.session.key, seen)
      if (found.size >= limit) break
    }
    return [...found.values()].slice(0, limit)
  }

  return {
    lookUp(value) {
      let key: string | null | undefined = keyOf.get(value)
      if (key === undefined) {
        key = values.keyOf(value)
        if (key === null) return null
        keyOf.set(value, key)
      }
      const known = cache.get(key)
      // Another process may have stamped it since.
      return known === undefined || (typeof known !== 'string' && isInactive(known)) ? ask(key) : known
    },

    read: readOrNull,

    async start(key, record, at, { replaces, atMost, lives }) {
      const { username, expiresAt } = record
      await stored.enter(username, key, expiresAt, at)
      if (replaces !== null) {
        await ending(replaces, () => stored.claim(replaces))
        cache.bury(replaces, 'gone')
      }
      if (!(await stored.insert(key, record, at))) return 'ended'
      if (atMost === undefined) return 0
      const beyond = beyondLimit((await allOf(username)).filter(lives), atMost, key)
      const ended = await inPieces(beyond, session => end(session.key))
      return ended.filter(Boolean).length
    },

    async replace(old, key, next) {
      const seen = await readOrNull(old)
      const record = seen === null ? null : next(seen)
      if (record === null) return null
      const { username, expiresAt } = record
      // Before the old one is taken away: whoever ends all finds one of the two at any moment.
      await stored.enter(username, key, expiresAt, now())
      const claimed = await ending(old, () => stored.claim(old))
      if (claimed) cache.bury(old, 'gone')
      const done = claimed && (await stored.insert(key, record, now()))
      await tidily(stored.leave(username, done ? old : key))
      return done ? record : null
    },

    end: async key => void (await end(key)),

    async endAllOf(username, except) {
      const met = new Set(except === undefined ? [] : [except])
      let count = 0
      // Again until there is none left: one that was just being raised has entered its new key before its old one was gone.
      for (;;) {
        const keys = (await stored.keysOf(username)).filter(key => !met.has(key))
        if (keys.length === 0) return count
        for (const key of keys) met.add(key)
        count += (await inPieces(keys, end)).filter(Boolean).length
      }
    },

    async endAll(before, lives) {
      let count = 0
      // Again until there is none left: one that is just being raised has a new key.
      for (let found = 1; found > 0; ) {
        found = 0
        for await (const names of stored.scan('')) {
          const all = (await inPieces(names.map(keyIn), stored.read)).filter(isSession)
          const began = all.filter(({ session }) => session.passwordAt < before)
          const ended = await inPieces(began, async seen => ((await end(seen.session.key)) ? [seen] : []))
          found += ended.flat().length
          count += ended.flat().filter(lives).length
        }
      }
      return count
    },

    allOf,
    some: (limit, passes) => some('', limit, passes),
    withKeyPrefix: (prefix, limit) => some(prefix, limit, () => true),

    known: session => cache.held(session.key),
    stamp(session, at, between) {
      const known = cache.held(session.key)
      if (known !== undefined) known.nextStamp = at + STAMP_AGAIN_AFTER
      stored.stamp(session.key, at, between).then(
        seenAt => {
          if (known !== undefined && seenAt !== null) known.seenAt = Math.max(known.seenAt, seenAt)
        },
        error => {
          if (!(error instanceof RedisDown)) log.warn({ err: error }, 'the activity of a session could not be written')
        },
      )
    },

    noteSecret: stored.noteSecret,
    close: () => cache.close(),
  }
}

const isSession = (answer: Answer): answer is SeenSession => typeof answer !== 'string'
