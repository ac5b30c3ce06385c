import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { MINUTE, SECOND } from '../../src/clock.ts'
import { RecordsDown } from '../../src/storage/records-down.ts'
import type { Counter } from '../../src/users/counter.ts'
import { sqliteCounters } from '../../src/users/sqlite-counter.ts'
import { type RealDisk, realDisk } from '../faults/disk.ts'
import { temporaryFolder } from '../support/process.ts'
import { counterSuite } from './counter-suite.ts'
import { counting, movableClock, regulated } from './parts.ts'

const times = async (many: number, work: () => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < many; i++) await work()
}

counterSuite('a counter over SQLite', async () => {
  const path = join(temporaryFolder(), 'db.sqlite3')
  const databases: { isOpen: boolean; close(): void }[] = []
  return {
    async open(clock) {
      const { open, database } = await counting(clock, { path })
      databases.push(database)
      return open
    },
    fail: () => {
      for (const database of databases) database.close()
    },
  }
})

describe(sqliteCounters, () => {
  it('row 169: clears what has expired in small steps, and keeps at most so many rows; an administrator’s ban stays', async () => {
    const clock = movableClock()
    const { open, database } = await counting(clock.read, { rows: 100 })
    const counter = open('typed-names', { ...regulated, max_retries: 1 })
    const rows = (table: string) => Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)
    await counter.ban('ann', { until: null, reason: null })
    for (let i = 0; i < 1000; i++) await counter.count(`name ${i}`)
    expect(rows('postern_login_tries_typed')).toBeLessThanOrEqual(120)
    expect(rows('postern_login_tries_typed_bans')).toBeLessThanOrEqual(121)
    clock.move(5 * MINUTE + SECOND)
    for (let i = 0; i < 10; i++) await counter.count(`late ${i}`)
    expect(rows('postern_login_tries_typed')).toBeLessThanOrEqual(12)
    expect(rows('postern_login_tries_typed_bans')).toBeLessThanOrEqual(13)
    expect(await counter.banned('ann')).toMatchObject({ until: null })
  })

  it('keeps the bans of a file from before its tables were a migration’s', async () => {
    const path = join(temporaryFolder(), 'db.sqlite3')
    const clock = movableClock()
    const until = clock.read() + MINUTE
    const before = new DatabaseSync(path)
    before.exec(`
      CREATE TABLE postern_login_tries_person (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
      CREATE INDEX postern_login_tries_person_key ON postern_login_tries_person (key, id);
      CREATE TABLE postern_login_tries_person_bans (
        id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, began INTEGER NOT NULL, until INTEGER NOT NULL) STRICT;
      CREATE INDEX postern_login_tries_person_bans_until ON postern_login_tries_person_bans (until);
      INSERT INTO postern_login_tries_person VALUES (3, 'ann', ${clock.read()});
      INSERT INTO postern_login_tries_person_bans VALUES (7, 'john', ${clock.read()}, ${until});
    `)
    before.close()
    const { open } = await counting(clock.read, { path })
    const people = open('people', regulated)
    expect(await people.count('ann')).toMatchObject({ id: 4, left: 1 })
    expect(await people.banned('john')).toEqual({
      began: clock.read(),
      until,
      by: 'regulation',
      reason: null,
    })
  })

  it.each<[string, (counter: Counter, disk: RealDisk) => Promise<unknown>, object | null]>([
    ['takes no ban of regulation', counter => times(3, () => counter.count('john')), { by: 'regulation' }],
    [
      'takes no ban of an administrator',
      counter => counter.ban('john', { until: null, reason: 'left' }),
      { by: 'administrator', reason: 'left' },
    ],
    [
      'brings no ban back that was lifted',
      async (counter, disk) => {
        await counter.ban('john', { until: null, reason: null })
        disk.flush()
        await counter.lift('john')
      },
      null,
    ],
    [
      'brings no ban back that a right password lifted',
      async (counter, disk) => {
        await times(3, () => counter.count('john'))
        disk.flush()
        await counter.forget('john', 3)
      },
      null,
    ],
    ['may take a try', counter => counter.count('john'), null],
  ])('a power cut %s', async (what, work, expected) => {
    const disk = realDisk()
    const path = join(disk.folder, 'db.sqlite3')
    const clock = movableClock()
    const before = await counting(clock.read, { path })
    await work(before.open('people', regulated), disk)
    disk.fail() // what did not reach the disk never will
    await before.storage.close()
    disk.repair()
    const after = await counting(clock.read, { path })
    const people = after.open('people', regulated)
    if (expected === null) expect(await people.banned('john')).toBeNull()
    else expect(await people.banned('john')).toMatchObject(expected)
    // Else this disk would keep whatever is written to it, and prove nothing.
    if (what === 'may take a try') expect(await people.count('john')).toMatchObject({ id: 1, left: 2 })
    await after.storage.close()
  })

  it('row 102: says that the store is down while somebody else writes for long, and goes on afterwards', async () => {
    const path = join(temporaryFolder(), 'db.sqlite3')
    const { open } = await counting(movableClock().read, { path })
    const counter = open('people', regulated)
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(counter.count('john')).rejects.toBeInstanceOf(RecordsDown)
    other.exec('ROLLBACK')
    other.close()
    expect(await counter.count('john')).toMatchObject({ left: 2 })
  })
})
