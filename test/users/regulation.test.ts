import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MINUTE } from '../../src/clock.ts'
import { openRegulation, type Try } from '../../src/users/regulation.ts'
import { temporaryFolder } from '../support/process.ts'
import { counting, movableClock, regulated } from './parts.ts'

const HERE = '192.0.2.1'

async function opened(options: { settings?: Partial<typeof regulated>; path?: string } = {}) {
  const clock = movableClock()
  const { storage, database, open, regulation } = await counting(clock.read, options)
  const begin = (typed: string, person: string | undefined = typed, ip: string | undefined = HERE) =>
    regulation.begin({ typed, person, ip })
  const attempt = async (typed: string, person?: string, ip?: string): Promise<Try> => {
    const begun = await begin(typed, person, ip)
    if (!('mayBeEvaluated' in begun)) throw new Error('banned')
    return begun
  }
  const passcode = (person = 'john', ip = HERE) => regulation.beginPasscode({ person, ip })
  const settings = { ...regulated, ...options.settings }
  return { storage, database, clock, begin, attempt, passcode, regulation, counter: open('people', settings), open }
}

const byName = (until: number) => ({ until, whose: 'name', by: 'regulation' })
const byAddress = (until: number) => ({ until, whose: 'address', by: 'regulation' })

describe(openRegulation, () => {
  it('bans with the last try that is allowed, for ban_time, and starts anew then', async () => {
    const { attempt, begin, clock } = await opened()
    expect(await attempt('john')).toMatchObject({ triesLeft: 2, brings: null })
    expect(await attempt('john')).toMatchObject({ triesLeft: 1, brings: null })
    const banned = byName(clock.read() + 5 * MINUTE)
    expect(await attempt('john')).toMatchObject({ triesLeft: 0, brings: banned })
    expect(await begin('john')).toEqual({ banned })
    clock.move(5 * MINUTE)
    expect(await attempt('john')).toMatchObject({ triesLeft: 2 })
  })

  it('counts from zero after a success', async () => {
    const { attempt } = await opened()
    await attempt('john')
    await (await attempt('john')).succeeded()
    expect(await attempt('john')).toMatchObject({ triesLeft: 2 })
  })

  it('row 95: 50 tries at once leave at most max_retries to evaluate, and a success among them lifts what it brought', async () => {
    const { begin } = await opened()
    const fifty = () => Promise.all(Array.from({ length: 50 }, () => begin('john')))
    const tries = (await fifty()).filter(one => 'mayBeEvaluated' in one)
    expect(tries).toHaveLength(3)
    expect(tries.every(({ mayBeEvaluated }) => mayBeEvaluated)).toBe(true)
    await tries[0]?.succeeded()
    expect((await fifty()).filter(one => 'mayBeEvaluated' in one)).toHaveLength(1)
  })

  it('gives back a try that was not evaluated, with the ban that it brought', async () => {
    const { attempt } = await opened({ settings: { max_retries: 1 } })
    await (await attempt('john')).givenBack()
    expect(await attempt('john')).toMatchObject({ triesLeft: 0 })
    await expect(attempt('john')).rejects.toThrow('banned')
  })

  it('row 93: john, JOHN and john@example.com are one counter of the person', async () => {
    const { attempt, begin } = await opened()
    const evaluated: string[] = []
    for (const typed of ['john', 'JOHN', 'john@example.com', 'john', 'JOHN', 'John'])
      if ((await attempt(typed, 'john')).mayBeEvaluated) evaluated.push(typed)
    expect(evaluated).toEqual(['john', 'JOHN', 'john@example.com'])
    // What is shown is counted by what was typed: it tells nobody that the three are one.
    expect(await attempt('john@example.com', 'john')).toMatchObject({
      mayBeEvaluated: false,
      triesLeft: 1,
      brings: null,
    })
    expect(await attempt('nobody', 'nobody')).toMatchObject({ mayBeEvaluated: true })
    expect(await begin('john', 'john')).toMatchObject({ triesLeft: 0 })
  })

  it('shows the same counts for a name that nobody has', async () => {
    const { regulation, clock } = await opened()
    const shown = async (typed: string, person: string | undefined) => {
      const seen = []
      for (let round = 0; round < 4; round++) {
        const begun = await regulation.begin({ typed, person, ip: HERE })
        seen.push('mayBeEvaluated' in begun ? [begun.triesLeft, begun.brings] : begun)
      }
      return seen
    }
    expect(await shown('nobody', undefined)).toEqual(await shown('john', 'john'))
    clock.move(5 * MINUTE)
    expect((await shown('nobody', undefined))[0]).toEqual([2, null])
  })

  it.each([{ max_retries: 0 }, { modes: [] }])('counts nothing with %o', async settings => {
    const { attempt, passcode, regulation } = await opened({ settings })
    for (let round = 0; round < 50; round++) {
      expect(await attempt('john')).toMatchObject({ triesLeft: null, brings: null, mayBeEvaluated: true })
      expect(await passcode()).toMatchObject({ triesLeft: null, brings: null })
    }
    expect(await regulation.ban('john', { ip: HERE })).toBeNull()
  })

  it('survives a restart, tries that were never ended included', async () => {
    const path = join(temporaryFolder(), 'db.sqlite3')
    const first = await opened({ path })
    await first.attempt('john')
    await first.attempt('john')
    await first.storage.close()
    const second = await opened({ path })
    expect(await second.attempt('john')).toMatchObject({ triesLeft: 0 })
    await second.storage.close()
    expect(await (await opened({ path })).begin('john')).toHaveProperty('banned')
  })

  it('stores neither a name that nobody has nor anything of the length that was typed', async () => {
    const { regulation, database } = await opened()
    await regulation.begin({ typed: 'my secret password', person: undefined, ip: HERE })
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    const stored = JSON.stringify(tables.map(({ name }) => database.prepare(`SELECT * FROM ${name}`).all()))
    expect(stored).toContain('postern')
    expect(stored).not.toContain('my secret password')
  })

  it('row 102: rejects and counts nothing when the counters do not answer, also half-way', async () => {
    const whole = await opened()
    whole.database.exec('DROP TABLE postern_login_tries_person')
    for (let round = 0; round < 10; round++) await expect(whole.begin('john')).rejects.toThrow()
    expect(whole.database.prepare('SELECT count(*) AS n FROM postern_login_tries_typed').get()).toEqual({ n: 0 })
    whole.database.close()
    await expect(whole.begin('john')).rejects.toThrow()
  })
})

