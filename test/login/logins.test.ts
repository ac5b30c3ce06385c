import { join } from 'node:path'
import { pino } from 'pino'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type LoginRecord, openLogins } from '../../src/login/logins.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'

const DAY = 86_400_000

let postgres: PostgresServer
const cleanup = endsWithSuite()
beforeAll(async () => {
  postgres = await startPostgres(cleanup)
}, 30_000)

async function open(where: 'SQLite' | 'PostgreSQL' = 'SQLite') {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: line => lines.push(line) })
  const config: Parameters<typeof openStorage>[0] = {
    encryption_key: 'a-key-of-this-test-alone',
    local: { path: join(temporaryFolder(), 'db.sqlite3') },
    ...(where === 'PostgreSQL' ? { postgres: await postgres.database() } : {}),
  }
  const storage = await openStorage(config, { log })
  onTestFinished(() => storage.close())
  lines.length = 0
  const time = { now: Date.UTC(2026, 10, 24) }
  const logins = openLogins(storage.records, () => time.now, log)
  const note = (changes: Partial<LoginRecord> = {}) =>
    logins.note({
      username: 'alice',
      at: time.now,
      ip: '192.0.2.7',
      browser: 'Firefox on Linux',
      outcome: 'accepted',
      factor: 'password',
      ...changes,
    })
  const stored = async () => {
    const { n } = await storage.records
      .selectFrom('postern_logins')
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    return Number(n)
  }
  return { storage, logins, note, stored, time, lines }
}

const places = ['SQLite', 'PostgreSQL'] as const

describe(openLogins, () => {
  it.each(places)('keeps the order of what comes in one millisecond; in %s', async where => {
    const { logins, note } = await open(where)
    const browsers = Array.from({ length: 20 }, (_, i) => `Browser ${i}`)
    for (const browser of browsers) note({ browser })
    expect((await logins.latest('alice', 20)).map(({ browser }) => browser)).toEqual(browsers.toReversed())
  })

  it.each(places)(
    'gives a person what was done with their name, the newest first, and nothing of anybody else; in %s',
    async where => {
      const { logins, note, time } = await open(where)
      note({ outcome: 'refused', ip: undefined })
      time.now += 1000
      note()
      note({ username: 'bob' })
      note({ username: undefined, outcome: 'refused' })
      time.now += 1000
      note({ factor: 'push' })
      const listed = await logins.latest('alice', 10)
      expect(listed.map(({ outcome, factor, ip }) => [outcome, factor, ip])).toEqual([
        ['accepted', 'push', '192.0.2.7'],
        ['accepted', 'password', '192.0.2.7'],
        ['refused', 'password', undefined],
      ])
      expect(await logins.latest('alice', 1)).toHaveLength(1)
      expect(await logins.latest('carol', 10)).toEqual([])
    },
  )

  it.each(places)(
    'is bounded for each person, and no flood of failures pushes out what the owner did; in %s',
    async where => {
      const { logins, note, time, stored } = await open(where)
      note()
      for (let i = 0; i < 450; i++) {
        time.now += 1000
        note({ outcome: 'refused', username: i % 3 === 0 ? undefined : 'alice' })
        if (i % 50 === 49) await logins.latest('alice', 1)
      }
      await logins.latest('alice', 1)
      expect(await stored()).toBe(1 + 100 + 100)
      expect((await logins.latest('alice', 1000)).at(-1)?.outcome).toBe('accepted')
      for (let i = 0; i < 80; i++) note({ at: time.now + i })
      await logins.latest('alice', 1)
      expect(await stored()).toBe(50 + 100 + 100)
    },
  )

  it.each(places)('forgets after 90 days; in %s', async where => {
    const { logins, note, time, stored } = await open(where)
    note()
    expect(await logins.latest('alice', 10)).toHaveLength(1)
    time.now += 90 * DAY
    expect(await logins.latest('alice', 10)).toEqual([])
    note({ username: 'bob' })
    await logins.latest('bob', 10)
    time.now += DAY
    note({ username: 'bob' })
    await logins.latest('bob', 10)
    expect(await stored()).toBe(2)
  })

  it.each(places)(
    'counts failures since the sign-in before, by what counts as one, until they were read; in %s',
    async where => {
      const { logins, note, time } = await open(where)
      const at = (minutes: number, changes: Partial<LoginRecord> = {}) =>
        note({ at: time.now + minutes * 60_000, ...changes })
      const refused = { outcome: 'refused' as const }
      at(0)
      at(1, { factor: 'push' })
      at(2, refused)
      at(3, { outcome: 'banned' })
      at(4, { ...refused, factor: 'passcode' })
      at(5) // a password alone: it may be a thief's
      at(6, refused)
      const before = time.now + 10 * 60_000
      expect(await logins.failedTries('alice', 'second-factor', before)).toEqual({ count: 4, since: time.now + 60_000 })
      expect(await logins.failedTries('alice', 'password', before)).toEqual({ count: 1, since: time.now + 5 * 60_000 })
      expect(await logins.failedTries('bob', 'password', before)).toEqual({ count: 0, since: null })
      time.now = before
      await logins.failedTriesSeen('alice')
      expect((await logins.failedTries('alice', 'second-factor', before)).count).toBe(0)
      at(1, refused)
      expect((await logins.failedTries('alice', 'second-factor', before)).count).toBe(1)
    },
  )

  it('writes in the background, and a sign-in goes on while the records are down, which is told once', async () => {
    const { storage, logins, note, stored, lines } = await open()
    note()
    expect(await stored()).toBe(0)
    storage.sessions.exec('ALTER TABLE postern_logins RENAME TO postern_elsewhere')
    for (let i = 0; i < 5; i++) {
      note()
      await expect(logins.latest('alice', 10)).rejects.toThrow()
    }
    expect(lines.filter(line => line.includes('cannot be written down'))).toHaveLength(1)
    storage.sessions.exec('ALTER TABLE postern_elsewhere RENAME TO postern_logins')
    note()
    expect(await logins.latest('alice', 10)).toHaveLength(1)
    expect(lines.at(-1)).toContain('written down again')
  })

  it('holds a bounded number of them in memory, and writes what it holds when it is closed', async () => {
    const { logins, note, stored } = await open()
    for (let i = 0; i < 3000; i++) note({ username: `user${i}` })
    await logins.close()
    expect(await stored()).toBe(1000)
  })
})
