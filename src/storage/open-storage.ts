import type { FastifyBaseLogger } from 'fastify'
import { Kysely } from 'kysely'
import type { Config } from '../config/schema.ts'
import { requireKey } from './encryption-key.ts'
import { markBeside, markIn, moveMark } from './file-mark.ts'
import { bringUpToDate, type Migrated } from './migrate.ts'
import { postgresMigrations, sqliteMigrations } from './migrations.ts'
import {
  openPostgres,
  type Postgres,
  type PostgresConfig,
  postgresProblem,
  requirePrimary,
} from './postgres/open-postgres.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { fileProblem, openFile, storageFile } from './sqlite-file.ts'
import type { Storage } from './storage.ts'
import type { Tables } from './tables.ts'

interface Circumstances {
  readonly log: FastifyBaseLogger
}

/**
 * Records, and the SQLite file of this machine. Brings all tables up to date: whole or not at all, by one process while others wait.
 * @throws {StorageProblem} when the file is not ours, newer, broken or out of reach; or PostgreSQL is, or may not be written; or its key is another
 */
export async function openStorage(config: Config['storage'], { log }: Circumstances): Promise<Storage> {
  const file = await openSqlite(config, log)
  if (config.postgres === undefined) return file
  try {
    const shared = await openShared(config.postgres, config.encryption_key, log)
    return {
      records: shared.db,
      get isDown() {
        return shared.isDown
      },
      sessions: file.sessions,
      health: file.health,
      counters: file.counters,
      mark: file.mark,
      async close() {
        await shared.close()
        await file.close()
      },
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** The same for where Redis holds what this machine would: with `storage.postgres` there is no file. @throws {StorageProblem} as above */
export async function openRecords(config: Config['storage'], { log }: Circumstances): Promise<Storage> {
  if (config.postgres === undefined) return openSqlite(config, log)
  const shared = await openShared(config.postgres, config.encryption_key, log)
  return {
    records: shared.db,
    get isDown() {
      return shared.isDown
    },
    close: shared.close,
    get sessions(): never {
      throw new Error('sessions are in Redis')
    },
    get counters(): never {
      throw new Error('counters are in Redis')
    },
    get health(): never {
      throw new Error('there is no file')
    },
    mark: null,
  }
}

async function openSqlite(config: Config['storage'], log: FastifyBaseLogger): Promise<Storage> {
  const path = storageFile(config)
  const file = await openFile(path, log)
  try {
    const { health } = file
    const records = new Kysely<Tables>({ dialect: sqliteDialect(file.connect(), health) })
    await prepare({ db: records, migrations: sqliteMigrations, name: path }, log)
    if (config.postgres === undefined) await requireKey(records, config.encryption_key, path)
    const sessions = file.connect()
    return {
      records,
      get isDown() {
        return health.isDown
      },
      sessions,
      health,
      counters: file.connect(),
      mark: {
        path,
        look: () => ({ beside: markBeside(path), store: file.guard.mark() || null }),
        standing: () => markIn(sessions),
        holdsRecords: config.postgres === undefined,
        isOverwritten: file.guard.isOverwritten,
        move: next => moveMark(sessions, { path, inFile: file.guard.mark, next }),
      },
      async close() {
        await records.destroy()
        file.close()
      },
    }
  } catch (error) {
    file.close()
    throw fileProblem(error, path)
  }
}

async function openShared(config: PostgresConfig, encryptionKey: string, log: FastifyBaseLogger): Promise<Postgres> {
  const { schema } = config
  const name = `the schema ${schema}`
  const first = openPostgres(config, log, 'for migrations')
  try {
    await requirePrimary(first)
    await prepare({ db: first.db, migrations: postgresMigrations, schema, name }, log)
    await requireKey(first.db, encryptionKey, name)
  } catch (error) {
    throw postgresProblem(error, config)
  } finally {
    await first.close()
  }
  return openPostgres(config, log)
}

async function prepare(place: Migrated, log: FastifyBaseLogger): Promise<void> {
  const { steps, newer } = await bringUpToDate(place)
  if (newer !== undefined)
    log.warn({ newer }, 'the records were migrated by a newer Postern; this version can work beside it')
  if (steps.length > 0)
    log.info({ migrations: steps.map(({ name }) => name) }, 'the tables of the records are up to date')
}