describe('by address', () => {
  const settings = { modes: ['ip' as const] }

  it('bans the address, whatever names were tried, and says so', async () => {
    const { attempt, begin, clock, regulation } = await opened({ settings })
    expect(await attempt('ann')).toMatchObject({ triesLeft: 2 })
    expect(await attempt('john')).toMatchObject({ triesLeft: 1 })
    const banned = byAddress(clock.read() + 5 * MINUTE)
    expect(await attempt('nobody', undefined)).toMatchObject({ triesLeft: 0, brings: banned })
    expect(await begin('bob')).toEqual({ banned })
    expect(await attempt('bob', 'bob', '192.0.2.2')).toMatchObject({ mayBeEvaluated: true })
    expect(await regulation.ban('bob', { ip: HERE })).toEqual(banned)
    // Whoever guesses must not end what others, or the same people, do elsewhere.
    expect(await regulation.ban('bob', { ip: '192.0.2.2' })).toBeNull()
    expect(await regulation.ban('bob')).toBeNull()
  })

  it('row 94: counts rotating addresses of one IPv6 network of 64 bits as one', async () => {
    const { attempt, begin } = await opened({ settings })
    for (const end of ['1', '2', 'ffff:ffff:ffff:ffff'])
      await attempt('john', 'john', `2001:db8:1:2:${end.includes(':') ? end : `:${end}`}`)
    expect(await begin('john', 'john', '2001:db8:1:2::dead:beef')).toHaveProperty('banned')
    expect(await begin('john', 'john', '2001:db8:1:3::1')).toMatchObject({ triesLeft: 2 })
  })

  it('row 94: all whose address cannot be read are counted together', async () => {
    const { regulation } = await opened({ settings })
    const begin = () => regulation.begin({ typed: 'john', person: 'john', ip: undefined })
    for (let round = 0; round < 3; round++) await begin()
    expect(await begin()).toHaveProperty('banned')
  })

  it('a success forgets none of the address’s failures: an account of one’s own makes no room for guesses', async () => {
    const { attempt, begin } = await opened({ settings })
    await attempt('john')
    await attempt('john')
    await (await attempt('mallory')).succeeded()
    expect(await attempt('john')).toMatchObject({ triesLeft: 0 })
    expect(await begin('mallory')).toHaveProperty('banned')
  })

  it('counts wrong passcodes too', async () => {
    const { attempt, passcode, clock } = await opened({ settings })
    await attempt('john')
    await passcode()
    const banned = byAddress(clock.read() + 5 * MINUTE)
    expect(await passcode('ann')).toMatchObject({ triesLeft: 0, brings: banned })
    expect(await passcode('bob')).toEqual({ banned })
  })

  it('a banned address counts against no name, not even for a moment', async () => {
    const { begin, clock, open } = await opened({ settings: { modes: ['user', 'ip'] } })
    const until = clock.read() + MINUTE
    await open('addresses', regulated).ban(HERE, { until, reason: null })
    const fromHere = Array.from({ length: 20 }, () => begin('john'))
    expect(await begin('john', 'john', '192.0.2.2')).toMatchObject({ triesLeft: 2 })
    for (const refused of await Promise.all(fromHere)) expect(refused).toHaveProperty('banned.whose', 'address')
  })

  it('a try at a name that is banned, which nobody looks at, counts against no address', async () => {
    const { begin, attempt } = await opened({ settings: { modes: ['user', 'ip'] } })
    for (let i = 0; i < 3; i++) await attempt('john', 'john', `192.0.2.${100 + i}`)
    for (let i = 0; i < 5; i++) expect(await begin('john')).toHaveProperty('banned.whose', 'name')
    expect(await attempt('ann')).toMatchObject({ triesLeft: 2 })
  })

  it('with both modes the smaller count is shown, and a banned address brings no ban on a name', async () => {
    const { attempt, begin, clock } = await opened({ settings: { modes: ['user', 'ip'] } })
    await attempt('ann')
    expect(await attempt('john')).toMatchObject({ triesLeft: 1 })
    expect(await attempt('john')).toMatchObject({ triesLeft: 0, brings: byAddress(clock.read() + 5 * MINUTE) })
    for (let round = 0; round < 10; round++) expect(await begin('john')).toHaveProperty('banned.whose', 'address')
    expect(await attempt('john', 'john', '192.0.2.2')).toMatchObject({ triesLeft: 0, mayBeEvaluated: true })
  })
})

