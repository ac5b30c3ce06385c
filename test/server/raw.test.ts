import { connect } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { endsWithSuite } from '../support/process.ts'

let postern: InProcess

const endsWith = endsWithSuite()
beforeAll(async () => {
  postern = await openPostern({}, endsWith)
})

/** Sends bytes as they are and reads until the server closes, or has answered once and is asked to close. */
function raw(bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(postern.setup.port, '127.0.0.1')
    let answer = ''
    socket.on('data', chunk => {
      answer += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', error =>
      'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE') ? undefined : reject(error),
    )
    socket.write(bytes)
  })
}

const status = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
const answers = (answer: string) => answer.match(/HTTP\/1\.1 \d{3}/g)?.length ?? 0

const gateHeaders = [
  'Host: 127.0.0.1',
  'X-Original-URL: https://public.postern.localhost/',
  'X-Original-Method: GET',
  'X-Forwarded-For: 192.0.2.1',
]
const gateRequest = (extra: string[] = []) =>
  `GET /api/authz/auth-request HTTP/1.1\r\n${[...extra, ...gateHeaders].join('\r\n')}\r\nConnection: close\r\n\r\n`

async function stillServes() {
  expect(status(await raw(gateRequest()))).toBe(200)
}

describe('what is not HTTP, or too much of it', () => {
  it.each(['/api/./health', '/api/../api/health', '//api/health', '/api/health/.', '/api\\health'])(
    'row 61: %s is no way round: 404',
    async path => {
      expect(
        status(await raw(`GET ${path} HTTP/1.1\r\nHost: auth.postern.localhost\r\nConnection: close\r\n\r\n`)),
      ).toBe(404)
    },
  )

  it('row 16: 999 tiny headers before the proxy’s own are refused: no decision on a cut list', async () => {
    const many = Array.from({ length: 999 }, (_, i) => `a${i}: b`)
    expect([400, 431]).toContain(status(await raw(gateRequest(many))))
    await stillServes()
  })

  it.each([
    ['a header without a name', ': x'],
    ['a space before the colon', 'X-Original-URL : https://public.postern.localhost/'],
    ['a folded line', 'X-A: b\r\n c'],
    ['a bare carriage return', 'X-A: b\rX-B: c'],
    ['a bare line feed', 'X-A: b\nX-B : c'],
    ['a NUL', 'X-A: \u0000'],
  ])('row 17: %s is 400, and the connection is closed', async (_, line) => {
    const answer = await raw(gateRequest([line]))
    expect(status(answer)).toBe(400)
    expect(answers(answer)).toBe(1)
    await stillServes()
  })

  it('row 18: headers named like prototypes are unknown headers', async () => {
    expect(status(await raw(gateRequest(['__proto__: x', 'constructor: x', 'toString: x'])))).toBe(200)
  })

  it('row 166: a header block over 16 KB is 431, a URL of 64 KB too, a legal cookie of 8 KB passes', async () => {
    expect(status(await raw(gateRequest([`Cookie: a=${'x'.repeat(17_000)}`])))).toBe(431)
    expect([414, 431]).toContain(status(await raw(`GET /${'x'.repeat(65_536)} HTTP/1.1\r\nHost: x\r\n\r\n`)))
    const cookies = Array.from({ length: 300 }, (_, i) => `c${i}=x`).join('; ')
    expect(status(await raw(gateRequest([`Cookie: ${cookies}`])))).toBe(200)
    expect(status(await raw(gateRequest([`Cookie: a=${'x'.repeat(8_192)}`])))).toBe(200)
  })

  it('row 167: a body over the limit, a chunk extension without end and a Content-Length too big are refused and closed', async () => {
    const head = 'POST /api/firstfactor HTTP/1.1\r\nHost: auth.postern.localhost\r\nContent-Type: application/json\r\n'
    expect([400, 413]).toContain(status(await raw(`${head}Content-Length: 99999999999\r\n\r\n{`)))
    expect([400, 413]).toContain(status(await raw(`${head}Content-Length: 99999999999999999999999\r\n\r\n{`)))
    expect([400, 413]).toContain(status(await raw(`${head}Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(65_536)}`)))
    expect(status(await raw(`${head}Content-Length: 20000\r\n\r\n${'x'.repeat(20_000)}`))).toBe(413)
    await stillServes()
  })

  it.each([
    ['Content-Length beside Transfer-Encoding', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two Content-Length', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}'],
    ['+3', 'Content-Length: +3\r\n\r\n{}'],
    ['chunked, gzip', 'Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n'],
    [
      'a request inside the body',
      'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/health HTTP/1.1\r\nHost: x\r\n\r\n',
    ],
  ])('row 168: %s is refused with one answer and closed', async (_, rest) => {
    const answer = await raw(
      `POST /api/logout HTTP/1.1\r\nHost: auth.postern.localhost\r\nContent-Type: application/json\r\n${rest}`,
    )
    expect([400, 415, 501]).toContain(status(answer))
    expect(answers(answer)).toBe(1)
    await stillServes()
  })

  it.each([
    ['a gzip body', 'Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc'],
    ['multipart', 'Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 3\r\n\r\nabc'],
    ['Expect: x', 'Expect: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'],
    ['a type with high bytes', 'Content-Type: application/\xff\r\nContent-Length: 2\r\n\r\n{}'],
    ['no type', 'Content-Length: 2\r\n\r\n{}'],
  ])('row 170: %s is refused, nothing is inflated', async (_, rest) => {
    const answer = await raw(
      Buffer.from(
        `POST /api/firstfactor HTTP/1.1\r\nHost: auth.postern.localhost\r\nConnection: close\r\n${rest}`,
        'latin1',
      ),
    )
    expect([400, 415, 417]).toContain(status(answer))
    await stillServes()
  })

  it('row 170: a path that does not decode and an Accept of 8 KB harm nobody', async () => {
    expect([400, 404]).toContain(
      status(await raw('GET /api/% HTTP/1.1\r\nHost: auth.postern.localhost\r\nConnection: close\r\n\r\n')),
    )
    expect(status(await raw(gateRequest([`Accept: ${'text/html;q=0.1,'.repeat(500)}`])))).toBe(200)
    await stillServes()
  })

  it('row 169: a QUERY without a Content-Type is the client’s mistake, told to nobody else', async () => {
    for (const path of ['/', '/api/state']) {
      const answer = await raw(`QUERY ${path} HTTP/1.1\r\nHost: auth.postern.localhost\r\nConnection: close\r\n\r\n`)
      expect(status(answer)).toBe(415)
    }
    expect(postern.text()).not.toContain('a bug in the portal')
  })

  it('row 165: thousands of connections that say nothing, or a byte, leave the gate answering', async () => {
    const sockets = Array.from({ length: 2_000 }, (_, i) => {
      const socket = connect(postern.setup.port, '127.0.0.1')
      socket.on('error', () => {})
      if (i % 2 === 0) socket.write('G')
      return socket
    })
    await Promise.all(
      sockets.map(socket => new Promise(resolve => socket.once('connect', resolve).once('close', resolve))),
    )
    await stillServes()
    for (const socket of sockets) socket.destroy()
    expect(postern.app.server.headersTimeout).toBeLessThanOrEqual(10_000)
    expect(postern.app.server.requestTimeout).toBeLessThanOrEqual(30_000)
    expect(postern.app.server.maxConnections).toBeGreaterThan(0)
  })
})
