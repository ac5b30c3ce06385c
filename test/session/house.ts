import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { redis as redisSchema } from '../../src/config/redis.ts'
import { type Config, type CookieDomain, configSchema } from '../../src/config/schema.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import type { Found, SecondFactor, Session, Sessions, Started } from '../../src/session/session.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { openRedis } from '../../src/storage/redis/open-redis.ts'
import type { Redis } from '../../src/storage/redis/redis.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createAudit } from '../../src/telemetry/audit.ts'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

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
  /** The SQLite file; with Redis nothing of it is used. */
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
  /** The same for Redis. */
  readonly redis: Redis | null
  /** How many the store has. */
  count(what: 'records' | 'stamps'): Promise<number>
  /** When it was active last, as the store has it. */
  stamp(session: Session): Promise<number>
  /** All that the store has, as text. */
  dump(): Promise<string>
  /** Another Postern on the same store. */
  another(wishes?: { wishes?: Record<string, unknown>; now?: number }): Promise<House>
  /** From then on the store fails. */
  stopStore(): Promise<void>
}

export async function openHouse({
  path,
  server,
  wishes,
  now = Date.UTC(2026, 10, 24, 12),
}: {
  path?: string
  /** Where its Redis listens; without it sessions are in the file. */
  server?: { readonly port: number; readonly timeout?: string } | undefined
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
  const redis =
    server === undefined
      ? null
      : await openRedis(redisSchema.parse({ host: '127.0.0.1', port: server.port, timeout: server.timeout ?? '1s' }), {
          clock,
          log,
        })
  const sessions = await openSessions({ config, storage, redis, clock, log, audit: createAudit(log) })
  const intruder = new DatabaseSync(file, { timeout: 2000 })
  onTestFinished(async () => {
    await sessions.close()
    await redis?.close()
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
    redis,
    ...(redis === null ? looksIntoFile(intruder) : looksIntoRedis(redis)),
    another: (other?: { wishes?: Record<string, unknown>; now?: number }) =>
      openHouse({ path: file, server, ...(wishes === undefined ? {} : { wishes }), now: state.now, ...other }),
    stopStore: () => (redis ?? storage).close(),
  })
}

type Looks = Pick<House, 'count' | 'stamp' | 'dump'>

function looksIntoFile(intruder: DatabaseSync): Looks {
  const tables = { records: 'postern_sessions', stamps: 'postern_session_activity' }
  return {
    count: async what => Number(intruder.prepare(`SELECT count(*) AS n FROM ${tables[what]}`).get()?.n),
    stamp: async ({ key }) =>
      Number(intruder.prepare('SELECT seen_at FROM postern_session_activity WHERE key = ?').get(key)?.seen_at),
    dump: async () =>
      JSON.stringify(
        ['postern_sessions', 'postern_session_activity'].map(table => intruder.prepare(`SELECT * FROM ${table}`).all()),
      ),
  }
}

function looksIntoRedis(redis: Redis): Looks {
  const beginnings = { records: 'session:{', stamps: 'session-seen:{' }
  const keys = async (beginning: string) => {
    const all = new Set<string>()
    for await (const some of redis.scan(beginning)) for (const key of some) all.add(key)
    return [...all].toSorted()
  }
  return {
    count: async what => (await keys(beginnings[what])).length,
    stamp: async ({ key }) => Number(await redis.command('GET', `session-seen:{${key}}`)),
    async dump() {
      const all = await keys('')
      const texts = all.filter(key => !/^(?:sessions-of|session-secrets)/.test(key))
      const values = await Promise.all(texts.map(key => redis.command('GET', key)))
      const members = all.filter(key => key.startsWith('sessions-of'))
      const indexes = await Promise.all(members.map(key => redis.command('ZRANGE', key, 0, -1)))
      return JSON.stringify([all, values, indexes])
    },
  }
}

/** The stores, each with how a test gets one of its own. */
export function stores(): readonly (readonly [string, (wishes?: Parameters<typeof openHouse>[0]) => Promise<House>])[] {
  let server: Promise<RedisServer> | undefined
  const cleanup = endsWithSuite()
  return [
    ['SQLite', openHouse],
    [
      'Redis',
      async wishes => {
        server ??= startRedis({ cleanup })
        const { port, ask } = await server
        if (wishes?.server === undefined) await ask('FLUSHALL')
        return openHouse({ server: { port }, ...wishes })
      },
    ],
  ]
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
