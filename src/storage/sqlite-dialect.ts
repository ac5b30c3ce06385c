import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { whenFree } from './busy.ts'
import type { Health } from './health.ts'
import { RecordsDown } from './records-down.ts'

/**
 * kysely over node:sqlite. Its own SqliteDialect would take an adapter too, but begins transactions *deferred*: two that read before they
 * write then fail at once instead of waiting for each other. One connection; kysely hands it to one transaction at a time.
 * @throws {RecordsDown} from a query that the disk, or whoever writes for too long, is in the way of
 */
export function sqliteDialect(database: DatabaseSync, health: Health): Dialect {
  const connection = connectionOver(database, health)
  const run = async (sql: string) => void (await connection.executeQuery(CompiledQuery.raw(sql)))
  const driver: Driver = {
    async init() {},
    acquireConnection: async () => connection,
    beginTransaction: () => run('begin immediate'),
    commitTransaction: () => run('commit'),
    // SQLite may have rolled back already, for example when the disk is full.
    rollbackTransaction: async () => void (database.isTransaction && (await run('rollback'))),
    async releaseConnection() {},
    async destroy() {}, // whoever opened the database closes it
  }
  return {
    createDriver: () => driver,
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalAdapter(),
    createIntrospector: db => new SqliteIntrospector(db),
  }
}

/** kysely says no here; SQLite's DDL is transactional, and a migration must be whole or not at all. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

// https://sqlite.org/rescode.html
const SQLITE_READONLY = 8
const SQLITE_FULL = 13
/** IOERR_WRITE, _FSYNC, _DIR_FSYNC, _TRUNCATE: a file system that became read-only, a file that is write-protected. */
const unwritable = new Set([778, 1034, 1290, 1546])
/** PERM, BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB. */
const unavailable = new Set([3, 5, 6, 7, SQLITE_READONLY, 10, 11, SQLITE_FULL, 14, 15, 26])

/** Tells of what SQLite threw where the disk, or whoever writes for too long, was in the way; null: anything else, which is a bug. */
export function fileDown(error: unknown, health: Health): RecordsDown | null {
  if (error instanceof RecordsDown) return error
  const extended = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0
  const code = extended & 0xff
  if (!unavailable.has(code)) return null
  const isOfWrites = code === SQLITE_READONLY || code === SQLITE_FULL || unwritable.has(extended)
  const what = isOfWrites ? 'writes' : 'all'
  return new RecordsDown(error, health.failed(what, error))
}

function connectionOver(database: DatabaseSync, health: Health): DatabaseConnection {
  function run<R>({ sql, parameters }: CompiledQuery): QueryResult<R> {
    const statement = database.prepare(sql)
    const values = parameters as readonly SQLInputValue[] // kysely's types admit what the columns hold
    if (statement.columns().length > 0) return { rows: statement.all(...values) as R[] }
    const { changes, lastInsertRowid } = statement.run(...values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }
  // What a transaction wrote comes to the disk with its commit, or not at all.
  let hasWritten = false
  function worked(sql: string): void {
    if (sql === 'rollback') hasWritten = false
    if (/^(?:insert|update|delete)\b/i.test(sql)) hasWritten = true
    const isWhole = !database.isTransaction
    health.worked(isWhole && hasWritten)
    if (isWhole) hasWritten = false
  }
  return {
    async executeQuery<R>(query: CompiledQuery) {
      try {
        const result = await whenFree(() => run<R>(query))
        worked(query.sql)
        return result
      } catch (error) {
        if (!database.isTransaction) hasWritten = false
        throw fileDown(error, health) ?? error
      }
    },
    // biome-ignore lint/correctness/useYield: the interface wants a generator
    async *streamQuery() {
      throw new Error('Nothing here is large enough to stream')
    },
  }
}
