import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { DAY, MINUTE, SECOND } from '../../src/clock.ts'
import { openRegulation, type Try } from '../../src/users/regulation.ts'
import { temporaryFolder } from '../support/process.ts'
import { movableClock, regulated } from './parts.ts'

function opened(options: { settings?: Partial<typeof regulated>; path?: string; rows?: number } = {}) {
  const database = new DatabaseSync(options.path ?? ':memory:')
  onTestFinished(() => void (database.isOpen && database.close()))
  const clock = movableClock()
  const regulation = openRegulation(database, { ...regulated, ...options.settings }, clock.read, options.rows)
  const begin = (typed: string, person: string | undefined = typed) => regulation.begin({ typed, person })
  const attempt = (typed: string, person?: string): Try => {
    const begun = begin(typed, person)
    if (!('mayBeEvaluated' in begun)) throw new Error('banned')
    return begun
  }
  const rows = (table: string) => Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)
  return { database, clock, begin, attempt, rows, regulation }
}

describe(openRegulation, () => {
  it('bans with the last try that is allowed, for ban_time, and starts anew then', () => {
    const { attempt, begin, clock } = opened()
    expect(attempt('john')).toMatchObject({ triesLeft: 2, bannedUntil: null })
    expect(attempt('john')).toMatchObject({ triesLeft: 1, bannedUntil: null })
    const until = clock.read() + 5 * MINUTE
    expect(attempt('john')).toMatchObject({ triesLeft: 0, bannedUntil: until })
    expect(begin('john')).toEqual({ bannedUntil: until })
    clock.move(5 * MINUTE - 1)
    expect(begin('john')).toEqual({ bannedUntil: until })
    clock.move(1)
    expect(attempt('john')).toMatchObject({ triesLeft: 2 })
  })

  it('starts anew after a ban also where find_time is longer than ban_time', () => {
    const { attempt, clock } = opened({ settings: { find_time: DAY } })
    for (let i = 0; i < 3; i++) attempt('john')
    clock.move(5 * MINUTE)
    attempt('ann') // sweeps the ban away
    expect(attempt('john')).toMatchObject({ triesLeft: 2 })
  })

  it('forgets tries after find_time, one by one', () => {
    const { attempt, clock } = opened()
    attempt('john')
    clock.move(MINUTE)
    attempt('john')
    clock.move(MINUTE)
    expect(attempt('john')).toMatchObject({ triesLeft: 1 })
  })

  it('counts from zero after a success', () => {
    const { attempt } = opened()
    attempt('john')
    attempt('john').succeeded()
    expect(attempt('john')).toMatchObject({ triesLeft: 2 })
  })

  it('row 95: 50 tries at once leave at most max_retries to evaluate, and a success among them lifts what it brought', () => {
    const { begin } = opened()
    const begun = Array.from({ length: 50 }, () => begin('john'))
    const tries = begun.filter(one => 'mayBeEvaluated' in one)
    expect(tries).toHaveLength(3)
    expect(tries.every(({ mayBeEvaluated }) => mayBeEvaluated)).toBe(true)
    tries[0]?.succeeded()
    expect(Array.from({ length: 50 }, () => begin('john')).filter(one => 'mayBeEvaluated' in one)).toHaveLength(1)
  })

  it('row 95: a success forgets what came before it, not what came after', () => {
    const { attempt } = opened({ settings: { max_retries: 4 } })
    attempt('john')
    const second = attempt('john')
    attempt('john')
    second.succeeded()
    expect(attempt('john')).toMatchObject({ triesLeft: 2 })
  })

  it('gives back a try that was not evaluated, with the ban that it brought', () => {
    const { attempt } = opened({ settings: { max_retries: 1 } })
    attempt('john').givenBack()
    expect(attempt('john')).toMatchObject({ triesLeft: 0 })
    expect(() => attempt('john')).toThrow('banned')
  })

  it('row 93: john, JOHN and john@example.com are one counter of the person', () => {
    const { attempt, begin } = opened()
    const evaluated = ['john', 'JOHN', 'john@example.com', 'john', 'JOHN', 'John'].filter(
      typed => attempt(typed, 'john').mayBeEvaluated,
    )
    expect(evaluated).toEqual(['john', 'JOHN', 'john@example.com'])
    // What is shown is counted by what was typed: it tells nobody that the three are one.
    expect(attempt('john@example.com', 'john')).toMatchObject({
      mayBeEvaluated: false,
      triesLeft: 1,
      bannedUntil: null,
    })
    expect(attempt('nobody', 'nobody')).toMatchObject({ mayBeEvaluated: true })
    expect(begin('john', 'john')).toMatchObject({ triesLeft: 0 })
  })

  it('shows the same counts for a name that nobody has', () => {
    const { attempt, begin, clock } = opened()
    const shown = (typed: string, person?: string) => {
      const counts = [1, 2, 3].map(() => {
        const { triesLeft, bannedUntil } = attempt(typed, person)
        return { triesLeft, bannedUntil }
      })
      return [...counts, begin(typed, person)]
    }
    expect(shown('nobody', '')).toEqual(shown('john', 'john'))
    clock.move(5 * MINUTE)
    expect(attempt('nobody', '')).toMatchObject({ triesLeft: 2 })
  })

  it.each([{ max_retries: 0 }, { modes: [] }])('does nothing with %o', settings => {
    const { attempt } = opened({ settings })
    for (let i = 0; i < 50; i++) expect(attempt('john')).toMatchObject({ triesLeft: null, bannedUntil: null })
  })

  it('survives a restart, tries that were never ended included', () => {
    const path = join(temporaryFolder(), 'db.sqlite3')
    const first = opened({ path })
    first.attempt('john')
    first.attempt('john')
    first.database.close()
    const second = opened({ path })
    expect(second.attempt('john')).toMatchObject({ triesLeft: 0 })
    second.database.close()
    expect(opened({ path }).begin('john')).toHaveProperty('bannedUntil')
  })

  it('counts for two processes together', () => {
    const path = join(temporaryFolder(), 'db.sqlite3')
    const [one, two] = [opened({ path }), opened({ path })]
    one.attempt('john')
    two.attempt('john')
    one.attempt('john')
    expect(two.begin('john')).toHaveProperty('bannedUntil')
  })

  it('does not ban for years when the clock is set back', () => {
    const { attempt, begin, clock } = opened()
    for (let i = 0; i < 3; i++) attempt('john')
    attempt('ann')
    clock.move(-365 * DAY)
    expect(begin('john')).toEqual({ bannedUntil: clock.read() + 5 * MINUTE })
    attempt('ann')
    clock.move(5 * MINUTE)
    expect(attempt('john')).toMatchObject({ triesLeft: 2 })
    expect(attempt('ann')).toMatchObject({ triesLeft: 2 })
  })

  it('stores neither a name that nobody has nor anything of the length that was typed', () => {
    const { attempt, database } = opened()
    regulationWithoutPerson(attempt)
    const stored = JSON.stringify([
      database.prepare('SELECT * FROM postern_login_tries_typed').all(),
      database.prepare('SELECT * FROM postern_login_tries_person').all(),
    ])
    expect(stored).not.toContain('my secret password')
  })

  it('row 169: clears what has expired in small steps, and keeps at most so many rows', () => {
    const { attempt, rows, clock } = opened({ settings: { max_retries: 1 }, rows: 100 })
    for (let i = 0; i < 1000; i++) regulationWithoutPerson(attempt, `name ${i}`)
    expect(rows('postern_login_tries_typed')).toBeLessThanOrEqual(120)
    expect(rows('postern_login_tries_typed_bans')).toBeLessThanOrEqual(120)
    clock.move(5 * MINUTE + SECOND)
    for (let i = 0; i < 10; i++) regulationWithoutPerson(attempt, `late ${i}`)
    expect(rows('postern_login_tries_typed')).toBeLessThanOrEqual(12)
    expect(rows('postern_login_tries_typed_bans')).toBeLessThanOrEqual(12)
  })

  it('throws and counts nothing when the database does not answer', () => {
    const { begin, database } = opened()
    database.close()
    expect(() => begin('john')).toThrow()
  })
})

