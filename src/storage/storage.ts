import type { DatabaseSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'

/** What outlives a session: devices, pushes, remembered browsers, logins. In PostgreSQL (`storage.postgres`), or in the SQLite file. */
export interface Records {
  /**
   * Rejects with `RecordsDown` when it cannot be reached or written now. In SQLite transactions take turns; in PostgreSQL they run beside each
   * other (read committed): one that reads before it writes is `serializable`, and is tried again on SQLSTATE 40001.
   */
  readonly records: Kysely<Tables>
  close(): Promise<void>
}

/** Records, and what is of this machine alone while there is no Redis: one SQLite file (WAL), which several processes may have open. */
export interface Storage extends Records {
  /** For sessions/: synchronous, with `PRAGMA data_version`. Writes go through `whenFree`. */
  readonly sessions: DatabaseSync
  /** For counters: a connection of its own, so that a rolled-back transaction never forgets a ban. Writes go through `whenFree`. */
  readonly counters: DatabaseSync
}
