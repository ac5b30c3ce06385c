import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { FastifyBaseLogger } from 'fastify'
import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import type { Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { whenFree } from './busy.ts'
import { sqliteMigrations } from './migrations.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import type { Storage } from './storage.ts'
import { StorageProblem } from './storage-problem.ts'
import type { Tables } from './tables.ts'

const MIGRATIONS_TABLE = 'postern_migrations'
const HEADER = Buffer.from('SQLite format 3\0')
// Each of these is a table of Authelia since its first schema; none is of ours.
const AUTHELIA_TABLES = ['authentication_logs', 'totp_configurations', 'user_preferences']
// What one statement waits in place. The rest of the waiting is whenFree's, which lets the event loop go on.
const BUSY_TIMEOUT: Milliseconds = 10

const USUAL_FILE = '/var/lib/postern/postern.sqlite3'

/** The file of this machine. Where records are in PostgreSQL it need not be named. */
export const storageFile = ({ local }: Config['storage']): string => resolve(local?.path ?? USUAL_FILE)

/**
 * Opens the file, makes it when it is missing (its folder must be there), and brings its tables up to date: whole or not at all, by one
 * process while others wait.
 * @throws {StorageProblem} when the file is not ours, newer, broken or out of reach
 */
export async function openStorage(config: Config['storage'], { log }: { log: FastifyBaseLogger }): Promise<Storage> {
  const path = storageFile(config)
  prepareFile(path, log)
  refuseForeign(path)
  const open: DatabaseSync[] = []
  const connect = (): DatabaseSync => {
    const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true })
    open.push(database)
    return database
  }
  const closeAll = () => {
    for (const database of open) if (database.isOpen) database.close()
  }
  try {
    const first = connect()
    // Not covered by the busy timeout: two processes may make the file at once.
    const journal = await whenFree(() => first.prepare('PRAGMA journal_mode = WAL').get()?.journal_mode)
    if (journal !== 'wal') throw new StorageProblem('storage-denied', `${path} is on a disk without shared memory`)
    const records = new Kysely<Tables>({ dialect: sqliteDialect(first) })
    await migrate(records, path)
    const sessions = connect()
    const counters = connect()
    // NORMAL would survive a SIGKILL. FULL survives a power cut too: a logout or a ban that was answered must not be undone by one.
    for (const database of open) database.exec('PRAGMA synchronous = FULL')
    return {
      records,
      sessions,
      counters,
      async close() {
        await records.destroy()
        closeAll()
      },
    }
  } catch (error) {
    closeAll()
    throw asProblem(error, path)
  }
}

/** Makes the file readable by its owner only; -wal and -shm take over its mode. A new file is empty until SQLite writes to it. */
function prepareFile(path: string, log: FastifyBaseLogger): void {
  const folder = dirname(path)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new StorageProblem('storage-folder', folder)
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new StorageProblem('storage-denied', `${path} is not a file`)
    if ((stat.mode & 0o077) !== 0) {
      fchmodSync(file, 0o600)
      log.warn({ path }, 'the storage file could be read by other users of this machine; its mode is 0600 now')
    }
    const header = Buffer.alloc(HEADER.length)
    if (readSync(file, header, 0, header.length, 0) > 0 && !header.equals(HEADER))
      throw new StorageProblem('storage-broken', `${path} does not begin as an SQLite file`)
  } catch (error) {
    throw error instanceof StorageProblem ? error : new StorageProblem('storage-denied', path, error)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/**
 * Looks without writing: another program's file stays as it is.
 * @throws {StorageProblem}
 */
export function refuseForeign(path: string): void {
  if (statSync(path).size === 0) return
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
    const rows = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'")
      .all()
    const tables = rows.map(row => String(row.name))
    const foreign = tables.filter(table => !table.startsWith('postern_'))
    if (AUTHELIA_TABLES.some(table => foreign.includes(table))) throw new StorageProblem('storage-authelia', path)
    if (foreign.length > 0) throw new StorageProblem('storage-foreign', `${path} has a table ${foreign[0]}`)
    if (!tables.includes(MIGRATIONS_TABLE)) return
    const newer = database
      .prepare(`SELECT name FROM ${MIGRATIONS_TABLE}`)
      .all()
      .find(({ name }) => !Object.hasOwn(sqliteMigrations, String(name)))
    if (newer) throw new StorageProblem('storage-newer', `${path} has been through ${newer.name}`)
  } catch (error) {
    throw asProblem(error, path)
  } finally {
    database?.close()
  }
}

async function migrate(records: Kysely<Tables>, path: string): Promise<void> {
  const migrator = new Migrator({
    db: records,
    provider: { getMigrations: async () => sqliteMigrations },
    migrationTableName: MIGRATIONS_TABLE,
    migrationLockTableName: 'postern_migration_lock',
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw asProblem(error, path)
}

const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

function asProblem(error: unknown, path: string): StorageProblem {
  if (error instanceof StorageProblem) return error
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
  const reason = code === SQLITE_CORRUPT || code === SQLITE_NOTADB ? 'storage-broken' : 'storage-denied'
  return new StorageProblem(reason, `${path}: ${error instanceof Error ? error.message : String(error)}`, error)
}
