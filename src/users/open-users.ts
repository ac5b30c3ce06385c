import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config/schema.ts'
import { createEvenTime, type Timer } from './even-time.ts'
import { fileBackend } from './file-backend.ts'
import { isPlausibleName, isPlausiblePassword } from './names.ts'
import { createPool, hashesAtOnce, PoolClosed, QUEUE_LENGTH } from './pool.ts'
import type { CountedTry, Regulation, Try } from './regulation.ts'
import type { FirstFactor, Users } from './users.ts'
import { openVerifier, type Verifier } from './verify.ts'

interface Parts {
  readonly config: Config['authentication_backend']
  readonly regulation: Regulation
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
  const { config, regulation, log } = parts
  const timer = parts.timer ?? realTimer
  const pool = createPool({ concurrency: parts.concurrency ?? hashesAtOnce(), queue: QUEUE_LENGTH }, timer.now)
  const evenTime = createEvenTime(timer)
  const verifier = parts.verifier ?? openVerifier()
  const backend = await fileBackend(config.file, { pool, evenTime, timer }, { verifier, log })

  return {
    get fault() {
      return backend.fault
    },

    find: username => backend.find(username),
    everybody: () => backend.everybody(),

    isBanned(username) {
      const ban = regulation.ban(username)
      return ban instanceof Promise ? ban.then(found => found !== null) : ban !== null
    },
    ban: (username, from) => regulation.ban(username, from),

    async tryPasscode(username, { ip }) {
      const begun = await regulation.beginPasscode({ person: username, ip })
      return 'triesLeft' in begun ? { ...begun, givenBack: () => giveBack(begun) } : begun
    },

    async checkPassword(typed, password, { ip }): Promise<FirstFactor> {
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
        const begun = await regulation.begin({ typed: candidate.counted, person: username, ip })
        if (!('mayBeEvaluated' in begun)) {
          place.leave()
          return await evenly({ outcome: 'banned', ...begun.banned, username })
        }
        counted = begun
        const judged = await candidate.judge(password, counted.mayBeEvaluated, place)
        if (typeof judged === 'string') {
          if (counted.brings !== null) return await evenly({ outcome: 'banned', ...counted.brings, username })
          return await evenly({ outcome: 'refused', triesLeft: counted.triesLeft, cause: judged, username })
        }
        await counted.succeeded()
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
      await counted?.givenBack()
    } catch (error) {
      log.error({ err: error }, 'a try that was not evaluated stays counted')
    }
  }
}
