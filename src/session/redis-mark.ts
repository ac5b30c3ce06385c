import { z } from 'zod'
import type { Milliseconds } from '../clock.ts'
import { copyOf } from '../storage/older-copy.ts'
import { type Redis, RedisDown } from '../storage/redis/redis.ts'

export interface RedisMark {
  read(): Promise<Milliseconds | null>
  /** Never back. Resolves with where it stood before. */
  move(mark: Milliseconds): Promise<Milliseconds | null>
}

const MARK = 'session-mark'
const MOVE = `
local before = redis.call('GET', KEYS[1])
local at = before and tonumber(before)
if not at or at < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return before`

const shape = z.string().nullable()
const asMark = (reply: unknown): Milliseconds | null => {
  const text = shape.parse(reply)
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
}

/** When this Redis was last known to be in use, as it says itself. One key: in a Cluster it speaks for all servers. */
export function redisMark(redis: Redis): RedisMark {
  const move = redis.script(MOVE)
  return {
    read: async () => asMark(await redis.command('GET', MARK)),
    move: async mark => asMark(await move([MARK], [mark])),
  }
}

interface Parts {
  readonly redis: Redis
  readonly mark: RedisMark
  /** What it should know of at least. */
  readonly known: () => Milliseconds | null
  /** Ends all that is in it, and moves its mark to the present. */
  readonly end: (store: Milliseconds | null) => Promise<void>
  readonly failed: (error: unknown) => void
  readonly again: Milliseconds
}

/** Looks whether Redis is an older copy, at the beginning and at each new connection; until that is known nothing in it is believed. */
export function redisDoubt({ redis, mark, known, end, failed, again }: Parts) {
  let doubted = true
  let looks = 0
  let retry: NodeJS.Timeout | undefined
  let closed = false
  let told = false
  let ref: string | undefined

  async function look(): Promise<void> {
    clearTimeout(retry)
    if (closed) return
    const mine = ++looks
    doubted = true
    try {
      const store = await mark.read()
      // `alone`: these records are new beside it, as with one more Postern that has a file of its own.
      if (copyOf({ store, beside: known() }) === 'older') await end(store)
      told = false
      if (mine === looks) doubted = false
    } catch (error) {
      if (!(error instanceof RedisDown) && !told) {
        told = true
        failed(error)
      }
      if (mine === looks && !closed) retry = setTimeout(() => void look(), again).unref()
    }
  }
  redis.onRenewed(MARK, () => {
    // To whoever is refused it is one with what went before.
    ref = redis.trouble?.ref
    void look()
  })

  return {
    look,
    get doubted() {
      return doubted
    },
    /** @throws {RedisDown} */
    requireOurs(): void {
      if (!doubted) return
      const { trouble } = redis
      const error = new RedisDown(trouble?.reason ?? 'redis-down', 'whether it is an older copy is looked at')
      const told = trouble?.ref ?? ref
      throw told === undefined ? error : Object.assign(error, { ref: told })
    },
    close() {
      closed = true
      clearTimeout(retry)
    },
  }
}
