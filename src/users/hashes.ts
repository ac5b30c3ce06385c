import type { Milliseconds } from '../clock.ts'

// Encodings: the PHC strings and crypt(3) strings that Authelia writes (its library go-crypt), each read strictly.
// What a hash costs is known from its text, so that it is refused before any memory or time is taken.

export type PasswordHash =
  | {
      readonly algorithm: 'argon2'
      readonly variant: 'argon2id' | 'argon2i' | 'argon2d'
      readonly version: 0x10 | 0x13
      readonly memoryKiB: number
      readonly passes: number
      readonly lanes: number
      readonly salt: Buffer
      readonly key: Buffer
    }
  | {
      readonly algorithm: 'scrypt'
      readonly cost: number
      readonly blockSize: number
      readonly lanes: number
      readonly salt: Buffer
      readonly key: Buffer
    }
  | {
      readonly algorithm: 'pbkdf2'
      readonly digest: 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512'
      readonly iterations: number
      readonly salt: Buffer
      readonly key: Buffer
    }
  | {
      readonly algorithm: 'bcrypt'
      /** `sha256`: what bcrypt gets is an HMAC of the password, so that its length does not matter. */
      readonly variant: 'standard' | 'sha256'
      /** `$2x$` comes from code that misread bytes over 127: such a password is never accepted. */
      readonly asciiOnly: boolean
      readonly logRounds: number
      /** 22 characters of bcrypt's own base 64. */
      readonly salt: string
      /** 31 characters of it. */
      readonly key: string
    }
  | {
      readonly algorithm: 'sha-crypt'
      readonly digest: 'sha256' | 'sha512'
      readonly rounds: number
      readonly salt: string
      readonly key: string
    }

/** Why nobody can log in with what stands in `password`. The text never repeats it. */
export interface HashFault {
  readonly fault: 'empty' | 'plain-text' | 'unknown' | 'damaged' | 'too-expensive'
  readonly message: string
}

/** What a verification may take on a machine of 2020, by its parameters; real machines differ by some times, not by hundreds. */
export const MOST_EXPENSIVE: Milliseconds = 2500
/** Less than this protects a stolen file for hours rather than years. */
export const WEAK: Milliseconds = 10
const MOST_MEMORY_KIB = 1024 * 1024
const MOST_LANES = 16

const howToHash = 'make one with `postern hash` and put what it prints here, in single quotes'

const damaged = (what: string): HashFault => ({
  fault: 'damaged',
  message: `this ${what} hash is cut or damaged; copy it again, or ${howToHash}`,
})

/** PHC's base 64 is without padding and canonical; pbkdf2's (passlib's) has `.` for `+`. Undefined: not that. */
function decode(text: string, least: number): Buffer | undefined {
  const standard = text.replaceAll('.', '+')
  const bytes = Buffer.from(standard, 'base64')
  if (bytes.toString('base64').replace(/=+$/, '') !== standard) return undefined
  return bytes.length >= least && bytes.length <= 128 ? bytes : undefined
}

// A short key would let one password in so many in: 16 bytes are the least that any of these tools writes.
const LEAST_KEY = 16
const LEAST_SALT = 8

function parseArgon2(text: string): PasswordHash | HashFault {
  const match = /^\$(argon2id|argon2i|argon2d)(?:\$v=(16|19))?\$([a-z0-9=,]{1,60})\$([\w+/-]+)\$([A-Za-z0-9+/]+)$/.exec(
    text,
  )
  const [, variant, version = '16', settings = '', salt = '', key = ''] = match ?? []
  if (variant !== 'argon2id' && variant !== 'argon2i' && variant !== 'argon2d') return damaged('argon2')
  const numbers = new Map<string, number>()
  for (const part of settings.split(',')) {
    const [, name, value] = /^([mtp])=(\d{1,10})$/.exec(part) ?? []
    if (name === undefined || numbers.has(name)) return damaged('argon2')
    numbers.set(name, Number(value))
  }
  const [memoryKiB = 0, passes = 0, lanes = 0] = [numbers.get('m'), numbers.get('t'), numbers.get('p')]
  const decoded = { salt: decode(salt, LEAST_SALT), key: decode(key, LEAST_KEY) }
  if (!decoded.salt || !decoded.key || passes < 1 || lanes < 1 || memoryKiB < 8 * lanes) return damaged('argon2')
  return {
    algorithm: 'argon2',
    variant,
    version: version === '19' ? 0x13 : 0x10,
    memoryKiB,
    passes,
    lanes,
    salt: decoded.salt,
    key: decoded.key,
  }
}

