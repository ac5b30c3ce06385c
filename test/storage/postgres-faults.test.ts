import { pino } from 'pino'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openRecords } from '../../src/storage/open-storage.ts'
import { RecordsDown } from '../../src/storage/records-down.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, freeze, until } from '../support/process.ts'

const cleanup = endsWithSuite()
let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(cleanup, { max_connections: 20 })
}, 30_000)

type PostgresConfig = Awaited<ReturnType<PostgresServer['database']>>

async function open(more: Partial<PostgresConfig> = {}, postgres?: PostgresConfig) {
  const lines: { level: number; msg: string }[] = []
  const log = pino({ level: 'warn' }, { write: line => void lines.push(JSON.parse(line)) })
  const config = postgres ?? (await server.database({ timeout: 1_000, ...more }))
  const storage = await openRecords({ encryption_key: 'k'.repeat(20), postgres: config }, { log })
  onTestFinished(() => storage.close())
  return { records: storage.records, lines, config, close: storage.close }
}

const read = (records: Storage['records']) => records.selectFrom('postern_duo_devices').select('username').execute()
const write = (records: Storage['records'], username: string) =>
  records.insertInto('postern_duo_devices').values({ username, device: 'DP1', method: 'push' }).execute()
const isWell = async (records: Storage['records']) => (await read(records).catch(() => false as const)) && true
const fails = async (work: Promise<unknown>) => {
  await expect(work).rejects.toBeInstanceOf(RecordsDown)
  await expect(work).rejects.toMatchObject({ reason: 'records-down' })
}

