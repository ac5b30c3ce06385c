import { existsSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import { Kysely } from 'kysely'
import type { Config } from '../config/schema.ts'
import type { Migrated } from './migrate.ts'
import { postgresMigrations, sqliteMigrations } from './migrations.ts'
import { openPostgres, postgresProblem, requirePrimary } from './postgres/open-postgres.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { fileProblem, openFile, storageFile } from './sqlite-file.ts'
import type { StorageProblem } from './storage-problem.ts'
import type { Tables } from './tables.ts'

/** A database that this configuration uses, opened for migrations. */
export interface Place {
  /** Null: the file is not there, and was not made. */
  readonly migrated: Migrated | null
  readonly name: string
  problemOf(error: unknown): StorageProblem
  close(): Promise<void>
}

interface Wishes {
  readonly log: FastifyBaseLogger
  /** Whether this machine keeps sessions and counters: there is no Redis. */
  readonly machine: boolean
  /** Whether to make a file that is missing. */
  readonly make: boolean
}

/** The databases of this configuration; nothing is migrated yet. @throws {StorageProblem} */
export async function openPlaces(config: Config['storage'], { log, machine, make }: Wishes): Promise<readonly Place[]> {
  const { postgres } = config
  const shared = postgres === undefined ? [] : [await postgresPlace(postgres, log)]
  if (postgres !== undefined && !machine) return shared
  try {
    return [...shared, await filePlace(storageFile(config), log, make)]
  } catch (error) {
    for (const place of shared) await place.close()
    throw error
  }
}

async function filePlace(path: string, log: FastifyBaseLogger, make: boolean): Promise<Place> {
  const problemOf = (error: unknown) => fileProblem(error, path)
  if (!make && !existsSync(path)) return { migrated: null, name: path, problemOf, async close() {} }
  const file = await openFile(path, log)
  const db = new Kysely<Tables>({ dialect: sqliteDialect(file.connect(), file.health) })
  return {
    migrated: { db, migrations: sqliteMigrations, name: path },
    name: path,
    problemOf,
    close: async () => file.close(),
  }
}

async function postgresPlace(
  config: NonNullable<Config['storage']['postgres']>,
  log: FastifyBaseLogger,
): Promise<Place> {
  const { schema } = config
  const name = `PostgreSQL, schema ${schema}`
  const postgres = openPostgres(config, log, 'for migrations')
  const problemOf = (error: unknown) => postgresProblem(error, config)
  try {
    await requirePrimary(postgres)
  } catch (error) {
    await postgres.close()
    throw problemOf(error)
  }
  return {
    migrated: { db: postgres.db, migrations: postgresMigrations, schema, name },
    name,
    problemOf,
    close: postgres.close,
  }
}
