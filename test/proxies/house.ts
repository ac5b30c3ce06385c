import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type OutgoingHttpHeaders } from 'node:http'
import { connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { beforeAll, beforeEach, describe, expect } from 'vitest'
import { makeCertificate } from '../../src/simulator/certificate.ts'
import { type Setup, setUp } from '../support/postern.ts'
import { endsWithSuite, freePort, node, type Running, start } from '../support/process.ts'
import { type ProxyKind, proxyKinds, startProxy } from '../support/proxies.ts'
import { type Answer, askHttp2, dial, field, type Wire } from './wire.ts'

type Cleanup = (end: () => void | Promise<void>) => void

/** What the application received. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly bytes: number
}

/** A question that reached the gate, as it came over the wire. */
export interface Question {
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** One proxy with the files of deploy/, and an application of its own that remembers what it got. */
export interface Behind {
  readonly kind: ProxyKind
  readonly received: Received[]
  /** What was asked of the gate since `forget`. A body would stand there as a question that makes no sense. */
  questions(): Question[]
  /** How many connections to the gate were used since `forget`. */
  gateConnections(): number
  forget(): void
  /** A connection to it. */
  dial(): Wire
  /** One request over HTTP/2, without a body: pseudo-headers and headers as they are. Rejects where the stream is reset. */
  askHttp2(headers: OutgoingHttpHeaders): Promise<Omit<Answer, 'body'>>
  /** One request on a connection of its own. */
  ask(name: string, request?: Request): Promise<Answer>
}

export interface Request {
  readonly target?: string
  readonly method?: string
  readonly cookie?: string
  readonly lines?: readonly string[]
  readonly body?: string
  readonly accept?: string
  readonly host?: string
}

export interface House {
  /** The port of every proxy: each has an address of loopback to itself. */
  readonly port: number
  readonly setup: Setup
  readonly cookies: Cookies
  readonly postern: Running
  behind(kind: ProxyKind): Behind
}

interface Cookies {
  readonly alice: string
  readonly bob: string
}

const host = (name: string) => `${name}.postern.localhost`
const rules = [
  { domain: host('public'), policy: 'bypass' },
  { domain: host('unheard-of'), policy: 'bypass' },
  { domain: host('one'), resources: ['^/public/'], policy: 'bypass' },
  { domain: host('one'), policy: 'one_factor' },
  { domain: host('two'), policy: 'two_factor' },
  { domain: host('closed'), policy: 'deny' },
]

/** Postern, and every kind of proxy before it. alice has given a password, bob a second factor too. */
export async function openHouse(cleanup: Cleanup): Promise<House> {
  const port = await freePort()
  const setup = await setUp({ publicPort: port, users: ['alice', 'bob'], rules }, cleanup)
  const configuration = readFileSync(setup.configFile, 'utf8')
  writeFileSync(
    setup.configFile,
    configuration
      .replace('server:\n', 'server:\n  identity_assertion: {}\n')
      .replace('http://auth.postern.localhost', 'https://auth.postern.localhost'),
  )
  const certificate = await makeCertificate('localhost')
  // First: a proxy that asks meanwhile connects to a port where nobody listens yet, and may get hold of it itself.
  const { postern, cookies } = await servePostern(setup, cleanup)
  const opened = await Promise.all(
    proxyKinds.map((kind, index) =>
      openBehind(kind, { ...setup, address: `127.0.1.${index + 1}`, certificate }, cleanup),
    ),
  )
  return {
    port,
    setup,
    cookies,
    postern,
    behind(kind) {
      const found = opened.find(one => one.kind === kind)
      if (found === undefined) throw new Error(`no ${kind}`)
      return found
    },
  }
}

/** What a test looks at, behind one kind of proxy. */
interface Here {
  house(): House
  at(): Behind
  /** What the application got; the request must have reached it once. */
  app(): Received
  /** User, groups, name and email, as the application reads them. */
  who(): string[]
  hostOf(name: string): string
}

/** The same tests behind every kind of proxy, in one house. Before each of them nothing was received. */
export function behindEach(tests: (here: Here, kind: ProxyKind) => void): void {
  let house: House
  const endsWith = endsWithSuite()
  beforeAll(async () => {
    house = await openHouse(endsWith)
  }, 30_000)
  describe.each(proxyKinds)('behind %s', kind => {
    let at: Behind
    beforeEach(() => {
      at = house.behind(kind)
      at.forget()
    })
    const app = () => {
      expect(at.received).toHaveLength(1)
      const [received] = at.received
      if (received === undefined) throw new Error('nothing was received')
      return received
    }
    const who = () => ['USER', 'GROUPS', 'NAME', 'EMAIL'].map(part => folded(app(), `REMOTE_${part}`))
    const hostOf = (name: string) => `${name}.postern.localhost:${house.port}`
    tests({ house: () => house, at: () => at, app, who, hostOf }, kind)
  })
}

/** The built server in a process of its own, with sessions for two people. */
export async function servePostern(setup: Setup, cleanup: Cleanup): Promise<{ postern: Running; cookies: Cookies }> {
  const postern = start(node, [`${import.meta.dirname}/postern-process.ts`, setup.configFile], { cleanup })
  const [, cookies = ''] = await postern.line(/^cookies (.*)$/m)
  return { postern, cookies: JSON.parse(cookies) }
}

async function openBehind(
  kind: ProxyKind,
  place: Setup & { address: string; certificate: { cert: string; key: string } },
  cleanup: Cleanup,
): Promise<Behind> {
  const { address, certificate, publicPort: port, port: posternPort } = place
  const received: Received[] = []
  const appPort = await openApp(received, cleanup)
  const gate = await openRelay(posternPort, cleanup)
  await startProxy(kind, { publicPort: port, address, posternPort: gate.port, appPort, certificate }, cleanup)
  const dialled = () => dial({ address, port })
  return {
    kind,
    received,
    questions: () =>
      [...gate.streams.values()]
        .flatMap(stream => stream.split('\r\n\r\n'))
        .filter(text => text !== '')
        .map(questionOf),
    gateConnections: () => gate.streams.size,
    forget() {
      received.length = 0
      gate.streams.clear()
    },
    dial: dialled,
    askHttp2: headers => askHttp2({ address, port }, headers),
    async ask(name, request = {}) {
      const wire = dialled()
      const lines = request.lines ?? []
      const close = lines.some(line => /^connection:/i.test(line)) ? [] : ['Connection: close']
      wire.send(bytesOf(`${name}.postern.localhost:${port}`, { ...request, lines: [...close, ...lines] }))
      const answer = await wire.answer(request.method)
      wire.close()
      if (answer === undefined) throw new Error(`${kind} closed the connection without an answer`)
      return answer
    },
  }
}

/** A request as a browser writes it; `Connection: close` is up to the caller. */
export function bytesOf(hostName: string, request: Request = {}): string {
  const { target = '/', method = 'GET', cookie, lines = [], body, accept = 'text/html' } = request
  return [
    `${method} ${target} HTTP/1.1`,
    `Host: ${request.host ?? hostName}`,
    ...(accept === '' ? [] : [`Accept: ${accept}`]),
    ...(cookie === undefined ? [] : [`Cookie: ${cookie}`]),
    ...lines,
    ...(body === undefined ? [] : [`Content-Length: ${body.length}`]),
    '',
    body ?? '',
  ].join('\r\n')
}

function questionOf(text: string): Question {
  const [first = '', ...fields] = text.split('\r\n')
  const [method = '', path = ''] = first.split(' ')
  return { method, path, headers: fields.map(field) }
}

/** Answers everything with *the app*; `/status/404` with that status. A socket gets its bytes back. */
async function openApp(received: Received[], cleanup: Cleanup): Promise<number> {
  const app = createServer((request, response) => {
    let bytes = 0
    request.on('data', chunk => {
      bytes += chunk.length
    })
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request
      received.push({ method, url, rawHeaders, bytes })
      const status = url.startsWith('/status/') ? Number(url.slice('/status/'.length)) : 200
      response.writeHead(status, { 'content-length': 7, 'set-cookie': 'of-the-app=1' }).end('the app')
    })
  })
  app.on('upgrade', ({ method = '', url = '', rawHeaders, headers }, socket) => {
    received.push({ method, url, rawHeaders, bytes: 0 })
    // RFC 6455, section 4.2.2: HAProxy looks whether it is right.
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${headers.upgrade}\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
    )
    socket.pipe(socket)
    socket.on('error', () => socket.destroy())
    cleanup(() => void socket.destroy())
  })
  // As servers do that look at no method. What comes through the tunnel is received like a request.
  app.on('connect', ({ method = '', url = '', rawHeaders }, socket) => {
    received.push({ method, url, rawHeaders, bytes: 0 })
    socket.on('data', chunk =>
      received.push({ method: 'through', url: 'a tunnel', rawHeaders: [], bytes: chunk.length }),
    )
    socket.on('error', () => socket.destroy()).write('HTTP/1.1 200 OK\r\n\r\n')
    cleanup(() => void socket.destroy())
  })
  cleanup(() => {
    app.closeAllConnections()
    app.close()
  })
  return listen(app)
}

