import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { openFollower } from '../../src/duo/follower.ts'
import { newPush } from '../../src/duo/push.ts'
import { sqlPushRecords } from '../../src/duo/push-records-sql.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { RecordsDown } from '../../src/storage/records-down.ts'
import { temporaryFolder, until } from '../support/process.ts'
import { ended, type House, type Opened, openHouse } from './house.ts'
import { outlast } from './outlast.ts'
import { duoConfig, facts, owner } from './people.ts'
import { silent } from './scripted-duo.ts'

const alice = owner('alice')
const kinds = (...duos: Opened[]) => duos.flatMap(duo => duo.events.map(({ event }) => event))

async function ring(house: House, duo: Opened) {
  expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
  await until(async () => (await duo.newest(alice.sessionKey))?.said !== '', 'Duo said something')
  const { id = '' } = house.simulator.pushes().at(-1) ?? {}
  return (button: 'approve' | 'deny' | 'fraud') => house.simulator.answer(id, button)
}

it('row 161: an hour back while its process is gone: the push is taken over and over, and the next one lets the person in', async () => {
  const house = await openHouse()
  const [first, second] = [await house.open(), await house.open()]
  await ring(house, first)
  await first.crash()
  house.now -= HOUR
  const { deadline = 0 } = (await second.newest(alice.sessionKey)) ?? {}
  await outlast(house, async () => (await second.newest(alice.sessionKey))?.state === 'timed-out', 'it is over')
  expect(house.now).toBeLessThan(deadline - HOUR + MINUTE)
  const press = await ring(house, second)
  press('approve')
  expect(await ended(second, alice.sessionKey)).toMatchObject({ state: 'allowed' })
  expect(await second.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
})

it('row 161: an hour back while the phone rings: what is approved then is late, and the next one counts', async () => {
  const house = await openHouse()
  // Duo's own clock goes on as it should.
  let ahead = 0
  const duo = await house.open({ clock: () => house.now + ahead })
  const press = await ring(house, duo)
  ahead -= HOUR
  expect(await ended(duo, alice.sessionKey)).toMatchObject({ state: 'timed-out' })
  press('approve')
  await until(() => kinds(duo).includes('push.late-approval'), 'it is told')
  expect(await duo.claim(alice.sessionKey)).toBeNull()
  const again = await ring(house, duo)
  again('approve')
  expect(await ended(duo, alice.sessionKey)).toMatchObject({ state: 'allowed' })
  // Nor does an approval wait for its session for an hour.
  ahead -= HOUR
  expect(await duo.claim(alice.sessionKey)).toBeNull()
})

it('row 161: fifty seconds back while the phone rings: it stays with who follows it, and what is approved counts', async () => {
  const house = await openHouse()
  const [first, second] = [await house.open(), await house.open()]
  const press = await ring(house, first)
  const seq = (await first.newest(alice.sessionKey))?.seq
  house.now -= 50 * SECOND
  const database = new DatabaseSync(house.file, { timeout: 1_000 })
  onTestFinished(() => database.close())
  const lease = () => Number(database.prepare('select lease_until from postern_pushes').get()?.lease_until)
  await until(() => lease() <= house.now + 10 * SECOND, 'its lease is renewed by the new clock')
  expect(await second.newest(alice.sessionKey)).toMatchObject({ state: 'waiting', seq })
  press('approve')
  expect(await ended(second, alice.sessionKey)).toMatchObject({ state: 'allowed' })
  expect(kinds(first, second)).toEqual(['push.sent', 'push.allowed'])
  expect(await second.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
})

it('row 161: two hours of sleep: push, pause and lock are over by the time that passed, and an approval from before is none', async () => {
  const house = await openHouse()
  const duo = await house.open()
  const sleep = () => {
    house.now += 2 * HOUR
  }
  const press = await ring(house, duo)
  sleep()
  press('approve')
  // Failed, if Duo was being asked just then: with a date of two hours ago.
  expect((await ended(duo, alice.sessionKey)).state).toMatch(/^(timed-out|failed)$/)
  expect(await duo.claim(alice.sessionKey)).toBeNull()
  for (const button of ['deny', 'fraud'] as const) {
    const answer = await ring(house, duo)
    answer(button)
    await ended(duo, alice.sessionKey)
    expect(await duo.pausedUntil('alice')).toBeGreaterThan(house.now)
    expect(await duo.start(owner('alice', 'another'), undefined, facts())).toMatchObject({ outcome: 'paused' })
    sleep()
    expect(await duo.pausedUntil('alice')).toBeNull()
  }
  await ring(house, duo)
})

it('row 161: a pause that was made a day ahead lasts no day once the clock is right', async () => {
  const house = await openHouse()
  const duo = await house.open()
  const press = await ring(house, duo)
  press('deny')
  await ended(duo, alice.sessionKey)
  house.now -= 24 * HOUR
  const until_ = (await duo.pausedUntil('alice')) ?? 0
  expect(until_ - house.now).toBe(15 * MINUTE)
  house.now = until_ - 1
  expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'paused' })
  house.now = until_
  await ring(house, duo)
})

