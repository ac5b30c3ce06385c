import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hash } from 'argon2'
import { pino } from 'pino'
import { z } from 'zod'
import { loadConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/schema.ts'
import { buildServer } from '../../../src/server.ts'
import { openSessions } from '../../../src/session/open-sessions.ts'
import { openStorage } from '../../../src/storage/open-storage.ts'
import { createAudit } from '../../../src/telemetry/audit.ts'
import { openUsers } from '../../../src/users/open-users.ts'
import { openRegulation } from '../../../src/users/regulation.ts'
import { sqliteCounters } from '../../../src/users/sqlite-counter.ts'
import { freePort, temporaryFolder } from '../../support/process.ts'

const setupSchema = z.strictObject({
  config: z.record(z.string(), z.unknown()),
  users: z.record(
    z.string(),
    z.strictObject({
      displayname: z.string(),
      password: z.string(),
      email: z.string().optional(),
      groups: z.array(z.string()).optional(),
    }),
  ),
  sessions: z.record(
    z.string(),
    z.strictObject({
      user: z.string(),
      level: z.union([z.literal(1), z.literal(2)]),
      domain: z.string(),
      passwordSecondsAgo: z.number().default(0),
      secondFactor: z
        .strictObject({ how: z.enum(['push', 'phone', 'passcode', 'duo-allow', 'failmode']), secondsAgo: z.number() })
        .default({ how: 'push', secondsAgo: 0 }),
    }),
  ),
})
const setup = setupSchema.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'setup.json'), 'utf8')))

export interface RunningTable {
  readonly port: number
  readonly config: Config
  /** The values of the session cookies, by the names of setup.json. */
  readonly cookies: ReadonlyMap<string, string>
}

/** The whole server in this process, with the people and the sessions of setup.json. @param over top-level sections in place of its own */
export async function runningTable(
  cleanup: (end: () => Promise<void> | void) => void,
  over: Record<string, unknown> = {},
): Promise<RunningTable> {
  const folder = temporaryFolder(cleanup)
  const file = (name: string) => join(folder, name)
  // JSON is YAML.
  writeFileSync(file('users.yml'), JSON.stringify({ users: await usersWithHashes() }))
  writeFileSync(
    file('configuration.yml'),
    JSON.stringify({
      authentication_backend: { file: { path: file('users.yml') } },
      storage: { encryption_key: 'a key of a test, long enough', local: { path: file('db.sqlite3') } },
      ...setup.config,
      ...over,
    }),
  )
  const loaded = await loadConfig(file('configuration.yml'), {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2))
  const { config } = loaded
  const log = pino({ level: 'silent' })
  const app = await buildServer(config, { log })
  cleanup(() => app.close())
  const port = await freePort()
  await app.listen({ host: '127.0.0.1', port })
  return { port, config, cookies: await sessionsOf(config) }
}

// Weak parameters: what is tested is what follows a right password.
const usersWithHashes = async () =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(setup.users).map(async ([name, user]) => [
        name,
        { ...user, password: await hash(user.password, { memoryCost: 1024, timeCost: 1, parallelism: 1 }) },
      ]),
    ),
  )

/** Made as another process on this machine would make them: in the same file. */
async function sessionsOf(config: Config): Promise<Map<string, string>> {
  const log = pino({ level: 'silent' })
  const now = Date.now()
  // It goes forward only, so the oldest session is made first.
  const inOrder = Object.entries(setup.sessions).sort(([, a], [, b]) => b.passwordSecondsAgo - a.passwordSecondsAgo)
  const momentOf = (secondsAgo: number) => now - secondsAgo * 1000
  let at = momentOf(inOrder[0]?.[1].passwordSecondsAgo ?? 0)
  const clock = () => at
  const storage = await openStorage(config.storage, { log })
  const sessions = await openSessions({
    config: config.session,
    storage,
    redis: null,
    clock,
    log,
    audit: createAudit(log),
  })
  const users = await openUsers({
    config: config.authentication_backend,
    regulation: openRegulation(sqliteCounters(storage, clock), config.regulation),
    clock,
    log,
  })
  const made = new Map<string, string>()
  for (const [name, { user, level, domain, passwordSecondsAgo, secondFactor }] of inOrder) {
    at = momentOf(passwordSecondsAgo)
    const cookieDomain = config.session.cookies.find(one => one.domain === domain)
    const credential = (await users.find(user))?.credential
    if (cookieDomain === undefined || credential === undefined) throw new Error(`no ${user} in ${domain}`)
    const login = { username: user, credential, remember: false, browser: 'Firefox on Linux', ip: undefined }
    const started = await sessions.start(cookieDomain, login, null)
    const factor = { how: secondFactor.how, at: momentOf(secondFactor.secondsAgo), said: '' }
    const raised = level === 1 ? started : await sessions.raise(started.session, factor)
    if (raised === 'ended') throw new Error('a session ended before it was raised')
    made.set(name, raised.cookie.value)
  }
  users.close()
  await sessions.close()
  await storage.close()
  return made
}
