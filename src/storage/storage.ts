import type { DatabaseSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import type { FileMark } from './file-mark.ts'
import type { Health } from './health.ts'
import type { Tables } from './tables.ts'

/** What outlives a session, in PostgreSQL or a SQLite file; and what is of this machine alone while there is no Redis: one SQLite file (WAL), which several processes may have open. */
export interface Storage {
  /**
   * Devices, pushes, remembered browsers, logins.
   * Rejects with `RecordsDown` when it cannot be reached or written now. In SQLite transactions take turns; in PostgreSQL they run beside each
   * other (read committed): one that reads before it writes is `serializable`, and is tried again on SQLSTATE 40001.
   */
  readonly records: Kysely<Tables>
  /** Whether the records could not be reached, or not be written, when that was tried last. */
  readonly isDown: boolean
  /** For sessions/: synchronous, with `PRAGMA data_version`. Writes go through `whenFree`. */
  readonly sessions: DatabaseSync
  /** Of the SQLite file: whoever uses its connections tells what went wrong there, and what went well. */
  readonly health: Health
  /** For counters: a connection of its own, so that a rolled-back transaction never forgets a ban. Writes go through `whenFree`. */
  readonly counters: DatabaseSync
  /** Of the SQLite file; null: there is none. */
  readonly mark: FileMark | null
  close(): Promise<void>
}