/** Passes connections on to the gate, and keeps what each of them says. */
async function openRelay(to: number, cleanup: Cleanup): Promise<{ port: number; streams: Map<Socket, string> }> {
  const streams = new Map<Socket, string>()
  const relay = createTcpServer(from => {
    const gate = connect(to, '127.0.0.1')
    from.on('data', chunk => streams.set(from, (streams.get(from) ?? '') + chunk.toString('latin1')))
    from.pipe(gate).pipe(from)
    from.on('error', () => gate.destroy()).on('close', () => gate.destroy())
    // Reset, as a machine does where nobody listens.
    gate.on('error', () => from.resetAndDestroy())
  })
  cleanup(() => void relay.close())
  return { port: await listen(relay), streams }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** What an application reads that folds names, as CGI and WSGI do: every character but letters and digits is `_`. */
export function folded({ rawHeaders }: Received, name: string): string {
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]?.toUpperCase().replace(/[^A-Z0-9]/g, '_') === name) values.push(rawHeaders[i + 1] ?? '')
  return values.filter(value => value !== '').join(',')
}

/** The target that a proxy asked about. */
export function judgedTarget({ path, headers }: Question): string | undefined {
  const value = (name: string) => headers.find(([known]) => known === name)?.[1]
  const extAuthz = '/api/authz/ext-authz'
  if (path.startsWith(extAuthz)) return path.slice(extAuthz.length)
  return value('x-original-url')?.replace(/^[a-z]+:\/\/[^/?]*/, '') ?? value('x-forwarded-uri')
}
