// One contender in a process of its own: `contender.ts gate CONFIGURATION` or `contender.ts empty PORT`. Says `ready` and the cookie to send.
import Fastify from 'fastify'
import { pino } from 'pino'

const [, , kind, argument = ''] = process.argv
if (kind === 'gate') await gate(argument)
else await empty(Number(argument))

/** Postern as it is served, with a person who has given a password: SQLite, users file and all. */
async function gate(file: string): Promise<void> {
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
  const loaded = await loadConfig(file, {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { config } = loaded
  const log = pino({ level: 'info' })
  const clock = Date.now
  const app = await buildServer(config, { log, clock })

  const storage = await openStorage(config.storage, { log })
  const sessions = await openSessions({ config: config.session, storage, clock, log, audit: createAudit(log) })
  const users = await openUsers({
    config: config.authentication_backend,
    regulation: config.regulation,
    counters: storage.counters,
    clock,
    log,
  })
  const credentialOf = (username: string) => users.find(username)?.credential ?? ''
  const [domain] = config.session.cookies
  if (domain === undefined) throw new Error('no cookie domain')
  const { cookie } = await sessions.start(
    domain,
    { username: 'alice', credential: credentialOf('alice'), remember: false },
    null,
  )
  await users.close()
  await sessions.close()
  await storage.close()

  if (config.server.address.kind !== 'tcp') throw new Error('tcp only')
  await app.listen({ host: '127.0.0.1', port: config.server.address.port })
  console.log(`ready ${cookie.name}=${cookie.value}`)
}

/** What Fastify itself costs: the same answer, and nothing is asked. */
async function empty(port: number): Promise<void> {
  const app = Fastify()
  app.get('/api/authz/auth-request', (_request, reply) =>
    reply
      .headers({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-type': 'text/plain; charset=utf-8',
        'remote-user': 'alice',
        'remote-groups': 'staff',
        'remote-name': 'Alice Example',
        'remote-email': 'alice@example.com',
        cookie: '',
      })
      .send('200 OK'),
  )
  await app.listen({ host: '127.0.0.1', port })
  console.log('ready x=y')
}
