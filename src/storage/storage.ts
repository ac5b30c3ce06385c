import type { DatabaseSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'

/** The records of this machine: one SQLite file (WAL), which several processes may have open. */
export interface Storage {
  /** Records: devices, pushes. A transaction waits for its turn without holding the event loop. */
  readonly records: Kysely<Tables>
  /** For sessions/: synchronous, with `PRAGMA data_version`. Writes go through `whenFree`. */
  readonly sessions: DatabaseSync
  /** For counters: a connection of its own, so that a rolled-back transaction never forgets a ban. Writes go through `whenFree`. */
  readonly counters: DatabaseSync
  close(): Promise<void>
}
