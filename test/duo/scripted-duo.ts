import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer } from 'node:tls'
import { pino } from 'pino'
import { generate } from 'selfsigned'
import { onTestFinished } from 'vitest'
import { duoClient } from '../../src/duo/client.ts'

export const keys = { integration_key: 'DIXXXXXXXXXXXXXXXXXX', secret_key: 'deadbeefdeadbeefdeadbeefdeadbeefdeadbeef' }
export const silent = pino({ level: 'silent' })

export interface Asked {
  readonly method: string
  readonly path: string
  readonly parameters: Record<string, string>
  readonly headers: Record<string, string | undefined>
  readonly body: string
}

/** Writes what it likes to the socket: whole answers, halves, nothing. */
export type Script = (asked: Asked, socket: Duplex, count: number) => void | Promise<void>

export interface Certificate {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

let usual: Promise<Certificate> | undefined

/** For loopback, by an authority of its own; the other ones are wrong in one way each. */
export async function certificate(
  wrong: { names?: string[]; notAfterDate?: Date; selfSigned?: boolean; forClients?: boolean } = {},
): Promise<Certificate> {
  const day = 86_400_000
  const kind = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 10 * day),
  } as const
  const authority = await generate([{ name: 'commonName', value: 'Test CA' }], {
    ...kind,
    notAfterDate: new Date(Date.now() + day),
    extensions: [{ name: 'basicConstraints', cA: true, critical: true }],
  })
  const altNames = (wrong.names ?? ['localhost']).map(value => ({ type: 2, value }) as const)
  const leaf = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...kind,
    notAfterDate: wrong.notAfterDate ?? new Date(Date.now() + day),
    ...(wrong.selfSigned === true ? {} : { ca: { key: authority.private, cert: authority.cert } }),
    extensions: [
      { name: 'subjectAltName', altNames },
      ...(wrong.forClients === true ? [{ name: 'extKeyUsage', clientAuth: true } as const] : []),
    ],
  })
  return { ca: authority.cert, cert: leaf.cert, key: leaf.private }
}

export interface ScriptedDuo {
  readonly port: number
  readonly asked: Asked[]
  readonly connections: () => number
  readonly open: () => number
  readonly certificate: Certificate
}

/** A server with Duo's place in the world and none of its manners. */
export async function scriptedDuo(script: Script, given?: Certificate): Promise<ScriptedDuo> {
  usual ??= certificate()
  const tls = given ?? (await usual)
  const asked: Asked[] = []
  const sockets = new Set<Duplex>()
  let connections = 0
  const server = createServer({ key: tls.key, cert: tls.cert }, socket => {
    connections += 1
    sockets.add(socket)
    let received = ''
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      for (let parsed = parseRequest(received); parsed !== undefined; parsed = parseRequest(received)) {
        received = received.slice(parsed.length)
        asked.push(parsed.call)
        void script(parsed.call, socket, asked.length)
      }
    })
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  })
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    connections: () => connections,
    open: () => sockets.size,
    certificate: tls,
  }
}

/** The first request in what came; undefined until it is whole. */
function parseRequest(received: string): { call: Asked; length: number } | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = received.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const length = end + 4 + Number(headers['content-length'] ?? 0)
  if (received.length < length) return undefined
  const [method = '', target = ''] = first.split(' ')
  const [path = '', query = ''] = target.split('?')
  const body = received.slice(end + 4, length) || query
  return { call: { method, path, headers, body, parameters: Object.fromEntries(new URLSearchParams(body)) }, length }
}

export function http(status: number, body: string, headers: Record<string, string> = {}): string {
  const all = { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)), ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `HTTP/1.1 ${status} Words\r\n${lines.join('\r\n')}\r\n\r\n${body}`
}

export const ok = (response: unknown) => http(200, JSON.stringify({ response, stat: 'OK' }))
export const fail = (code: number, message: string, detail?: string) =>
  http(
    Math.floor(code / 100),
    JSON.stringify({ code, message, ...(detail && { message_detail: detail }), stat: 'FAIL' }),
  )

/** A client of it that trusts its authority, without pauses. */
export function clientOf(duo: ScriptedDuo, more: Partial<Parameters<typeof duoClient>[0]> = {}) {
  const pauses: number[] = []
  const client = duoClient({
    config: { ...keys, hostname: `localhost:${duo.port}` },
    clock: Date.now,
    log: silent,
    rootCertificates: duo.certificate.ca,
    deadline: () => 5_000,
    pause: async duration => pauses.push(duration),
    ...more,
  })
  onTestFinished(() => client.close())
  return Object.assign(client, { pauses })
}

export const aPush = {
  factor: 'push' as const,
  username: 'alice',
  device: 'DPHONE',
  ipaddr: '192.0.2.7',
  displayUsername: 'Alice',
  pushinfo: 'Site=one.example.com',
}

/** A Duo that lists one phone for anybody, gives each push the txid `tx-1`, and does the rest as it is told. Counts are of that call alone. */
export async function scripted(
  authStatus: Script,
  auth: Script = (_, socket) => void socket.write(ok({ txid: 'tx-1' })),
) {
  let polls = 0
  let auths = 0
  let preauths = 0
  const duo = await scriptedDuo((asked, socket) => {
    if (asked.path.endsWith('/preauth')) {
      preauths += 1
      const device = { device: `DP-${asked.parameters.username}`, type: 'phone', name: 'Phone', capabilities: ['push'] }
      return void socket.write(ok({ result: 'auth', devices: [device] }))
    }
    if (asked.path.endsWith('/auth_status')) return authStatus(asked, socket, ++polls)
    if (asked.path.endsWith('/auth')) return auth(asked, socket, ++auths)
    return void socket.write(ok({ time: 1_795_525_200 }))
  })
  return { port: duo.port, ca: duo.certificate.ca, polls: () => polls, auths: () => auths, preauths: () => preauths }
}
