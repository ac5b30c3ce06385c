import { describe, expect, it } from 'vitest'
import { type Clock, DAY, MINUTE } from '../../src/clock.ts'
import type { Counted, Counter, CounterName, Limits, OpenCounter } from '../../src/users/counter.ts'
import { movableClock } from './parts.ts'

const usual: Limits = { max_retries: 3, find_time: 2 * MINUTE, ban_time: 5 * MINUTE }

/** One store, new for a test and ended with it. */
export interface Store {
  /** As one process has them. Called again: another process. */
  open(clock: Clock): OpenCounter | Promise<OpenCounter>
  /** From here on the store answers nobody. */
  fail(): void | Promise<void>
}

/** What every counter must do, over whatever store. */
export function counterSuite(title: string, newStore: () => Promise<Store>): void {
  async function opened(more: { limits?: Partial<Limits>; name?: CounterName } = {}) {
    const store = await newStore()
    const clock = movableClock()
    const another = async (name: CounterName = more.name ?? 'people') =>
      (await store.open(clock.read))(name, { ...usual, ...more.limits })
    const counter = await another()
    return { store, clock, counter, another, attempt: (key: string) => attempt(counter, key) }
  }
  async function attempt(counter: Counter, key: string): Promise<Counted> {
    const counted = await counter.count(key)
    if ('ban' in counted) throw new Error('banned')
    return counted
  }

  describe(title, () => {
    it('bans with the last try that is allowed, for ban_time, and starts anew then', async () => {
      const { counter, attempt, clock } = await opened()
      expect(await attempt('john')).toMatchObject({ left: 2, bannedUntil: null })
      expect(await attempt('john')).toMatchObject({ left: 1, bannedUntil: null })
      expect(await counter.banned('john')).toBeNull()
      const began = clock.read()
      const until = began + 5 * MINUTE
      expect(await attempt('john')).toMatchObject({ left: 0, bannedUntil: until })
      const ban = { began, until, by: 'regulation', reason: null }
      expect(await counter.banned('john')).toEqual(ban)
      expect(await counter.count('john')).toEqual({ ban })
      clock.move(5 * MINUTE - 1)
      expect(await counter.count('john')).toEqual({ ban })
      clock.move(1)
      expect(await counter.banned('john')).toBeNull()
      expect(await attempt('john')).toMatchObject({ left: 2 })
    })

    it('counts each key by itself, and each counter', async () => {
      const { attempt, another } = await opened()
      await attempt('john')
      expect(await attempt('ann')).toMatchObject({ left: 2 })
      const passcodes = await another('passcodes')
      expect(await passcodes.count('john')).toMatchObject({ left: 2 })
    })

    it('starts anew after a ban also where find_time is longer than ban_time', async () => {
      const { attempt, clock } = await opened({ limits: { find_time: DAY } })
      for (let round = 0; round < 3; round++) await attempt('john')
      clock.move(5 * MINUTE)
      await attempt('ann')
      expect(await attempt('john')).toMatchObject({ left: 2 })
    })

    it('starts anew after a ban also where so many end with it that not all are cleared at once', async () => {
      const { attempt, clock } = await opened({ limits: { max_retries: 2, find_time: DAY } })
      for (let i = 0; i < 60; i++) for (let round = 0; round < 2; round++) await attempt(`name ${i}`)
      clock.move(5 * MINUTE)
      expect(await attempt('name 59')).toMatchObject({ left: 1 })
    })

    it('forgets tries after find_time, one by one', async () => {
      const { attempt, clock } = await opened()
      await attempt('john')
      clock.move(MINUTE)
      await attempt('john')
      clock.move(MINUTE)
      expect(await attempt('john')).toMatchObject({ left: 1 })
    })

    it('a success forgets what came before it, not what came after', async () => {
      const { counter, attempt } = await opened({ limits: { max_retries: 4 } })
      await attempt('john')
      const second = await attempt('john')
      await attempt('john')
      await counter.forget('john', second.id)
      expect(await attempt('john')).toMatchObject({ left: 2 })
    })

    it('a success lifts the ban that it brought itself', async () => {
      const { counter, attempt } = await opened({ limits: { max_retries: 1 } })
      const only = await attempt('john')
      expect(await counter.banned('john')).not.toBeNull()
      await counter.forget('john', only.id)
      expect(await counter.banned('john')).toBeNull()
      expect(await attempt('john')).toMatchObject({ left: 0 })
    })

    it('takes back a try with the ban that it brought, and only that one', async () => {
      const { counter, attempt } = await opened()
      await attempt('john')
      await attempt('john')
      const third = await attempt('john')
      await counter.takeBack('john', third.id)
      expect(await counter.banned('john')).toBeNull()
      expect(await attempt('john')).toMatchObject({ left: 0 })
    })

    it('row 95: of 50 tries at once, in two processes, max_retries are counted and the others find the ban', async () => {
      const { counter, another } = await opened()
      const processes = [counter, await another()]
      const begun = await Promise.all(processes.flatMap(one => Array.from({ length: 25 }, () => one.count('john'))))
      expect(begun.filter(one => 'id' in one).map(one => 'left' in one && one.left)).toEqual(
        expect.arrayContaining([2, 1, 0]),
      )
      expect(begun.filter(one => 'id' in one)).toHaveLength(3)
    })

    it('shows another process what was counted, banned and lifted at once', async () => {
      const { counter, another } = await opened()
      const other = await another()
      for (const one of [counter, other, counter]) await attempt(one, 'john')
      expect(await other.banned('john')).toMatchObject({ by: 'regulation' })
      expect(await counter.lift('john')).toBe(true)
      expect(await other.banned('john')).toBeNull()
      expect(await attempt(other, 'john')).toMatchObject({ left: 2 })
    })

    it('does not ban for years when the clock is set back', async () => {
      const { counter, attempt, clock } = await opened()
      for (let round = 0; round < 3; round++) await attempt('john')
      await attempt('ann')
      clock.move(-365 * DAY)
      const until = clock.read() + 5 * MINUTE
      expect(await counter.banned('john')).toMatchObject({ until })
      expect(await counter.count('john')).toMatchObject({ ban: { until } })
      await attempt('ann')
      clock.move(5 * MINUTE)
      expect(await attempt('john')).toMatchObject({ left: 2 })
      expect(await attempt('ann')).toMatchObject({ left: 2 })
    })

    describe('an administrator’s ban', () => {
      it('without end holds until it is lifted, whatever is tried, forgotten or taken back', async () => {
        const { counter, attempt, clock } = await opened()
        const before = await attempt('john')
        const began = clock.read()
        await counter.ban('john', { until: null, reason: 'left the firm' })
        const ban = { began, until: null, by: 'administrator', reason: 'left the firm' }
        expect(await counter.banned('john')).toEqual(ban)
        await counter.forget('john', before.id)
        await counter.takeBack('john', before.id)
        clock.move(1000 * DAY)
        expect(await counter.count('john')).toEqual({ ban })
        expect(await counter.lift('john')).toBe(true)
        expect(await counter.banned('john')).toBeNull()
        expect(await attempt('john')).toMatchObject({ left: 2 })
      })

      it('ends at its end, and takes the place of regulation’s', async () => {
        const { counter, attempt, clock } = await opened({ limits: { max_retries: 1 } })
        const only = await attempt('john')
        const until = clock.read() + DAY
        await counter.ban('john', { until, reason: null })
        await counter.forget('john', only.id)
        clock.move(DAY - 1)
        expect(await counter.banned('john')).toMatchObject({ until, by: 'administrator', reason: null })
        clock.move(1)
        expect(await counter.banned('john')).toBeNull()
        expect(await counter.lift('john')).toBe(false)
      })

      it('keeps its date when the clock is set back', async () => {
        const { counter, clock } = await opened()
        const until = clock.read() + DAY
        await counter.ban('john', { until, reason: null })
        clock.move(-DAY)
        expect(await counter.banned('john')).toMatchObject({ until })
      })
    })

    it('lists the bans in force, the newest first, no more than asked for', async () => {
      const { counter, attempt, clock } = await opened({ limits: { max_retries: 1 } })
      await attempt('gone')
      clock.move(5 * MINUTE)
      await attempt('john')
      clock.move(1)
      await counter.ban('ann', { until: null, reason: 'r' })
      clock.move(1)
      await attempt('bob')
      expect((await counter.bans(10)).map(({ key, by, until }) => ({ key, by, ends: until !== null }))).toEqual([
        { key: 'bob', by: 'regulation', ends: true },
        { key: 'ann', by: 'administrator', ends: false },
        { key: 'john', by: 'regulation', ends: true },
      ])
      expect((await counter.bans(1)).map(({ key }) => key)).toEqual(['bob'])
    })

    it('takes any key', async () => {
      const { counter, attempt } = await opened({ limits: { max_retries: 1 } })
      const keys = ['{a}', '', 'ü\u{1f600}', 'a:b*?[]', '2001:db8::/64', '__proto__']
      for (const key of keys) await attempt(key)
      expect(new Set((await counter.bans(10)).map(({ key }) => key))).toEqual(new Set(keys))
    })

    it('row 102: rejects each operation while the store does not answer, and then counts nothing', async () => {
      const { store, counter } = await opened()
      await store.fail()
      const operations = [
        async () => counter.banned('john'),
        () => counter.count('john'),
        () => counter.forget('john', 1),
        () => counter.takeBack('john', 1),
        () => counter.bans(10),
        () => counter.ban('john', { until: null, reason: null }),
        () => counter.lift('john'),
      ]
      for (const operation of operations) await expect(operation()).rejects.toThrow()
    })
  })
}
