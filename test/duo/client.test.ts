import { createHmac } from 'node:crypto'
import https from 'node:https'
import { gzipSync } from 'node:zlib'
import { Client } from '@duosecurity/duo_api'
import fc from 'fast-check'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { duoClient, parseApiHost } from '../../src/duo/client.ts'
import { freePort, until } from '../support/process.ts'
import { aPush, certificate, clientOf, fail, http, keys, ok, type Script, scriptedDuo, silent } from './scripted-duo.ts'

const never = new AbortController().signal
const answering =
  (raw: string): Script =>
  (_, socket) =>
    void socket.write(raw)

describe('what is sent', () => {
  it.each([
    ['plain', { username: 'alice', ipaddr: '192.0.2.1' }],
    ['every odd character', { username: "a b+c&d=e/ü€😀!'()*~._-%", ipaddr: '::1' }],
    ['an empty name', { username: '', ipaddr: '10.0.0.1' }],
  ])('is signed and encoded as the package’s own client does: %s', async (_, { username, ipaddr }) => {
    const duo = await scriptedDuo(answering(ok({ result: 'deny' })))
    const clock = () => Date.UTC(2026, 10, 24, 13, 0, 0)
    const client = clientOf(duo, { clock })
    await client.preauth({ username, ipaddr })
    const theirs = await sentByThePackage('POST', '/auth/v2/preauth', { username, ipaddr }, clock())
    const [ours] = duo.asked
    expect(ours?.headers.authorization).toBe(theirs.headers.Authorization)
    expect(ours?.headers.date).toBe(theirs.headers.Date)
    expect(ours?.headers['user-agent']).toBe(theirs.headers['User-Agent'])
    expect(ours?.headers['content-type']).toBe(theirs.headers['Content-Type'])
    expect(ours?.body).toBe(theirs.body)
  })

  it('is signed as the package does for a GET with parameters', async () => {
    const duo = await scriptedDuo(answering(ok({ result: 'waiting' })))
    const clock = () => Date.UTC(2026, 10, 24, 13, 0, 0)
    await clientOf(duo, { clock }).authStatus('45f7c92b-f45f-4862-8545-e0f58e78075a', never)
    const txid = '45f7c92b-f45f-4862-8545-e0f58e78075a'
    const theirs = await sentByThePackage('GET', '/auth/v2/auth_status', { txid }, clock())
    expect(duo.asked[0]?.headers.authorization).toBe(theirs.headers.Authorization)
    expect(`${duo.asked[0]?.path}?${duo.asked[0]?.body}`).toBe(theirs.path)
  })

  it('carries a signature that anybody can compute from the documentation: host in lower case and without the port', async () => {
    const duo = await scriptedDuo(answering(ok({ result: 'deny' })))
    await clientOf(duo, { config: { ...keys, hostname: `LocalHost:${duo.port}` } }).preauth({ username: 'a b' })
    const [asked] = duo.asked
    const canonical = [asked?.headers.date, 'POST', 'localhost', '/auth/v2/preauth', 'username=a%20b'].join('\n')
    const mac = createHmac('sha512', keys.secret_key).update(canonical).digest('hex')
    const expected = Buffer.from(`${keys.integration_key}:${mac}`).toString('base64')
    expect(asked?.headers.authorization).toBe(`Basic ${expected}`)
  })

  it('is a push that names the person, the device and the address, asynchronously', async () => {
    const duo = await scriptedDuo(answering(ok({ txid: 'tx-1' })))
    expect(await clientOf(duo).auth(aPush)).toMatchObject({ ok: true, value: { txid: 'tx-1' } })
    expect(duo.asked[0]?.parameters).toEqual({
      username: 'alice',
      factor: 'push',
      device: 'DPHONE',
      async: '1',
      ipaddr: '192.0.2.7',
      display_username: 'Alice',
      pushinfo: 'Site=one.example.com',
    })
  })

  it.each(['\ud800', 'a\nb', 'a\u0000', '\u0085'])(
    'is nothing when a parameter cannot be signed: %j',
    async username => {
      const duo = await scriptedDuo(answering(ok({ result: 'allow' })))
      const answer = await clientOf(duo).preauth({ username })
      expect(answer).toMatchObject({ ok: false, failure: { kind: 'request', parameter: 'username', sent: false } })
      expect(duo.asked).toEqual([])
    },
  )

  it('goes over connections that are kept', async () => {
    const duo = await scriptedDuo(answering(ok({ time: 1_700_000_000 })))
    const client = clientOf(duo)
    for (let round = 0; round < 10; round += 1) expect((await client.check()).ok).toBe(true)
    expect(duo.connections()).toBeLessThanOrEqual(2)
  })

  it.each([
    'https://api.example.com',
    'api.example.com/',
    'a b',
    '',
    ':443',
    'api.example.com:0',
    'api.example.com:99999',
    'a:b@c',
  ])('is refused at start when the host name is none: %j', hostname => {
    expect(() => parseApiHost(hostname)).toThrow(/duo_api\.hostname/)
  })
})

