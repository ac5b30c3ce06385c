import { z } from 'zod'
import { DAY, type Milliseconds } from '../clock.ts'
import type { Redis, Reply } from '../storage/redis/redis.ts'
import { FORGOTTEN_AFTER, type Guard, type GuardLimits, guardAfterAll, open } from './guard.ts'
import {
  type Changes,
  contentOf,
  hashOfTxid,
  KEPT,
  newId,
  type PushRecord,
  type PushRecords,
  textOf,
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

/** In Redis, for any number of Posterns. */
export function redisPushRecords(redis: Redis, limits: GuardLimits): PushRecords {
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
    abandoned: script(scripts.abandoned),
    takeOver: script(scripts.takeOver),
    discard: script(scripts.discard),
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
      ),
    newest: async sessionKey => recordOf(await run.newest(sessionKey)),
    inFlight: async username => recordOf(await run.inFlight(username)),
    stillRinging: async username => recordsOf(await run.ringing(username)),
    endedAfter: async (username, time) => recordsOf(await run.endedAfter(username, time)),

    async insert({ sessionKey, username, ...content }, lease) {
      const about = [textOf(content), lease?.holder ?? '', lease?.until ?? '', content.push.endedAt ?? '']
      return recordOf(await run.insert(newId(), sessionKey, username, ...about, KEPT_BY_REDIS))
    },

    async write(seen, push, { by, notes, now }) {
      const { upstream } = push
      const txid = upstream.at === 'ringing' ? hashOfTxid(upstream.txid) : ''
      // The notes are worked out here. When another push of this person ended meanwhile, by what it left.
      for (let tries = 1; tries <= WRITE_TRIES; tries += 1) {
        const before = notes.length === 0 ? null : await guardText(seen.username)
        const guard = notes.length === 0 ? null : guardAfterAll(guardOfText(before), notes, now, limits)
        const reply = await run.write(
          seen.id,
          seen.version,
          by === 'anybody' ? '' : by.holder,
          by === 'anybody' ? '' : by.until,
          textOf({ ...seen, push }),
          push.endedAt ?? '',
          upstream.at === 'over' ? 1 : '',
          txid,
          before ?? '',
          guard === null ? '' : JSON.stringify(guard),
          guard === null ? '' : Math.max(guard.notBefore + FORGOTTEN_AFTER, guard.lockedUntil, now) - now + DAY,
          notes.includes('allowed') ? 1 : '',
          KEPT_BY_REDIS,
        )
        if (reply === 'taken') return 'taken'
        if (reply === 'lost') return undefined
        if (reply !== 'again') return recordOf(reply)
      }
      throw new Error('a guard could not be written: others write it all the time')
    },

    renew: async (id, holder, until) => (await run.renew(id, holder, until)) === 1,
    release: async (id, holder) => void (await run.renew(id, holder, 0)),
    abandoned: async now => z.array(z.string()).parse(await run.abandoned(now)),
    takeOver: async (seen, holder, now, until) =>
      recordOf(await run.takeOver(seen.id, seen.version, now, holder, until, KEPT_BY_REDIS)),
    discard: async id => void (await run.discard(id)),
    async forgetOld() {}, // Redis does, by KEPT_BY_REDIS

    guardOf: async username => guardOfText(await guardText(username)),
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

function recordsOf(reply: Reply): PushRecord[] {
  return z
    .array(z.unknown())
    .parse(reply)
    .flatMap(one => recordOf(one) ?? [])
}

/** @throws {UnreadablePush} */
function recordOf(reply: Reply): PushRecord | undefined {
  // Nothing was found: no key, or a record without any of its fields.
  if (!Array.isArray(reply) || reply.every(field => field === null)) return undefined
  const { data, error } = row.safeParse(reply)
  if (data === undefined) throw new UnreadablePush('the record of a push is not as Postern writes it', { cause: error })
  const [id, sessionKey, username, state, version, holder, leaseUntil] = data
  const { facts, ...content } = contentOf(state)
  return {
    id,
    sessionKey,
    username,
    version,
    holder,
    leaseUntil,
    ...content,
    facts: { ...facts, ip: facts.ip },
  }
}
