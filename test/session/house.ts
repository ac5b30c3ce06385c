import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { type Config, type CookieDomain, configSchema } from '../../src/config/schema.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import type { Found, SecondFactor, Session, Sessions, Started } from '../../src/session/session.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createAudit } from '../../src/telemetry/audit.ts'
import { temporaryFolder } from '../support/process.ts'

export const secret = 'the secret of these tests, and of no server'

/** Two cookie domains of one server; the second has a cookie of another name. */
function sessionConfig(wishes: Record<string, unknown> = {}): Config['session'] {
  return configSchema.shape.session.parse({
    secret,
    cookies: [
      { domain: 'example.com', authelia_url: 'https://auth.example.com' },
      { domain: 'example.org', authelia_url: 'https://auth.example.org', name: 'other', same_site: 'strict' },
    ],
    ...wishes,
  })
}

export interface House {
  readonly path: string
  readonly config: Config['session']
  readonly storage: Storage
  readonly sessions: Sessions
  readonly com: CookieDomain
  readonly org: CookieDomain
  /** What the clock says. */
  now: number
  events(name?: string): Record<string, unknown>[]
  logged(): string
  /** A connection of somebody who has the file, yet not the secret. */
  readonly intruder: DatabaseSync
}

export async function openHouse({
  path,
  wishes,
  now = Date.UTC(2026, 10, 24, 12),
}: {
  path?: string
  wishes?: Record<string, unknown>
  now?: number
} = {}): Promise<House> {
  const file = path ?? join(temporaryFolder(), 'db.sqlite3')
  const config = sessionConfig(wishes)
  const lines: string[] = []
  const log = pino({ level: 'trace', base: null }, { write: line => void lines.push(line) })
  const state = { now }
  const clock = () => state.now
  const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path: file } }, { log })
  const sessions = await openSessions({ config, storage, redis: null, clock, log, audit: createAudit(log) })
  const intruder = new DatabaseSync(file, { timeout: 2000 })
  onTestFinished(async () => {
    await sessions.close()
    await storage.close()
    if (intruder.isOpen) intruder.close()
  })
  const [com, org] = config.cookies
  if (com === undefined || org === undefined) throw new Error('two domains')
  const events = (name?: string) =>
    lines
      .map(line => JSON.parse(line) as Record<string, unknown>)
      .filter(({ event }) => event !== undefined && (name === undefined || event === name))
  return Object.assign(state, {
    path: file,
    config,
    storage,
    sessions,
    com,
    org,
    events,
    logged: () => lines.join(''),
    intruder,
  })
}

/** The Cookie header as a browser sends it. */
export const withCookies = (...pairs: string[]): string[] => ['Host', 'one.example.com', 'Cookie', pairs.join('; ')]
export const cookieOf = ({ cookie }: Started): string => `${cookie.name}=${cookie.value}`
export const bearing = (...started: Started[]): string[] => withCookies(...started.map(cookieOf))

export const push = (at: number): SecondFactor => ({ how: 'push', at, said: 'Success. Logging you in...' })
export const nobody: Found = { state: 'anonymous', ended: null }
export const over = (ended: 'inactive' | 'expired' | 'revoked'): Found => ({ state: 'anonymous', ended })
export const live = (session: Session): Found => ({ state: 'live', session })

export async function signIn(
  { sessions, com }: Pick<House, 'sessions' | 'com'>,
  username = 'alice',
  { remember = false, domain = com, replaces = null as Session | null, browser = 'Firefox on Linux' } = {},
): Promise<Started> {
  return sessions.start(domain, { username, credential: 'c', remember, browser, ip: '192.0.2.7' }, replaces)
}

export async function raised(sessions: Sessions, started: Started, at: number): Promise<Started> {
  const outcome = await sessions.raise(started.session, push(at))
  if (outcome === 'ended') throw new Error('it has ended')
  return outcome
}

/** The next turn of the event loop, in which other processes' writes are seen. */
export const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)))
