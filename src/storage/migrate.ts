import { type Kysely, sql } from 'kysely'
import { Migrator, NO_MIGRATIONS } from 'kysely/migration'
import { type Migrations, NEEDS } from './migrations.ts'
import { StorageProblem } from './storage-problem.ts'
import type { Tables } from './tables.ts'

const TABLE = 'postern_migrations'

/** A database that migrations are for. */
export interface Migrated {
  readonly db: Kysely<Tables>
  readonly migrations: Migrations
  /** Of PostgreSQL: made when it is missing. */
  readonly schema?: string
  /** For messages. */
  readonly name: string
}

export interface Step {
  readonly name: string
  readonly direction: 'up' | 'down'
}

/** Where to: up to a migration and no further, up to the newest, or back to before the first. */
export type Target = { readonly to: string } | 'latest' | 'none'

/** What has run, by what is known: `newer` has what this program lacks, `beside` too, but it may work with it. */
export type Standing = 'ours' | 'beside' | 'newer'

/** @param needs the last migration that was breaking, as the database has it; null when there was none, or it cannot tell */
export function standing(executed: readonly string[], needs: string | null, migrations: Migrations): Standing {
  const known = Object.keys(migrations)
  if (executed.every(name => known.includes(name))) return 'ours'
  const isWhole = known.every(name => executed.includes(name))
  return isWhole && (needs === null || known.includes(needs)) ? 'beside' : 'newer'
}

/**
 * Runs what has not run yet, whole or not at all; of several that start at once, one does and the others wait.
 * @returns the newest migration that this program does not know, where a newer Postern was here that it can work beside
 * @throws {StorageProblem} where it cannot: nothing is changed
 */
export async function bringUpToDate(
  place: Migrated,
): Promise<{ readonly steps: readonly Step[]; readonly newer?: string }> {
  const before = await newerIn(place)
  if (before !== undefined) return { steps: [], newer: before }
  try {
    return { steps: await migrateTo(place, 'latest') }
  } catch (error) {
    // A newer one may have been faster.
    const after = await newerIn(place)
    if (after === undefined) throw error
    return { steps: [], newer: after }
  }
}

async function newerIn({ db, migrations, schema, name }: Migrated): Promise<string | undefined> {
  const executed = await executedIn({ db, schema })
  const needs = executed.some(one => !Object.hasOwn(migrations, one)) ? await neededBy(db) : null
  const found = standing(executed, needs, migrations)
  if (found === 'ours') return undefined
  const newest = executed.findLast(one => !Object.hasOwn(migrations, one))
  if (found === 'newer') throw new StorageProblem('storage-newer', `${name} has been through ${newest}`)
  return newest
}

async function neededBy(db: Kysely<Tables>): Promise<string | null> {
  const row = await db.selectFrom('postern_about').select('value').where('name', '=', NEEDS).executeTakeFirst()
  return row?.value ?? null
}

/** Names of what has run, in order. */
export async function executedIn({
  db,
  schema,
}: {
  db: Kysely<Tables>
  schema?: string | undefined
}): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(table => table.name === TABLE && (schema === undefined || table.schema === schema))) return []
  const table = schema === undefined ? sql.table(TABLE) : sql.table(`${schema}.${TABLE}`)
  const { rows } = await sql<{ name: string }>`select name from ${table} order by name`.execute(db)
  return rows.map(({ name }) => name)
}

/** What `migrateTo` would do. @throws {StorageProblem} where a newer Postern was here: only that one can take its changes back */
export async function planned(place: Migrated, target: Target): Promise<Step[]> {
  const newer = await newerIn(place)
  if (newer !== undefined && target === 'latest') return []
  if (newer !== undefined) throw new StorageProblem('storage-newer', `${place.name} has been through ${newer}`)
  return stepsTo(target, await executedIn(place), Object.keys(place.migrations))
}

/** From what has run to where it should be: back first, then ahead. */
export function stepsTo(target: Target, executed: readonly string[], known: readonly string[]): Step[] {
  const wanted = known.filter(name => target === 'latest' || (target !== 'none' && name <= target.to))
  return [
    ...executed
      .filter(name => !wanted.includes(name))
      .toReversed()
      .map(name => ({ name, direction: 'down' as const })),
    ...wanted.filter(name => !executed.includes(name)).map(name => ({ name, direction: 'up' as const })),
  ]
}

/** All of it in one transaction. Resolves with what was done. @throws what the database said, or that a newer Postern was here */
export async function migrateTo(place: Migrated, target: Target): Promise<Step[]> {
  const { db, migrations, schema } = place
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
    migrationTableName: TABLE,
    migrationLockTableName: 'postern_migration_lock',
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  })
  // A database that lacks some of the migrations (PostgreSQL has those of records alone) goes to the last before that name.
  const last =
    target === 'latest' ? target : Object.keys(migrations).findLast(name => target !== 'none' && name <= target.to)
  const { error, results = [] } =
    last === 'latest' ? await migrator.migrateToLatest() : await migrator.migrateTo(last ?? NO_MIGRATIONS)
  if (error !== undefined) throw error
  return results.map(({ migrationName, direction }) => ({
    name: migrationName,
    direction: direction === 'Up' ? 'up' : 'down',
  }))
}
