import { readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import Fastify from 'fastify'
import { request } from 'undici'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { duoKeys, password, type Setup, setUp } from '../support/postern.ts'
import { startPostgres } from '../support/postgres.ts'
import { type Cleanup, freePort, freeze, node, projectRoot, type Running, start } from '../support/process.ts'
import { startProxy } from '../support/proxies.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

/** One of several Posterns, as it ships: `dist/main.js serve`. */
export interface Member extends Running {
  readonly url: string
  /** Runs a command of `postern` with this one's configuration. Resolves with its exit code. */
  command(...args: string[]): Promise<number | string>
  signal(name: NodeJS.Signals): void
  freeze(): void
  /** Names of the events in its log. */
  events(): string[]
}

export interface Cluster {
  /** Those that were started first; in the order of `start`. */
  readonly members: readonly Member[]
  /** Once more, after it ended. */
  start(at: number): Promise<Member>
  readonly redis: RedisServer
  readonly simulator: Simulator
  /** nginx: one request here, the next one there. */
  readonly balancer: string
  /** `auth.postern.localhost:40123` */
  host(name: string): string
  /** A browser that nobody has signed in with. */
  browser(): Browser
}

export interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly body: string
}

/** A browser without script: it keeps cookies and the form that it was shown, follows no redirect, and speaks to whichever Postern the test says. */
export interface Browser {
  /** @param to a Postern's own address; by default the balancer's */
  get(url: string, to?: string): Promise<Answer>
  post(path: string, fields?: Record<string, string>, to?: string): Promise<Answer>
  api(path: string, body: object, to?: string): Promise<Answer>
  signIn(username: string, to?: string): Promise<void>
  readonly cookies: Map<string, string>
}

const phone = (username: string) => ({
  username,
  devices: [
    {
      id: `DP${username.toUpperCase()}`,
      name: `${username}’s phone`,
      number: '+15550100',
      capabilities: ['push' as const],
    },
  ],
})
const people = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'] as const

/** Several Posterns with nothing in common but Redis and PostgreSQL, behind a real balancer that knows no sticky sessions, and Duo beside them. */
export async function startCluster(size: number, cleanup: Cleanup): Promise<Cluster> {
  const [redis, postgres] = await Promise.all([startRedis({ cleanup }), startPostgres(cleanup)])
  const { address, database, username, password: secret } = await postgres.database()
  const records = { address: `tcp://${address.host}:${address.port}`, database, username, password: secret }
  const simulator = await startSimulator({ ...duoKeys, clock: Date.now, users: people.map(phone) })
  cleanup(() => simulator.close())
  const app = Fastify()
  app.all('/*', (incoming, reply) => reply.send(`user: ${incoming.headers['remote-user']}`))
  await app.listen({ host: '127.0.0.1', port: 0 })
  cleanup(() => app.close())
  const appPort = (app.server.address() as AddressInfo).port

  const publicPort = await freePort()
  const setups: Setup[] = []
  for (let at = 0; at < size; at += 1) {
    const setup = await setUp({ publicPort, duo: simulator, users: people, more: REGULATION }, cleanup)
    const text = readFileSync(setup.configFile, 'utf8')
    writeFileSync(
      setup.configFile,
      text
        .replace('\nsession:\n', `\nsession:\n  redis: { host: 127.0.0.1, port: ${redis.port} }\n`)
        .replace(/local: \{.*?\}/, `postgres: ${JSON.stringify(records)}`),
    )
    setups.push(setup)
  }
  const main = join(projectRoot, 'dist/main.js')
  const launch = async (at: number): Promise<Member> => {
    const setup = setups[at]
    if (setup === undefined) throw new Error(`no Postern ${at}`)
    const running = start(node, [main, 'serve', '--config', setup.configFile], { cleanup })
    await running.line(/"msg":"serving"/)
    return {
      ...running,
      url: `http://127.0.0.1:${setup.port}`,
      command: (...args) => start(node, [main, ...args, '--config', setup.configFile], { cleanup }).exit,
      signal: name => void running.child.kill(name),
      freeze: () => freeze(running.child.pid),
      events: () => [...running.output().matchAll(/"event":"([^"]+)"/g)].flatMap(([, event]) => event ?? []),
    }
  }
  const members = await Promise.all(setups.map((_, at) => launch(at)))
  const [posternPort = 0, ...morePosternPorts] = setups.map(({ port }) => port)
  await startProxy('nginx', { publicPort, posternPort, morePosternPorts, appPort }, cleanup)
  const host = (name: string) => `${name}.postern.localhost:${publicPort}`
  const balancer = `http://127.0.0.1:${publicPort}`
  return { members, start: launch, redis, simulator, balancer, host, browser: () => browser(host, balancer) }
}

const REGULATION = 'regulation: { max_retries: 3, find_time: 2 minutes, ban_time: 5 minutes }\n'

function browser(host: Cluster['host'], balancer: string): Browser {
  const cookies = new Map<string, string>()
  const origin = `http://${host('auth')}`
  let token = ''

  async function ask(
    method: 'GET' | 'POST',
    url: URL,
    to: string,
    more: Record<string, string> = {},
    body?: string,
  ): Promise<Answer> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { host: url.host, accept: 'text/html', ...(cookie === '' ? {} : { cookie }), ...more }
    // To a Postern itself: as its proxy would.
    const forwarded = {
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': url.host,
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/',
    }
    const answer = await request(`${to}${url.pathname}${url.search}`, {
      method,
      headers: to === balancer ? headers : { ...headers, ...forwarded },
      ...(body === undefined ? {} : { body }),
    })
    const text = await answer.body.text()
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    token = /name="token" value="([^"]+)"/.exec(text)?.[1] ?? token
    const { location } = answer.headers
    return { status: answer.statusCode, location: typeof location === 'string' ? location : undefined, body: text }
  }

  const self: Browser = {
    cookies,
    get: (url, to = balancer) => ask('GET', new URL(url, origin), to),
    post(path, fields = {}, to = balancer) {
      const headers = { origin, 'sec-fetch-site': 'same-origin', 'content-type': 'application/x-www-form-urlencoded' }
      return ask('POST', new URL(path, origin), to, headers, new URLSearchParams({ token, ...fields }).toString())
    },
    api: (path, body, to = balancer) =>
      ask('POST', new URL(path, origin), to, { origin, 'content-type': 'application/json' }, JSON.stringify(body)),
    async signIn(username, to = balancer) {
      await self.get('/', to)
      const { status, location } = await self.post('/login', { username, password }, to)
      if (status !== 303 || !cookies.has('authelia_session'))
        throw new Error(`${username} is not signed in: ${status} ${location}`)
    },
  }
  return self
}
