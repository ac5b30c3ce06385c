import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, it } from 'vitest'
import { examine } from '../../src/commands/doctor.ts'
import { sqliteMigrations } from '../../src/storage/migrations.ts'
import { type Setup, setUp } from '../support/postern.ts'
import { PASSWORD, type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, node, projectRoot, start } from '../support/process.ts'

const cleanup = endsWithSuite()
let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(cleanup)
}, 30_000)

const names = Object.keys(sqliteMigrations)
const newest = names.at(-1) ?? ''
const former = 'another-secret-of-this-test'
const next = 'the-next-key-of-this-test'

async function run(setup: Setup, command: string, args: readonly string[] = [], input?: string) {
  const running = start(node, [join(projectRoot, 'src/main.ts'), command, ...args, '--config', setup.configFile])
  running.child.stdin?.end(input)
  const code = await running.exit
  return { code, output: running.output() }
}

const fileOf = ({ folder }: Setup) => join(folder, 'postern.sqlite3')
const tablesOf = (setup: Setup) => {
  const database = new DatabaseSync(fileOf(setup), { readOnly: true })
  const rows = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  database.close()
  return rows.map(({ name }) => String(name))
}
const replaceIn = ({ configFile }: Setup, from: string, to: string) =>
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(from, to))

/** The same with PostgreSQL; sessions stay in the file. */
async function withPostgres(): Promise<{ setup: Setup; database: string }> {
  const setup = await setUp()
  const { database, address } = await server.database()
  const postgres = `postgres: { address: "tcp://127.0.0.1:${address.port}", database: ${database}, username: postern, password: ${PASSWORD} }`
  replaceIn(setup, 'storage: {', `storage: { ${postgres},`)
  return { setup, database }
}

describe('postern migrate', () => {
  it('tells what it would do and makes nothing, then does it, and has nothing left to do', async () => {
    const setup = await setUp()
    const dry = await run(setup, 'migrate', ['--dry-run'])
    expect(dry).toMatchObject({ code: 0 })
    for (const name of names) expect(dry.output).toMatch(new RegExp(`${name} +would be made`))
    expect(existsSync(fileOf(setup))).toBe(false)
    expect((await run(setup, 'migrate')).output).toMatch(new RegExp(`${newest} +made`))
    expect(tablesOf(setup)).toContain('postern_about')
    const again = await run(setup, 'migrate')
    expect(again.output).not.toMatch(/made/)
    expect(again.output).toMatch(new RegExp(`${newest} +is there`))
  })

  it('takes the newest back, and goes to one that is given by its number', async () => {
    const setup = await setUp()
    await run(setup, 'migrate')
    const dry = await run(setup, 'migrate', ['--down', '--dry-run'])
    expect(dry.output).toMatch(new RegExp(`${newest} +would be taken back, with what is in it`))
    expect((await run(setup, 'migrate', ['--down'])).output).toMatch(new RegExp(`${newest} +taken back`))
    await run(setup, 'migrate', ['--to', '1'])
    expect(tablesOf(setup)).not.toContain('postern_about')
    expect(tablesOf(setup)).toContain('postern_pushes')
    await run(setup, 'migrate', ['--to', 'none'])
    expect(tablesOf(setup)).not.toContain('postern_pushes')
  })

  it('does both where records are in PostgreSQL and sessions in the file', async () => {
    const { setup, database } = await withPostgres()
    const { code, output } = await run(setup, 'migrate')
    expect(code, output).toBe(0)
    expect(output).toContain('PostgreSQL, schema postern')
    expect(output).toContain(fileOf(setup))
    expect(output).not.toContain(PASSWORD)
    const query = "select tablename as name from pg_tables where schemaname = 'postern'"
    expect((await server.query(query, database)).map(({ name }) => name)).toContain('postern_pushes')
    // Of this machine alone: PostgreSQL goes no further back than it must.
    await run(setup, 'migrate', ['--to', '0002'])
    expect((await server.query(query, database)).map(({ name }) => name)).not.toContain('postern_about')
    expect(tablesOf(setup)).toContain('postern_session_secrets')
  })

  it.each([
    ['there is no such migration', ['--to', '0999'], /There is no migration 0999/],
    ['two are asked for', ['--to', '0001', '--down'], /Either --to or --down/],
  ])('refuses where %s', async (_what, args, expected) => {
    const { code, output } = await run(await setUp(), 'migrate', args)
    expect(code).toBe(1)
    expect(output).toMatch(expected)
  })

  it('leaves to a newer Postern what is its own, and says so', async () => {
    const setup = await setUp()
    await run(setup, 'migrate')
    const database = new DatabaseSync(fileOf(setup))
    database.exec("INSERT INTO postern_migrations VALUES ('0999-tomorrow', '2030-01-01T00:00:00.000Z')")
    database.close()
    expect((await run(setup, 'migrate')).output).toMatch(/0999-tomorrow +is there, of a newer Postern/)
    const { code, output } = await run(setup, 'migrate', ['--down'])
    expect(code).toBe(1)
    expect(output).toContain('docs/upgrading.md')
  })
})

