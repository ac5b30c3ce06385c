import { pino } from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { parseProxyUrl } from '../../src/config/proxy-url.ts'
import { type HttpProxy, proxyFor } from '../../src/duo/proxy.ts'
import { freePort, until } from '../support/process.ts'
import { connectProxy } from './connect-proxy.ts'
import { aPush, certificate, clientOf, keys, ok, type Script, scriptedDuo } from './scripted-duo.ts'

const alice = { username: 'alice' }
const denying: Script = ({ path }, socket) =>
  void socket.write(ok(path.endsWith('/auth') ? { txid: 'tx-1' } : { result: 'deny', time: 1_795_525_200 }))

const api = { name: 'api-1234.duosecurity.com', port: 443 }

function proxyAt(port: number, credentials = ''): HttpProxy {
  const proxy = proxyFor({ ...api, proxy: `http://${credentials}127.0.0.1:${port}` }, {})
  if (proxy === undefined || proxy === 'unusable') throw new Error('no proxy')
  return proxy
}

describe(proxyFor, () => {
  const address = (duo: { proxy?: string; name: string; port: number }, env: Record<string, string>) => {
    const found = proxyFor(duo, env)
    return typeof found === 'object' ? found.address : found
  }

  it.each<[string, Record<string, string>, string | undefined]>([
    ['nothing is set', {}, undefined],
    ['HTTPS_PROXY', { HTTPS_PROXY: 'http://proxy.corp:3128' }, 'http://proxy.corp:3128'],
    ['https_proxy', { https_proxy: 'http://proxy.corp:3128/' }, 'http://proxy.corp:3128'],
    ['without a scheme', { HTTPS_PROXY: 'proxy.corp:3128' }, 'http://proxy.corp:3128'],
    ['with a password', { HTTPS_PROXY: 'http://u:p@proxy.corp:3128' }, 'http://proxy.corp:3128'],
    ['empty', { HTTPS_PROXY: '  ' }, undefined],
    ['a SOCKS proxy', { HTTPS_PROXY: 'socks5://proxy.corp:1080' }, 'unusable'],
    ['HTTP_PROXY is for http only', { HTTP_PROXY: 'http://proxy.corp:3128' }, undefined],
    ['NO_PROXY of the host', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'api-1234.duosecurity.com' }, undefined],
    ['NO_PROXY of the domain', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'a.b, .duosecurity.com' }, undefined],
    ['NO_PROXY with a star', { HTTPS_PROXY: 'http://p:1', NO_PROXY: '*.DuoSecurity.com' }, undefined],
    ['NO_PROXY of everything', { HTTPS_PROXY: 'http://p:1', no_proxy: '*' }, undefined],
    ['NO_PROXY with the port', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'duosecurity.com:443' }, undefined],
    ['NO_PROXY with another port', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'duosecurity.com:8443' }, 'http://p:1'],
    ['NO_PROXY of a name that only ends alike', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'security.com' }, 'http://p:1'],
  ])('%s', (_, env, expected) => {
    expect(address(api, env)).toBe(expected)
  })

  it('the configured one wins, and NO_PROXY does not undo it', () => {
    const env = { HTTPS_PROXY: 'http://other:1', NO_PROXY: '*' }
    expect(address({ ...api, proxy: 'http://mine:3128' }, env)).toBe('http://mine:3128')
  })

  it.each(['localhost', 'duo.localhost', '127.0.0.1'])('a proxy of the environment is not asked for %s', name => {
    expect(address({ name, port: 8443 }, { HTTPS_PROXY: 'http://proxy.corp:3128' })).toBeUndefined()
  })

  it.each([
    'proxy.corp:3128',
    'socks5://proxy.corp',
    'http://',
    'http:\\\\proxy.corp',
    'http://proxy.corp/path',
    'http://u:p/w@proxy.corp',
    'http://u:%zz@proxy.corp',
    'http://proxy.corp:99999',
    'http://pro xy',
  ])('%j is no proxy of a configuration', text => {
    expect(parseProxyUrl(text)).toBeUndefined()
  })
})

