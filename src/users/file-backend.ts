import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { Backend, Workshop } from './backend.ts'
import { costOf, costsOf, decoys, fake, MEASURED_AT_MOST, SLOW, slowness } from './costs.ts'
import { describeCost, type PasswordHash } from './hashes.ts'
import { openPeople, type People } from './people.ts'
import { PoolClosed } from './pool.ts'
import type { Users } from './users.ts'
import { everybodyOf, type UsersFile } from './users-file.ts'
import type { Verifier } from './verify.ts'

/**
 * The people of the users file, and their passwords.
 * @throws {UsersFileRefused} when the file cannot be read or has an error
 */
export async function fileBackend(
  file: Parameters<typeof openPeople>[0],
  { pool, evenTime, timer }: Workshop,
  { verifier, log }: { readonly verifier: Verifier; readonly log: FastifyBaseLogger },
): Promise<Backend> {
  const decoyKey = randomBytes(32)
  let decoyFor = decoys([], decoyKey)
  let everybody: ReturnType<Users['everybody']> = []
  let measured = new Map<string, Promise<void>>()
  const people: People = await openPeople({ ...file, path: resolve(file.path) }, log, inUse)

  /** Verifies and learns how long that takes here. */
  async function verify(hash: PasswordHash, password: string): Promise<boolean> {
    const began = timer.now()
    const matches = await verifier.verify(hash, password)
    evenTime.learn(costOf(hash), timer.now() - began)
    return matches
  }

  // One of each cost, the dearest first: refusals must be even from the first one on.
  function inUse(users: UsersFile): void {
    const costs = costsOf(users.entries.values())
    const dearest = [...costs].slice(0, MEASURED_AT_MOST)
    decoyFor = decoys(users.entries.values(), decoyKey)
    measured = new Map(dearest.map(([cost, hash]) => [cost, measured.get(cost) ?? measure(hash)]))
    evenTime.keep(new Set(costs.keys()))
    everybody = everybodyOf(users)
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

  return {
    get fault() {
      return people.fault
    },

    get measured() {
      return Promise.all(measured.values())
    },

    find(username) {
      const entry = people.current.entries.get(username)
      return entry === undefined || entry.disabled ? undefined : entry.person
    },

    everybody: () => everybody,

    resolve(typed) {
      const { current } = people
      const entry = current.resolve(typed)
      const counted = current.counted(typed)
      return {
        counted,
        username: entry?.person.username,
        async judge(password, mayBeEvaluated, place) {
          // Everybody costs one hash: otherwise a rush would tell by its queue which names exist.
          const mine = mayBeEvaluated ? entry?.hash : undefined
          const matches = await place.run(() => verify(mine ?? decoyFor(counted), password))
          if (entry === undefined) return 'unknown'
          if (!mayBeEvaluated) return 'banned'
          if (mine === undefined) return 'unusable-hash'
          if (!matches) return 'wrong-password'
          // The file may have changed meanwhile: who is disabled by now, or has another password, does not come in.
          const now = people.current.entries.get(entry.person.username)
          if (now === undefined) return 'unknown'
          if (now.disabled) return 'disabled'
          return now.hash !== undefined && isSameHash(now.hash, mine) ? now.person : 'wrong-password'
        },
      }
    },

    async close() {
      await people.close()
      await verifier.close()
    },
  }
}

const isSameHash = (a: PasswordHash, b: PasswordHash): boolean =>
  costOf(a) === costOf(b) &&
  Buffer.from(a.key).equals(Buffer.from(b.key)) &&
  Buffer.from(a.salt).equals(Buffer.from(b.salt))
