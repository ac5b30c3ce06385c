import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { request } from 'undici'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { buildServer } from '../server.ts'
import { startSimulator } from '../simulator/simulator.ts'
import { createLog } from '../telemetry/log.ts'
import { sampleApps } from './demo/apps.tsx'
import { DEMO_PASSWORD, type DuoKeys, writeConfiguration } from './demo/configuration.ts'
import { startNginx } from './demo/nginx.ts'
import { type Behind, type Hosts, smallProxy } from './demo/small-proxy.ts'
import { demoUsers } from './simulator.ts'

/**
 * Runs the whole on this machine behind one port: Postern, the Duo simulator with its phone (or the real Duo, with its keys in the
 * environment), two sample apps, and a reverse proxy. Ends whole on SIGINT or SIGTERM. Resolves with the exit code.
 */
export async function demo({ port }: { port: number }): Promise<number> {
  const ends: (() => unknown)[] = []
  const endAll = async () => {
    for (const end of ends.toReversed()) await end()
  }
  const signalled = new Promise<void>(resolve => {
    process.on('SIGINT', () => resolve())
    process.on('SIGTERM', () => resolve())
  })
  try {
    await start(port, end => ends.push(end))
    await signalled
    return 0
  } catch (error) {
    console.error(`postern demo: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  } finally {
    await endAll()
  }
}

async function start(port: number, atEnd: (end: () => unknown) => void): Promise<void> {
  const at = (name: string) => `${name}.postern.localhost${port === 80 ? '' : `:${port}`}`
  await requireFree(port)
  const hosts = { portal: at('auth'), apps: { one: at('one'), two: at('two') }, phone: at('phone') }

  const folder = await mkdtemp(join(tmpdir(), 'postern-demo-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))

  const real = realDuo(process.env)
  const simulated = real === null ? await simulatedDuo(atEnd) : null
  const duo = real ?? simulated?.keys
  if (duo === undefined) throw new Error('no Duo to ask')

  const apps = sampleApps(`http://${hosts.portal}`)
  atEnd(() => apps.close())
  const appsUrl = await listenOnLoopback(apps)

  const configFile = await writeConfiguration(folder, hosts, 'tcp://127.0.0.1:0/', duo)
  const loaded = await loadConfig(configFile, {})
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  const server = await buildServer(loaded.config, { log: createLog(loaded.config.log) })
  atEnd(() => server.close())
  const posternUrl = await listenOnLoopback(server)

  const behind = { postern: posternUrl, apps: appsUrl, phone: simulated?.phoneUrl ?? null }
  const proxy = await startProxy(folder, port, { ...hosts, apps: Object.values(hosts.apps) }, behind, atEnd)
  await answers(`http://127.0.0.1:${port}/`, hosts.portal)

  console.log(`
Postern's demo, behind ${proxy}.
Everything is on this machine and nothing is protected. The log: ${join(folder, 'postern.log')}

  http://${hosts.apps.one}   an app that wants a password
  http://${hosts.apps.two}   an app that wants an approval on the phone too
  http://${hosts.portal}  the portal
${
  simulated === null
    ? `  The second factor is the real Duo at ${duo.hostname}: alice and bob must be users (or aliases) there.`
    : `  http://${hosts.phone} the phone, where you approve`
}

  alice has one phone, bob has two devices. The password of both is ${DEMO_PASSWORD}
`)
  console.log('ready')
}

/** Without this, whatever else answers on the port would be taken for the demo. */
async function requireFree(port: number): Promise<void> {
  const server = createServer()
  try {
    await once(server.listen({ host: '127.0.0.1', port }), 'listening')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const why = code === 'EADDRINUSE' ? 'something else listens on it' : `this user may not listen on it (${code})`
    throw new Error(`port ${port} cannot be had: ${why}. Choose another: --port N`, { cause: error })
  }
  server.close()
  await once(server, 'close')
}

async function simulatedDuo(atEnd: (end: () => unknown) => void): Promise<{ keys: DuoKeys; phoneUrl: string }> {
  const integrationKey = 'DIDEMO00000000000001'
  const secretKey = randomBytes(20).toString('hex')
  const simulator = await startSimulator({ integrationKey, secretKey, users: demoUsers })
  atEnd(() => simulator.close())
  const keys = { hostname: `localhost:${simulator.apiPort}`, integrationKey, secretKey, ca: simulator.ca }
  return { keys, phoneUrl: `http://127.0.0.1:${simulator.phonePort}` }
}

/** The keys of a real Duo application, when the environment holds them. */
function realDuo(env: NodeJS.ProcessEnv): DuoKeys | null {
  const read = (name: string) => env[`POSTERN_DUO_API_${name}`] ?? env[`AUTHELIA_DUO_API_${name}`]
  const [hostname, integrationKey, secretKey] = [read('HOSTNAME'), read('INTEGRATION_KEY'), read('SECRET_KEY')]
  const given = [hostname, integrationKey, secretKey].filter(value => value !== undefined)
  if (given.length === 0) return null
  if (hostname === undefined || integrationKey === undefined || secretKey === undefined)
    throw new Error(
      'to use the real Duo, give all three: POSTERN_DUO_API_HOSTNAME, POSTERN_DUO_API_INTEGRATION_KEY, POSTERN_DUO_API_SECRET_KEY',
    )
  return { hostname, integrationKey, secretKey, ca: null }
}

/** Starts nginx, or the small proxy where it is not to be had. Says which. */
async function startProxy(
  folder: string,
  port: number,
  hosts: Hosts,
  behind: Behind,
  atEnd: (end: () => unknown) => void,
): Promise<string> {
  const nginx = await startNginx(folder, port, hosts, behind)
  if (nginx !== null) {
    atEnd(() => nginx.stop())
    return `nginx (${nginx.program})`
  }
  const proxy = await smallProxy(hosts, behind)
  atEnd(() => proxy.close())
  await proxy.listen({ host: '127.0.0.1', port })
  return 'a small proxy of its own, since nginx is not installed'
}

async function listenOnLoopback(app: FastifyInstance): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** Rejects unless the portal answers through the proxy. */
async function answers(url: string, host: string): Promise<void> {
  const { statusCode, body } = await request(url, { headers: { host, accept: 'text/html' } })
  await body.dump()
  if (statusCode !== 200) throw new Error(`the portal answers ${statusCode} through the proxy`)
}
