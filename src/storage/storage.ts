import type { DatabaseSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'

/** The records of this machine: one SQLite file (WAL). */
export interface Storage {
  /** Records: preferences, devices, pushes. */
  readonly records: Kysely<Tables>
  /** For sessions/: synchronous, with `PRAGMA data_version`. */
  readonly sessions: DatabaseSync
  /** For counters: a connection of its own, so that a rolled-back transaction never forgets a ban. */
  readonly counters: DatabaseSync
  close(): Promise<void>
}
