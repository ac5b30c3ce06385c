import {
  AbortedTransactionError,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import type { Pool, PoolClient } from 'pg'
import type { Health } from '../health.ts'
import { RecordsDown } from '../records-down.ts'
import { unavailability } from './faults.ts'

/** Who waits for a connection waits for its deadline at most; more than so many would only wait in vain. */
const WAITING_AT_MOST = 200
const writing = new Set(['INSERT', 'UPDATE', 'DELETE'])

interface Borrowed extends DatabaseConnection {
  execute(sql: string): Promise<string>
  giveBack(): void
}

/**
 * kysely over a pool of pg's. Its own PostgresDialect gives a connection back whatever happened on it: one whose answer never came would be used
 * again, and one that leads to a standby would be kept. @throws {RecordsDown} from every query while PostgreSQL cannot be used
 */
export function postgresDialect(pool: Pool, health: Health | null): Dialect {
  const borrowed = new WeakMap<DatabaseConnection, Borrowed>()
  const of = (connection: DatabaseConnection): Borrowed => {
    const found = borrowed.get(connection)
    if (found === undefined) throw new Error('a connection that is not of this pool')
    return found
  }

  const driver: Driver = {
    async init() {},
    async acquireConnection() {
      if (pool.ending) throw new RecordsDown(new Error('it was closed'))
      if (pool.waitingCount >= WAITING_AT_MOST) throw down(new Error('all connections are in use'))
      let client: PoolClient
      try {
        client = await pool.connect()
      } catch (error) {
        throw down(error)
      }
      const connection = over(client)
      borrowed.set(connection, connection)
      return connection
    },
    async beginTransaction(connection, { isolationLevel }) {
      const sql = isolationLevel === undefined ? 'begin' : `begin isolation level ${isolationLevel}`
      await of(connection).execute(sql)
    },
    async commitTransaction(connection) {
      // The server says so where a statement before had failed: nothing is written then.
      if ((await of(connection).execute('commit')) === 'ROLLBACK') throw new AbortedTransactionError()
    },
    async rollbackTransaction(connection) {
      await of(connection).execute('rollback')
    },
    async releaseConnection(connection) {
      of(connection).giveBack()
    },
    async destroy() {}, // whoever opened the pool closes it
  }

  function down(error: unknown, what: 'all' | 'writes' = 'all'): RecordsDown {
    return new RecordsDown(error, health?.failed(what, error))
  }

  function over(client: PoolClient): Borrowed {
    let spoiled = false
    async function query(sql: string, parameters: readonly unknown[]) {
      try {
        const result = await client.query(sql, [...parameters])
        health?.worked(writing.has(result.command))
        return result
      } catch (error) {
        const what = unavailability(error)
        if (what === null) throw error
        spoiled = true
        throw down(error, what)
      }
    }
    return {
      async executeQuery<R>({ sql, parameters }: { readonly sql: string; readonly parameters: readonly unknown[] }) {
        const { command, rowCount, rows } = await query(sql, parameters)
        const numAffectedRows = writing.has(command) ? { numAffectedRows: BigInt(rowCount ?? 0) } : {}
        return { rows: rows as R[], ...numAffectedRows } // kysely's types admit what the columns hold
      },
      async execute(sql) {
        if (spoiled && sql === 'rollback') return sql // it goes with the connection
        return (await query(sql, [])).command
      },
      giveBack: () => client.release(spoiled),
      // biome-ignore lint/correctness/useYield: the interface wants a generator
      async *streamQuery() {
        throw new Error('Nothing here is large enough to stream')
      },
    }
  }

  return {
    createDriver: () => driver,
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: db => new PostgresIntrospector(db),
  }
}
