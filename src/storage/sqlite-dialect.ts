import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { whenFree } from './busy.ts'

/**
 * kysely over node:sqlite. Its own SqliteDialect would take an adapter too, but begins transactions *deferred*: two that read before they
 * write then fail at once instead of waiting for each other. One connection; kysely hands it to one transaction at a time.
 */
export function sqliteDialect(database: DatabaseSync): Dialect {
  const connection = connectionOver(database)
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

function connectionOver(database: DatabaseSync): DatabaseConnection {
  return {
    executeQuery: <R>({ sql, parameters }: CompiledQuery) =>
      whenFree(() => {
        const statement = database.prepare(sql)
        const values = parameters as readonly SQLInputValue[] // kysely's types admit what the columns hold
        if (statement.columns().length > 0) return { rows: statement.all(...values) as R[] }
        const { changes, lastInsertRowid } = statement.run(...values)
        return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
      }),
    // biome-ignore lint/correctness/useYield: the interface wants a generator
    async *streamQuery() {
      throw new Error('Nothing here is large enough to stream')
    },
  }
}