describe('through a proxy', () => {
  it('every call goes by a tunnel to Duo’s host, which is kept', async () => {
    const duo = await scriptedDuo(denying)
    const proxy = await connectProxy()
    const client = clientOf(duo, { proxy: proxyAt(proxy.port) })
    for (let round = 0; round < 5; round += 1) expect((await client.preauth(alice)).ok).toBe(true)
    expect((await client.auth(aPush)).ok).toBe(true)
    expect(new Set(proxy.tunnels)).toEqual(new Set([`localhost:${duo.port}`]))
    expect(proxy.tunnels.length).toBeLessThanOrEqual(2)
    expect(new Set(proxy.authorizations)).toEqual(new Set([undefined]))
    expect(duo.asked[0]?.headers['proxy-authorization']).toBeUndefined()
  })

  it('user name and password go to the proxy, decoded, and never to Duo or to the log', async () => {
    const lines: string[] = []
    const log = pino({ level: 'trace' }, { write: line => lines.push(line) })
    const expected = `Basic ${Buffer.from('us er:p@ss:wörd').toString('base64')}`
    const proxy = await connectProxy((request, socket) => {
      if (request.headers['proxy-authorization'] === expected) return false
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return true
    })
    const duo = await scriptedDuo(denying)
    const right = clientOf(duo, { proxy: proxyAt(proxy.port, 'us%20er:p%40ss%3Aw%C3%B6rd@'), log })
    expect((await right.preauth(alice)).ok).toBe(true)
    expect(JSON.stringify(duo.asked)).not.toContain(expected)
    const wrong = clientOf(duo, { proxy: proxyAt(proxy.port, 'user:hunter2@'), log })
    const refused = await wrong.auth(aPush)
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'misconfigured', reason: 'duo-proxy', sent: false } })
    expect(refused.ok ? '' : refused.failure.detail).toContain('407')
    const said = `${lines.join('')}${JSON.stringify(refused)}`
    expect(lines.length).toBeGreaterThan(0)
    for (const secret of ['hunter2', 'p@ss', Buffer.from('user:hunter2').toString('base64')])
      expect(said).not.toContain(secret)
  })

  it.each([403, 502, 503, 302])('a proxy that answers %i is named as the cause, and nothing was sent', async status => {
    const duo = await scriptedDuo(denying)
    const proxy = await connectProxy((_, socket) => {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
      return true
    })
    const answer = await clientOf(duo, { proxy: proxyAt(proxy.port) }).auth(aPush)
    expect(answer).toMatchObject({ ok: false, failure: { kind: 'unavailable', reason: 'duo-proxy', sent: false } })
    expect(answer.ok ? '' : answer.failure.detail).toContain(String(status))
    expect(duo.asked).toEqual([])
  })

  it('a proxy that is not there, or hangs up, is named as the cause', async () => {
    const duo = await scriptedDuo(denying)
    const failure = { kind: 'unavailable', reason: 'duo-proxy', sent: false }
    const absent = clientOf(duo, { proxy: proxyAt(await freePort()), deadline: () => 2_000 })
    expect(await absent.auth(aPush)).toMatchObject({ ok: false, failure })
    const proxy = await connectProxy((_, socket) => {
      socket.destroy()
      return true
    })
    const hangingUp = clientOf(duo, { proxy: proxyAt(proxy.port), deadline: () => 2_000 })
    expect(await hangingUp.auth(aPush)).toMatchObject({ ok: false, failure })
    expect(duo.asked).toEqual([])
  })

  it('row 106: a proxy that takes the connection and says nothing ends at the deadline', async () => {
    const duo = await scriptedDuo(denying)
    const proxy = await connectProxy((_, socket) => {
      socket.resume() // so that its end is seen
      return true
    })
    const config = { ...keys, hostname: `localhost:${duo.port}`, timeout: 1_000 }
    const client = clientOf(duo, { config, proxy: proxyAt(proxy.port) })
    const before = performance.now()
    expect(await client.auth(aPush)).toMatchObject({ ok: false, failure: { kind: 'unavailable' } })
    expect(performance.now() - before).toBeLessThan(2_000)
    await until(() => proxy.open() === 0, 'the socket to the proxy is closed')
  })

  it('row 106: a push whose answer is lost in the tunnel is not sent again', async () => {
    const duo = await scriptedDuo((_, socket) => void socket.destroy())
    const proxy = await connectProxy()
    const answer = await clientOf(duo, { proxy: proxyAt(proxy.port) }).auth(aPush)
    expect(answer).toMatchObject({ ok: false, failure: { sent: true } })
    expect(duo.asked).toHaveLength(1)
  })

  it.each([
    ['of another authority', async () => certificate(), false],
    ['for another name', async () => certificate({ names: ['api-1234.duosecurity.com'] }), true],
    ['that has expired', async () => certificate({ notAfterDate: new Date(Date.now() - 60_000) }), true],
    ['that is self-signed', async () => certificate({ selfSigned: true }), false],
  ])(
    'row 111: a certificate %s is refused behind a proxy too, also with NODE_TLS_REJECT_UNAUTHORIZED=0',
    async (_, make, trusted) => {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
      onTestFinished(() => void vi.unstubAllEnvs())
      const wrong = await make()
      const impostor = await scriptedDuo(denying, wrong)
      const duo = await scriptedDuo(denying)
      // The proxy leads elsewhere: a company's, or an attacker's.
      const proxy = await connectProxy(undefined, impostor.port)
      const client = clientOf(duo, {
        proxy: proxyAt(proxy.port),
        rootCertificates: trusted ? wrong.ca : duo.certificate.ca,
        deadline: () => 2_000,
      })
      expect(await client.preauth(alice)).toMatchObject({ ok: false, failure: { reason: 'duo-tls', sent: false } })
      expect(proxy.tunnels.length).toBeGreaterThan(0)
      expect(impostor.asked).toEqual([])
    },
  )

  it('row 111: a company’s proxy that opens TLS is believed once its CA is named, and only for Duo’s name', async () => {
    const company = await certificate()
    const opening = await scriptedDuo(denying, company)
    const proxy = await connectProxy(undefined, opening.port)
    const duo = await scriptedDuo(denying)
    const client = clientOf(duo, { proxy: proxyAt(proxy.port), rootCertificates: company.ca })
    expect((await client.preauth(alice)).ok).toBe(true)
    expect(duo.asked).toEqual([])
  })

  it('row 111: without a CA file Duo’s own roots rule behind a proxy', async () => {
    const duo = await scriptedDuo(denying)
    const proxy = await connectProxy()
    const client = clientOf(duo, { proxy: proxyAt(proxy.port), rootCertificates: undefined, deadline: () => 2_000 })
    expect(await client.preauth(alice)).toMatchObject({ ok: false, failure: { reason: 'duo-tls' } })
    expect(duo.asked).toEqual([])
  })
})
