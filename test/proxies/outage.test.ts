import { createServer } from 'node:http'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { endsWithSuite, until } from '../support/process.ts'
import { type ProxyKind, proxyKinds } from '../support/proxies.ts'
import { type House, openHouse, servePostern } from './house.ts'
import type { Answer } from './wire.ts'

let house: House
const endsWith = endsWithSuite()
beforeAll(async () => {
  house = await openHouse(endsWith)
}, 30_000)

/** What becomes of a few requests behind one proxy, some of which the gate would let pass. */
async function askSome(kind: ProxyKind): Promise<(Answer | 'closed')[]> {
  const at = house.behind(kind)
  at.forget()
  const requests = [['public'], ['one'], ['two', 'POST'], ['closed']] as const
  return Promise.all(
    requests.map(([name, method = 'GET']) =>
      at
        .ask(name, { method, cookie: house.cookies.bob, ...(method === 'POST' && { body: 'x=1' }) })
        .catch(() => 'closed' as const),
    ),
  )
}

const askAll = (kinds: readonly ProxyKind[]) =>
  Promise.all(kinds.map(async kind => [kind, await askSome(kind)] as const)).then(answers => new Map(answers))

const failure = expect.toSatisfy((answer: Answer | 'closed') => answer !== 'closed' && answer.status >= 500)

describe('row 26: the gate is frozen, and then gone', () => {
  const impatient = proxyKinds.filter(kind => kind !== 'traefik')
  let frozen: Awaited<ReturnType<typeof askAll>>
  let gone: Awaited<ReturnType<typeof askAll>>
  beforeAll(async () => {
    house.postern.child.kill('SIGSTOP')
    // Traefik waits for 30 s, which nothing sets; the others give up after 5.
    const traefik = askSome('traefik')
    frozen = await askAll(impatient)
    for (const kind of proxyKinds) expect(house.behind(kind).received, kind).toEqual([])
    await house.postern.stop('SIGKILL')
    frozen.set('traefik', await traefik)
    for (const kind of proxyKinds) expect(house.behind(kind).received, kind).toEqual([])
    gone = await askAll(proxyKinds)
  }, 40_000)

  it.each(proxyKinds)('row 26: behind %s the application is never reached', kind => {
    expect(house.behind(kind).received).toEqual([])
    expect(frozen.get(kind)).toEqual(Array(4).fill(failure))
    expect(gone.get(kind)).toEqual(Array(4).fill(failure))
  })
})

describe.each([301, 302, 303, 304, 400, 401, 403, 404, 407, 418, 429, 500, 502, 503])(
  'row 26: something slow answers %i in the gate’s place',
  status => {
    let answers: Awaited<ReturnType<typeof askAll>>
    beforeAll(async () => {
      const impostor = createServer((_request, response) => {
        setTimeout(
          () => response.writeHead(status, { Location: '/somewhere', 'Remote-User': 'admin', Cookie: '' }).end('no'),
          50,
        )
      })
      const away = await inPlace(impostor)
      answers = await askAll(proxyKinds)
      impostor.closeAllConnections()
      await away()
    }, 20_000)

    it.each(proxyKinds)('row 26: behind %s the application is never reached', kind => {
      expect(house.behind(kind).received).toEqual([])
      expect(answers.get(kind)).toHaveLength(4)
      for (const answer of answers.get(kind) ?? []) expect(answer).not.toMatchObject({ status: 200 })
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
  let answers: Awaited<ReturnType<typeof askAll>>
  beforeAll(async () => {
    const sockets = new Set<Socket>()
    const away = await inPlace(
      createTcpServer(socket => {
        sockets.add(socket)
        socket.on('error', () => socket.destroy()).once('data', () => socket.end(bytes))
      }),
    )
    answers = await askAll(proxyKinds)
    for (const socket of sockets) socket.destroy()
    await away()
  }, 20_000)

  it.each(proxyKinds)('row 26: behind %s the application is never reached', kind => {
    expect(house.behind(kind).received).toEqual([])
    for (const answer of answers.get(kind) ?? []) expect(answer).not.toMatchObject({ status: 200 })
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
  await new Promise<void>(resolve => server.listen(house.setup.port, '127.0.0.1', resolve))
  return () => new Promise(resolve => server.close(() => resolve()))
}
