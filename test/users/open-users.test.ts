import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MINUTE } from '../../src/clock.ts'
import type { PasswordHash } from '../../src/users/hashes.ts'
import { isPlausibleName, isPlausiblePassword } from '../../src/users/names.ts'
import { openUsers } from '../../src/users/open-users.ts'
import type { FirstFactor } from '../../src/users/users.ts'
import type { Verifier } from '../../src/users/verify.ts'
import { openVerifier } from '../../src/users/verify.ts'
import { temporaryFolder, until } from '../support/process.ts'
import { backend, counting, hashes, movableClock, readableLog, type regulated, usersFile, withHash } from './parts.ts'

const from = { ip: '192.0.2.1' }
const everybody = usersFile({
  john: withHash(hashes.argon2id, 'displayname: John Doe, email: john@example.com, groups: [admins]'),
  bert: withHash(hashes.bcrypt),
  paul: withHash(hashes.pbkdf2),
  gone: withHash(hashes.argon2id, 'disabled: true'),
  lost: withHash(''),
})

interface Options {
  text?: string
  search?: { email?: boolean; case_insensitive?: boolean }
  regulation?: Partial<typeof regulated>
  verifier?: Verifier
}

async function opened({ text = everybody, search = {}, regulation: more = {}, verifier }: Options = {}) {
  const path = join(temporaryFolder(), 'users.yml')
  writeFileSync(path, text)
  const clock = movableClock()
  const { database: counters, regulation } = await counting(clock.read, { settings: more })
  const readable = readableLog()
  let now = 0
  const waits: number[] = []
  const hashed: PasswordHash[] = []
  const real = verifier ?? openVerifier()
  const costs: Record<string, number> = { argon2: 90, bcrypt: 300, pbkdf2: 40 }
  const users = await openUsers({
    config: backend(path, search),
    regulation,
    clock: clock.read,
    log: readable.log,
    verifier: {
      async verify(hash, password) {
        hashed.push(hash)
        now += costs[hash.algorithm] ?? 0
        return real.verify(hash, password)
      },
      close: () => real.close(),
    },
    concurrency: 1, // the time of one hash must not run for another
    timer: {
      now: () => now,
      async wait(span) {
        waits.push(span)
        now += span
      },
    },
  })
  onTestFinished(async () => {
    await users.close()
  })
  // One of each cost is measured at the start.
  await until(() => hashed.length >= 6 || text !== everybody, 'measured')
  await new Promise(resolve => setImmediate(resolve))
  hashed.length = 0
  const check = (typed: string, password = 'postern') => users.checkPassword(typed, password, from)
  /** An answer, how long it took, and how many passwords were hashed for it. */
  const observed = async (typed: string, password = 'wrong') => {
    const [began, before] = [now, hashed.length]
    const answer = await check(typed, password)
    return { answer, took: now - began, hashes: hashed.length - before }
  }
  return { users, check, observed, hashed, waits, clock, counters, path, ...readable }
}

const shown = (answer: FirstFactor) => {
  const { cause: _cause, username: _name, ...rest } = { cause: null, username: null, ...answer }
  return rest
}

