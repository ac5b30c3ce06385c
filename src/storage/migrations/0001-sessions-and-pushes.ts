import { type Kysely, sql } from 'kysely'
import { dropTables, type Migration } from './migration.ts'

/** Sessions; and what is recorded of pushes, of the ways that people use, and of browsers that Duo remembers. */
export const sessionsAndPushes: Migration = {
  machine: {
    up: sessions,
    down: db => dropTables(db, ['postern_revoked_sessions', 'postern_session_activity', 'postern_sessions']),
  },
  records: {
    up: pushes,
    down: db =>
      dropTables(db, [
        'postern_remembered_browsers',
        'postern_factors_asked',
        'postern_push_guard',
        'postern_pushes',
        'postern_duo_devices',
      ]),
  },
}

async function sessions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('postern_sessions')
    .addColumn('key', 'text', column => column.primaryKey())
    .addColumn('username', 'text', column => column.notNull())
    .addColumn('credential', 'text', column => column.notNull())
    .addColumn('level', 'integer', column => column.notNull())
    .addColumn('cookie_domain', 'text', column => column.notNull())
    .addColumn('remember', 'integer', column => column.notNull())
    .addColumn('password_at', 'integer', column => column.notNull())
    .addColumn('second_factor', 'text')
    .addColumn('expires_at', 'integer', column => column.notNull())
    .addColumn('tag', 'text', column => column.notNull())
    .modifyEnd(sql`without rowid`)
    .execute()
  await db.schema.createIndex('postern_sessions_username').on('postern_sessions').column('username').execute()
  await db.schema.createIndex('postern_sessions_expires_at').on('postern_sessions').column('expires_at').execute()
  await db.schema
    .createTable('postern_session_activity')
    .addColumn('key', 'text', column => column.primaryKey().references('postern_sessions.key').onDelete('cascade'))
    .addColumn('seen_at', 'integer', column => column.notNull())
    .modifyEnd(sql`without rowid`)
    .execute()
  await db.schema
    .createTable('postern_revoked_sessions')
    .addColumn('key', 'text', column => column.primaryKey())
    .addColumn('expires_at', 'integer', column => column.notNull())
    .modifyEnd(sql`without rowid`)
    .execute()
  await db.schema
    .createIndex('postern_revoked_sessions_expires_at')
    .on('postern_revoked_sessions')
    .column('expires_at')
    .execute()
}

async function pushes(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('postern_duo_devices')
    .addColumn('username', 'text', column => column.primaryKey())
    .addColumn('device', 'text', column => column.notNull())
    .addColumn('method', 'text', column => column.notNull())
    .addColumn('name', 'text', column => column.notNull().defaultTo(''))
    .execute()
  await db.schema
    .createTable('postern_pushes')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('session_key', 'text', column => column.notNull())
    .addColumn('username', 'text', column => column.notNull())
    .addColumn('state', 'text', column => column.notNull())
    .addColumn('version', 'integer', column => column.notNull())
    .addColumn('lease_holder', 'text')
    .addColumn('lease_until', 'bigint')
    .addColumn('created_at', 'bigint', column => column.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('txid_hash', 'text', column => column.unique())
    .execute()
  // One push in flight a person, whatever process or session it came from.
  await db.schema
    .createIndex('postern_pushes_in_flight')
    .unique()
    .on('postern_pushes')
    .column('username')
    .where(sql.ref('ended_at'), 'is', null)
    .execute()
  await db.schema.createIndex('postern_pushes_lease_until').on('postern_pushes').column('lease_until').execute()
  await db.schema
    .createIndex('postern_pushes_session_key')
    .on('postern_pushes')
    .columns(['session_key', 'created_at'])
    .execute()
  await db.schema.createIndex('postern_pushes_username').on('postern_pushes').column('username').execute()
  await db.schema.createIndex('postern_pushes_ended_at').on('postern_pushes').column('ended_at').execute()
  await db.schema
    .createTable('postern_push_guard')
    .addColumn('username', 'text', column => column.primaryKey())
    .addColumn('denials', 'integer', column => column.notNull())
    .addColumn('not_before', 'bigint', column => column.notNull())
    .addColumn('locked_until', 'bigint', column => column.notNull())
    .addColumn('refusals_seen_at', 'bigint', column => column.notNull().defaultTo(0))
    .execute()
  await db.schema
    .createTable('postern_factors_asked')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('username', 'text', column => column.notNull())
    .addColumn('session_key', 'text', column => column.notNull())
    .addColumn('kind', 'text', column => column.notNull())
    .addColumn('network', 'text')
    .addColumn('at', 'bigint', column => column.notNull())
    .addColumn('spent', 'integer', column => column.notNull())
    .execute()
  for (const column of ['username', 'network'])
    await db.schema
      .createIndex(`postern_factors_asked_${column}`)
      .on('postern_factors_asked')
      .columns([column, 'at'])
      .execute()
  await db.schema.createIndex('postern_factors_asked_at').on('postern_factors_asked').column('at').execute()
  await db.schema
    .createIndex('postern_factors_asked_session_key')
    .on('postern_factors_asked')
    .column('session_key')
    .execute()
  await db.schema
    .createTable('postern_remembered_browsers')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('username', 'text', column => column.notNull())
    .addColumn('push_id', 'text', column => column.notNull().unique())
    .addColumn('cookie_hash', 'text', column => column.unique())
    .addColumn('browser', 'text', column => column.notNull())
    .addColumn('token', 'text', column => column.notNull())
    .addColumn('created_at', 'bigint', column => column.notNull())
    .execute()
  await db.schema
    .createIndex('postern_remembered_browsers_username')
    .on('postern_remembered_browsers')
    .column('username')
    .execute()
}
