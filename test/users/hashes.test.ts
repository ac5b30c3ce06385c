import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { HOUR } from '../../src/clock.ts'
import { slowHashes } from '../../src/users/costs.ts'
import { describeCost, estimate, MOST_EXPENSIVE, type PasswordHash, parsePasswordHash } from '../../src/users/hashes.ts'
import { openVerifier } from '../../src/users/verify.ts'

// Made by others: argon2-cffi, Python's hashlib (OpenSSL), crypt(3) of libxcrypt, and passlib for bcrypt-sha256.
const vectors: { name: string; hash: string; password: string }[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'hash-vectors.json'), 'utf8'),
)
const verifier = openVerifier()
afterAll(() => verifier.close())

function good(text: string): PasswordHash {
  const hash = parsePasswordHash(text)
  if ('fault' in hash) throw new Error(hash.message)
  return hash
}
const faultOf = (text: string) => {
  const hash = parsePasswordHash(text)
  return 'fault' in hash ? hash.fault : 'none'
}

const b22 = 'abcdefghijklmnopqrstuu'
const b31 = 'x'.repeat(31)
const saltAndKey = 'AAECAwQFBgcICQoLDA0ODw$ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8'

describe(openVerifier, () => {
  it.each(vectors)('accepts the password of $name, and no other', async ({ hash, password }) => {
    const parsed = good(hash)
    expect(await verifier.verify(parsed, password)).toBe(true)
    expect(await verifier.verify(parsed, `!${password.slice(1)}`)).toBe(false)
  })

  it('leaves the event loop free while bcrypt and sha-crypt are computed', async () => {
    let turns = 0
    let done = false
    const work = Promise.all([
      verifier.verify(good(`$2b$10$${b22}${b31}`), 'x'),
      verifier.verify(good(`$6$rounds=50000$salt$${'x'.repeat(86)}`), 'x'),
    ]).then(() => {
      done = true
    })
    while (!done) {
      turns++
      await new Promise(resolve => setImmediate(resolve))
    }
    await work
    expect(turns).toBeGreaterThan(100)
  })

  it('row 97: bcrypt accepts no password by its beginning: over 72 bytes, in characters of several bytes, with NUL', async () => {
    const of72 = vectors.find(({ name }) => name === 'bcrypt, 72 bytes')
    const hash = good(of72?.hash ?? '')
    expect(await verifier.verify(hash, 'x'.repeat(72))).toBe(true)
    expect(await verifier.verify(hash, 'x'.repeat(73))).toBe(false)
    expect(await verifier.verify(hash, `${'x'.repeat(72)}and more`)).toBe(false)
    expect(await verifier.verify(hash, `${'x'.repeat(71)}ä`)).toBe(false)
    const plain = good(vectors.find(({ name }) => name === 'bcrypt $2b$')?.hash ?? '')
    for (const password of ['correct horse\0', 'correct horse\0more', 'correct horse\0correct horse', '\0'])
      expect(await verifier.verify(plain, password)).toBe(false)
    const long = good(vectors.find(({ name }) => name === 'bcrypt-sha256, 100 bytes')?.hash ?? '')
    expect(await verifier.verify(long, 'y'.repeat(100))).toBe(true)
    expect(await verifier.verify(long, 'y'.repeat(101))).toBe(false)
  })

  it('never accepts a password with other bytes than ASCII against $2x$, whose bytes were misread', async () => {
    const hash = good(`$2x$05$${b22}${vectors.find(({ name }) => name === 'bcrypt, not ASCII')?.hash.slice(-31)}`)
    expect(await verifier.verify(hash, 'pässwörd – 密码')).toBe(false)
  })

  it('rejects when a verification fails, and works on', async () => {
    const impossible = { ...good(`$argon2id$v=19$m=8,t=1,p=1$${saltAndKey}`), memoryKiB: 0 } as PasswordHash
    await expect(verifier.verify(impossible, 'x')).rejects.toThrow()
    expect(await verifier.verify(good(vectors[0]?.hash ?? ''), vectors[0]?.password ?? '')).toBe(true)
  })
})

