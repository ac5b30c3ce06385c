import { createServer } from 'node:http'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { endsWithSuite, freeze, until } from '../support/process.ts'
import { type ProxyKind, proxyKinds } from '../support/proxies.ts'
import { type House, openHouse, type Received, servePostern } from './house.ts'
import type { Answer } from './wire.ts'

let house: House
const endsWith = endsWithSuite()
beforeAll(async () => {
  house = await openHouse(endsWith)
}, 30_000)

type End = Answer | 'closed' | 'late'
interface Outcome {
  readonly answers: readonly End[]
  /** What reached the application. */
  readonly reached: readonly Received[]
}

/** What becomes of a few requests behind one proxy, some of which the gate would let pass. */
async function askSome(kind: ProxyKind): Promise<Outcome> {
  const at = house.behind(kind)
  at.forget()
  const requests = [['public'], ['one'], ['two', 'POST'], ['closed']] as const
  const late = new Promise<'late'>(resolve => setTimeout(resolve, 15_000, 'late').unref())
  const answers = await Promise.all(
    requests.map(([name, method = 'GET']) => {
      const answer = at.ask(name, { method, cookie: house.cookies.bob, ...(method === 'POST' && { body: 'x=1' }) })
      return Promise.race([answer.catch(() => 'closed' as const), late])
    }),
  )
  return { answers, reached: [...at.received] }
}

const askAll = async (kinds: readonly ProxyKind[]): Promise<Map<ProxyKind, Outcome>> =>
  new Map(await Promise.all(kinds.map(async kind => [kind, await askSome(kind)] as const)))

const failure = expect.toSatisfy((end: End) => typeof end === 'object' && end.status >= 500)
const onlyFailures = { answers: Array(4).fill(failure), reached: [] }
const noYes = {
  answers: Array(4).fill(
    expect.toSatisfy((end: End) => end === 'closed' || (typeof end === 'object' && ![101, 200].includes(end.status))),
  ),
  reached: [],
}

const whole = { 'Remote-User': 'admin', 'Remote-Groups': '', 'Remote-Name': '', 'Remote-Email': '', Cookie: '' }

describe('row 26: the gate is frozen, and then gone', () => {
  let frozen: Map<ProxyKind, Outcome>
  let gone: Map<ProxyKind, Outcome>
  beforeAll(async () => {
    freeze(house.postern.child.pid)
    // Traefik waits for 30 s, which nothing sets; the others give up after 5.
    const traefik = askSome('traefik')
    frozen = await askAll(proxyKinds.filter(kind => kind !== 'traefik'))
    await house.postern.stop('SIGKILL')
    frozen.set('traefik', await traefik)
    gone = await askAll(proxyKinds)
  }, 40_000)

  it.each(proxyKinds)('row 26: behind %s the application is never reached', kind => {
    expect(frozen.get(kind)).toEqual(onlyFailures)
    expect(gone.get(kind)).toEqual(onlyFailures)
  })
})

describe.each([301, 302, 303, 304, 400, 401, 403, 404, 407, 418, 429, 500, 502, 503])(
  'row 26: something slow answers %i in the gate’s place',
  status => {
    let outcomes: Map<ProxyKind, Outcome>
    beforeAll(async () => {
      const impostor = createServer((_request, response) => {
        setTimeout(
          () => response.writeHead(status, { Location: '/somewhere', 'Remote-User': 'admin', Cookie: '' }).end('no'),
          50,
        )
      })
      const away = await inPlace(impostor)
      outcomes = await askAll(proxyKinds)
      impostor.closeAllConnections()
      await away()
    }, 20_000)

    it.each(proxyKinds)('row 26: behind %s the application is never reached', kind => {
      expect(outcomes.get(kind)).toEqual(noYes)
    })
  },
)

describe.each([
  ['closes at once', ''],
  ['speaks no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['breaks off in the first line', 'HTTP/1.1 20'],
  ['breaks off in the head of a yes', 'HTTP/1.1 200 OK\r\nRemote-User: admin\r\nRemote-Gro'],
  ['only says to go on', 'HTTP/1.1 100 Continue\r\n\r\n'],
])('row 26: something in the gate’s place %s', (_what, bytes) => {
  let outcomes: Map<ProxyKind, Outcome>
  beforeAll(async () => {
    const sockets = new Set<Socket>()
    const away = await inPlace(
      createTcpServer(socket => {
        sockets.add(socket)
        socket.on('error', () => socket.destroy()).once('data', () => socket.end(bytes))
      }),
    )
    outcomes = await askAll(proxyKinds)
    for (const socket of sockets) socket.destroy()
    await away()
  }, 20_000)

  it.each(proxyKinds)('row 26: behind %s the application is never reached', kind => {
    expect(outcomes.get(kind)).toEqual(noYes)
  })
})

// HAProxy goes on with a request whose Lua failed: haproxy.cfg has to stop it.
describe.each([
  ['lacks one of the four', { 'Remote-User': 'admin', 'Remote-Groups': '', 'Remote-Name': '', Cookie: '' }],
  ['has one of them twice', { ...whole, 'Remote-User': ['admin', 'root'] }],
  ['lacks the cookies', { ...whole, Cookie: [] }],
])('a yes in the gate’s place %s', (_what, headers) => {
  let outcome: Outcome
  beforeAll(async () => {
    const impostor = createServer((_request, response) => response.writeHead(200, headers).end())
    const away = await inPlace(impostor)
    outcome = await askSome('haproxy')
    impostor.closeAllConnections()
    await away()
  }, 20_000)

  it('behind haproxy the application is never reached', () => {
    expect(outcome).toEqual(onlyFailures)
  })
})

describe('the gate comes back', () => {
  beforeAll(async () => {
    await servePostern(house.setup, endsWith)
  }, 20_000)

  it.each(proxyKinds)('behind %s people get in again, with the sessions that they had', async kind => {
    const at = house.behind(kind)
    const cookie = house.cookies.bob
    await until(async () => (await at.ask('two', { cookie })).status === 200, `${kind} recovers`)
    expect((await at.ask('one')).status).toBe(302)
    expect((await at.ask('public')).status).toBe(200)
  })
})

/** Lets a server listen where the gate did; resolves with how it goes away. */
async function inPlace(server: Server): Promise<() => Promise<void>> {
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject).listen(house.setup.port, '127.0.0.1', resolve)
  })
  return () => new Promise(resolve => server.close(() => resolve()))
}
