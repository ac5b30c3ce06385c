import { createHash } from 'node:crypto'
import { z } from 'zod'
import { DAY, MINUTE, type Milliseconds } from '../clock.ts'
import type { Redis } from '../storage/redis/redis.ts'
import type { Records } from './record.ts'
import type { SeenSession, SessionRecord } from './session.ts'

/** What Redis says of a key. `invalid`: there is something, which we did not write. */
export type Answer = SeenSession | 'gone' | 'revoked' | 'invalid'

/** The steps of the Redis store. Each is carried out whole or not at all, each may fail with `RedisDown`. */
export interface RedisRecords {
  read(key: string): Promise<Answer>
  /** False: it was ended meanwhile, and is not there. */
  insert(key: string, record: SessionRecord, now: Milliseconds): Promise<boolean>
  /** Takes it away: true for one of all who try. */
  claim(key: string): Promise<boolean>
  /** Takes it away and leaves a trace: none that is inserted late under this key is let in. Whose it was; undefined: it was not there. */
  revoke(key: string): Promise<string | undefined>
  /** Moves a stamp between the two times; tells where it stands then. Null: there is none. */
  stamp(key: string, now: Milliseconds, between: readonly [Milliseconds, Milliseconds]): Promise<Milliseconds | null>
  /** Before the record is there, so that whoever ends all of a person's sessions finds it. */
  enter(username: string, key: string, expiresAt: Milliseconds, now: Milliseconds): Promise<void>
  leave(username: string, key: string): Promise<void>
  keysOf(username: string): Promise<readonly string[]>
  scan(prefix: string): AsyncIterable<readonly string[]>
  noteSecret(fingerprint: string, now: Milliseconds): Promise<ReadonlyMap<string, Milliseconds>>
}

/** Where records begin: what is under it changes when a session begins or ends, and never for activity. */
export const RECORDS = 'session:{'
/** Whose key it is. */
export const keyIn = (name: string): string => name.slice(RECORDS.length, -1)

// One hash tag for what one script touches; see storage/redis.
const recordOf = (key: string) => `${RECORDS}${key}}`
const seenOf = (key: string) => `session-seen:{${key}}`
const endedOf = (key: string) => `session-ended:{${key}}`
const indexOf = (username: string) => `sessions-of:{${createHash('sha256').update(username).digest('base64url')}}`
const SECRETS = 'session-secrets'

/** Redis forgets it so much later than it ends: its clock does not decide. */
const KEPT_LONGER = MINUTE
/** So that the portal can say why it is over, and longer than any insertion can be late. */
const TRACE_KEPT = DAY

const READ = `return redis.call('MGET', KEYS[1], KEYS[2], KEYS[3])`
const INSERT = `
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1`
const CLAIM = `
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])`
const REVOKE = `
local record = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
redis.pcall('SET', KEYS[3], '1', 'PX', ARGV[1]) -- not when its memory is full: nothing is inserted then either
return record`
const STAMP = `
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local seen = redis.call('GET', KEYS[2])
if not seen then return false end
local at = tonumber(seen)
if not at or at <= tonumber(ARGV[2]) or at > tonumber(ARGV[3]) then return seen end
redis.call('SET', KEYS[2], ARGV[1], 'KEEPTTL')
return ARGV[1]`
const ENTER = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1`

const threeTexts = z.tuple([z.string().nullable(), z.string().nullable(), z.string().nullable()])
const stampShape = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
const secretsShape = z.record(z.string(), stampShape)

export function redisRecords(redis: Redis, records: Records): RedisRecords {
  const read = redis.script(READ)
  const insert = redis.script(INSERT)
  const claim = redis.script(CLAIM, 'again')
  const revoke = redis.script(REVOKE, 'again')
  const stamp = redis.script(STAMP)
  const enter = redis.script(ENTER)
  const keysFor = (key: string) => [recordOf(key), seenOf(key), endedOf(key)] as const

  return {
    async read(key) {
      const [text, seen, ended] = threeTexts.parse(await read([...keysFor(key)]))
      if (text === null) return ended === null ? 'gone' : 'revoked'
      const session = records.fromText(key, text)
      const seenAt = stampShape.safeParse(seen).data
      return session === undefined || seenAt === undefined ? 'invalid' : { session, seenAt }
    },

    async insert(key, record, now) {
      const life = Math.max(record.expiresAt - now, 0) + KEPT_LONGER
      return (await insert([...keysFor(key)], [records.toText(key, record), now, life])) === 1
    },

    claim: async key => (await claim([...keysFor(key)])) === 1,

    async revoke(key) {
      const text = z
        .string()
        .nullable()
        .parse(await revoke([...keysFor(key)], [TRACE_KEPT]))
      return text === null ? undefined : (records.fromText(key, text)?.username ?? '')
    },

    async stamp(key, now, [after, until]) {
      return stampShape.nullable().parse(await stamp([...keysFor(key)], [now, after, until]))
    },

    async enter(username, key, expiresAt, now) {
      const life = Math.max(expiresAt - now, 0) + KEPT_LONGER
      await enter([indexOf(username)], [key, expiresAt, now - KEPT_LONGER, life])
    },
    async leave(username, key) {
      await redis.command('ZREM', indexOf(username), key)
    },
    keysOf: async username => z.array(z.string()).parse(await redis.command('ZRANGE', indexOf(username), 0, -1)),

    scan: prefix => redis.scan(RECORDS + prefix),

    async noteSecret(fingerprint, now) {
      await redis.command('HSET', SECRETS, fingerprint, now)
      const noted = Object.entries(secretsShape.parse(await redis.command('HGETALL', SECRETS)))
      return new Map(noted.filter(([other]) => other !== fingerprint))
    },
  }
}
