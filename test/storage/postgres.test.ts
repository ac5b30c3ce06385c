import { pino } from 'pino'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openRecords } from '../../src/storage/open-storage.ts'
import { StorageProblem } from '../../src/storage/storage-problem.ts'
import { PASSWORD, type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite } from '../support/process.ts'

const key = 'k'.repeat(20)
const cleanup = endsWithSuite()
let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(cleanup)
}, 30_000)

type PostgresConfig = Awaited<ReturnType<PostgresServer['database']>>

async function open(postgres: PostgresConfig, encryption_key = key) {
  const lines: { level: number; msg: string }[] = []
  const log = pino({ level: 'info' }, { write: line => void lines.push(JSON.parse(line)) })
  const storage = await openRecords({ encryption_key, postgres }, { log })
  onTestFinished(() => storage.close())
  return { records: storage.records, lines, close: storage.close }
}

async function refusal(postgres: PostgresConfig): Promise<StorageProblem> {
  const outcome = await open(postgres).catch((error: unknown) => error)
  if (!(outcome instanceof StorageProblem)) throw new Error(`expected a StorageProblem, got ${outcome}`)
  expect(outcome.message).not.toContain(PASSWORD)
  return outcome
}

const device = (username: string) => ({ username, device: `DP-${username}`, method: 'push' })

describe(openRecords, () => {
  it('makes a schema of its own, with the tables of records and none of this machine’s', async () => {
    const postgres = await server.database()
    await open(postgres)
    const rows = await server.query(
      "select schemaname as schema, tablename as table from pg_tables where tablename like 'postern%' order by 2",
      postgres.database,
    )
    expect(new Set(rows.map(({ schema }) => schema))).toEqual(new Set(['postern']))
    const tables = rows.map(({ table }) => table)
    expect(tables).toContain('postern_pushes')
    expect(tables).not.toContain('postern_sessions')
  })

  it('uses the schema that is configured, one that is there already too', async () => {
    const postgres = await server.database({ schema: 'login' })
    await server.query('create schema login authorization postern', postgres.database)
    const { records } = await open(postgres)
    await records.insertInto('postern_duo_devices').values(device('alice')).execute()
    expect(await server.query('select username from login.postern_duo_devices', postgres.database)).toEqual([
      { username: 'alice' },
    ])
  })

  it('comes by the socket as well', async () => {
    const postgres = await server.database({ address: { host: server.folder, port: server.port } })
    const { records } = await open(postgres)
    expect(await records.selectFrom('postern_pushes').selectAll().execute()).toEqual([])
  })

  it('reads times of milliseconds, and counts, as numbers', async () => {
    const { records } = await open(await server.database())
    const now = Date.UTC(2026, 10, 24)
    await records
      .insertInto('postern_push_guard')
      .values({ username: 'alice', denials: 1, not_before: now, locked_until: 0, refusals_seen_at: now })
      .execute()
    const { not_before } = await records.selectFrom('postern_push_guard').selectAll().executeTakeFirstOrThrow()
    expect(not_before).toBe(now)
    const { count } = await records
      .selectFrom('postern_push_guard')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    expect(count).toBe(1)
  })

  it('tells how many rows a statement changed, and rolls back whole', async () => {
    const { records } = await open(await server.database())
    const { numInsertedOrUpdatedRows } = await records
      .insertInto('postern_duo_devices')
      .values(device('alice'))
      .onConflict(conflict => conflict.doNothing())
      .executeTakeFirstOrThrow()
    expect(numInsertedOrUpdatedRows).toBe(1n)
    const twice = await records
      .insertInto('postern_duo_devices')
      .values(device('alice'))
      .onConflict(conflict => conflict.doNothing())
      .executeTakeFirstOrThrow()
    expect(twice.numInsertedOrUpdatedRows).toBe(0n)
    await expect(
      records.transaction().execute(async transaction => {
        await transaction.insertInto('postern_duo_devices').values(device('bob')).execute()
        await transaction.insertInto('postern_duo_devices').values(device('alice')).execute()
      }),
    ).rejects.toMatchObject({ code: '23505' })
    expect(await records.selectFrom('postern_duo_devices').select('username').execute()).toEqual([
      { username: 'alice' },
    ])
  })

  it('gives a serializable transaction what it promises', async () => {
    const { records } = await open(await server.database())
    const count = (on: typeof records) =>
      on
        .selectFrom('postern_duo_devices')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
    const addIfNone = (username: string) =>
      records
        .transaction()
        .setIsolationLevel('serializable')
        .execute(async transaction => {
          if ((await count(transaction)).count === 0)
            await transaction.insertInto('postern_duo_devices').values(device(username)).execute()
        })
    const ends = await Promise.allSettled(['alice', 'bob', 'carol', 'dave'].map(addIfNone))
    expect((await count(records)).count).toBe(1)
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: '40001' })
  })

  it('migrates once where ten start at once, and all of them are served', async () => {
    const postgres = await server.database()
    const opened = await Promise.all(Array.from({ length: 10 }, () => open(postgres)))
    for (const { records } of opened)
      expect(await records.selectFrom('postern_duo_devices').selectAll().execute()).toEqual([])
    const migrated = opened.flatMap(({ lines }) => lines.filter(({ msg }) => /up to date/.test(msg)))
    expect(migrated).toHaveLength(1)
  })

  it.each<[string, string, Partial<PostgresConfig>]>([
    ['nobody listens', 'storage-postgres', { address: { host: '127.0.0.1', port: 1 } }],
    ['there is no such host', 'storage-postgres', { address: { host: 'postgres.invalid', port: 5432 } }],
    ['the password is wrong', 'storage-postgres-login', { password: 'another' }],
    ['there is no such user', 'storage-postgres-login', { username: 'nobody-here' }],
    ['there is no such database', 'storage-postgres-login', { database: 'nowhere' }],
    ['it speaks no TLS', 'storage-postgres-tls', { tls: tls() }],
  ])('says so where %s, and how to mend it', async (_what, reason, more) => {
    const problem = await refusal(await server.database(more))
    expect(problem.reason).toBe(reason)
    expect(problem.mend).toContain('storage.postgres')
  })

  it('says so where it may not make its schema, and makes nothing', async () => {
    const postgres = await server.database()
    await server.query(`alter database ${postgres.database} owner to postgres`)
    expect((await refusal(postgres)).reason).toBe('storage-postgres-rights')
  })

  it('refuses a standby', async () => {
    const postgres = await server.database()
    await (await open(postgres)).close()
    await server.query(`alter database ${postgres.database} set default_transaction_read_only = on`)
    expect((await refusal(postgres)).reason).toBe('storage-postgres-read-only')
  })

  it('row 163: refuses another encryption key than the one that the records were written with', async () => {
    const postgres = await server.database()
    await (await open(postgres)).close()
    const outcome = await open(postgres, 'another-key-of-this-test').catch((error: unknown) => error)
    expect(outcome).toMatchObject({ reason: 'storage-key' })
    await open(postgres)
  })
})

function tls(): NonNullable<PostgresConfig['tls']> {
  return { skip_verify: false, minimum_version: 'TLS1.2', maximum_version: 'TLS1.3' }
}
