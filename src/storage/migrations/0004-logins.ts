import type { Kysely } from 'kysely'
import { dropTables, type Migration } from './migration.ts'

/** What people did at the portal lately, to be shown to them. */
export const logins: Migration = {
  records: { up, down: db => dropTables(db, ['postern_logins']) },
}

async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('postern_logins')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('username', 'text', column => column.notNull())
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('ip', 'text')
    .addColumn('browser', 'text', column => column.notNull())
    .addColumn('outcome', 'text', column => column.notNull())
    .addColumn('factor', 'text', column => column.notNull())
    .execute()
  await db.schema.createIndex('postern_logins_username').on('postern_logins').columns(['username', 'at']).execute()
  await db.schema.createIndex('postern_logins_at').on('postern_logins').column('at').execute()
}