describe('PostgreSQL', () => {
  it.each([
    ['restarted', 'SIGINT'],
    ['killed and restarted', 'SIGQUIT'],
  ] as const)('row 158: is %s: refused meanwhile, told once, and well again by itself', async (_how, signal) => {
    const { records, lines } = await open()
    await write(records, 'alice')
    await Promise.all(Array.from({ length: 8 }, () => read(records))) // several connections are open, and idle
    await server.stop(signal)
    for (let nth = 0; nth < 20; nth += 1) await fails(read(records))
    await fails(write(records, 'bob'))
    expect(lines).toHaveLength(1)
    expect(lines[0]?.msg).toMatch(/^PostgreSQL does not answer/)
    await server.start()
    await until(() => isWell(records), 'it can be read again')
    await write(records, 'carol')
    expect(await read(records)).toEqual([{ username: 'alice' }, { username: 'carol' }])
    expect(lines).toHaveLength(1)
  })

  it('row 158: an idle client that is killed ends nothing, and is not used again', async () => {
    const { records, lines } = await open()
    await Promise.all(Array.from({ length: 8 }, () => read(records)))
    expect(await server.killClients()).toBeGreaterThan(0)
    await until(
      async () => (await server.query("select 1 from pg_stat_activity where usename = 'postern'")).length === 0,
      'gone',
    )
    await new Promise(resolve => setImmediate(resolve))
    await until(() => isWell(records), 'it can be read')
    expect(lines.length).toBeLessThanOrEqual(1)
  })

  it('row 158: a client that is killed within a transaction takes the whole of it back', async () => {
    const { records } = await open()
    await fails(
      records.transaction().execute(async transaction => {
        await transaction
          .insertInto('postern_duo_devices')
          .values({ username: 'alice', device: 'DP1', method: 'push' })
          .execute()
        expect(await server.killClients()).toBeGreaterThan(0)
        await until(
          async () => (await server.query("select 1 from pg_stat_activity where usename = 'postern'")).length === 0,
          'gone',
        )
        await transaction.selectFrom('postern_duo_devices').selectAll().execute()
      }),
    )
    await until(async () => (await read(records).catch(() => undefined))?.length === 0, 'nothing was written')
  })

  it('row 158: a standby can be read and not written, told once; the primary is found again', async () => {
    const { records, lines } = await open()
    await write(records, 'alice')
    await server.stop()
    server.becomeStandby()
    await server.start()
    await until(() => isWell(records), 'it can be read')
    lines.length = 0
    for (let nth = 0; nth < 10; nth += 1) {
      await fails(write(records, `bob-${nth}`))
      expect(await read(records)).toEqual([{ username: 'alice' }])
    }
    expect(lines.length).toBeLessThanOrEqual(1)
    await server.stop()
    server.becomePrimary()
    await server.start()
    await until(
      () =>
        write(records, 'carol').then(
          () => true,
          () => false,
        ),
      'it can be written again',
    )
  })

  it('row 158: the pool is used up: who waits is refused at the deadline, who comes after two hundred at once', async () => {
    const { records } = await open()
    let finish = () => {}
    const held = new Promise<void>(resolve => {
      finish = resolve
    })
    const busy = Array.from({ length: 10 }, () =>
      records.transaction().execute(async transaction => {
        await transaction.selectFrom('postern_duo_devices').selectAll().execute()
        await held
      }),
    )
    const began = performance.now()
    const waiting = Array.from({ length: 250 }, () =>
      read(records).then(
        () => 'read',
        error => ({ error, after: performance.now() - began }),
      ),
    )
    const ends = await Promise.all(waiting)
    const refused = ends.filter(end => typeof end !== 'string')
    expect(refused).toHaveLength(250)
    for (const { error } of refused) expect(error).toBeInstanceOf(RecordsDown)
    expect(refused.filter(({ after }) => after < 500).length).toBeGreaterThanOrEqual(40)
    expect(Math.max(...refused.map(({ after }) => after))).toBeLessThan(2_500)
    finish()
    await Promise.allSettled(busy)
    await until(() => isWell(records), 'it can be read again')
  })

  it('row 158: it has no connections left: refused, and well again when it has', async () => {
    const { records } = await open()
    await server.query('alter role postern connection limit 1')
    await server.killClients()
    const ends = await Promise.allSettled(Array.from({ length: 8 }, () => read(records)))
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(RecordsDown)
    expect(ends.some(({ status }) => status === 'rejected')).toBe(true)
    await server.query('alter role postern connection limit -1')
    await until(() => isWell(records), 'it can be read again')
  })

  it('row 158: it is frozen: refused at the deadline, the connection is not used again, and closing does not wait for it', async () => {
    const { records, close } = await open()
    await read(records)
    server.freeze()
    const began = performance.now()
    await fails(read(records))
    expect(performance.now() - began).toBeLessThan(3_000)
    server.thaw()
    await until(() => isWell(records), 'it can be read again')
    await write(records, 'alice')
    server.freeze()
    const closing = performance.now()
    await close()
    expect(performance.now() - closing).toBeLessThan(4_000)
    server.thaw()
  })

  it('row 158: one connection gives no answer any more: it is not used again', async () => {
    const { records, config } = await open()
    await read(records)
    const of = `select pid from pg_stat_activity where datname = '${config.database}' and usename = 'postern'`
    const pids = (await server.query(of)).map(({ pid }) => Number(pid))
    expect(pids).toHaveLength(1)
    for (const pid of pids) freeze(pid)
    onTestFinished(() => {
      for (const pid of pids) process.kill(pid, 'SIGCONT')
    })
    await fails(read(records))
    expect(await read(records)).toEqual([])
  })

  it('a statement that takes too long is ended by the server', async () => {
    const { records, config } = await open()
    const other = await open({}, { ...config, timeout: 10_000 })
    let finish = () => {}
    const lock = other.records.transaction().execute(async transaction => {
      await transaction
        .insertInto('postern_duo_devices')
        .values({ username: 'alice', device: 'DP1', method: 'push' })
        .execute()
      await new Promise<void>(resolve => {
        finish = resolve
      })
    })
    await until(
      async () => (await server.query("select 1 from pg_stat_activity where state = 'idle in transaction'")).length > 0,
      'locked',
    )
    await fails(write(records, 'alice'))
    finish()
    await Promise.allSettled([lock])
    await until(() => isWell(records), 'well')
  })
})
