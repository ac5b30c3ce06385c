import { z } from 'zod'
import { DAY, type Milliseconds } from '../clock.ts'
import type { Redis, Reply } from '../storage/redis/redis.ts'
import { believable, FORGOTTEN_AFTER, type Guard, type GuardLimits, guardAfterAll, open } from './guard.ts'
import {
  type Changes,
  GIVEN_BACK,
  hashOfTxid,
  KEPT,
  LEASES_AT_MOST,
  newId,
  type PushRecord,
  type PushRecords,
  type Seal,
  sealOf,
  UnreadablePush,
} from './push-records.ts'
import * as scripts from './push-scripts.ts'

/** What everything of pushes is called; one hash tag. */
export const BASE = 'push:{push}'
/** By Redis' own clock, so a day longer than by any of ours. It only clears up. */
const KEPT_BY_REDIS: Milliseconds = KEPT + DAY
const WRITE_TRIES = 100

const guardShape = z.object({ denials: z.int(), notBefore: z.int(), lockedUntil: z.int() })
const number = z.string().regex(/^\d+$/).transform(Number)
const leases = z.array(z.tuple([z.string(), number]))
const orNull = <T extends z.ZodType>(shape: T) => z.union([z.literal('').transform(() => null), shape])
const row = z.tuple([
  z.string(), // id
  z.string(), // session
  z.string(), // username
  z.string(), // state
  number, // version
  orNull(z.string()), // holder
  orNull(number), // lease
  orNull(number), // ended
])

/**
 * In Redis, for any number of Posterns. Each record is sealed: whoever can write to Redis alone cannot approve anything.
 * @param encryptionKey `storage.encryption_key`
 */