describe(openUsers, () => {
  it('accepts the right password with the person as they are now, whatever the hash', async () => {
    const { check, users } = await opened()
    const person = {
      username: 'john',
      displayName: 'John Doe',
      emails: ['john@example.com'],
      groups: ['admins'],
      credential: expect.any(String),
    }
    expect(await check('john')).toEqual({ outcome: 'accepted', person })
    expect(users.find('john')).toEqual(person)
    expect(await check('bert')).toMatchObject({ outcome: 'accepted' })
    expect(await check('paul')).toMatchObject({ outcome: 'accepted' })
    expect(await check('john', 'wrong')).toMatchObject({ outcome: 'refused', triesLeft: 2, cause: 'wrong-password' })
  })

  it('finds nobody who is disabled or unknown', async () => {
    const { users } = await opened()
    for (const name of ['gone', 'nobody', 'JOHN', '', '__proto__', 'constructor', 'toString'])
      expect(users.find(name)).toBeUndefined()
  })

  it('row 89: unknown, disabled, without usable hash and wrong are one answer, after one hash, in one time, whatever the hash', async () => {
    const { observed } = await opened()
    const seen = []
    for (const name of ['nobody', 'gone', 'lost', 'john', 'bert', 'paul', '__proto__']) seen.push(await observed(name))
    // Disabled with the right password is no other case.
    seen.push(await (await opened()).observed('gone', 'postern'))
    expect(new Set(seen.map(({ answer }) => JSON.stringify(shown(answer))))).toEqual(
      new Set([JSON.stringify({ outcome: 'refused', triesLeft: 2 })]),
    )
    expect(new Set(seen.map(({ hashes }) => hashes))).toEqual(new Set([1]))
    expect(new Set(seen.map(({ took }) => took))).toEqual(new Set([375]))
  })

  it('row 89: a ban takes the same time as a wrong password, for a name that exists and for one that does not', async () => {
    const { observed } = await opened()
    for (const name of ['john', 'bert', 'nobody']) {
      const seen = []
      for (let i = 0; i < 5; i++) seen.push(await observed(name))
      expect(seen.map(({ answer }) => answer.outcome)).toEqual(['refused', 'refused', 'banned', 'banned', 'banned'])
      expect(seen.map(({ took }) => took)).toEqual([375, 375, 375, 375, 375])
      expect(seen.map(({ hashes }) => hashes)).toEqual([1, 1, 1, 0, 0])
    }
  })

  it('row 89: an unknown name costs a hash of a kind that the file has, and always the same one', async () => {
    const { observed, hashed } = await opened({ regulation: { max_retries: 0 } })
    const kinds = new Set<string>()
    for (let i = 0; i < 30; i++) {
      hashed.length = 0
      for (let again = 0; again < 3; again++) await observed(`nobody ${i}`)
      expect(new Set(hashed.map(({ algorithm }) => algorithm)).size).toBe(1)
      kinds.add(hashed[0]?.algorithm ?? 'none')
    }
    expect([...kinds].sort()).toEqual(['argon2', 'bcrypt', 'pbkdf2'])
  })

  it('row 92: other spellings are refused, or resolved once to the canonical name where the configuration says so', async () => {
    const strict = await opened()
    for (const typed of [' john', 'john ', 'JOHN', 'ｊohn', 'john\u200b', 'john@example.com'])
      expect(await strict.check(typed)).toMatchObject({ outcome: 'refused' })
    const search = { case_insensitive: true, email: true }
    const lenient = await opened({ search, regulation: { max_retries: 0 } })
    for (const typed of ['john', 'JOHN', 'John@Example.com'])
      expect(await lenient.check(typed)).toMatchObject({ outcome: 'accepted', person: { username: 'john' } })
    for (const typed of [' john', 'john ', 'ｊohn', 'john\u200b'])
      expect(await lenient.check(typed)).toMatchObject({ outcome: 'refused' })
  })

  it('row 93: guesses as john, JOHN and john@example.com are one counter: the fourth is not evaluated', async () => {
    const { check, observed, clock } = await opened({ search: { case_insensitive: true, email: true } })
    await check('john', 'guess 1')
    await check('JOHN', 'guess 2')
    await check('john@example.com', 'guess 3')
    // The right password now gets the very answer of a wrong one.
    const right = await observed('john@example.com', 'postern')
    expect(right).toMatchObject({ answer: { outcome: 'refused', triesLeft: 1, cause: 'banned' }, took: 375, hashes: 1 })
    clock.move(5 * MINUTE)
    expect(await check('JOHN')).toMatchObject({ outcome: 'accepted' })
  })

  it('row 93: what is shown for other spellings of a name that nobody has is what is shown for those of a person', async () => {
    for (const case_insensitive of [true, false]) {
      const { check } = await opened({ search: { case_insensitive } })
      const seen = async (...spellings: string[]) => {
        const answers = []
        for (const typed of spellings) answers.push(shown(await check(typed, 'wrong')))
        return answers
      }
      const unknown = await seen('nobody', 'NOBODY', 'Nobody', 'nobody', 'NOBODY')
      expect(unknown.map(({ outcome }) => outcome)).toEqual(
        case_insensitive
          ? ['refused', 'refused', 'banned', 'banned', 'banned']
          : ['refused', 'refused', 'refused', 'refused', 'refused'],
      )
      expect(await seen('john', 'JOHN', 'John', 'john', 'JOHN')).toEqual(unknown)
    }
  })

  it('row 95: of 50 guesses at once at most max_retries are evaluated, and 49 wrong ones do not hide a right one', async () => {
    const { check, hashed } = await opened()
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => check('john', `guess ${i}`)))
    expect(hashed).toHaveLength(3)
    expect(answers.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(0)
    expect(await check('john')).toMatchObject({ outcome: 'banned' })
  })

  it('row 95: the right password is refused while banned, and accepted after', async () => {
    const { check, clock } = await opened()
    for (let i = 0; i < 3; i++) await check('john', 'wrong')
    expect(await check('john')).toMatchObject({ outcome: 'banned', until: clock.read() + 5 * MINUTE, whose: 'name' })
    clock.move(5 * MINUTE)
    expect(await check('john')).toMatchObject({ outcome: 'accepted' })
    expect(await check('john', 'wrong')).toMatchObject({ triesLeft: 2 })
  })

  it('row 96: of 1,000 guesses at once all over the queue are told to come later, uncounted', async () => {
    const { check, hashed } = await opened()
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => check(`name ${i}`)))
    const outcomes = Object.groupBy(answers, ({ outcome }) => outcome)
    expect(outcomes.refused?.length).toBe(hashed.length)
    expect(hashed.length).toBeLessThanOrEqual(34)
    expect(outcomes.busy?.length).toBe(1000 - hashed.length)
    expect(outcomes.busy?.[0]).toEqual({ outcome: 'busy', retryAfterSeconds: expect.any(Number) })
    expect(await check('name 999', 'x')).toMatchObject({ outcome: 'refused', triesLeft: 2 })
    expect(await check('john')).toMatchObject({ outcome: 'accepted' })
  })

  it('row 97: a password over the cap, empty, or no Unicode is refused without a hash, and one of 80 bytes never matches bcrypt', async () => {
    const { observed } = await opened()
    for (const password of ['x'.repeat(1025), 'x'.repeat(1024 * 1024), 'ä'.repeat(513), '', 'postern\ud800']) {
      expect(isPlausiblePassword(password)).toBe(false)
      expect(await observed('john', password)).toMatchObject({ answer: { outcome: 'refused' }, hashes: 0 })
    }
    expect(await observed('john', 'x'.repeat(1024))).toMatchObject({ hashes: 1 })
    expect(await observed('bert', `postern\0${'x'.repeat(72)}`)).toMatchObject({
      answer: { outcome: 'refused' },
      hashes: 1,
      took: 375,
    })
  })

  it('row 99: __proto__, constructor and toString are unknown users', async () => {
    const { check } = await opened()
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
      expect(await check(name)).toEqual({ outcome: 'refused', triesLeft: 2, cause: 'unknown' })
  })

  it('row 100: a name of 10 KB or with CR LF, ESC, NUL or a lone surrogate is refused before any look-up', async () => {
    const { observed, counters } = await opened()
    for (const name of [
      'x'.repeat(10_240),
      'jo\r\nhn',
      '\u001b[2J',
      'john\0',
      'john\ud800',
      '\udc00',
      'a\u2028b',
      'a\u0085',
      '',
      '  ',
    ]) {
      expect(isPlausibleName(name)).toBe(false)
      expect(await observed(name)).toMatchObject({ answer: { outcome: 'refused', cause: 'implausible' }, hashes: 0 })
    }
    expect(counters.prepare('SELECT count(*) AS n FROM postern_login_tries_typed').get()).toEqual({ n: 0 })
    for (const name of ['john', 'Jöhn Ñ', '用户', 'john@example.com', "o'neil", 'CORP\\john', '👍', '__proto__'])
      expect(isPlausibleName(name)).toBe(true)
  })

  it('lets nobody in who was disabled, removed or given another password while the password was hashed', async () => {
    for (const text of [
      everybody.replace('displayname: John Doe', 'disabled: true'),
      everybody.replace('  john:', '  jack:'),
      everybody.replace(hashes.argon2id, hashes.argon2id.replace('m=256', 'm=512')),
    ]) {
      let release = () => {}
      const held = new Promise<void>(resolve => {
        release = resolve
      })
      let holding = false
      const real = openVerifier()
      const { users, check, path } = await opened({
        verifier: {
          async verify(hash, password) {
            if (password === 'postern') {
              holding = true
              await held
            }
            return real.verify(hash, password)
          },
          close: () => real.close(),
        },
      })
      const john = users.find('john')
      const answer = check('john')
      await until(() => holding, 'hashing')
      writeFileSync(path, text)
      writeFileSync(path, text.replace('users:', 'users:\n  last: { password: "" }'))
      await until(() => users.find('last'), 'the file is read again')
      release()
      expect(john).toBeDefined()
      expect(await answer).toMatchObject({ outcome: 'refused' })
    }
  })

  it('a person who is disabled or removed in the file is gone at once, and their groups are those of the file', async () => {
    const { users, path } = await opened()
    writeFileSync(path, everybody.replace('groups: [admins]', 'groups: [guests]'))
    await until(async () => (await users.find('john'))?.groups[0] === 'guests', 'other groups')
    writeFileSync(path, everybody.replace('displayname: John Doe', 'disabled: true'))
    await until(() => users.find('john') === undefined, 'disabled')
    expect(users.find('bert')).toBeDefined()
  })

  it('row 145: says while the file on disk is not the one in use', async () => {
    const { users, path, check } = await opened()
    expect(users.fault).toBeUndefined()
    writeFileSync(path, 'users: [')
    await until(() => users.fault, 'a fault')
    expect(users.fault).toMatch(/users\.yml:1:/)
    expect(await check('john')).toMatchObject({ outcome: 'accepted' })
  })

  it('answers unavailable, and lets nobody in, when the counters do not answer', async () => {
    const { check, counters, hashed, texts } = await opened()
    counters.close()
    expect(await check('john')).toEqual({ outcome: 'unavailable' })
    expect(hashed).toHaveLength(0)
    expect(texts()).toContain('a password could not be checked')
  })

  it('answers unavailable and counts nothing when a password cannot be hashed', async () => {
    let broken = false
    const real = openVerifier()
    const { check } = await opened({
      regulation: { max_retries: 1 },
      verifier: {
        verify: (hash, password) => (broken ? Promise.reject(new Error('no memory')) : real.verify(hash, password)),
        close: () => real.close(),
      },
    })
    broken = true
    for (let i = 0; i < 40; i++) expect(await check('john')).toEqual({ outcome: 'unavailable' })
    broken = false
    expect(await check('john')).toMatchObject({ outcome: 'accepted' })
  })

  it('never writes a password or a hash to the log', async () => {
    const { check, lines, counters } = await opened()
    await check('john', 'hunter2')
    counters.close()
    await check('john', 'hunter2')
    expect(JSON.stringify(lines)).not.toMatch(/hunter2|\$argon2|\$2b\$|\$pbkdf2/)
  })

  it('ends with passwords still waiting to be hashed', async () => {
    const { users, check } = await opened()
    const answers = Array.from({ length: 20 }, (_, i) => check(`name ${i}`))
    await users.close()
    for (const answer of await Promise.all(answers)) expect(['refused', 'unavailable']).toContain(answer.outcome)
  })
})
