import type { FastifyBaseLogger } from 'fastify'

// As it ships: npm run build.
const dist = (path: string) => new URL(`../../dist/${path}`, import.meta.url).href
const { buildServer }: typeof import('../../src/server.ts') = await import(dist('server.js'))
const { loadConfig }: typeof import('../../src/config/load.ts') = await import(dist('config/load.js'))
const { openSessions }: typeof import('../../src/session/open-sessions.ts') = await import(
  dist('session/open-sessions.js')
)
const { openStorage }: typeof import('../../src/storage/open-storage.ts') = await import(
  dist('storage/open-storage.js')
)
const { createAudit }: typeof import('../../src/telemetry/audit.ts') = await import(dist('telemetry/audit.js'))
const { openUsers }: typeof import('../../src/users/open-users.ts') = await import(dist('users/open-users.js'))
const { openRegulation }: typeof import('../../src/users/regulation.ts') = await import(dist('users/regulation.js'))
const { sqliteCounters }: typeof import('../../src/users/sqlite-counter.ts') = await import(
  dist('users/sqlite-counter.js')
)

/**
 * The built server in this process, listening where its configuration says. Nobody signs in by hand here: the cookies of two people's sessions
 * come back, `name=value`. alice has given a password, bob a second factor too.
 */
export async function serveBuilt(configFile: string, log: FastifyBaseLogger): Promise<{ alice: string; bob: string }> {
  const loaded = await loadConfig(configFile, {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { config } = loaded
  const clock = Date.now
  const app = await buildServer(config, { log, clock })

  // Another connection to the same file, as another process of this machine would have.
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
  const [domain] = config.session.cookies
  if (domain === undefined) throw new Error('no cookie domain')
  const start = async (username: string) => {
    const credential = (await users.find(username))?.credential ?? ''
    const from = { browser: 'Firefox on Linux', ip: undefined }
    return sessions.start(domain, { username, credential, remember: false, ...from }, null)
  }
  const alice = await start('alice')
  const { session } = await start('bob')
  const bob = await sessions.raise(session, { how: 'push', at: clock(), said: 'Success. Logging you in...' })
  if (bob === 'ended') throw new Error('ended')
  await users.close()
  await sessions.close()
  await storage.close()

  if (config.server.address.kind !== 'tcp') throw new Error('tcp only')
  await app.listen({ host: '127.0.0.1', port: config.server.address.port })
  const pair = ({ cookie }: { cookie: { name: string; value: string } }) => `${cookie.name}=${cookie.value}`
  return { alice: pair(alice), bob: pair(bob) }
}