function regulationWithoutPerson(attempt: (typed: string, person?: string) => Try, typed = 'my secret password') {
  return attempt(typed, '')
}

describe('wrong passcodes', () => {
  it('row 129: are counted apart: a right password, which a new session takes, forgets none', () => {
    const { regulation, attempt, clock } = opened()
    expect(regulation.beginPasscode('john')).toMatchObject({ triesLeft: 2, bannedUntil: null })
    attempt('john').succeeded()
    expect(regulation.beginPasscode('john')).toMatchObject({ triesLeft: 1 })
    attempt('john').succeeded()
    const until = clock.read() + 5 * MINUTE
    expect(regulation.bannedUntil('john')).toBeNull()
    expect(regulation.beginPasscode('john')).toMatchObject({ triesLeft: 0, bannedUntil: until })
    expect(regulation.beginPasscode('john')).toEqual({ bannedUntil: until })
    expect(regulation.bannedUntil('john')).toBe(until)
    expect(regulation.bannedUntil('ann')).toBeNull()
    // Signing in goes on: only proving more does not.
    attempt('john').succeeded()
    clock.move(5 * MINUTE)
    expect(regulation.bannedUntil('john')).toBeNull()
    expect(regulation.beginPasscode('john')).toMatchObject({ triesLeft: 2 })
  })

  it('are forgotten by a right one, which lifts the ban that it brought itself', () => {
    const { regulation } = opened()
    for (const left of [2, 1, 0]) {
      const begun = regulation.beginPasscode('john')
      expect(begun).toMatchObject({ triesLeft: left })
      if (left === 0 && 'succeeded' in begun) begun.succeeded()
    }
    expect(regulation.bannedUntil('john')).toBeNull()
    expect(regulation.beginPasscode('john')).toMatchObject({ triesLeft: 2 })
  })

  it('that nobody looked at are given back', () => {
    const { regulation } = opened()
    for (let round = 0; round < 10; round += 1) {
      const begun = regulation.beginPasscode('john')
      if ('givenBack' in begun) begun.givenBack()
    }
    expect(regulation.beginPasscode('john')).toMatchObject({ triesLeft: 2 })
  })

  it('are not counted where regulation is off', () => {
    const { regulation } = opened({ settings: { max_retries: 0 } })
    for (let round = 0; round < 10; round += 1)
      expect(regulation.beginPasscode('john')).toMatchObject({ triesLeft: null })
    expect(regulation.bannedUntil('john')).toBeNull()
  })

  it('a ban by passwords holds the second factor back too', () => {
    const { regulation, attempt, clock } = opened()
    for (let round = 0; round < 3; round += 1) attempt('john')
    expect(regulation.bannedUntil('john')).toBe(clock.read() + 5 * MINUTE)
  })
})
