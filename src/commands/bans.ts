import { parseDuration } from '../config/duration.ts'
import { printable } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { networkOf } from '../http/client-address.ts'
import { untilField } from '../telemetry/audit.ts'
import { openBans, type SeenBan, type Whom } from '../users/bans.ts'
import { isPlausibleName } from '../users/names.ts'
import { openCounters } from '../users/regulation.ts'
import { whoseName } from '../users/whose-name.ts'
import { columns } from './columns.ts'
import { refused, withStores } from './stores.ts'

interface Options {
  readonly config: string
}

const LISTED_AT_MOST = 1000
const REASON_AT_MOST = 200

/** Prints the bans in force, regulation's and administrators'. Resolves with the exit code, as the others here: 1 when it could not. */
export async function listBans(options: Options & { readonly json?: boolean }): Promise<number> {
  return withStores(options, async ({ counters, config }) => {
    const bans = await openBans(openCounters(counters, config.regulation)).list(LISTED_AT_MOST)
    if (options.json === true) console.log(JSON.stringify(bans.map(asData), undefined, 2))
    else for (const line of asTable(bans)) console.log(line)
    return 0
  })
}

/** Bans a person or an address. A person's sessions end, in every process. */
export async function addBan(
  name: string,
  options: Options & { readonly duration: string; readonly reason?: string },
): Promise<number> {
  const lasts = options.duration === 'permanent' ? null : parseDuration(options.duration)
  if (lasts === undefined || lasts === 0)
    return refused(`${options.duration} is no duration such as 1h, 1d or permanent.`)
  const reason = options.reason ?? null
  if (reason !== null && (reason === '' || reason.length > REASON_AT_MOST || reason !== printable(reason)))
    return refused(`A reason is one line of up to ${REASON_AT_MOST} characters.`)
  return withStores(options, async stores => {
    const { config, counters, sessions, audit } = stores
    const whom = await whomOf(name, config)
    if (whom === undefined) return refused(`${printable(name)} is neither a name nor an address.`)
    const until = lasts === null ? null : Date.now() + lasts
    await openBans(openCounters(counters, config.regulation)).add(whom, { until, reason })
    const detail = reason === null ? {} : { detail: reason }
    audit('ban.added', { ...fieldsOf(whom), ...untilField(until), ...detail })
    const end = until === null ? 'until it is lifted' : `until ${new Date(until).toISOString()}`
    console.log(`${shownName(whom)} is banned ${end}.`)
    if (whom.kind === 'address') return 0
    // After the ban: whoever signs in meanwhile is found out by one of the two.
    const count = await sessions.endAllOf(whom.username)
    if (count > 0) {
      audit('session.revoked', { username: whom.username, count, reason: 'banned' })
      console.log(`${count} ${count === 1 ? 'session was' : 'sessions were'} ended.`)
    }
    return 0
  })
}

/** Lifts the ban of a person (of passwords, in whatever spelling, and of passcodes) or an address. 1 when there was none. */
export async function revokeBan(name: string, options: Options): Promise<number> {
  return withStores(options, async ({ config, counters, audit }) => {
    const whom = await whomOf(name, config)
    if (whom === undefined) return refused(`${printable(name)} is neither a name nor an address.`)
    if (!(await openBans(openCounters(counters, config.regulation)).revoke(whom)))
      return refused(`${shownName(whom)} is not banned.`)
    audit('ban.lifted', fieldsOf(whom))
    console.log(`${shownName(whom)} is not banned any more.`)
    return 0
  })
}

/** Undefined: it can be neither a name nor an address. */
async function whomOf(name: string, config: Config): Promise<Whom | undefined> {
  // An IPv6 network as `list` shows it.
  const network = networkOf(name.replace(/::\/64$/, '::'))
  if (network !== null) return { kind: 'address', network }
  if (!isPlausibleName(name)) return undefined
  try {
    const { username, counted } = await whoseName(config.authentication_backend, name, Date.now)
    if (username === undefined) console.error(`postern: nobody is named ${printable(name)} now.`)
    return { kind: 'user', username: username ?? name, typed: [name, username ?? name].map(counted) }
  } catch (error) {
    // A ban must be possible while the directory is down.
    const why = error instanceof Error ? error.message : String(error)
    console.error(`postern: ${printable(name)} is taken as it is written. ${why}`)
    return { kind: 'user', username: name, typed: [name] }
  }
}

const shownName = (whom: Whom): string => (whom.kind === 'user' ? whom.username : whom.network)

const fieldsOf = (whom: Whom) => (whom.kind === 'user' ? { username: whom.username } : { ip: whom.network })

function asData({ began, until, ...ban }: SeenBan): unknown {
  return {
    ...ban,
    began: new Date(began).toISOString(),
    until: until === null ? null : new Date(until).toISOString(),
  }
}

function asTable(bans: readonly SeenBan[]): string[] {
  if (bans.length === 0) return ['Nobody is banned.']
  return columns([
    ['WHO', 'STOPS', 'SINCE', 'UNTIL', 'BY', 'REASON'],
    ...bans.map(({ kind, name, stops, began, until, by, reason }) => [
      name === null ? '(a name that nobody has)' : kind === 'user' ? name : `${name} (address)`,
      stops,
      new Date(began).toISOString(),
      until === null ? 'lifted' : new Date(until).toISOString(),
      by,
      reason ?? '',
    ]),
  ])
}
