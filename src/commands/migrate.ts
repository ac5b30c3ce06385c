import { pino } from 'pino'
import { executedIn, migrateTo, planned, type Step, stepsTo, type Target } from '../storage/migrate.ts'
import { sqliteMigrations } from '../storage/migrations.ts'
import { openPlaces, type Place } from '../storage/places.ts'
import { StorageProblem } from '../storage/storage-problem.ts'
import { loadForStores, refused } from './stores.ts'

interface Options {
  readonly config: string
  readonly to?: string | undefined
  readonly down?: boolean | undefined
  readonly dryRun?: boolean | undefined
}

const names = Object.keys(sqliteMigrations)

/**
 * Brings the tables of all databases of this configuration up to date, or back. Resolves with the exit code: 1 when it could not be done; then
 * the database that is named last is as it was.
 */
export async function migrate({ config: file, to, down = false, dryRun = false }: Options): Promise<number> {
  const config = await loadForStores(file)
  if (config === null) return 1
  const { storage, session } = config
  if (down && to !== undefined) return refused('Either --to or --down.')
  const named = to === undefined || to === 'latest' || to === 'none' ? to : nameOf(to)
  if (named === undefined && to !== undefined)
    return refused(`There is no migration ${to}. There are: ${names.join(', ')}; latest and none.`)
  let places: readonly Place[]
  try {
    places = await openPlaces(storage, {
      log: pino({ level: 'silent' }),
      machine: session.redis === undefined,
      make: !dryRun,
    })
  } catch (error) {
    return told(error)
  }
  try {
    const target = down ? await stepBack(places) : targetOf(named ?? 'latest')
    for (const place of places) await inPlace(place, target, dryRun)
    return 0
  } catch (error) {
    return told(error)
  } finally {
    for (const place of places) await place.close()
  }
}

/** A whole name, or its number. */
const nameOf = (text: string) =>
  names.find(name => name === text || (/^\d{1,4}$/.test(text) && name.startsWith(`${text.padStart(4, '0')}-`)))

const targetOf = (name: string): Target => (name === 'latest' || name === 'none' ? name : { to: name })

/** To before the newest that has run in any of them: where it is of this machine alone, PostgreSQL stays as it is. */
async function stepBack(places: readonly Place[]): Promise<Target> {
  const run = await Promise.all(places.map(executed))
  const newest = run.flat().toSorted().at(-1)
  return newest === undefined ? 'none' : targetOf(names[names.indexOf(newest) - 1] ?? 'none')
}

async function executed({ migrated, problemOf }: Place): Promise<string[]> {
  try {
    return migrated === null ? [] : await executedIn(migrated)
  } catch (error) {
    throw problemOf(error)
  }
}

async function inPlace(place: Place, target: Target, dryRun: boolean): Promise<void> {
  const { migrated, name, problemOf } = place
  console.log(name)
  const before = await executed(place)
  const known = migrated === null ? names : Object.keys(migrated.migrations)
  let steps: readonly Step[]
  try {
    steps = migrated === null ? stepsTo(target, [], known) : await planned(migrated, target)
    if (migrated !== null && !dryRun && steps.length > 0) steps = await migrateTo(migrated, target)
  } catch (error) {
    throw problemOf(error)
  }
  for (const one of known) console.log(`  ${one.padEnd(32)} ${stateOf(one, before, steps, dryRun)}`)
  for (const one of before) if (!known.includes(one)) console.log(`  ${one.padEnd(32)} is there, of a newer Postern`)
}

function stateOf(name: string, before: readonly string[], steps: readonly Step[], dryRun: boolean): string {
  const step = steps.find(one => one.name === name)
  if (step === undefined) return before.includes(name) ? 'is there' : 'is not there'
  if (step.direction === 'up') return dryRun ? 'would be made' : 'made'
  return dryRun ? 'would be taken back, with what is in it' : 'taken back'
}

function told(error: unknown): number {
  if (!(error instanceof StorageProblem)) throw error
  return refused(`${error.message}. ${error.mend}`)
}