it('row 161: Posterns whose clocks differ, by half a minute or an hour: none takes a push from who follows it, and each says so', async () => {
  const house = await openHouse()
  const first = await house.open()
  const skews = [-HOUR, -30 * SECOND, 30 * SECOND, HOUR]
  const others = await Promise.all(skews.map(skew => house.open({ clock: () => house.now + skew })))
  const press = await ring(house, first)
  const seq = (await first.newest(alice.sessionKey))?.seq
  const told = (duo: Opened) =>
    duo.lines.flatMap(line =>
      line.includes('the clock of another Postern') ? [Number(/"seconds":(-?\d+)/.exec(line)?.[1])] : [],
    )
  // Longer than a lease: it has to be renewed. In steps that their looks can follow.
  const past = house.now + 12 * SECOND
  await until(() => {
    house.now += 80
    return house.now > past && others.every(duo => told(duo).length > 0)
  }, 'each has seen it renewed')
  expect(await first.newest(alice.sessionKey)).toMatchObject({ state: 'waiting', seq })
  for (const [at, duo] of others.entries()) {
    const behind = (skews[at] ?? 0) / SECOND
    expect(told(duo)).toHaveLength(1)
    expect(Math.abs((told(duo)[0] ?? 0) + behind)).toBeLessThan(10)
  }
  press('approve')
  expect(await ended(first, alice.sessionKey)).toMatchObject({ state: 'allowed' })
  expect(kinds(first, ...others)).toEqual(['push.sent', 'push.allowed'])
  expect(await others[2]?.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
})

/** Somebody else's lease, which nobody renews, and one follower that looks at it. */
async function lookedAt() {
  const file = `${temporaryFolder()}/postern.sqlite3`
  const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path: file } }, { log: silent })
  onTestFinished(() => storage.close())
  const records = sqlPushRecords(storage.records, duoConfig().guard, 'x'.repeat(20))
  const state = { now: Date.UTC(2026, 10, 24, 13, 0, 0), isDown: false, looks: 0, told: [] as string[] }
  const { now } = state
  const record = await records.insert(
    {
      sessionKey: alice.sessionKey,
      username: 'alice',
      push: { ...newPush(now), state: 'fraud', endedAt: now, upstream: { at: 'reporting' } },
      factor: 'push',
      code: null,
      device: { id: 'DP1', name: 'Phone' },
      facts: facts(),
      startedAt: now,
    },
    { holder: 'run_other', until: now + 10 * SECOND },
  )
  const follower = openFollower({
    records: {
      ...records,
      async leases() {
        state.looks += 1
        if (state.isDown) throw new RecordsDown(new Error('as if'))
        return records.leases()
      },
    },
    client: { authStatus: () => Promise.reject(new Error('nothing rings')) },
    clock: () => state.now,
    log: silent,
    audit: () => {},
    hold: async () => {},
    alarm: async username => void state.told.push(username),
    unapproved: () => {},
    changed: () => {},
  })
  onTestFinished(() => follower.close())
  const looked = (after: number) => until(() => state.looks > after, 'it looks')
  await looked(0)
  return Object.assign(state, {
    looked,
    holder: async () => (await records.read(record?.id ?? ''))?.holder,
  })
}

it('while the store is down nobody could renew a lease: whoever looks begins anew when it is there again', async () => {
  const house = await lookedAt()
  house.now += 5 * SECOND
  await house.looked(house.looks + 1) // the one before is over: five seconds are seen
  house.isDown = true
  house.now += 5 * SECOND
  await house.looked(house.looks)
  house.isDown = false
  await house.looked(house.looks + 1)
  expect(await house.holder()).toBe('run_other')
  expect(house.told).toEqual([])
})

it('row 161: a clock that jumps, or a process that stood still, makes no holder silent for as long as a lease lasts', async () => {
  const jumps = [9, 20, 29, 60, -20]
  const houses = await Promise.all(jumps.map(lookedAt))
  for (const house of houses) house.now += 2 * SECOND
  await Promise.all(houses.map(house => house.looked(house.looks + 1)))
  for (const [at, house] of houses.entries()) house.now += (jumps[at] ?? 0) * SECOND
  await Promise.all(houses.map(house => house.looked(house.looks + 1)))
  for (const house of houses) {
    expect(await house.holder()).toBe('run_other')
    expect(house.told).toEqual([])
  }
})
