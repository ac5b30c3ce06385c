import { join } from 'node:path'
import { pino } from 'pino'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Config } from '../../src/config/schema.ts'
import { keptWays } from '../../src/duo/kept-ways.ts'
import { openRemembered } from '../../src/duo/remembered.ts'
import { boxOf, changeKey } from '../../src/storage/encryption-key.ts'
import { openRecords } from '../../src/storage/open-storage.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'

const cleanup = endsWithSuite()
let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(cleanup)
}, 30_000)

const log = pino({ level: 'silent' })
const former = 'the-former-key-of-this-test'
const next = 'the-next-key-of-this-test'
const clock = () => Date.UTC(2026, 10, 24)

type Place = Omit<Config['storage'], 'encryption_key'>

async function open(place: Place, encryption_key: string) {
  const storage = await openRecords({ encryption_key, ...place }, { log })
  onTestFinished(() => storage.close())
  return { db: storage.records, remembered: openRemembered(storage.records, encryption_key, clock) }
}

describe.each<{ kind: string; newPlace: () => Promise<Place> }>([
  { kind: 'SQLite', newPlace: async () => ({ local: { path: join(temporaryFolder(), 'postern.sqlite3') } }) },
  { kind: 'PostgreSQL', newPlace: async () => ({ postgres: await server.database() }) },
])('records in $kind', ({ newPlace }) => {
  const from = (nth: number, username = 'alice') => ({ pushId: `push_${nth}`, username, browser: 'Firefox on Linux' })

  it('keep the way that a person used last', async () => {
    const { db } = await open(await newPlace(), former)
    const kept = keptWays(db)
    await kept.keep('alice', { kind: 'push', device: 'DP1' }, 'Phone')
    await kept.keep('alice', { kind: 'passcode' }, '')
    expect(await kept.of('alice')).toEqual({ way: { kind: 'passcode' }, name: '' })
    await kept.forget('alice', { kind: 'push', device: 'DP1' })
    expect(await kept.of('alice')).not.toBeNull()
    await kept.forget('alice', { kind: 'passcode' })
    expect(await kept.of('alice')).toBeNull()
  })

  it('keep a token for the browser that claimed its push, which gets one cookie whoever asks at once', async () => {
    const { remembered } = await open(await newPlace(), former)
    await remembered.hold(from(1), 'token-1')
    await remembered.hold(from(1), 'token-again')
    const cookies = await Promise.all(Array.from({ length: 5 }, () => remembered.give('push_1')))
    const given = cookies.filter(cookie => cookie !== null)
    expect(given).toHaveLength(1)
    expect(await remembered.tokenOf('alice', given[0] ?? '')).toBe('token-1')
    expect(await remembered.tokenOf('bob', given[0] ?? '')).toBeNull()
    expect(await remembered.list('alice')).toEqual([
      { id: expect.any(String), browser: 'Firefox on Linux', since: clock(), here: false },
    ])
    for (let nth = 2; nth < 30; nth += 1) await remembered.hold(from(nth), 'token')
    await remembered.forget('alice')
    expect(await remembered.list('alice')).toEqual([])
  })

  it('are encrypted anew with another key, all of them, and open with it alone', async () => {
    const place = await newPlace()
    const { db, remembered } = await open(place, former)
    for (let nth = 0; nth < 5; nth += 1) await remembered.hold(from(nth), `token-${nth}`)
    const cookie = (await remembered.give('push_3')) ?? ''
    expect(await changeKey(db, { former, next }, 'here')).toEqual({ encrypted: 5, deleted: 0 })
    await expect(open(place, former)).rejects.toMatchObject({ reason: 'storage-key' })
    const opened = await open(place, next)
    expect(await opened.remembered.tokenOf('alice', cookie)).toBe('token-3')
    // Who still runs with the former key finds no token, and asks the person again.
    expect(await remembered.tokenOf('alice', cookie)).toBeNull()
  })

  it('lose what no key opens, when the key is changed', async () => {
    const { db, remembered } = await open(await newPlace(), former)
    await remembered.hold(from(1), 'token-1')
    await remembered.hold(from(2), 'token-2')
    await db.updateTable('postern_remembered_browsers').set({ token: 'x' }).where('push_id', '=', 'push_1').execute()
    expect(await changeKey(db, { former, next }, 'here')).toEqual({ encrypted: 1, deleted: 1 })
  })

  it('row 163: stay as they are when the former key is another', async () => {
    const place = await newPlace()
    const { db, remembered } = await open(place, former)
    await remembered.hold(from(1), 'token-1')
    const cookie = (await remembered.give('push_1')) ?? ''
    await expect(changeKey(db, { former: next, next: 'x'.repeat(20) }, 'here')).rejects.toMatchObject({
      reason: 'storage-key',
    })
    expect(await (await open(place, former)).remembered.tokenOf('alice', cookie)).toBe('token-1')
  })

  it('are changed by one of several who change the key at once', async () => {
    const place = await newPlace()
    const { db, remembered } = await open(place, former)
    for (let nth = 0; nth < 10; nth += 1) await remembered.hold(from(nth), `token-${nth}`)
    const others = await Promise.all([1, 2, 3].map(() => open(place, former)))
    await Promise.all(others.map(other => other.remembered.list('alice'))) // all are connected
    const ends = await Promise.allSettled(
      [db, ...others.map(other => other.db)].map((one, nth) =>
        changeKey(one, { former, next: `${next}-${nth}` }, 'here'),
      ),
    )
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })
})

describe(boxOf, () => {
  it('opens what it sealed, and nothing of another key, about something else or altered', () => {
    const box = boxOf(former)
    const sealed = box.seal('text', 'about')
    expect(box.open(sealed, 'about')).toBe('text')
    expect(box.open(sealed, 'about another')).toBeNull()
    expect(boxOf(next).open(sealed, 'about')).toBeNull()
    for (let nth = 0; nth < sealed.length; nth += 1) {
      const altered = `${sealed.slice(0, nth)}${sealed[nth] === 'A' ? 'B' : 'A'}${sealed.slice(nth + 1)}`
      // The last character of a part may carry bits that mean nothing.
      const opened = box.open(altered, 'about')
      expect(opened === null || opened === 'text').toBe(true)
    }
    expect(box.seal('text', 'about')).not.toBe(sealed)
  })
})