describe(parsePasswordHash, () => {
  it.each([
    `$argon2id$v=19$m=4194304,t=1,p=1$${saltAndKey}`,
    `$argon2id$v=19$m=9999999999,t=1,p=1$${saltAndKey}`,
    `$argon2id$v=19$m=65536,t=100,p=4$${saltAndKey}`,
    `$argon2id$v=19$m=8,t=4294967295,p=1$${saltAndKey}`,
    `$argon2d$v=19$m=65536,t=3,p=64$${saltAndKey}`,
    `$2b$31$${b22}${b31}`,
    `$2b$16$${b22}${b31}`,
    `$bcrypt-sha256$v=2,t=2b,r=20$${b22}$${b31}`,
    `$scrypt$ln=30,r=8,p=1$${saltAndKey}`,
    `$scrypt$ln=99,r=8,p=1$${saltAndKey}`,
    `$scrypt$ln=16,r=8,p=64$${saltAndKey}`,
    `$scrypt$ln=10,r=999999,p=1$${saltAndKey}`,
    `$pbkdf2-sha512$1000000000$${saltAndKey}`,
    `$pbkdf2$999999999999$${saltAndKey}`,
    `$6$rounds=1000000000$salt$${'x'.repeat(86)}`,
    `$5$rounds=999999999$salt$${'x'.repeat(43)}`,
  ])('row 144: %s is refused before memory or time is taken', text => {
    expect(faultOf(text)).toBe('too-expensive')
  })

  it('row 144: a hash that is cut anywhere is refused', () => {
    for (const { hash } of vectors) {
      const least = hash.indexOf('$', 1) + 1
      for (let end = 1; end < hash.length; end++) {
        const cut = parsePasswordHash(hash.slice(0, end))
        // Base 64 that ends at a whole byte can't be told from a shorter hash; a key under 16 bytes is none.
        if ('fault' in cut) expect(cut.fault).not.toBe('too-expensive')
        else expect(end).toBeGreaterThan(least + 20)
        if (!('fault' in cut)) expect(cut.key.length).toBeGreaterThanOrEqual(16)
      }
    }
  })

  it.each([
    ['', 'empty'],
    ['postern', 'plain-text'],
    ['p$1$x', 'plain-text'],
    ['argon2id$v=19$m=8,t=1,p=1$', 'plain-text'],
    ['{SSHA}abcdef', 'unknown'],
    ['$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/', 'unknown'],
    ['$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7', 'unknown'],
    ['$plaintext$postern', 'unknown'],
    ['$argon2$v=19$m=8,t=1,p=1$', 'damaged'],
    [`$argon2id$v=19$m=8,t=1$${saltAndKey}`, 'damaged'],
    [`$argon2id$v=19$m=8,m=8,t=1,p=1$${saltAndKey}`, 'damaged'],
    [`$argon2id$v=19$m=4,t=1,p=1$${saltAndKey}`, 'damaged'],
    [`$argon2id$v=19$m=8,t=0,p=1$${saltAndKey}`, 'damaged'],
    [`$argon2id$v=18$m=8,t=1,p=1$${saltAndKey}`, 'damaged'],
    ['$argon2id$v=19$m=8,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$AA', 'damaged'],
    [`$scrypt$ln=0,r=8,p=1$${saltAndKey}`, 'damaged'],
    [`$pbkdf2-sha512$0$${saltAndKey}`, 'damaged'],
    [`$pbkdf2-md5$1000$${saltAndKey}`, 'damaged'],
    [`$2b$03$${b22}${b31}`, 'damaged'],
    [`$2b$99$${b22}${b31}`, 'damaged'],
    [`$6$salt$${'x'.repeat(85)}`, 'damaged'],
    [`$5$salt$${'x'.repeat(86)}`, 'damaged'],
    [`$6$rounds=-1$salt$${'x'.repeat(86)}`, 'damaged'],
  ])('row 144: %j is %s', (text, fault) => {
    expect(faultOf(text)).toBe(fault)
  })

  it('says how to make a hash, and never repeats what stood there', () => {
    const fault = parsePasswordHash('hunter2 is my password')
    expect(fault).toMatchObject({ fault: 'plain-text', message: expect.stringContaining('postern hash') })
    expect(JSON.stringify(fault)).not.toContain('hunter2')
  })

  it('gives, whatever the text, a fault or a hash within the bounds', () => {
    const number = fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 10n ** 12n }))
    const text = fc.oneof(
      fc.string(),
      fc.tuple(number, number, number).map(([m, t, p]) => `$argon2id$v=19$m=${m},t=${t},p=${p}$${saltAndKey}`),
      fc.tuple(number, number, number).map(([ln, r, p]) => `$scrypt$ln=${ln},r=${r},p=${p}$${saltAndKey}`),
      number.map(rounds => `$6$rounds=${rounds}$salt$${'x'.repeat(86)}`),
    )
    fc.assert(
      fc.property(text, value => {
        const hash = parsePasswordHash(value)
        if ('fault' in hash) return
        expect(estimate(hash)).toBeLessThanOrEqual(MOST_EXPENSIVE)
        expect(describeCost(hash)).not.toBe('')
      }),
    )
  })
})

describe(slowHashes, () => {
  const entry = (text: string) => ({ person: nobody, disabled: false, hash: good(text) })
  const nobody = { username: 'x', displayName: 'x', emails: [], groups: [], credential: 'c' }
  const file = (...texts: string[]) => ({
    entries: new Map(texts.map((text, i) => [`user${i}`, entry(text)])),
    resolve: () => undefined,
    counted: (typed: string) => typed,
  })
  const cheap = `$argon2id$v=19$m=8,t=1,p=1$${saltAndKey}`

  it('row 30 of the mistakes: tells how long verifying takes here, for each kind that is slow', async () => {
    const mixed = file(`$2b$06$${b22}${b31}`, cheap, cheap.replace('m=8', 'm=65536'))
    const slow = await slowHashes(mixed, 0)
    expect(slow.map(text => /hashed with (.*) takes \d+\.\d s on this machine/.exec(text)?.[1])).toEqual([
      'argon2id m=65536 t=1 p=1',
      'bcrypt cost 6',
      'argon2id m=8 t=1 p=1',
    ])
    expect(await slowHashes(mixed, HOUR)).toEqual([])
  })
})
