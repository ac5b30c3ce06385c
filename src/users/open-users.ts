import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { whenFree } from '../storage/busy.ts'
import { costOf, costsOf, decoys, fake, MEASURED_AT_MOST, SLOW, slowness } from './costs.ts'
import { createEvenTime, type Timer } from './even-time.ts'
import { describeCost, type PasswordHash } from './hashes.ts'
import { isPlausibleName, isPlausiblePassword } from './names.ts'
import { openPeople } from './people.ts'
import { createPool, hashesAtOnce, type Place, PoolClosed, QUEUE_LENGTH } from './pool.ts'
import { type CountedTry, openRegulation, type Try } from './regulation.ts'
import type { FirstFactor, RefusalCause, Users } from './users.ts'
import { type Entry, everybodyOf, type UsersFile } from './users-file.ts'
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
 * The people of the users file, and their passwords.
 * @throws {UsersFileRefused} when the file cannot be read or has an error
 */
export async function openUsers(parts: Parts): Promise<Users> {
  const { config, log } = parts
  const timer = parts.timer ?? realTimer
  const verifier = parts.verifier ?? openVerifier()
  const pool = createPool({ concurrency: parts.concurrency ?? hashesAtOnce(), queue: QUEUE_LENGTH }, timer.now)
  const evenTime = createEvenTime(timer)
  const regulation = openRegulation(parts.counters, parts.regulation, parts.clock)
  const decoyKey = randomBytes(32)
  let decoyFor = decoys([], decoyKey)
  let everybody: ReturnType<Users['everybody']> = []
  let measured = new Map<string, Promise<void>>()
  const people = await openPeople({ ...config.file, path: resolve(config.file.path) }, log, inUse)

  /** Verifies and learns how long that takes here. */
  async function verify(hash: PasswordHash, password: string): Promise<boolean> {
    const began = timer.now()
    const matches = await verifier.verify(hash, password)
    evenTime.learn(costOf(hash), timer.now() - began)
    return matches
  }

  // One of each cost, the dearest first: refusals must be even from the first one on.
  function inUse(file: UsersFile): void {
    const { entries } = file
    const costs = costsOf(entries.values())
    const dearest = [...costs].slice(0, MEASURED_AT_MOST)
    decoyFor = decoys(entries.values(), decoyKey)
    measured = new Map(dearest.map(([cost, hash]) => [cost, measured.get(cost) ?? measure(hash)]))
    evenTime.keep(new Set(costs.keys()))
    everybody = everybodyOf(file)
  }

  async function measure(hash: PasswordHash): Promise<void> {
    const place = pool.admit()
    if ('retryAfterSeconds' in place) return // passwords are being verified already, and teach the same
    try {
      const took = await place.run(async () => {
        await verify(fake(hash), 'measured') // the first one warms up
        const began = timer.now()
        await verify(fake(hash), 'measured')
        return timer.now() - began
      })
      if (took > SLOW) log.warn(slowness(hash, took))
    } catch (error) {
      if (!(error instanceof PoolClosed))
        log.error({ err: error }, `${describeCost(hash)} cannot be verified on this machine`)
    }
  }

  /** Whose password it is, or why it is not accepted. */
  async function judge(
    name: string,
    entry: Entry | undefined,
    password: string,
    counted: Try,
    place: Place,
  ): Promise<Entry | RefusalCause> {
    // Everybody costs one hash: otherwise a rush would tell by its queue which names exist.
    const mine = counted.mayBeEvaluated ? entry?.hash : undefined
    const matches = await place.run(() => verify(mine ?? decoyFor(name), password))
    if (entry === undefined) return 'unknown'
    if (!counted.mayBeEvaluated) return 'banned'
    if (mine === undefined) return 'unusable-hash'
    if (!matches) return 'wrong-password'
    // The file may have changed meanwhile: who is disabled by now, or has another password, does not come in.
    const now = people.current.entries.get(entry.person.username)
    if (now === undefined) return 'unknown'
    if (now.disabled) return 'disabled'
    return now.hash !== undefined && isSameHash(now.hash, mine) ? now : 'wrong-password'
  }

  return {
    get fault() {
      return people.fault
    },

    find(username) {
      const entry = people.current.entries.get(username)
      return entry === undefined || entry.disabled ? undefined : entry.person
    },

    everybody: () => everybody,

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
      const { current } = people
      const entry = current.resolve(typed)
      const place = pool.admit()
      if ('retryAfterSeconds' in place) return { outcome: 'busy', ...place }

      const evenly = async (answer: FirstFactor): Promise<FirstFactor> => {
        await Promise.all(measured.values())
        await evenTime.until(began)
        return answer
      }
      let counted: Try | undefined
      try {
        const begun = await whenFree(() =>
          regulation.begin({ typed: current.counted(typed), person: entry?.person.username }),
        )
        if (!('mayBeEvaluated' in begun)) {
          place.leave()
          return await evenly({ outcome: 'banned', until: begun.bannedUntil })
        }
        counted = begun
        const judged = await judge(current.counted(typed), entry, password, counted, place)
        if (typeof judged === 'string') {
          if (counted.bannedUntil !== null) return await evenly({ outcome: 'banned', until: counted.bannedUntil })
          return await evenly({ outcome: 'refused', triesLeft: counted.triesLeft, cause: judged })
        }
        await whenFree(counted.succeeded)
        return { outcome: 'accepted', person: judged.person }
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
      await people.close()
      await verifier.close()
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

const isSameHash = (a: PasswordHash, b: PasswordHash): boolean =>
  costOf(a) === costOf(b) &&
  Buffer.from(a.key).equals(Buffer.from(b.key)) &&
  Buffer.from(a.salt).equals(Buffer.from(b.salt))
