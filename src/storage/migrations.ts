import type { Kysely } from 'kysely'
import type { Migration as KyselyMigration } from 'kysely/migration'
import { sessionsAndPushes } from './migrations/0001-sessions-and-pushes.ts'
import { whereSessionsBegan } from './migrations/0002-where-sessions-began.ts'
import { countersTables } from './migrations/0003-counters.ts'
import { logins } from './migrations/0004-logins.ts'
import { aboutTheRecords } from './migrations/0005-about-the-records.ts'
import type { Migration, Part } from './migrations/migration.ts'
import type { Tables } from './tables.ts'

const all: Readonly<Record<string, Migration>> = {
  '0001-sessions-and-pushes': sessionsAndPushes,
  '0002-where-sessions-began': whereSessionsBegan,
  '0003-counters': countersTables,
  '0004-logins': logins,
  '0005-about-the-records': aboutTheRecords,
}

export type Migrations = Readonly<Record<string, KyselyMigration>>

/** What a SQLite file goes through: it may hold everything. PostgreSQL holds records alone. */
export const sqliteMigrations = migrationsOf(all, 'machine', 'records')
export const postgresMigrations = migrationsOf(all, 'records')

export function migrationsOf(
  migrations: Readonly<Record<string, Migration>>,
  ...kinds: readonly ('machine' | 'records')[]
): Migrations {
  let needs: string | null = null
  return Object.fromEntries(
    Object.entries(migrations).flatMap(([name, migration]) => {
      const parts = kinds.flatMap(kind => migration[kind] ?? [])
      if (parts.length === 0) return []
      if (!migration.breaking) return [[name, inOne(parts)]]
      const before = needs
      needs = name
      return [[name, inOne([...parts, marking(name, before)])]]
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

/** Which migration a Postern must know to work with what it finds: the last that was breaking. */
export const NEEDS = 'needs-migration'

function marking(name: string, before: string | null): Part {
  const put = async (db: Kysely<unknown>, value: string | null) => {
    const about = db.$extendTables<Pick<Tables, 'postern_about'>>()
    await about.deleteFrom('postern_about').where('name', '=', NEEDS).execute()
    if (value !== null) await about.insertInto('postern_about').values({ name: NEEDS, value }).execute()
  }
  return { up: db => put(db, name), down: db => put(db, before) }
}
