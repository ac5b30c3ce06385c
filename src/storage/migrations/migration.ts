import type { Kysely } from 'kysely'

/**
 * Runs once, in a transaction, in the order of the names. What was released is never edited: add another.
 * Times are `bigint`: an `integer` of PostgreSQL is too small for milliseconds.
 */
export interface Migration {
  /** Tables that every Postern of a house shares: in PostgreSQL where that is configured, else in the SQLite file. */
  readonly records?: Part
  /** Tables of this machine alone (sessions, counters), for where there is no Redis: always in the SQLite file. */
  readonly machine?: Part
  /**
   * Whether a Postern from before it cannot work once it ran: a column is renamed, or must be filled. Without it both work side by side during an
   * upgrade (docs/decisions/0010-two-versions.md), so it only adds: tables, columns that may be empty or have a default, indexes.
   */
  readonly breaking?: true
}

export interface Part {
  up(db: Kysely<unknown>): Promise<void>
  /** Takes back all that `up` made, and what was written there with it. */
  down(db: Kysely<unknown>): Promise<void>
}

/** For a `down`: those that refer to others first. */
export async function dropTables(db: Kysely<unknown>, tables: readonly string[]): Promise<void> {
  for (const table of tables) await db.schema.dropTable(table).execute()
}
