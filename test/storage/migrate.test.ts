import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { pino } from 'pino'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openHealth } from '../../src/storage/health.ts'
import { bringUpToDate, executedIn, type Migrated, migrateTo, planned, standing } from '../../src/storage/migrate.ts'
import { aboutTheRecords } from '../../src/storage/migrations/0005-about-the-records.ts'
import type { Migration } from '../../src/storage/migrations/migration.ts'
import { type Migrations, migrationsOf, postgresMigrations, sqliteMigrations } from '../../src/storage/migrations.ts'
import { openPostgres } from '../../src/storage/postgres/open-postgres.ts'
import { sqliteDialect } from '../../src/storage/sqlite-dialect.ts'
import { StorageProblem } from '../../src/storage/storage-problem.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, node, start, temporaryFolder, until } from '../support/process.ts'

const cleanup = endsWithSuite()
let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(cleanup)
}, 30_000)

const log = pino({ level: 'silent' })

interface Store {
  /** One more connection to the same database, as another Postern has it. */
  connect(migrations?: Migrations): Migrated
  /** Names of all tables and indexes. */
  everything(): Promise<string[]>
}

function sqlite(): Store {
  const path = join(temporaryFolder(), 'postern.sqlite3')
  new DatabaseSync(path).exec('PRAGMA journal_mode = WAL')
  return {
    connect(migrations = sqliteMigrations) {
      const database = new DatabaseSync(path, { timeout: 10, enableForeignKeyConstraints: true })
      onTestFinished(() => database.close())
      const db = new Kysely<Tables>({ dialect: sqliteDialect(database, openHealth('The storage file', log)) })
      return { db, migrations, name: path }
    },
    async everything() {
      const database = new DatabaseSync(path)
      const rows = database.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'postern%' ORDER BY name").all()
      database.close()
      return rows.map(({ name }) => String(name))
    },
  }
}

async function postgres(): Promise<Store> {
  const config = await server.database()
  return {
    connect(migrations = postgresMigrations) {
      const { db, close } = openPostgres(config, log, 'for migrations')
      onTestFinished(close)
      return { db, migrations, schema: config.schema, name: 'PostgreSQL' }
    },
    async everything() {
      const rows = await server.query(
        "select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname = 'postern' order by 1",
        config.database,
      )
      return rows.map(({ relname }) => String(relname))
    },
  }
}

/** A migration of tomorrow. */
const adding = (table: string): Migration => ({
  records: {
    up: db => db.schema.createTable(table).addColumn('id', 'text').execute(),
    down: db => db.schema.dropTable(table).execute(),
  },
})
const today: Readonly<Record<string, Migration>> = { '0005-about': aboutTheRecords, '0006-one': adding('postern_one') }
const tomorrow = { ...today, '0007-two': adding('postern_two') }
const later = { ...tomorrow, '0008-three': { ...adding('postern_three'), breaking: true as const } }
const all = (migrations: Readonly<Record<string, Migration>>) => migrationsOf(migrations, 'machine', 'records')

