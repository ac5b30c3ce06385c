import { randomBytes } from 'node:crypto'
import argon2 from 'argon2'
import { SECOND } from '../clock.ts'
import { standardHash } from '../users/hashes.ts'
import { isPlausiblePassword, PASSWORD_BYTES_AT_MOST } from '../users/names.ts'
import { askSecret, Refused } from './ask.ts'

/**
 * Prints the hash of a password (argon2id with Authelia's parameters) and nothing else. Asks twice on a terminal, without echo; otherwise
 * reads one line from standard input. Resolves with the exit code: 1 when the password cannot be taken, 130 after Ctrl-C.
 */
export async function hash(_options: object): Promise<number> {
  try {
    const password = await askSecret({ noun: 'password', bytesAtMost: PASSWORD_BYTES_AT_MOST })
    if (!isPlausiblePassword(password))
      throw new Refused(
        password === '' ? 'The password is empty.' : `A password has at most ${PASSWORD_BYTES_AT_MOST} bytes of UTF-8.`,
      )
    const began = performance.now()
    console.log(await makeHash(password))
    const took = performance.now() - began
    if (took > SECOND)
      console.error(`This took ${(took / SECOND).toFixed(1)} s, and each sign-in will: this machine is slow for it.`)
    return 0
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    if (error.message !== '') console.error(`postern: ${error.message}`)
    return error.code
  }
}

/** In the order of parameters that every reader of PHC strings takes: m, t, p. */
async function makeHash(password: string): Promise<string> {
  const salt = randomBytes(16)
  const { memoryKiB, passes, lanes } = standardHash
  const options = { memoryCost: memoryKiB, timeCost: passes, parallelism: lanes, hashLength: 32, salt }
  const key = await argon2.hash(password, { ...options, type: argon2.argon2id, raw: true })
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${base64(salt)}$${base64(key)}`
}