function parseScrypt(text: string): PasswordHash | HashFault {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,6}),p=(\d{1,6})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text)
  const [ln = 0, blockSize = 0, lanes = 0] = (match?.slice(1, 4) ?? []).map(Number)
  const salt = decode(match?.[4] ?? '', LEAST_SALT)
  const key = decode(match?.[5] ?? '', LEAST_KEY)
  if (!salt || !key || ln < 1 || blockSize < 1 || lanes < 1) return damaged('scrypt')
  return { algorithm: 'scrypt', cost: 2 ** ln, blockSize, lanes, salt, key }
}

const pbkdf2Digests = {
  pbkdf2: 'sha1',
  'pbkdf2-sha1': 'sha1',
  'pbkdf2-sha224': 'sha224',
  'pbkdf2-sha256': 'sha256',
  'pbkdf2-sha384': 'sha384',
  'pbkdf2-sha512': 'sha512',
} as const

function parsePbkdf2(text: string): PasswordHash | HashFault {
  const match = /^\$(pbkdf2(?:-sha(?:1|224|256|384|512))?)\$(\d{1,12})\$([A-Za-z0-9./]+)\$([A-Za-z0-9./]+)$/.exec(text)
  const digest = Object.entries(pbkdf2Digests).find(([name]) => name === match?.[1])?.[1]
  const iterations = Number(match?.[2])
  const salt = decode(match?.[3] ?? '', LEAST_SALT)
  const key = decode(match?.[4] ?? '', LEAST_KEY)
  if (!digest || !salt || !key || !(iterations >= 1)) return damaged('pbkdf2')
  return { algorithm: 'pbkdf2', digest, iterations, salt, key }
}

function parseBcrypt(text: string): PasswordHash | HashFault {
  const standard = /^\$2([abxy])\$(\d\d)\$([A-Za-z0-9./]{22})([A-Za-z0-9./]{31})$/.exec(text)
  const sha256 = /^\$bcrypt-sha256\$v=2,t=2([ab]),r=(\d{1,2})\$([A-Za-z0-9./]{22})\$([A-Za-z0-9./]{31})$/.exec(text)
  const [, version, rounds, salt, key] = standard ?? sha256 ?? []
  const logRounds = Number(rounds)
  if (salt === undefined || key === undefined || logRounds < 4 || logRounds > 31) return damaged('bcrypt')
  const variant = standard ? 'standard' : 'sha256'
  return { algorithm: 'bcrypt', variant, asciiOnly: version === 'x', logRounds, salt, key }
}

function parseShaCrypt(text: string): PasswordHash | HashFault {
  const [, id, rounds = '5000', salt, key = ''] =
    /^\$([56])\$(?:rounds=(\d{1,12})\$)?([A-Za-z0-9./]{1,16})\$([A-Za-z0-9./]+)$/.exec(text) ?? []
  const digest = id === '5' ? 'sha256' : 'sha512'
  if (salt === undefined || key.length !== (digest === 'sha256' ? 43 : 86)) return damaged('sha-crypt')
  // The specification: fewer rounds than 1000 are 1000.
  return { algorithm: 'sha-crypt', digest, rounds: Math.max(1000, Number(rounds)), salt, key }
}

const parsers: readonly (readonly [RegExp, (text: string) => PasswordHash | HashFault])[] = [
  [/^\$argon2/, parseArgon2],
  [/^\$scrypt\$/, parseScrypt],
  [/^\$pbkdf2/, parsePbkdf2],
  [/^\$(2[abxy]\$|bcrypt-sha256\$)/, parseBcrypt],
  [/^\$[56]\$/, parseShaCrypt],
]

