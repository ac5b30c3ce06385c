import type { Migration as KyselyMigration } from 'kysely/migration'
import { sessionsAndPushes } from './migrations/0001-sessions-and-pushes.ts'
import { whereSessionsBegan } from './migrations/0002-where-sessions-began.ts'
import { countersTables } from './migrations/0003-counters.ts'
import { logins } from './migrations/0004-logins.ts'
import type { Migration, Part } from './migrations/migration.ts'

const all: Readonly<Record<string, Migration>> = {
  '0001-sessions-and-pushes': sessionsAndPushes,
  '0002-where-sessions-began': whereSessionsBegan,
  '0003-counters': countersTables,
  '0004-logins': logins,
}

/** What a SQLite file goes through: it may hold everything. PostgreSQL holds records alone. */
export const sqliteMigrations = migrationsOf('machine', 'records')
export const postgresMigrations = migrationsOf('records')

function migrationsOf(...kinds: readonly ('machine' | 'records')[]): Readonly<Record<string, KyselyMigration>> {
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, migration]) => {
      const parts = kinds.flatMap(kind => migration[kind] ?? [])
      return parts.length === 0 ? [] : [[name, inOne(parts)]]
    }),
  )
}

function inOne(parts: readonly Part[]): KyselyMigration {
  return {
    async up(db) {
      for (const part of parts) await part.up(db)
    },
    async down(db) {
      for (const part of parts.toReversed()) await part.down(db)
    },
  }
}
