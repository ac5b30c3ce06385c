import { type Kysely, sql } from 'kysely'
import { dropTables, type Migration } from './migration.ts'

const counters = [
  'postern_login_tries_typed',
  'postern_login_tries_person',
  'postern_passcode_tries',
  'postern_address_tries',
]

/** Tries and bans. Bans may have no end now, and say who brought them. */
export const countersTables: Migration = {
  machine: {
    async up(db) {
      for (const table of counters) await makeCounter(db, table)
    },
    down: db =>
      dropTables(
        db,
        counters.flatMap(table => [table, `${table}_bans`]),
      ),
  },
}

/** Before this migration whoever counted made the tables: what stands in them is kept. */
async function makeCounter(db: Kysely<unknown>, table: string): Promise<void> {
  const tries = sql.table(table)
  const bans = sql.table(`${table}_bans`)
  const before = sql.table(`${table}_bans_before`)
  const index = (name: string) => sql.ref(`${table}_${name}`)
  const statements = [
    // AUTOINCREMENT: ids rise for ever, so that "up to this one" and "all but the newest" can be said by id.
    sql`CREATE TABLE IF NOT EXISTS ${tries} (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, at INTEGER NOT NULL) STRICT`,
    sql`CREATE INDEX IF NOT EXISTS ${index('key')} ON ${tries} (key, id)`,
    sql`CREATE TABLE IF NOT EXISTS ${bans} (
      id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, began INTEGER NOT NULL, until INTEGER NOT NULL) STRICT`,
    sql`ALTER TABLE ${bans} RENAME TO ${before}`,
    sql`CREATE TABLE ${bans} (
      id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, began INTEGER NOT NULL, until INTEGER,
      source TEXT NOT NULL CHECK (source IN ('regulation', 'administrator')), reason TEXT) STRICT`,
    sql`INSERT INTO ${bans} SELECT id, key, began, until, 'regulation', NULL FROM ${before}`,
    sql`DROP TABLE ${before}`,
    sql`CREATE INDEX ${index('bans_until')} ON ${bans} (until)`,
  ]
  for (const statement of statements) await statement.execute(db)
}
