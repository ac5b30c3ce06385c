import { printable } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import type { SeenSession, Session } from '../session/session.ts'
import { whoseName } from '../users/whose-name.ts'
import { columns } from './columns.ts'
import { refused, withStores } from './stores.ts'

interface Options {
  readonly config: string
  readonly user?: string
}

const LISTED_AT_MOST = 1000
// Of the key, which is the hash of an id: it lets nobody in. The prefix keeps a key that begins with a dash from looking like an option.
const SHOWN = 10
const idOf = ({ key }: Pick<Session, 'key'>) => `s_${key.slice(0, SHOWN)}`
const idShape = /^s_([\w-]{4,43})$/

/** Prints live sessions, of one person or of everybody. Resolves with the exit code: 1 when it could not. */
export async function listSessions(options: Options & { readonly json?: boolean }): Promise<number> {
  return withStores(options, async ({ sessions, config }) => {
    const all =
      options.user === undefined
        ? await sessions.listAll(LISTED_AT_MOST + 1)
        : await sessions.list(await personOf(options.user, config))
    const shown = all.slice(0, LISTED_AT_MOST)
    if (options.json === true) console.log(JSON.stringify(shown.map(asData), undefined, 2))
    else for (const line of asTable(shown)) console.log(line)
    if (all.length > shown.length) console.error(`postern: there are more than the ${LISTED_AT_MOST} that are shown.`)
    return 0
  })
}

/**
 * Ends one session by what `list` shows, all of a person, or all of everybody: from the next request on, in every process. 1 when there is
 * no such session.
 */
export async function revokeSessions(
  id: string | undefined,
  options: Options & { readonly all?: boolean },
): Promise<number> {
  if ([id, options.user, options.all].filter(given => given !== undefined).length !== 1)
    return refused('say which: a session as `postern sessions list` shows it, --user NAME, or --all.')
  const prefix = id === undefined ? undefined : idShape.exec(id)?.[1]
  if (id !== undefined && prefix === undefined)
    return refused(`${printable(id)} is no session: \`postern sessions list\` shows them, such as s_6kQpN2vXbA.`)
  return withStores(options, async ({ sessions, config, audit }) => {
    if (prefix !== undefined) {
      const [found, ...others] = await sessions.withKeyPrefix(prefix)
      if (found === undefined) return refused(`there is no session ${id}: it may have ended.`)
      if (others.length > 0) return refused(`more than one session begins with ${id}: write more of it.`)
      const { session } = found
      await sessions.end(session)
      audit('session.revoked', { username: session.username, count: 1, reason: 'one' })
      console.log(`The session of ${printable(session.username)} (${session.browser}) was ended.`)
      return 0
    }
    if (options.user !== undefined) {
      const username = await personOf(options.user, config)
      const count = await sessions.endAllOf(username)
      if (count > 0) audit('session.revoked', { username, count, reason: 'user' })
      console.log(count === 0 ? `${printable(username)} has no session.` : ended(count))
      return 0
    }
    const count = await sessions.endAll()
    if (count > 0) audit('session.revoked', { count, reason: 'all' })
    console.log(count === 0 ? 'Nobody is signed in.' : ended(count))
    return 0
  })
}

const ended = (count: number) => `${count} ${count === 1 ? 'session was' : 'sessions were'} ended.`

/** The name that sessions are kept under; as it was typed where nobody has it now, or that cannot be found out. */
async function personOf(typed: string, config: Config): Promise<string> {
  try {
    const { username } = await whoseName(config.authentication_backend, typed, Date.now)
    if (username === undefined) console.error(`postern: nobody is named ${printable(typed)} now.`)
    return username ?? typed
  } catch (error) {
    // Sessions must be ended also while the directory is down.
    const why = error instanceof Error ? error.message : String(error)
    console.error(`postern: ${printable(typed)} is taken as it is written. ${why}`)
    return typed
  }
}

function asData({ session, seenAt }: SeenSession): unknown {
  const { username, level, browser, ip, cookieDomain, remember, passwordAt, secondFactor, expiresAt } = session
  return {
    session: idOf(session),
    user: username,
    level,
    second_factor: secondFactor?.how ?? null,
    browser,
    ip: ip ?? null,
    cookie_domain: cookieDomain,
    remembered: remember,
    began: iso(passwordAt),
    seen: iso(seenAt),
    ends: iso(expiresAt),
  }
}

function asTable(sessions: readonly SeenSession[]): string[] {
  if (sessions.length === 0) return ['Nobody is signed in.']
  return columns([
    ['SESSION', 'USER', 'LEVEL', 'BROWSER', 'ADDRESS', 'BEGAN', 'SEEN', 'ENDS'],
    ...sessions.map(({ session, seenAt }) => [
      idOf(session),
      session.username,
      String(session.level),
      session.browser,
      session.ip ?? '-',
      iso(session.passwordAt),
      iso(seenAt),
      iso(session.expiresAt),
    ]),
  ])
}

const iso = (at: number) => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
