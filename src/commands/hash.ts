import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import argon2 from 'argon2'
import { SECOND } from '../clock.ts'
import { standardHash } from '../users/hashes.ts'
import { isPlausiblePassword, PASSWORD_BYTES_AT_MOST } from '../users/names.ts'

/** Why there is no hash, for whoever asked for one. */
class Refused extends Error {
  readonly code: number
  constructor(message: string, code = 1) {
    super(message)
    this.code = code
  }
}

/**
 * Prints the hash of a password (argon2id with Authelia's parameters) and nothing else. Asks twice on a terminal, without echo; otherwise
 * reads one line from standard input. Resolves with the exit code: 1 when the password cannot be taken, 130 after Ctrl-C.
 */
export async function hash(_options: object): Promise<number> {
  try {
    const password = process.stdin.isTTY ? await askTwice() : await readLine()
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
    console.error(error.message)
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

async function askTwice(): Promise<string> {
  const first = await ask('Password: ')
  if (first === '') return first
  if ((await ask('Again: ')) !== first) throw new Refused('The two are not the same.')
  return first
}

/** The prompt goes to standard error, so that standard output is the hash alone. */
function ask(prompt: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const line = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 })
  process.stderr.write(prompt)
  return new Promise<string>((resolve, reject) => {
    line.once('line', resolve)
    line.once('SIGINT', () => reject(new Refused('', 130)))
    line.once('close', () => reject(new Refused('No password was given.')))
  }).finally(() => {
    process.stderr.write('\n')
    line.close()
  })
}

async function readLine(): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    length += bytes.length
    if (length > PASSWORD_BYTES_AT_MOST + 2)
      throw new Refused(`A password has at most ${PASSWORD_BYTES_AT_MOST} bytes of UTF-8.`)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new Refused('The password is not UTF-8.')
  }
  const password = text.replace(/\r?\n$/, '')
  if (/[\r\n]/.test(password)) throw new Refused('Standard input has more than one line; a password is one.')
  return password
}
