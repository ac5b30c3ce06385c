import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { openUsers } from '../../src/users/open-users.ts'
import { openVerifier } from '../../src/users/verify.ts'
import { temporaryFolder, until } from '../support/process.ts'
import { backend, counting, hashes, readableLog, regulated, usersFile, withHash } from '../users/parts.ts'
import { type Answer, asTraefik, cookieOf, type House, house, john, opensNothing } from './house.ts'

const HASHES_AT_ONCE = 2
const PLACES = HASHES_AT_ONCE + 32

let at: House
/** Hashes that are being computed, and the most there ever were. */
let hashing: { now: number; most: number; all: number }
/** While it is closed no hash is finished: what is answered then, waits for none. */
let gateOfHashes: { close(): void; open(): void }

beforeEach(async () => {
  const path = join(temporaryFolder(), 'users.yml')
  writeFileSync(path, usersFile({ john: withHash(hashes.argon2id), jane: withHash(hashes.argon2id) }))
  const real = openVerifier()
  let opened = Promise.withResolvers<void>()
  opened.resolve()
  gateOfHashes = {
    close() {
      opened = Promise.withResolvers<void>()
    },
    open: () => opened.resolve(),
  }
  hashing = { now: 0, most: 0, all: 0 }
  const users = await openUsers({
    config: backend(path),
    regulation: (await counting(Date.now)).regulation,
    clock: Date.now,
    log: readableLog().log,
    concurrency: HASHES_AT_ONCE,
    verifier: {
      async verify(hash, password) {
        hashing.all++
        hashing.most = Math.max(hashing.most, ++hashing.now)
        await opened.promise
        const matches = await real.verify(hash, password)
        hashing.now--
        return matches
      },
      close: () => real.close(),
    },
  })
  onTestFinished(() => users.close())
  // The one kind of hash is measured at the start, by two.
  await until(() => hashing.all === 2 && hashing.now === 0, 'the measured hash')
  Object.assign(hashing, { most: 0, all: 0 })
  at = await house(onTestFinished, {
    users: {
      find: name => (name === 'john' ? john : undefined),
      ban: users.ban,
      checkPassword: users.checkPassword,
    },
  })
})

function guess(username: string, password: string, from: string): Promise<Answer> {
  const credentials = Buffer.from(`${username}:${password}`).toString('base64')
  return asTraefik(at, {
    more: [['X-Forwarded-For', from] as const, ['Authorization', `Basic ${credentials}`] as const],
  })
}

/** Answers as they come. */
function noted(promises: Promise<Answer>[]) {
  const answers: Answer[] = []
  for (const promise of promises) void promise.then(answer => answers.push(answer))
  return answers
}

const addresses = Array.from({ length: 120 }, (_, i) => `198.51.100.${i + 1}`)

describe('a flood of guesses', () => {
  it('fills the queue of passwords and not the gate: who has a cookie is answered while no hash is finished', async () => {
    gateOfHashes.close()
    const guesses = addresses.map((address, i) => guess(`name-${i}`, `guess ${i}`, address))
    const answers = noted(guesses)
    await until(() => answers.length === guesses.length - PLACES, 'those for whom there is no place')
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    expect(Number(answers[0]?.headers['retry-after'])).toBeGreaterThan(0)

    const others = await Promise.all(
      Array.from({ length: 50 }, () => [
        asTraefik(at, { cookie: cookieOf('john', 1) }),
        asTraefik(at, {}),
        asTraefik(at, { url: 'https://public.example.com/' }),
      ]).flat(),
    )
    expect(others.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => [200, 302, 200]).flat())
    // Nor does one with a password beside the cookie wait.
    const more = [['Authorization', `Basic ${Buffer.from('john:guess').toString('base64')}`] as const]
    expect((await asTraefik(at, { cookie: cookieOf('john', 1), more })).status).toBe(200)
    expect(answers).toHaveLength(guesses.length - PLACES)

    gateOfHashes.open()
    const all = await Promise.all(guesses)
    expect(all.every(answer => opensNothing(answer) && answer.headers.location === undefined)).toBe(true)
    expect(all.filter(({ status }) => status === 401)).toHaveLength(PLACES)
    expect(hashing.most).toBe(HASHES_AT_ONCE)
  })

  it.each([
    ['address', () => '203.0.113.66', '203.0.113.7'],
    ['IPv6 network of 64 bits', (i: number) => `2001:db8:0:1::${i + 1}`, '2001:db8:0:2::1'],
  ])('from one %s leaves places for others', async (_, one, another) => {
    gateOfHashes.close()
    const guesses = Array.from({ length: 60 }, (_, i) => guess(`name-${i}`, 'guess', one(i)))
    const answers = noted(guesses)
    await until(() => answers.length === 52, 'those for whom there is no place')
    const other = guess('john', 'postern', another)
    gateOfHashes.open()
    expect([(await other).status, (await other).headers['remote-user']]).toEqual([200, 'john'])
    const statuses = (await Promise.all(guesses)).map(({ status }) => status)
    expect([
      statuses.filter(status => status === 503).length,
      statuses.filter(status => status === 401).length,
    ]).toEqual([52, 8])
  })

  it('at one name ends in a ban, told alike to the right password', async () => {
    for (let i = 0; i < regulated.max_retries; i++)
      expect((await guess('jane', `guess ${i}`, '203.0.113.66')).status).toBe(401)
    const before = hashing.all
    const [wrong, right] = [await guess('jane', 'guess', '203.0.113.66'), await guess('jane', 'postern', '203.0.113.7')]
    expect([wrong.status, right.status, hashing.all]).toEqual([401, 401, before])
    expect(at.lines.filter(({ event }) => event === 'login.banned')).toHaveLength(1)
  })

  it('requests of one page with one password wait for one hash', async () => {
    gateOfHashes.close()
    let come = 0
    at.app.server.on('request', () => come++)
    const requests = Array.from({ length: 40 }, () => guess('john', 'postern', '203.0.113.7'))
    await until(() => come === requests.length, 'all requests')
    gateOfHashes.open()
    expect((await Promise.all(requests)).map(({ status }) => status)).toEqual(requests.map(() => 200))
    expect(hashing.all).toBe(1)
  })
})
