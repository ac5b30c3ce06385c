import type { DatabaseSync } from 'node:sqlite'

/** Runs statements whole or not at all. Takes the write lock at once: a transaction that asks for it later can fail half-way. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