describe('what is received', () => {
  it.each([
    ['HTML', http(200, '<html>', { 'Content-Type': 'text/html' })],
    ['HTML that calls itself JSON', http(200, '<html>{"stat":"OK"}')],
    ['no content type', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`],
    ['nothing', http(200, '')],
    ['cut JSON', http(200, '{"stat":"OK","response":{"result":"allow"')],
    ['null', http(200, 'null')],
    ['[]', http(200, '[]')],
    ['a string', http(200, '"OK"')],
    ['a stat of another type', http(200, '{"stat":true,"response":{"result":"allow"}}')],
    ['a response of another type', http(200, '{"stat":"OK","response":"allow"}')],
    ['no response', http(200, '{"stat":"OK"}')],
    ['a compressed body', http(200, 'x', { 'Content-Encoding': 'gzip' })],
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['an HTML error page', http(400, '<h1>400</h1>', { 'Content-Type': 'text/html' })],
    ['FIN in mid-body', `${http(200, '', { 'Content-Length': '500' })}{"stat":"OK","response":{"result":"allow"}}`],
  ])('row 103: %s is one typed failure, and the process lives', async (what, raw) => {
    const duo = await scriptedDuo((_, socket) => void (what.startsWith('FIN') ? socket.end(raw) : socket.write(raw)))
    const client = clientOf(duo)
    for (const answer of [await client.preauth({ username: 'alice' }), await client.authStatus('tx', never)])
      expect(answer).toMatchObject({ ok: false, failure: { kind: 'unavailable' } })
    const pushed = await client.auth(aPush)
    expect(pushed).toMatchObject({ ok: false, failure: { kind: 'unavailable', sent: true } })
  })

  it.each([
    'ALLOW',
    'Allow',
    'allow ',
    ' allow',
    'allow\u0000',
    true,
    1,
    ['allow'],
    { allow: true },
    null,
    undefined,
    'trust',
    'аllow',
  ])('row 104: a result of %j allows nobody', async result => {
    const duo = await scriptedDuo(answering(ok({ result, status: 'allow', status_msg: 'Success.' })))
    const client = clientOf(duo)
    const malformed = { ok: false, failure: { reason: 'duo-malformed' } }
    expect(await client.authStatus('tx', never)).toMatchObject(malformed)
    expect(await client.preauth({ username: 'alice' })).toMatchObject(malformed)
  })

  it('row 104: the exact string does', async () => {
    const duo = await scriptedDuo(answering(ok({ result: 'allow', status: 'allow', status_msg: 'Success.' })))
    expect(await clientOf(duo).authStatus('tx', never)).toMatchObject({ ok: true, value: { result: 'allow' } })
  })

  const allow = { result: 'allow', status: 'allow', status_msg: 'Success.' }
  it.each([
    ['stat FAIL', http(200, JSON.stringify({ stat: 'FAIL', response: allow }))],
    ['stat ok in lower case', http(200, JSON.stringify({ stat: 'ok', response: allow }))],
    ['HTTP 500', http(500, JSON.stringify({ stat: 'OK', response: allow }))],
    ['HTTP 503', http(503, JSON.stringify({ stat: 'OK', response: allow }))],
    ['HTTP 302', http(302, JSON.stringify({ stat: 'OK', response: allow }), { Location: '/auth/v2/ping' })],
    ['HTTP 201', http(201, JSON.stringify({ stat: 'OK', response: allow }))],
    ['HTTP 400', http(400, JSON.stringify({ stat: 'OK', response: allow }))],
    ['HTTP 429', http(429, JSON.stringify({ stat: 'OK', response: allow }))],
  ])('row 105: %s with a body that allows is refused, and no redirect is followed', async (_, raw) => {
    const duo = await scriptedDuo(answering(raw))
    const client = clientOf(duo)
    expect((await client.authStatus('tx', never)).ok).toBe(false)
    expect((await client.preauth({ username: 'alice' })).ok).toBe(false)
    expect(new Set(duo.asked.map(({ path }) => path))).toEqual(new Set(['/auth/v2/auth_status', '/auth/v2/preauth']))
  })

  it('row 105: a result of deny denies, whatever the status says', async () => {
    const duo = await scriptedDuo(answering(ok({ result: 'deny', status: 'allow', status_msg: 'Success.' })))
    expect(await clientOf(duo).authStatus('tx', never)).toMatchObject({ ok: true, value: { result: 'deny' } })
  })

  it.each<[string, Script]>([
    ['no answer', () => {}],
    [
      'headers, then silence',
      (_, socket) =>
        void socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n'),
    ],
    [
      'a byte now and then',
      (_, socket) => {
        socket.write(http(200, '', { 'Content-Length': '5000' }))
        const dripping = setInterval(() => socket.write(' '), 50)
        socket.on('close', () => clearInterval(dripping))
      },
    ],
  ])('row 106: %s ends at the deadline, with the socket closed and no second push', async (_, script) => {
    const duo = await scriptedDuo(script)
    const client = clientOf(duo, { deadline: () => 400 })
    const before = performance.now()
    expect(await client.auth(aPush)).toMatchObject({ ok: false, failure: { reason: 'duo-timeout', sent: true } })
    expect(performance.now() - before).toBeLessThan(2_000)
    await until(() => duo.open() === 0, 'the socket is closed')
    expect(duo.asked).toHaveLength(1)
  })

  it('row 106: whoever waits can give up, and the socket goes at once', async () => {
    const duo = await scriptedDuo(() => {})
    const stop = new AbortController()
    const waiting = clientOf(duo, { deadline: () => 60_000 }).authStatus('tx', stop.signal)
    await until(() => duo.asked.length === 1, 'the poll is there')
    stop.abort()
    expect((await waiting).ok).toBe(false)
    await until(() => duo.open() === 0, 'the socket is closed')
  })

  it.each<[string, Script]>([
    [
      '50 MiB with their length',
      (_, socket) => void socket.write(http(200, '', { 'Content-Length': String(50 * 2 ** 20) }) + ' '.repeat(2 ** 20)),
    ],
    [
      'a stream without end',
      (_, socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n')
        const more = () => {
          if (!socket.destroyed) socket.write(`10000\r\n${' '.repeat(65_536)}\r\n`, () => setImmediate(more))
        }
        more()
      },
    ],
    [
      'a gzip bomb',
      (_, socket) => {
        const bomb = gzipSync(Buffer.alloc(50 * 2 ** 20))
        socket.write(http(200, '', { 'Content-Length': String(bomb.length), 'Content-Encoding': 'gzip' }))
        socket.write(bomb)
      },
    ],
  ])('row 107: %s is cut at the cap', async (_, script) => {
    const duo = await scriptedDuo(script)
    const answer = await clientOf(duo, { deadline: () => 5_000 }).preauth({ username: 'alice' })
    expect(answer).toMatchObject({ ok: false, failure: { reason: 'duo-malformed' } })
    await until(() => duo.open() === 0, 'the socket is closed')
  })

  it.each([
    [undefined, undefined, 3],
    ['1', 1, 3],
    ['3', 3, 3],
    ['60', 60, 1],
    ['1000000000', 300, 1],
    ['1e9', undefined, 3],
    ['-1', undefined, 3],
    ['soon', undefined, 3],
    [new Date(Date.UTC(2026, 10, 24, 12, 0, 30)).toUTCString(), 30, 1],
    [new Date(Date.UTC(2026, 10, 24, 11, 0, 0)).toUTCString(), undefined, 3],
  ])(
    'row 108: 429 with Retry-After %j never allows, is waited for within bounds, and never sends a push again',
    async (header, told, tries) => {
      const headers = header === undefined ? {} : { 'Retry-After': header }
      const duo = await scriptedDuo(answering(http(429, '{"stat":"OK","response":{"result":"allow"}}', headers)))
      const client = clientOf(duo, { clock: () => Date.UTC(2026, 10, 24, 12, 0, 0) })
      const answer = await client.preauth({ username: 'alice' })
      expect(answer).toMatchObject({ ok: false, failure: { kind: 'unavailable', reason: 'duo-throttled' } })
      expect(answer.ok ? null : answer.failure.retryAfterSeconds).toBe(told)
      expect(duo.asked).toHaveLength(tries)
      expect(Math.max(0, ...client.pauses)).toBeLessThan(4_000)
      const pushed = await client.auth(aPush)
      expect(pushed).toMatchObject({ ok: false, failure: { reason: 'duo-throttled' } })
      expect(duo.asked.filter(({ path }) => path === '/auth/v2/auth')).toHaveLength(1)
    },
  )

  it.each([
    [40102, 'Invalid integration key in request credentials', undefined, 'misconfigured', 'duo-ikey'],
    [40103, 'Invalid signature in request credentials', undefined, 'misconfigured', 'duo-signature'],
    [40101, 'Missing request credentials', undefined, 'misconfigured', 'duo-refused'],
    [40301, 'Access forbidden', 'Wrong integration type for this API.', 'misconfigured', 'duo-application'],
    [
      40301,
      'Client duo_api_nodejs version 1.0.0 is deprecated and no longer supported',
      undefined,
      'misconfigured',
      'duo-client-too-old',
    ],
    [40401, 'Resource not found', undefined, 'misconfigured', 'duo-refused'],
    [40002, 'Invalid request parameters', 'username', 'request', 'duo-no-user'],
    [40002, 'Invalid request parameters', 'no capable device', 'request', 'duo-no-device'],
    [40002, 'Invalid request parameters', 'device', 'request', 'duo-refused'],
    [40002, 'Invalid request parameters', 'txid', 'request', 'duo-refused'],
    [40002, 'Invalid request parameters', 'pushinfo', 'request', 'duo-refused'],
    [50000, 'oops', undefined, 'unavailable', 'duo-server-error'],
  ])('is told apart: %i %s (%s)', async (code, message, detail, kind, reason) => {
    const duo = await scriptedDuo(answering(fail(code, message, detail)))
    const answer = await clientOf(duo).preauth({ username: 'alice' })
    expect(answer).toMatchObject({ ok: false, failure: { kind, reason } })
    if (kind === 'request') expect(answer).toMatchObject({ failure: { parameter: detail } })
  })

  it('learns by how much the clock is wrong', async () => {
    const script: Script = ({ path }, socket) =>
      void socket.write(path.endsWith('ping') ? ok({ time: 1_700_000_000 }) : fail(40105, 'Bad request timestamp'))
    const client = clientOf(await scriptedDuo(script), { clock: () => 1_700_000_600_000 })
    const expected = { kind: 'misconfigured', reason: 'duo-clock', clockOffsetSeconds: 600 }
    expect(await client.preauth({ username: 'alice' })).toMatchObject({ ok: false, failure: expected })
    expect(await client.check()).toMatchObject({ ok: false, failure: expected })
  })

  it('tells a simulator by its header', async () => {
    const plain = await scriptedDuo(answering(ok({ time: 1_700_000_000 })))
    expect(await clientOf(plain).ping()).toMatchObject({ value: { simulator: false } })
    const body = JSON.stringify({ response: { time: 1_700_000_000 }, stat: 'OK' })
    const simulated = await scriptedDuo(answering(http(200, body, { 'X-Postern-Simulator': '1' })))
    expect(await clientOf(simulated).ping()).toMatchObject({ value: { simulator: true } })
  })

  it.each(['', 'x'.repeat(10_240), 'with space', 'ü', 7, null, undefined, ['tx']])(
    'row 116: /auth with a txid of %j is a failure',
    async txid => {
      const duo = await scriptedDuo(answering(ok({ txid })))
      const answer = await clientOf(duo).auth(aPush)
      expect(answer).toMatchObject({ ok: false, failure: { reason: 'duo-malformed', sent: true } })
    },
  )

  it('never lets an exception out, whatever bytes come', async () => {
    let raw = Buffer.alloc(0)
    const duo = await scriptedDuo((_, socket) => void socket.end(raw))
    const client = clientOf(duo)
    const start = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n')
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 200 }), async (headed, bytes) => {
        raw = headed ? Buffer.concat([start, bytes]) : Buffer.from(bytes)
        expect((await client.authStatus('tx', never)).ok).toBe(false)
      }),
      { numRuns: 60 },
    )
  })
})

describe('the connection', () => {
  it.each([
    ['another name', { names: ['duo.example.org'] }, 'for another name'],
    ['expired', { notAfterDate: new Date(Date.now() - 1000) }, 'has expired'],
    ['self-signed', { selfSigned: true }, 'self-signed'],
    ['no server’s', { forClients: true }, 'INVALID_PURPOSE'],
  ])(
    'row 111: a certificate that is %s is refused and named, also with NODE_TLS_REJECT_UNAUTHORIZED=0',
    async (_, wrong, words) => {
      const given = await certificate(wrong)
      const duo = await scriptedDuo(answering(ok({ result: 'allow' })), given)
      for (const value of [undefined, '0']) {
        vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', value)
        onTestFinished(() => void vi.unstubAllEnvs())
        const answer = await clientOf(duo).preauth({ username: 'alice' })
        expect(answer).toMatchObject({ ok: false, failure: { kind: 'unavailable', reason: 'duo-tls', sent: false } })
        expect(answer.ok ? '' : answer.failure.detail).toContain(words)
      }
      expect(duo.asked).toEqual([])
    },
  )

  it('row 111: an authority that is not one of Duo’s is refused, also with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    const duo = await scriptedDuo(answering(ok({ result: 'allow' })))
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const answer = await clientOf(duo, { rootCertificates: undefined }).preauth({ username: 'alice' })
    expect(answer).toMatchObject({ ok: false, failure: { reason: 'duo-tls' } })
    expect(answer.ok ? '' : answer.failure.detail).toMatch(/authority|root/)
    expect(duo.asked).toEqual([])
  })

  it('says what is wrong: nobody listens, nobody has the name', async () => {
    const port = await freePort()
    const make = (hostname: string) => {
      const client = duoClient({ config: { ...keys, hostname }, clock: Date.now, log: silent })
      onTestFinished(() => client.close())
      return client
    }
    const refused = await make(`127.0.0.1:${port}`).auth(aPush)
    expect(refused).toMatchObject({ ok: false, failure: { reason: 'duo-unreachable', sent: false } })
    const unnamed = await make('no-such-host.invalid').auth(aPush)
    expect(unnamed).toMatchObject({ ok: false, failure: { reason: 'duo-dns', sent: false } })
  })

  it('tries once more when a server closed an idle connection, but never with a push', async () => {
    const duo = await scriptedDuo(
      (_, socket, count) => void (count === 1 ? socket.destroy() : socket.write(ok({ result: 'deny' }))),
    )
    const client = clientOf(duo)
    expect((await client.preauth({ username: 'alice' })).ok).toBe(true)
    expect(duo.asked).toHaveLength(2)
    const cutting = await scriptedDuo((_, socket) => void socket.destroy())
    expect(await clientOf(cutting).auth(aPush)).toMatchObject({ ok: false, failure: { sent: true } })
    expect(cutting.asked).toHaveLength(1)
  })
})

it('logs no key, no signature and no transaction', async () => {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: line => lines.push(line) })
  const duo = await scriptedDuo(
    ({ headers }, socket) => void socket.write(fail(40103, `Invalid signature ${headers.date}`)),
  )
  const client = clientOf(duo, { log })
  await client.check()
  await client.authStatus('secret-transaction', never)
  await client.auth(aPush)
  expect(lines).toHaveLength(3)
  for (const secret of [keys.secret_key, 'Basic ', 'secret-transaction']) expect(lines.join('')).not.toContain(secret)
})

/** What the package's own client hands to node:https. */
function sentByThePackage(method: string, path: string, parameters: Record<string, string>, now: number) {
  vi.useFakeTimers({ now, toFake: ['Date'] })
  const request = vi.spyOn(https, 'request')
  onTestFinished(() => {
    vi.useRealTimers()
    request.mockRestore()
  })
  return new Promise<{ path: string; headers: Record<string, string>; body: string }>(resolve => {
    request.mockImplementation(((options: { path: string; headers: Record<string, string> }) => ({
      on() {},
      write: (body: string) => resolve({ path: options.path, headers: options.headers, body }),
      end() {},
    })) as never)
    new Client(keys.integration_key, keys.secret_key, 'localhost').apiCall(method, path, parameters, () => {})
  })
}
