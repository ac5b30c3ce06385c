import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { backup as copyInto, DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { MINUTE } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { buildServer } from '../../src/server.ts'
import { password, type Setup, setUp, startPostern } from '../support/postern.ts'
import { PASSWORD, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, node, projectRoot, start, until } from '../support/process.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { beside } from './two.ts'
import { lines, visitor } from './visitor.ts'

const rules = [{ domain: 'one.postern.localhost', policy: 'one_factor' }]
const LATER = 10 * MINUTE
const storageFile = ({ folder }: Setup) => join(folder, 'postern.sqlite3')

/** A Postern in this process, on what the one before it left, with a clock of its own. */
async function open(setup: Setup, ahead = 0) {
  const loaded = await loadConfig(setup.configFile, {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const written: string[] = []
  const log = pino({ level: 'info' }, { write: line => void written.push(line) })
  const state = { ahead }
  const app = await buildServer(loaded.config, { log, clock: () => Date.now() + state.ahead })
  onTestFinished(() => app.close())
  await app.listen({ host: '127.0.0.1', port: setup.port })
  return Object.assign(state, {
    close: () => app.close(),
    told: (reason: string) =>
      written.map(line => JSON.parse(line) as Record<string, unknown>).filter(line => line.reason === reason),
    ended: () => lines(written.join(''), /"event":"session\.revoked"/),
    output: () => written.join(''),
  })
}

/** Somebody who stays signed in for a month: no inactivity ends that. */
async function signedIn({ port }: Setup) {
  const person = visitor(port)
  const said = await person.api('/api/firstfactor', { username: 'alice', password, keepMeLoggedIn: true })
  expect(said).toMatchObject({ status: 200 })
  expect(await person.gate('one')).toMatchObject({ status: 200 })
  return person
}

/** Signs out, and goes on to show the cookie of before. */
async function signOut(person: Awaited<ReturnType<typeof signedIn>>): Promise<void> {
  const { cookie } = person
  expect(await person.api('/api/logout', {})).toMatchObject({ status: 200 })
  person.cookie = cookie
  expect(await person.gate('one')).toMatchObject({ status: 401 })
}

/** A backup of the file while Postern runs. */
function backUp(setup: Setup): string {
  const backup = join(setup.folder, `backup-${Math.random().toString(36).slice(2)}`)
  const database = new DatabaseSync(storageFile(setup))
  database.exec(`VACUUM INTO '${backup}'`)
  database.close()
  return backup
}

const bringBack = (setup: Setup, backup: string) => copyFileSync(backup, storageFile(setup))

describe('a storage file that is an older copy', () => {
  it('row 163: is noticed at the start: who had signed out stays out, everybody signs in again, the log names it', async () => {
    const setup = await setUp({ rules })
    const first = await open(setup)
    const [leaver, stayer] = [await signedIn(setup), await signedIn(setup)]
    const backup = backUp(setup)
    first.ahead = LATER
    await signOut(leaver)
    await first.close()

    bringBack(setup, backup)
    const second = await open(setup, LATER)
    for (const person of [leaver, stayer]) expect(await person.gate('one')).toMatchObject({ status: 401 })
    expect(second.told('store-older')).toMatchObject([
      { level: 50, store: storageFile(setup), usedUntil: expect.stringMatching(/^20/), sessions: 2 },
    ])
    expect(second.ended()).toBe(1)

    const anew = await signedIn(setup)
    await second.close()
    const third = await open(setup, LATER)
    expect(await anew.gate('one')).toMatchObject({ status: 200 })
    expect(third.output()).not.toMatch(/store-(?:older|alone|mark)|session\.revoked/)
  })

  it.each(['older', 'alone'])(
    'row 163, 161: that is %s ends also where the clock is behind when Postern starts',
    async copy => {
      const setup = await setUp({ rules })
      const first = await open(setup)
      const leaver = await signedIn(setup)
      const backup = backUp(setup)
      first.ahead = LATER
      await signOut(leaver)
      await first.close()
      bringBack(setup, backup)
      if (copy === 'alone') rmSync(`${storageFile(setup)}-mark`)
      const second = await open(setup, -60 * MINUTE)
      expect(second.told(`store-${copy}`)).toHaveLength(1)
      await second.close()
      await open(setup, LATER)
      expect(await leaver.gate('one')).toMatchObject({ status: 401 })
    },
  )

  it('row 163: loses its remembered browsers too, and is told of where it is from before marks were kept', async () => {
    const setup = await setUp({ rules })
    const first = await open(setup)
    const person = await signedIn(setup)
    const backup = backUp(setup)
    await first.close()
    const database = new DatabaseSync(backup)
    database.exec(
      "INSERT INTO postern_remembered_browsers (id, username, push_id, browser, token, created_at) VALUES ('i', 'alice', 'p', 'Firefox', 't', 1)",
    )
    database.exec('PRAGMA user_version = 0')
    database.close()
    bringBack(setup, backup)
    const second = await open(setup)
    expect(second.told('store-older')).toMatchObject([{ usedUntil: 'not known', sessions: 1, browsers: 1 }])
    expect(await person.gate('one')).toMatchObject({ status: 401 })
    await second.close()
    const after = new DatabaseSync(storageFile(setup))
    onTestFinished(() => after.close())
    expect(after.prepare('SELECT count(*) AS n FROM postern_remembered_browsers').get()).toEqual({ n: 0 })
  })

  it('row 163: is ended once by two that start on it together, and nobody who signs in afterwards with it', async () => {
    const setup = await setUp({ rules })
    const first = await open(setup)
    const leaver = await signedIn(setup)
    const backup = backUp(setup)
    first.ahead = LATER
    await first.close()
    bringBack(setup, backup)
    const others = await Promise.all([open(setup, LATER), open(await beside(setup), LATER)])
    expect(others.reduce((sum, { ended }) => sum + ended(), 0)).toBe(1)
    expect(await leaver.gate('one')).toMatchObject({ status: 401 })
    const anew = await signedIn(setup)
    const third = await open(await beside(setup), LATER)
    expect(await anew.gate('one')).toMatchObject({ status: 200 })
    expect(third.output()).not.toMatch(/store-(?:older|alone|mark)/)
  })

  it('row 163: that is written over the file while it is in use lets nobody in, and the next start ends what it has', async () => {
    const setup = await setUp({ rules })
    const first = await open(setup)
    const [leaver, stayer] = [await signedIn(setup), await signedIn(setup)]
    const backup = backUp(setup)
    await first.close()
    const second = await open(setup, LATER)
    await signOut(leaver)
    bringBack(setup, backup)
    await until(() => second.told('storage-overwritten').length > 0, 'it is noticed')
    for (let time = 0; time < 5; time += 1) {
      for (const person of [leaver, stayer]) expect(await person.gate('one')).toMatchObject({ status: 503 })
      expect(await visitor(setup.port).signIn()).toMatchObject({ status: 503 })
    }
    expect(second.told('storage-overwritten')).toHaveLength(1)
    await second.close()
    const third = await open(setup, LATER)
    for (const person of [leaver, stayer]) expect(await person.gate('one')).toMatchObject({ status: 401 })
    expect(third.told('store-older')).toHaveLength(1)
  })

  it('row 163: that SQLite itself writes into the open file (.restore) is noticed at the next look, and at the end', async () => {
    const setup = await setUp({ rules })
    const first = await open(setup)
    const leaver = await signedIn(setup)
    const backup = backUp(setup)
    await first.close()
    const restore = async () => {
      const copy = new DatabaseSync(backup)
      await copyInto(copy, storageFile(setup))
      copy.close()
    }
    vi.useFakeTimers({ toFake: ['setInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const second = await open(setup, LATER)
    await signOut(leaver)
    await restore()
    await vi.advanceTimersByTimeAsync(MINUTE)
    await until(() => second.told('store-older').length > 0, 'it is noticed')
    expect(await leaver.gate('one')).toMatchObject({ status: 401 })
    await restore()
    await second.close()
    await open(setup, LATER)
    expect(await leaver.gate('one')).toMatchObject({ status: 401 })
  })

  it('row 163: is neither ended nor taken by a command beside it', async () => {
    const setup = await setUp({ rules })
    const first = await open(setup)
    await signedIn(setup)
    const backup = backUp(setup)
    first.ahead = LATER
    await first.close()
    bringBack(setup, backup)
    const main = join(projectRoot, 'dist/main.js')
    for (const [parameters, said] of [
      [['sessions', 'list'], /alice/],
      [['migrate'], /postern\.sqlite3/],
      [['doctor'], /WARNING storage: .*store-older/s],
    ] as const) {
      const command = start(node, [main, ...parameters, '--config', setup.configFile])
      expect(await command.exit).toBe(0)
      expect(command.output()).toMatch(said)
    }
    const second = await open(setup, LATER)
    expect(second.told('store-older')).toHaveLength(1)
  })
})

describe('a storage file that is none', () => {
  it('row 163: killed, paused for weeks, with a clock that was set back: nobody is logged out', async () => {
    const setup = await setUp({ rules })
    const first = await startPostern(setup)
    const person = await signedIn(setup)
    await first.stop('SIGKILL')
    const outputs: string[] = []
    for (const ahead of [20 * 24 * 60 * MINUTE, -3_000 * MINUTE]) {
      const next = await startPostern(setup, { ahead })
      await next.stop('SIGKILL')
      outputs.push(next.output())
    }
    const last = await open(setup)
    expect(await person.gate('one')).toMatchObject({ status: 200 })
    for (const output of [...outputs, last.output()])
      expect(output).not.toMatch(/store-(?:older|alone|mark)|session\.revoked/)
  })

  it('row 163: that is moved with all files of its name goes on; that came alone ends', async () => {
    const setup = await setUp({ rules })
    const first = await open(setup)
    const person = await signedIn(setup)
    await first.close()
    const folder = mkdtempSync(join(setup.folder, 'moved-'))
    const text = join(setup.folder, 'elsewhere.yml')
    writeFileSync(
      text,
      readFileSync(setup.configFile, 'utf8').replace(storageFile(setup), join(folder, 'postern.sqlite3')),
    )
    for (const end of ['', '-mark']) renameSync(storageFile(setup) + end, join(folder, `postern.sqlite3${end}`))
    const moved = { ...setup, configFile: text }
    const second = await open(moved)
    expect(await person.gate('one')).toMatchObject({ status: 200 })
    await second.close()
    rmSync(join(folder, 'postern.sqlite3-mark'))
    const third = await open(moved)
    expect(await person.gate('one')).toMatchObject({ status: 401 })
    expect(third.told('store-alone')).toHaveLength(1)
    expect(third.ended()).toBe(1)
  })

  it('row 163: beside which nothing can be written keeps nobody out, and the log names it once', async () => {
    const setup = await setUp({ rules })
    mkdirSync(`${storageFile(setup)}-mark/taken`, { recursive: true })
    const first = await open(setup)
    const person = await signedIn(setup)
    expect(first.told('store-mark')).toHaveLength(1)
    await first.close()
    const second = await open(setup, LATER)
    expect(await person.gate('one')).toMatchObject({ status: 200 })
    expect(second.ended()).toBe(0)
  })
})

/** Redis with dumps alone, as `SAVE` makes them. */
async function redisWithDumps() {
  const redis = await startRedis({ cleanup: onTestFinished, lines: ['appendonly no'] })
  const dump = join(redis.folder, 'dump.rdb')
  return {
    redis,
    async save(): Promise<void> {
      await redis.ask('SAVE')
      copyFileSync(dump, `${dump}.old`)
    },
    async bringBack(): Promise<void> {
      await redis.kill()
      copyFileSync(`${dump}.old`, dump)
      await redis.again()
    },
  }
}

const sessionIn = ({ port }: RedisServer) => `redis: { host: 127.0.0.1, port: ${port} }`
const noted = (setup: Setup) => {
  const database = new DatabaseSync(storageFile(setup), { readOnly: true })
  const row = database.prepare("SELECT value FROM postern_about WHERE name = 'redis-mark'").get()
  database.close()
  return Number(row?.value)
}

describe('a Redis that is an older copy', () => {
  const cleanup = endsWithSuite()

  it.each(['SQLite', 'PostgreSQL'])('row 163: with its records in %s is noticed at the start', async records => {
    const { redis, save, bringBack } = await redisWithDumps()
    const server = records === 'SQLite' ? null : await startPostgres(cleanup)
    const database = await server?.database()
    const postgres =
      database &&
      `{ address: "tcp://127.0.0.1:${server?.port}", database: ${database.database}, username: postern, password: ${PASSWORD} }`
    const setup = await setUp({ rules, session: sessionIn(redis), ...(postgres ? { postgres } : {}) })
    const first = await open(setup)
    const [leaver, stayer] = [await signedIn(setup), await signedIn(setup)]
    await save()
    await first.close()
    const second = await open(setup, LATER)
    await signOut(leaver)
    await second.close()
    expect(second.output()).not.toMatch(/store-(?:older|alone|mark)/)

    await bringBack()
    const third = await open(setup, LATER)
    for (const person of [leaver, stayer]) expect(await person.gate('one')).toMatchObject({ status: 401 })
    expect(third.told('store-older')).toMatchObject([{ store: 'Redis', sessions: 2 }])
    expect(third.ended()).toBe(1)
    const anew = await signedIn(setup)
    await third.close()
    const fourth = await open(setup, LATER)
    expect(await anew.gate('one')).toMatchObject({ status: 200 })
    expect(fourth.output()).not.toMatch(/store-(?:older|alone|mark)|session\.revoked/)
  })

  it('row 163: is noticed under running Posterns: 503 until all in it has ended, never a session that was ended before', async () => {
    const { redis, save, bringBack } = await redisWithDumps()
    const setup = await setUp({ rules, session: sessionIn(redis) })
    const first = await open(setup)
    const [leaver, stayer] = [await signedIn(setup), await signedIn(setup)]
    await save()
    await first.close()
    vi.useFakeTimers({ toFake: ['setInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const second = await open(setup, LATER)
    await signOut(leaver)
    await vi.advanceTimersByTimeAsync(MINUTE)
    await until(() => noted(setup) > Date.now() + LATER / 2, 'the second place knows')
    vi.useRealTimers()
    await bringBack()
    const seen = new Set<number>()
    await until(async () => {
      seen.add((await leaver.gate('one')).status)
      return (await stayer.gate('one')).status === 401
    }, 'it is open again')
    expect([...seen].filter(status => ![401, 503].includes(status))).toEqual([])
    expect(await leaver.gate('one')).toMatchObject({ status: 401 })
    expect(second.told('store-older')).toHaveLength(1)
    expect(await signedIn(setup)).toBeDefined()
  })

  it('row 163: that lost what it took last, after a long pause, is none', async () => {
    const { redis, save, bringBack } = await redisWithDumps()
    const setup = await setUp({ rules, session: sessionIn(redis) })
    const first = await open(setup)
    const person = await signedIn(setup)
    await first.close()
    await save()
    const second = await open(setup, LATER)
    await bringBack()
    await until(async () => (await person.gate('one')).status === 200, 'it is open again')
    expect(second.output()).not.toMatch(/store-(?:older|alone|mark)|session\.revoked/)
  })

  it('row 163: what a failover may lose, an emptied Redis and a Postern that joins with new records end nobody', async () => {
    const redis = await startRedis({ cleanup: onTestFinished })
    const setup = await setUp({ rules, session: sessionIn(redis) })
    const first = await open(setup)
    const person = await signedIn(setup)
    await first.close()
    await redis.ask('SET', 'postern:session-mark', String(Date.now() - 4 * MINUTE))
    const second = await open(setup)
    expect(await person.gate('one')).toMatchObject({ status: 200 })

    const joining = await beside(setup)
    const text = join(setup.folder, 'joining.yml')
    writeFileSync(text, readFileSync(joining.configFile, 'utf8').replace(storageFile(setup), `${storageFile(setup)}-2`))
    const other = await open({ ...joining, configFile: text }, LATER)
    expect(await person.gate('one')).toMatchObject({ status: 200 })

    await redis.ask('FLUSHALL')
    await redis.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(async () => (await person.gate('one')).status === 401, 'it is open again')
    const anew = await signedIn(setup)
    await redis.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(async () => (await anew.gate('one')).status === 200, 'it is open again')
    for (const { output } of [second, other])
      expect(output()).not.toMatch(/store-(?:older|alone|mark)|session\.revoked/)
  })
})
