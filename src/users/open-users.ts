import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { whenFree } from '../storage/busy.ts'
import { createEvenTime, type Timer } from './even-time.ts'
import { fileBackend } from './file-backend.ts'
import { isPlausibleName, isPlausiblePassword } from './names.ts'
import { createPool, hashesAtOnce, PoolClosed, QUEUE_LENGTH } from './pool.ts'
import { type CountedTry, openRegulation, type Try } from './regulation.ts'
import type { FirstFactor, Users } from './users.ts'
import { openVerifier, type Verifier } from './verify.ts'

interface Parts {
  readonly config: Config['authentication_backend']
  readonly regulation: Config['regulation']
  /** A connection of its own, so that a transaction of others cannot take a ban back. */
  readonly counters: DatabaseSync
  /** Decides about tries and bans. */
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  /** For tests: what verifies, how many at once, and how time passes for answers. */
  readonly verifier?: Verifier
  readonly concurrency?: number
  readonly timer?: Timer
}

const realTimer: Timer = {
  now: () => performance.now(),
  wait: async span => void (await wait(span)),
}

/**
 * Who may sign in, by a password that is counted before it is looked at.
 * @throws {UsersFileRefused} when the users file cannot be read or has an error
 */
export async function openUsers(parts: Parts): Promise<Users> {
  const { config, log } = parts
  const timer = parts.timer ?? realTimer
  const pool = createPool({ concurrency: parts.concurrency ?? hashesAtOnce(), queue: QUEUE_LENGTH }, timer.now)
  const evenTime = createEvenTime(timer)
  const regulation = openRegulation(parts.counters, parts.regulation, parts.clock)
  const verifier = parts.verifier ?? openVerifier()
  const backend = await fileBackend(config.file, { pool, evenTime, timer }, { verifier, log })

  return {
    get fault() {
      return backend.fault
    },

    find: username => backend.find(username),
    everybody: () => backend.everybody(),

    isBanned: username => regulation.bannedUntil(username) !== null,
    bannedUntil: username => regulation.bannedUntil(username),

    async tryPasscode(username) {
      const begun = await whenFree(() => regulation.beginPasscode(username))
      if (!('triesLeft' in begun)) return begun
      return { ...begun, succeeded: () => whenFree(begun.succeeded), givenBack: () => giveBack(begun) }
    },

    async checkPassword(typed, password): Promise<FirstFactor> {
      const began = timer.now()
      if (!isPlausibleName(typed) || !isPlausiblePassword(password))
        return { outcome: 'refused', triesLeft: null, cause: 'implausible' }
      const place = pool.admit()
      if ('retryAfterSeconds' in place) return { outcome: 'busy', ...place }

      const evenly = async (answer: FirstFactor): Promise<FirstFactor> => {
        await backend.measured
        await evenTime.until(began)
        return answer
      }
      let counted: Try | undefined
      try {
        const candidate = await backend.resolve(typed)
        const { username } = candidate
        const begun = await whenFree(() => regulation.begin({ typed: candidate.counted, person: username }))
        if (!('mayBeEvaluated' in begun)) {
          place.leave()
          return await evenly({ outcome: 'banned', until: begun.bannedUntil, username })
        }
        counted = begun
        const judged = await candidate.judge(password, counted.mayBeEvaluated, place)
        if (typeof judged === 'string') {
          if (counted.bannedUntil !== null)
            return await evenly({ outcome: 'banned', until: counted.bannedUntil, username })
          return await evenly({ outcome: 'refused', triesLeft: counted.triesLeft, cause: judged, username })
        }
        await whenFree(counted.succeeded)
        return { outcome: 'accepted', person: judged }
      } catch (error) {
        // Whatever failed, nobody is let in by it.
        place.leave()
        if (!(error instanceof PoolClosed)) log.error({ err: error }, 'a password could not be checked')
        await giveBack(counted)
        return { outcome: 'unavailable' }
      }
    },

    async close() {
      pool.close()
      await backend.close()
    },
  }

  async function giveBack(counted: CountedTry | undefined): Promise<void> {
    try {
      if (counted !== undefined) await whenFree(counted.givenBack)
    } catch (error) {
      log.error({ err: error }, 'a try that was not evaluated stays counted')
    }
  }
}
