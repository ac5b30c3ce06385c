import type { Kysely } from 'kysely'
import { dropTables, type Migration } from './migration.ts'

/** Where a session began, and with which secrets the file was used. A version before this one reads and writes the table as it did. */
export const whereSessionsBegan: Migration = {
  machine: {
    up,
    async down(db) {
      await dropTables(db, ['postern_session_secrets'])
      for (const column of columns) await db.schema.alterTable('postern_sessions').dropColumn(column).execute()
    },
  },
}

const columns = ['browser', 'ip', 'origin_tag'] as const

async function up(db: Kysely<unknown>): Promise<void> {
  for (const column of columns) await db.schema.alterTable('postern_sessions').addColumn(column, 'text').execute()
  await db.schema
    .createTable('postern_session_secrets')
    .addColumn('fingerprint', 'text', column => column.primaryKey())
    .addColumn('seen_at', 'integer', column => column.notNull())
    .execute()
}