describe.each([
  { kind: 'SQLite', openStore: async () => sqlite() },
  { kind: 'PostgreSQL', openStore: postgres },
])('migrations in $kind', ({ openStore }) => {
  it('go forward one by one and back to nothing, each taking back all that it made', async () => {
    const store = await openStore()
    const place = store.connect()
    const names = Object.keys(place.migrations)
    const states: string[][] = []
    await migrateTo(place, 'none')
    for (const name of names) {
      states.push(await store.everything())
      expect(await migrateTo(place, { to: name })).toEqual([{ name, direction: 'up' }])
    }
    expect(await executedIn(place)).toEqual(names)
    for (const name of names.toReversed()) {
      const before = names[names.indexOf(name) - 1]
      const target = before === undefined ? 'none' : { to: before }
      expect(await planned(place, target)).toEqual([{ name, direction: 'down' }])
      expect(await migrateTo(place, target)).toEqual([{ name, direction: 'down' }])
      expect(await store.everything()).toEqual(states.pop())
    }
    expect(await executedIn(place)).toEqual([])
    expect((await bringUpToDate(place)).steps).toHaveLength(names.length)
  })

  it('are tried by several at once, and done by one', async () => {
    const store = await openStore()
    const ends = await Promise.all(Array.from({ length: 6 }, () => bringUpToDate(store.connect())))
    expect(ends.filter(({ steps }) => steps.length > 0)).toHaveLength(1)
    expect(await executedIn(store.connect())).toEqual(Object.keys(store.connect().migrations))
  })

  it('are whole or not there: one that fails takes those before it back', async () => {
    const store = await openStore()
    const broken: Migration = {
      records: {
        up: async db => {
          await db.schema.createTable('postern_half').addColumn('id', 'text').execute()
          throw new Error('half-way')
        },
        down: async () => {},
      },
    }
    const place = store.connect(all({ ...today, '0007-broken': broken }))
    await expect(bringUpToDate(place)).rejects.toThrow('half-way')
    expect(await executedIn(place)).toEqual([])
    expect((await store.everything()).filter(name => !/migration/.test(name))).toEqual([])
  })

  it('that only add let the version before work beside, and start again', async () => {
    const store = await openStore()
    await bringUpToDate(store.connect(all(today)))
    await bringUpToDate(store.connect(all(tomorrow)))
    const old = store.connect(all(today))
    expect(await bringUpToDate(old)).toEqual({ steps: [], newer: '0007-two' })
    expect(await planned(old, 'latest')).toEqual([])
  })

  it('that break it refuse the version before, and only the newer one takes them back', async () => {
    const store = await openStore()
    await bringUpToDate(store.connect(all(later)))
    const old = store.connect(all(tomorrow))
    await expect(bringUpToDate(old)).rejects.toMatchObject({ reason: 'storage-newer' })
    await expect(planned(old, { to: '0006-one' })).rejects.toBeInstanceOf(StorageProblem)
    await migrateTo(store.connect(all(later)), { to: '0007-two' })
    expect(await bringUpToDate(old)).toEqual({ steps: [] })
    // One that only adds is none, but its tables are not to be taken back by a version that does not know them.
    await expect(planned(store.connect(all(today)), { to: '0005-about' })).rejects.toMatchObject({
      reason: 'storage-newer',
    })
  })

  it('of an old and a newer version that start at once serve both', async () => {
    const store = await openStore()
    const ends = await Promise.all(
      [today, tomorrow, today, tomorrow].map(version => bringUpToDate(store.connect(all(version)))),
    )
    expect(ends).toHaveLength(4)
    expect(await executedIn(store.connect())).toEqual(Object.keys(tomorrow))
  })
})

describe('a Postern that is killed while it migrates', () => {
  const times = process.env.POSTERN_LONG ? 100 : 6

  async function killedOften(storage: object): Promise<void> {
    const script = `
      import { openRecords } from ${JSON.stringify(join(import.meta.dirname, '../../src/storage/open-storage.ts'))}
      console.log('begins')
      const storage = await openRecords(${JSON.stringify(storage)}, { log: { info() {}, warn() {}, error() {} } })
      console.log('is open')
      await storage.close()`
    for (let nth = 0; nth < times; nth += 1) {
      const running = start(node, ['--input-type=module-typescript', '-e', script])
      await running.line(/begins/)
      const moment = performance.now() + (120 * nth) / times
      await until(() => performance.now() >= moment, 'its moment')
      await running.stop('SIGKILL')
    }
    const last = start(node, ['--input-type=module-typescript', '-e', script])
    expect(await last.exit, last.output()).toBe(0)
  }

  it('row 160: leaves a file that the next one opens, with all or none of each', async () => {
    const path = join(temporaryFolder(), 'postern.sqlite3')
    await killedOften({ encryption_key: 'k'.repeat(20), local: { path } })
    const database = new DatabaseSync(path, { readOnly: true })
    onTestFinished(() => database.close())
    const names = database
      .prepare('SELECT name FROM postern_migrations ORDER BY name')
      .all()
      .map(({ name }) => name)
    expect(names).toEqual(Object.keys(sqliteMigrations))
  })

  it('row 160: leaves PostgreSQL so too, and no lock there', async () => {
    const postgres = await server.database()
    await killedOften({ encryption_key: 'k'.repeat(20), postgres })
    const rows = await server.query('select name from postern.postern_migrations order by name', postgres.database)
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(postgresMigrations))
  })
})

describe(standing, () => {
  const known = all(today)
  it.each<[string, string[], string | null, string]>([
    ['nothing ran yet', [], null, 'ours'],
    ['some of ours', ['0005-about'], null, 'ours'],
    ['all of ours', ['0005-about', '0006-one'], null, 'ours'],
    ['more than ours, which only added', ['0005-about', '0006-one', '0007-two'], null, 'beside'],
    ['more than ours, which need no more than we know', ['0005-about', '0006-one', '0007-two'], '0006-one', 'beside'],
    ['more than ours, which we cannot use', ['0005-about', '0006-one', '0007-two'], '0007-two', 'newer'],
    ['others, in place of ours', ['0005-about', '0007-two'], null, 'newer'],
  ])('%s', (_what, executed, needs, expected) => {
    expect(standing(executed, needs, known)).toBe(expected)
  })
})

describe('the migrations of this version', () => {
  it('break nothing before there is a table that says so, and are in the order of their numbers', () => {
    const names = Object.keys(sqliteMigrations)
    expect(names).toEqual(names.toSorted())
    expect(names).toContain('0005-about-the-records')
    for (const name of Object.keys(postgresMigrations)) expect(names).toContain(name)
  })
})
