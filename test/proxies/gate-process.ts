// The gate on real sessions and users in a process of its own, so that a test can stop it: `gate-process.ts CONFIGURATION`.
// Says where two people's sessions are: alice has given a password, bob a second factor too.
import Fastify from 'fastify'
import { pino } from 'pino'
import { compileAccess } from '../../src/access/access.ts'
import { loadConfig } from '../../src/config/load.ts'
import { gate } from '../../src/gate/gate.ts'
import { trustedProxies } from '../../src/http/client-address.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { createAudit } from '../../src/telemetry/audit.ts'
import { openUsers } from '../../src/users/open-users.ts'

const loaded = await loadConfig(process.argv[2] ?? '', {})
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
const { config } = loaded
const log = pino()
const clock = Date.now
const audit = createAudit(log)
const storage = await openStorage(config.storage, { log, clock })
const sessions = await openSessions({ config: config.session, storage, clock, log, audit })
const users = await openUsers({
  config: config.authentication_backend,
  regulation: config.regulation,
  counters: storage.counters,
  clock,
  log,
})
const [domain] = config.session.cookies
if (domain === undefined) throw new Error('no cookie domain')
const alice = await sessions.start(domain, { username: 'alice', remember: false }, null)
const bob = await sessions.raise((await sessions.start(domain, { username: 'bob', remember: false }, null)).session, {
  how: 'push',
  at: clock(),
  said: 'Success. Logging you in...',
})
if (bob === 'ended') throw new Error('ended')

const app = Fastify({ loggerInstance: log, trustProxy: false, keepAliveTimeout: 75_000 })
await app.register(gate, {
  sessions,
  users,
  access: compileAccess(config.access_control),
  cookies: config.session.cookies,
  proxies: trustedProxies(config.server.trusted_proxies),
  clock,
  log,
  audit,
})
// The portal's place: what a proxy passes on to it.
app.get('/', (request, reply) => reply.send({ portal: request.headers }))
const { address } = config.server
if (address.kind !== 'tcp') throw new Error('tcp only')
await app.listen({ host: '127.0.0.1', port: address.port })
const pair = ({ cookie }: { cookie: { name: string; value: string } }) => `${cookie.name}=${cookie.value}`
console.log(`cookies ${JSON.stringify({ alice: pair(alice), bob: pair(bob) })}`)
