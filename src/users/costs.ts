import { createHmac, randomBytes } from 'node:crypto'
import { type Milliseconds, SECOND } from '../clock.ts'
import { describeCost, estimate, type PasswordHash, standardHash } from './hashes.ts'
import type { Entry, UsersFile } from './users-file.ts'
import { openVerifier } from './verify.ts'

/** So many kinds are measured; a file with more is measured by its dearest ones. */
export const MEASURED_AT_MOST = 8
/** From here on an administrator is told. */
export const SLOW: Milliseconds = SECOND

/** Two hashes of one cost take equally long. */
export const costOf = (hash: PasswordHash): string => `${describeCost(hash)}, ${hash.key.length} bytes`

/** One hash of each cost in a file, the dearest first; where there is none, the standard one. */
export function costsOf(entries: Iterable<Entry>): Map<string, PasswordHash> {
  const one = new Map<string, PasswordHash>()
  for (const { hash } of entries) if (hash) one.set(costOf(hash), hash)
  if (one.size === 0) one.set(costOf(standardHash), standardHash)
  return new Map([...one].toSorted(([, a], [, b]) => estimate(b) - estimate(a)))
}

/**
 * What is verified for a name that nobody has: as dear as the hash of somebody in this file, and for one name always the same. So such
 * a name behaves like a person's in whatever might still be seen of its hash.
 */
export function decoys(entries: Iterable<Entry>, key: Buffer): (name: string) => PasswordHash {
  const hashes = [...entries].flatMap(({ hash }) => (hash ? [hash] : []))
  return name => {
    const chosen = createHmac('sha256', key).update(name).digest().readUInt32BE() % Math.max(1, hashes.length)
    return fake(hashes[chosen] ?? standardHash)
  }
}

/** Same cost, and nobody's: the key is random, so that no password fits. */
export function fake(hash: PasswordHash): PasswordHash {
  if (hash.algorithm === 'bcrypt' || hash.algorithm === 'sha-crypt')
    return { ...hash, key: randomBytes(hash.key.length).toString('hex').slice(0, hash.key.length) }
  return { ...hash, salt: randomBytes(hash.salt.length), key: randomBytes(hash.key.length) }
}

export const slowness = (hash: PasswordHash, took: Milliseconds): string =>
  `Verifying a password hashed with ${describeCost(hash)} takes ${(took / SECOND).toFixed(1)} s on this machine, and so does each refusal.`

/** What is slow here, in words; none where nothing is. Computes one hash of each cost. */
export async function slowHashes({ entries }: UsersFile, slow: Milliseconds = SLOW): Promise<string[]> {
  const verifier = openVerifier()
  const found: string[] = []
  try {
    for (const hash of [...costsOf(entries.values()).values()].slice(0, MEASURED_AT_MOST)) {
      const [began, cpuBefore] = [performance.now(), process.cpuUsage()]
      await verifier.verify(fake(hash), 'measured')
      const { user, system } = process.cpuUsage(cpuBefore)
      // By the processor where that is less: what else runs on the machine now is not the hash's fault.
      const took = Math.min(performance.now() - began, (user + system) / 1000)
      if (took > slow) found.push(slowness(hash, took))
    }
  } finally {
    await verifier.close()
  }
  return found
}
