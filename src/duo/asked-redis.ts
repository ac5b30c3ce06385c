import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { type Clock, DAY, type Milliseconds } from '../clock.ts'
import { networkOf } from '../http/client-address.ts'
import type { Redis } from '../storage/redis/redis.ts'
import { type Asked, KEPT, SMS_COOL_DOWN } from './asked.ts'
import type { GuardLimits } from './guard.ts'
import { BASE } from './push-records-redis.ts'
import { take } from './push-scripts.ts'

const outcome = z.tuple([z.enum(['taken', 'full', 'cool-down']), z.string().regex(/^\d+$/).transform(Number)])

/** In Redis, beside the pushes: an approval gives back in its own step what was spent on a person. */
export function redisAsked(redis: Redis, limits: GuardLimits, clock: Clock): Asked {
  const run = redis.script(take)
  const sessionKeyOf = (sessionKey: string) => `${BASE}:asked-session:${sessionKey}`
  /** By Redis' own clock; it only clears up. */
  const kept: Milliseconds = Math.max(KEPT, 2 * limits.find_time) + DAY
  return {
    async take({ username, sessionKey, ip }, kind) {
      const network = ip === undefined ? null : networkOf(ip)
      const { find_time, pushes_per_user, pushes_per_address, pushes_in_all } = limits
      const id = randomBytes(12).toString('base64url')
      const who = [username, sessionKey, network ?? '', kind, id, clock(), find_time]
      const reply = await run([BASE], [...who, pushes_per_user, pushes_per_address, pushes_in_all, SMS_COOL_DOWN, kept])
      const [how, until] = outcome.parse(reply)
      if (how === 'taken') return null
      return how === 'cool-down' ? { outcome: 'cool-down', until } : { outcome: 'paused', why: 'budget', until }
    },
    note: async ({ sessionKey }) => void (await redis.command('SET', sessionKeyOf(sessionKey), 1, 'PX', kept)),
    everIn: async sessionKey => (await redis.command('EXISTS', sessionKeyOf(sessionKey))) === 1,
  }
}
