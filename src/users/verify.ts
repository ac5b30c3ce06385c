import { pbkdf2, scrypt, timingSafeEqual } from 'node:crypto'
import { extname } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import argon2 from 'argon2'
import type { PasswordHash } from './hashes.ts'

/** What a worker thread takes over. */
export interface Job {
  readonly hash: Extract<PasswordHash, { algorithm: 'bcrypt' | 'sha-crypt' }>
  readonly password: string
}

export interface Verifier {
  /**
   * Whether this is the password. Never on the event loop: argon2, scrypt and pbkdf2 take a thread of libuv's four, bcrypt and
   * sha-crypt a worker of their own; how many at once is the caller's matter. @throws when a thread or the memory cannot be had
   */
  verify(hash: PasswordHash, password: string): Promise<boolean>
  close(): Promise<void>
}

const argon2Types = { argon2d: argon2.argon2d, argon2i: argon2.argon2i, argon2id: argon2.argon2id } as const
const pbkdf2Async = promisify(pbkdf2)

const scryptAsync = (password: string, hash: Extract<PasswordHash, { algorithm: 'scrypt' }>) =>
  new Promise<Buffer>((resolve, reject) => {
    const { cost, blockSize, lanes } = hash
    const maxmem = 128 * blockSize * (cost + lanes) + 1024 * 1024
    const options = { cost, blockSize, parallelization: lanes, maxmem }
    scrypt(password, hash.salt, hash.key.length, options, (error, key) => (error ? reject(error) : resolve(key)))
  })

/**
 * bcrypt reads 72 bytes and no more, and takes a NUL for the end: a longer password would be accepted by its beginning, so none of
 * them ever is, whatever wrote the hash.
 */
function canMatch(hash: PasswordHash, password: string): boolean {
  if (hash.algorithm !== 'bcrypt' || hash.variant === 'sha256') return true
  if (hash.asciiOnly && /[^\p{ASCII}]/u.test(password)) return false
  return Buffer.byteLength(password) <= 72 && !password.includes('\0')
}

export function openVerifier(): Verifier {
  const idle: Worker[] = []
  const all = new Set<Worker>()

  function hire(): Worker {
    // Source or build: the worker has the extension that this file has. No environment: it needs none of the secrets there.
    const worker = new Worker(new URL(`./hash-worker${extname(import.meta.filename)}`, import.meta.url), { env: {} })
    all.add(worker)
    worker.once('exit', () => {
      all.delete(worker)
      const at = idle.indexOf(worker)
      if (at !== -1) idle.splice(at, 1)
    })
    return worker
  }

  function inWorker(job: Job): Promise<boolean> {
    const worker = idle.pop() ?? hire()
    return new Promise((resolve, reject) => {
      const settle = () => {
        worker.off('message', done).off('error', failed).off('exit', gone)
      }
      const done = (matches: unknown) => {
        settle()
        worker.unref() // an idle one must not keep the process alive
        idle.push(worker)
        resolve(matches === true)
      }
      const failed = (error: unknown) => {
        settle()
        reject(error)
      }
      const gone = () => failed(new Error('the hashing thread ended'))
      worker.on('message', done).on('error', failed).on('exit', gone)
      worker.ref()
      worker.postMessage(job)
    })
  }

  return {
    async verify(hash, password) {
      const possible = canMatch(hash, password)
      switch (hash.algorithm) {
        case 'argon2': {
          const { memoryKiB: memoryCost, passes: timeCost, lanes: parallelism, version, salt, key } = hash
          const type = argon2Types[hash.variant]
          const options = { memoryCost, timeCost, parallelism, version, salt, hashLength: key.length, type, raw: true }
          return timingSafeEqual(await argon2.hash(password, { ...options, raw: true }), key)
        }
        case 'scrypt':
          return timingSafeEqual(await scryptAsync(password, hash), hash.key)
        case 'pbkdf2':
          return timingSafeEqual(
            await pbkdf2Async(password, hash.salt, hash.iterations, hash.key.length, hash.digest),
            hash.key,
          )
        case 'bcrypt':
        case 'sha-crypt':
          // What cannot match takes the time of one that could.
          return (await inWorker({ hash, password: possible ? password : 'impossible' })) && possible
      }
    },
    async close() {
      await Promise.all([...all].map(worker => worker.terminate()))
    },
  }
}