/** Reads the text of a password hash and refuses what would take too much memory or time. Accepts the `{CRYPT}` of older Authelia files before it. */
export function parsePasswordHash(written: string): PasswordHash | HashFault {
  const text = written.replace(/^\{(?:CRYPT|ARGON2)\}(?=\$)/, '')
  if (text === '') return { fault: 'empty', message: `the password is empty; ${howToHash}` }
  if (!/^\$[A-Za-z0-9-]+\$/.test(text)) {
    const cut = /^(\{|\$)/.test(text)
    if (cut) return { fault: 'unknown', message: `this is no password hash that Postern knows; ${howToHash}` }
    return {
      fault: 'plain-text',
      message: `the password stands here in plain text, or its hash lost its beginning; ${howToHash}`,
    }
  }
  const parse = parsers.find(([start]) => start.test(text))?.[1]
  if (!parse) {
    const name = /^\$([A-Za-z0-9-]{1,20})\$/.exec(text)?.[1] ?? ''
    return { fault: 'unknown', message: `hashes of the kind $${name}$ are not known to Postern; ${howToHash}` }
  }
  const hash = parse(text)
  if ('fault' in hash) return hash
  const expensive = expense(hash)
  if (expensive) return { fault: 'too-expensive', message: `${expensive}; ${howToHash}` }
  return hash
}

/** The memory that one verification takes beside some kilobytes. */
function memoryKiB(hash: PasswordHash): number {
  if (hash.algorithm === 'argon2') return hash.memoryKiB
  if (hash.algorithm === 'scrypt') return (128 * hash.blockSize * (hash.cost + hash.lanes)) / 1024
  return 0
}

/** What one verification takes, by measurement of each algorithm on one machine (2 cores, 2026): good for an order and for bounds, not for a clock. */
export function estimate(hash: PasswordHash): Milliseconds {
  switch (hash.algorithm) {
    case 'argon2':
      return (hash.memoryKiB * hash.passes) / 1770
    case 'scrypt':
      return (hash.cost * hash.blockSize * hash.lanes) / 2760
    case 'pbkdf2':
      return (hash.iterations * Math.ceil(hash.key.length / pbkdf2BlockBytes[hash.digest])) / 2600
    case 'bcrypt':
      return 2 ** hash.logRounds / 14.7
    case 'sha-crypt':
      return hash.rounds / 385
  }
}

const pbkdf2BlockBytes = { sha1: 20, sha224: 28, sha256: 32, sha384: 48, sha512: 64 } as const

function expense(hash: PasswordHash): string | undefined {
  if (memoryKiB(hash) > MOST_MEMORY_KIB) return `verifying ${describeCost(hash)} would take more than 1 GiB of memory`
  if ('lanes' in hash && hash.lanes > MOST_LANES)
    return `${describeCost(hash)} asks for more than ${MOST_LANES} threads`
  if (estimate(hash) > MOST_EXPENSIVE) return `verifying ${describeCost(hash)} would take too long`
  return undefined
}

/** Algorithm and parameters in words. Two hashes with one description take equally long. */
export function describeCost(hash: PasswordHash): string {
  switch (hash.algorithm) {
    case 'argon2':
      return `${hash.variant} m=${hash.memoryKiB} t=${hash.passes} p=${hash.lanes}`
    case 'scrypt':
      return `scrypt ln=${Math.log2(hash.cost)} r=${hash.blockSize} p=${hash.lanes}`
    case 'pbkdf2':
      return `pbkdf2-${hash.digest} with ${hash.iterations} iterations`
    case 'bcrypt':
      return `bcrypt cost ${hash.logRounds}`
    case 'sha-crypt':
      return `${hash.digest}-crypt with ${hash.rounds} rounds`
  }
}

/** Authelia's defaults: what `postern hash` makes, and what stands in for a hash where a file has none. */
export const standardHash = {
  algorithm: 'argon2',
  variant: 'argon2id',
  version: 0x13,
  memoryKiB: 65_536,
  passes: 3,
  lanes: 4,
  salt: Buffer.alloc(16, 'decoy'),
  key: Buffer.alloc(32),
} satisfies PasswordHash