describe('an administrator’s ban', () => {
  it.each([{}, { max_retries: 0 }, { modes: [] }])('holds whatever regulation says: %o', async settings => {
    const { begin, regulation, counter } = await opened({ settings })
    await counter.ban('john', { until: null, reason: 'gone' })
    const banned = { until: null, whose: 'name', by: 'administrator' }
    expect(await regulation.ban('john')).toEqual(banned)
    expect(await regulation.ban('john', { ip: HERE })).toEqual(banned)
    expect(await begin('john')).toMatchObject({ mayBeEvaluated: false })
  })

  it('of an address stops every try from there', async () => {
    const { begin, passcode, open, clock } = await opened()
    const until = clock.read() + MINUTE
    await open('addresses', regulated).ban(HERE, { until, reason: null })
    const banned = { until, whose: 'address', by: 'administrator' }
    expect(await begin('john')).toEqual({ banned })
    expect(await passcode()).toEqual({ banned })
    expect(await begin('john', 'john', '192.0.2.2')).toMatchObject({ triesLeft: 2 })
  })
})

describe('wrong passcodes', () => {
  it('row 129: are counted apart: a right password, which a new session takes, forgets none', async () => {
    const { regulation, attempt, passcode, clock } = await opened()
    expect(await passcode()).toMatchObject({ triesLeft: 2, brings: null })
    await (await attempt('john')).succeeded()
    expect(await passcode()).toMatchObject({ triesLeft: 1 })
    await (await attempt('john')).succeeded()
    const banned = byName(clock.read() + 5 * MINUTE)
    expect(await regulation.ban('john')).toBeNull()
    expect(await passcode()).toMatchObject({ triesLeft: 0, brings: banned })
    expect(await passcode()).toEqual({ banned })
    expect(await regulation.ban('john')).toEqual(banned)
    expect(await regulation.ban('ann')).toBeNull()
    // Signing in goes on: only proving more does not.
    await (await attempt('john')).succeeded()
    clock.move(5 * MINUTE)
    expect(await regulation.ban('john')).toBeNull()
    expect(await passcode()).toMatchObject({ triesLeft: 2 })
  })

  it('are forgotten by a right one, which lifts the ban that it brought itself', async () => {
    const { regulation, passcode } = await opened()
    for (const left of [2, 1, 0]) {
      const begun = await passcode()
      expect(begun).toMatchObject({ triesLeft: left })
      if (left === 0 && 'succeeded' in begun) await begun.succeeded()
    }
    expect(await regulation.ban('john')).toBeNull()
    expect(await passcode()).toMatchObject({ triesLeft: 2 })
  })

  it('that nobody looked at are given back', async () => {
    const { passcode } = await opened()
    for (let round = 0; round < 10; round += 1) {
      const begun = await passcode()
      if ('givenBack' in begun) await begun.givenBack()
    }
    expect(await passcode()).toMatchObject({ triesLeft: 2 })
  })

  it('a ban by passwords holds the second factor back too', async () => {
    const { regulation, attempt, clock } = await opened()
    for (let round = 0; round < 3; round += 1) await attempt('john')
    expect(await regulation.ban('john')).toEqual(byName(clock.read() + 5 * MINUTE))
  })
})
