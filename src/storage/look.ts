import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import { pino } from 'pino'
import type { Config } from '../config/schema.ts'
import { fits, isOf, KEY_CHECK } from './encryption-key.ts'
import { marksOf } from './file-mark.ts'
import { executedIn, planned } from './migrate.ts'
import { postgresMigrations } from './migrations.ts'
import { type Copy, copyOf } from './older-copy.ts'
import { openPostgres, type PostgresConfig, postgresProblem, requirePrimary } from './postgres/open-postgres.ts'
import { hasWal, refuseForeign, storageFile } from './sqlite-file.ts'
import { StorageProblem } from './storage-problem.ts'

/** What would keep this user from opening the storage file, found without making or changing anything; null when nothing would. */
export function lookAtStorage(config: Config['storage']): StorageProblem | null {
  const path = storageFile(config)
  try {
    if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory())
      return new StorageProblem('storage-folder', dirname(path))
    // SQLite writes files of its own beside it.
    accessSync(dirname(path), constants.W_OK)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return null
    if (!stat.isFile()) return new StorageProblem('storage-denied', `${path} is not a file`)
    accessSync(path, constants.R_OK | constants.W_OK)
    refuseForeign(path)
    if (config.postgres === undefined) refuseOtherKey(path, config.encryption_key)
    return copyAt(config) === 'older' && hasWal(path) ? new StorageProblem('storage-wal', path) : null
  } catch (error) {
    if (error instanceof StorageProblem) return error
    return new StorageProblem('storage-denied', error instanceof Error ? error.message : path, error)
  }
}

/** What the server would take the storage file for, which it does not refuse. */
export function copyAt(config: Config['storage']): Copy {
  const path = storageFile(config)
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0 ? 'ours' : copyOf(marksOf(path))
}

/** Looks without writing. @throws {StorageProblem} */
function refuseOtherKey(path: string, encryptionKey: string): void {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
  try {
    if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'postern_about'").get() === undefined) return
    const row = database.prepare('SELECT value FROM postern_about WHERE name = ?').get(KEY_CHECK)
    if (row !== undefined && !isOf(encryptionKey, String(row.value))) throw new StorageProblem('storage-key', path)
  } finally {
    database.close()
  }
}

/**
 * What would keep Postern from using PostgreSQL, or what it would find there, in words. Changes nothing.
 */
export async function lookAtPostgres(config: PostgresConfig, encryptionKey: string): Promise<StorageProblem | string> {
  const { schema } = config
  const name = `the schema ${schema}`
  let postgres: ReturnType<typeof openPostgres> | undefined
  try {
    postgres = openPostgres(config, pino({ level: 'silent' }), 'for migrations')
    await requirePrimary(postgres)
    const { db } = postgres
    const { rows } = await sql<{ version: string; may_create: boolean; is_there: boolean }>`
      select current_setting('server_version') as version,
        has_database_privilege(current_database(), 'CREATE') as may_create,
        exists (select from pg_namespace where nspname = ${schema}) as is_there`.execute(db)
    const { version = 'of no version', may_create = false, is_there = false } = rows[0] ?? {}
    if (!is_there && !may_create) return new StorageProblem('storage-postgres-rights', `there is no schema ${schema}`)
    const open = await planned({ db, migrations: postgresMigrations, schema, name }, 'latest')
    const executed = await executedIn({ db, schema })
    if (executed.includes('0005-about-the-records') && (await fits(db, encryptionKey)) === false)
      return new StorageProblem('storage-key', name)
    const tables =
      executed.length === 0
        ? 'has no tables yet'
        : open.length > 0
          ? 'is brought up to date by the next start'
          : 'is up to date'
    return `PostgreSQL ${version} answers, and ${name} ${tables}`
  } catch (error) {
    return postgresProblem(error, config)
  } finally {
    await postgres?.close()
  }
}
