import type { Kysely } from 'kysely'
import { dropTables, type Migration } from './migration.ts'

/** What the records say of themselves: which Postern they need, and which key what is secret in them was encrypted with. */
export const aboutTheRecords: Migration = {
  records: {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('postern_about')
        .addColumn('name', 'text', column => column.primaryKey())
        .addColumn('value', 'text', column => column.notNull())
        .execute()
    },
    down: db => dropTables(db, ['postern_about']),
  },
}
