import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { newReference } from '../problems/reference.ts'
import { Unavailable } from '../problems/unavailable.ts'
import { occasional } from '../telemetry/occasional.ts'
import type { Backend } from './backend.ts'
import { createEvenTime, type Timer } from './even-time.ts'
import { fileBackend } from './file-backend.ts'
import { ldapBackend } from './ldap-backend.ts'
import { isPlausibleName, isPlausiblePassword } from './names.ts'
import { createPool, hashesAtOnce, PoolClosed, QUEUE_LENGTH } from './pool.ts'
import type { CountedTry, Regulation, Try } from './regulation.ts'
import type { FirstFactor, Users } from './users.ts'
import { openVerifier, type Verifier } from './verify.ts'

interface Parts {
  readonly config: Config['authentication_backend']
  readonly regulation: Regulation
  /** Decides how old what the directory said is. */
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  /** For tests: what verifies, how many at once, and how time passes for answers. */
  readonly verifier?: Verifier
  readonly concurrency?: number
  readonly timer?: Timer
}

/** A bind costs the directory a hash, and this machine nothing. */
const BINDS_AT_ONCE = 16

const realTimer: Timer = {
  now: () => performance.now(),
  wait: async span => void (await wait(span)),
}

/**
 * Who may sign in, by a password that is counted before it is looked at.
 * @throws {UsersFileRefused} when the users file cannot be read or has an error; another error when the CA of the directory cannot be read
 */
export async function openUsers(parts: Parts): Promise<Users> {
  const { config, regulation, log } = parts
  const timer = parts.timer ?? realTimer
  const usual = config.ldap === undefined ? hashesAtOnce() : BINDS_AT_ONCE
  const pool = createPool({ concurrency: parts.concurrency ?? usual, queue: QUEUE_LENGTH }, timer.now)
  const evenTime = createEvenTime(timer)
  const occasionally = occasional(parts.clock, newReference)
  const backend = await openBackend()

  async function openBackend(): Promise<Backend> {
    const workshop = { pool, evenTime, timer }
    const { file, ldap, refresh_interval } = config
    if (ldap !== undefined)
      return ldapBackend(ldap, workshop, { refreshInterval: refresh_interval, clock: parts.clock, log })
    if (file === undefined) throw new Error('the configuration names neither a users file nor a directory')
    return fileBackend(file, workshop, { verifier: parts.verifier ?? openVerifier(), log })
  }

  return {
    get fault() {
      return backend.fault
    },

    find: username => backend.find(username),
    everybody: () => backend.everybody(),

    ban: (username, from) => regulation.ban(username, from),

    async tryPasscode(username, { ip }) {
      try {
        const begun = await regulation.beginPasscode({ person: username, ip })
        return 'triesLeft' in begun ? { ...begun, givenBack: () => giveBack(begun) } : begun
      } catch (error) {
        if (!(error instanceof Unavailable)) tell('a passcode could not be counted', error)
        throw error
      }
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
        await giveBack(counted)
        // What does not answer is told of by itself, once.
        if (error instanceof Unavailable) return { outcome: 'unavailable', cause: error }
        if (!(error instanceof PoolClosed)) tell('a password could not be checked', error)
        return { outcome: 'unavailable' }
      }
    },

    async close() {
      pool.close()
      await backend.close()
    },
  }

  /** Everybody who tries may meet it: once a minute, with how often. */
  function tell(what: string, err: unknown): void {
    occasionally(what, (_, unwritten) => log.error({ err, ...(unwritten > 0 ? { unwritten } : {}) }, what))
  }

  async function giveBack(counted: CountedTry | undefined): Promise<void> {
    try {
      await counted?.givenBack()
    } catch (error) {
      if (!(error instanceof Unavailable)) tell('a try that was not evaluated stays counted', error)
    }
  }
}