describe('postern change-encryption-key', () => {
  it('takes the new key from standard input or a file, and from then on the former one is refused', async () => {
    const setup = await setUp()
    const first = await run(setup, 'change-encryption-key', [], `${next}\n`)
    expect(first.code, first.output).toBe(0)
    expect(first.output).not.toContain(next)
    const refused = await run(setup, 'change-encryption-key', [], 'a-third-key-of-this-test\n')
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('docs/storage.md')
    expect((await examine(setup.configFile, {})).findings).toContainEqual(
      expect.objectContaining({ area: 'storage', reason: 'storage-key' }),
    )
    replaceIn(setup, former, next)
    const file = join(setup.folder, 'key')
    writeFileSync(file, 'a-third-key-of-this-test\n')
    expect((await run(setup, 'change-encryption-key', ['--new-key-file', file])).code).toBe(0)
  })

  it('begins with another key where the former one is lost', async () => {
    const setup = await setUp()
    await run(setup, 'change-encryption-key', [], `${next}\n`)
    expect((await run(setup, 'change-encryption-key', ['--key-is-lost'])).output).toContain('forgotten: 0')
    expect((await examine(setup.configFile, {})).findings).not.toContainEqual(
      expect.objectContaining({ reason: 'storage-key' }),
    )
  })

  it.each([
    ['too short', 'short', /fewer than 20/],
    ['guessable', 'aaaaaaaaaaaaaaaaaaaaaaaa', /guessed/],
    ['the former one', former, /configured/],
    ['the secret of the sessions', 'a-secret-of-this-test-alone-0123456789', /session\.secret/],
    ['two lines', `${next}\n${next}`, /more than one line/],
  ])('refuses a new key that is %s', async (_what, key, expected) => {
    const setup = await setUp()
    const { code, output } = await run(setup, 'change-encryption-key', [], key)
    expect(code).toBe(1)
    expect(output).toMatch(expected)
    expect(existsSync(fileOf(setup))).toBe(false)
  })
})

describe('postern doctor', () => {
  it('names PostgreSQL, its version and its schema, and changes nothing', async () => {
    const { setup, database } = await withPostgres()
    const of = async () => (await examine(setup.configFile, {})).findings.filter(({ area }) => area === 'storage')
    expect(await of()).toMatchObject([
      {
        severity: 'ok',
        what: expect.stringMatching(/^PostgreSQL 1\d.* answers, and the schema postern has no tables yet$/),
      },
      { severity: 'ok' },
    ])
    expect(await server.query("select 1 from pg_namespace where nspname = 'postern'", database)).toEqual([])
    await run(setup, 'migrate', ['--to', '0001'])
    expect((await of())[0]?.what).toMatch(/is brought up to date by the next start$/)
    await run(setup, 'migrate')
    expect((await of())[0]?.what).toMatch(/is up to date$/)
    await server.query(`alter database ${database} set default_transaction_read_only = on`)
    expect((await of())[0]).toMatchObject({ severity: 'error', reason: 'storage-postgres-read-only' })
  })

  it('names what keeps Postern from PostgreSQL', async () => {
    const { setup, database } = await withPostgres()
    await server.query(`alter database ${database} owner to postgres`)
    const { findings } = await examine(setup.configFile, {})
    expect(findings).toContainEqual(expect.objectContaining({ reason: 'storage-postgres-rights', severity: 'error' }))
    replaceIn(setup, PASSWORD, 'wrong')
    const second = await examine(setup.configFile, {})
    expect(second.findings).toContainEqual(expect.objectContaining({ reason: 'storage-postgres-login' }))
  })
})

describe('a CA file of the stores that is missing', () => {
  it.each([
    ['migrate', []],
    ['sessions', ['list']],
    ['bans', ['list']],
  ])(
    'is told by %s as by serve, with its line; one of Duo or of the directory is in nobody’s way',
    async (command, args) => {
      const setup = await setUp({ duo: { apiPort: 1, ca: '' } })
      rmSync(join(setup.folder, 'duo-ca.pem'))
      expect(await run(setup, command, args)).toMatchObject({ code: 0 })
      replaceIn(
        setup,
        'storage: {',
        'storage: { postgres: { address: "tcp://127.0.0.1:1", database: x, username: x, password: x, tls: { ca_file: /nowhere.pem } },',
      )
      const { code, output } = await run(setup, command, args)
      expect(code).toBe(1)
      expect(output).toMatch(
        /^\S*configuration\.yml:\d+:\d+: error: storage\.postgres\.tls\.ca_file: The file \/nowhere\.pem does not exist\.\npostern: \S+ has errors\.\n$/,
      )
    },
  )
})