export function redisPushRecords(redis: Redis, limits: GuardLimits, encryptionKey: string): PushRecords {
  const seal = sealOf(encryptionKey)
  const recordOf = recordSealedBy(seal)
  /** What is over and cannot be read, as after a change of the key, is nothing; what is not over is to be dropped by whoever takes it over. */
  const unlessUnreadable = (reply: Reply, of: Parameters<typeof recordOf>[1]) => {
    try {
      return recordOf(reply, of)
    } catch (error) {
      if (error instanceof UnreadablePush && isOver(reply)) return undefined
      throw error
    }
  }
  const recordsOf = (reply: Reply, username: string) =>
    z
      .array(z.unknown())
      .parse(reply)
      .flatMap(one => unlessUnreadable(one, { username }) ?? [])
  const script = (source: string) => {
    const run = redis.script(source)
    return (...args: (string | number)[]) => run([BASE], args)
  }
  const run = {
    newest: script(scripts.newest),
    inFlight: script(scripts.inFlight),
    ringing: script(scripts.ringing),
    endedAfter: script(scripts.endedAfter),
    insert: script(scripts.insert),
    write: script(scripts.write),
    renew: script(scripts.renew),
    leases: script(scripts.leases),
    takeOver: script(scripts.takeOver),
    discard: script(scripts.discard),
    replaceGuard: script(scripts.replaceGuard),
  }
  const keyOf = (kind: string, name: string) => `${BASE}:${kind}:${name}`
  const guardText = async (username: string) =>
    z
      .string()
      .nullable()
      .parse(await redis.command('GET', keyOf('guard', username)))

  return {
    read: async id =>
      recordOf(
        await redis.command(
          'HMGET',
          keyOf('record', id),
          'id',
          'session',
          'username',
          'state',
          'version',
          'holder',
          'lease',
          'ended',
        ),
        { id },
      ),
    newest: async sessionKey => unlessUnreadable(await run.newest(sessionKey), { sessionKey }),
    inFlight: async username => recordOf(await run.inFlight(username), { username }),
    stillRinging: async username => recordsOf(await run.ringing(username), username),
    endedAfter: async (username, time) => recordsOf(await run.endedAfter(username, time), username),

    async insert({ sessionKey, username, ...content }, lease) {
      const id = newId()
      const text = seal.close({ id, sessionKey, username }, content)
      const about = [text, lease?.holder ?? '', lease?.until ?? '', content.push.endedAt ?? '']
      return recordOf(await run.insert(id, sessionKey, username, ...about, KEPT_BY_REDIS), { id })
    },

    async write(seen, push, { by, notes, now }) {
      const { upstream } = push
      const txid = upstream.at === 'ringing' ? hashOfTxid(upstream.txid) : ''
      const text = seal.close(seen, { ...seen, push })
      // The notes are worked out here. When another push of this person ended meanwhile, by what it left.
      for (let tries = 1; tries <= WRITE_TRIES; tries += 1) {
        const before = notes.length === 0 ? null : await guardText(seen.username)
        const guard = notes.length === 0 ? null : guardAfterAll(guardOfText(before), notes, now, limits)
        const reply = await run.write(
          seen.id,
          seen.version,
          by === 'anybody' ? '' : by.holder,
          by === 'anybody' ? '' : by.until,
          text,
          push.endedAt ?? '',
          upstream.at === 'over' ? 1 : '',
          txid,
          before ?? '',
          guard === null ? '' : JSON.stringify(guard),
          guard === null ? '' : lifeOf(guard, now),
          notes.includes('allowed') ? 1 : '',
          KEPT_BY_REDIS,
        )
        if (reply === 'taken') return 'taken'
        if (reply === 'lost') return undefined
        if (reply !== 'again') return recordOf(reply, { id: seen.id })
      }
      throw new Error('a guard could not be written: others write it all the time')
    },

    renew: async (id, holder, until) => (await run.renew(id, holder, until)) === 1,
    release: async (id, holder) => void (await run.renew(id, holder, GIVEN_BACK)),
    leases: async () => leases.parse(await run.leases(LEASES_AT_MOST)).map(([id, until]) => ({ id, until })),
    takeOver: async (seen, { holder, until }) =>
      recordOf(await run.takeOver(seen.id, seen.version, seen.leaseUntil ?? '', holder, until, KEPT_BY_REDIS), {
        id: seen.id,
      }),
    discard: async id => void (await run.discard(id)),
    async forgetOld() {}, // Redis does, by KEPT_BY_REDIS

    async guardOf(username, now) {
      const text = await guardText(username)
      const written = guardOfText(text)
      const guard = believable(written, now, limits)
      if (text !== null && guard !== written)
        await run.replaceGuard(username, text, JSON.stringify(guard), lifeOf(guard, now))
      return guard
    },
    refusalsSeenAt: async username => Number((await redis.command('GET', keyOf('seen', username))) ?? 0),
    markRefusalsSeen: async (username, now) =>
      void (await redis.command('SET', keyOf('seen', username), now, 'PX', KEPT_BY_REDIS)),

    watch(changed): Changes {
      const beginning = keyOf('session', '')
      const watch = redis.watch(beginning, {
        changed: key => changed(key.slice(beginning.length)),
        lost() {}, // then they are not told, and whoever waits looks
      })
      return { areTold: () => watch.isTrue(), close: () => watch.close() }
    },
  }
}

function guardOfText(text: string | null): Guard {
  return text === null ? open : guardShape.parse(JSON.parse(text))
}

/** By Redis' own clock, so a day longer than it says anything. */
const lifeOf = ({ notBefore, lockedUntil }: Guard, now: Milliseconds): Milliseconds =>
  Math.max(notBefore + FORGOTTEN_AFTER, lockedUntil, now) - now + DAY

const isOver = (reply: Reply) => Array.isArray(reply) && typeof reply[7] === 'string' && reply[7] !== ''

/**
 * What a record must be of: what it was looked up by. A lookup is not sealed, and must not lead to somebody else's approval.
 * @throws {UnreadablePush}
 */
function recordSealedBy(seal: Seal) {
  return (reply: Reply, of: Partial<Pick<PushRecord, 'id' | 'sessionKey' | 'username'>>): PushRecord | undefined => {
    // Nothing was found: no key, or a record without any of its fields.
    if (!Array.isArray(reply) || reply.every(field => field === null)) return undefined
    const { data, error } = row.safeParse(reply)
    if (data === undefined)
      throw new UnreadablePush('the record of a push is not as Postern writes it', { cause: error })
    const [id, sessionKey, username, state, version, holder, leaseUntil] = data
    const { facts, ...content } = seal.open({ id, sessionKey, username, ...of }, state)
    return { id, sessionKey, username, version, holder, leaseUntil, ...content, facts: { ...facts, ip: facts.ip } }
  }
}
