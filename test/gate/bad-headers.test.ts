import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'
import {
  type Answer,
  ask,
  asNginx,
  authRequest,
  cookieOf,
  exchange,
  extAuthz,
  forwardAuth,
  type House,
  house,
  legacy,
  opensNothing,
  proxiesOf,
} from './house.ts'
import { expectLogged, expectRefused, inAnotherMinute, nginx, of, traefik } from './refused.ts'

let at: House
const endsWith = endsWithSuite()
beforeAll(async () => {
  at = await house(endsWith)
})

beforeEach(() => inAnotherMinute(at))

const publicHost = { url: 'https://public.example.com/' }

describe.each(proxiesOf)('asked as %s', (name, asProxy, { bad, raw, names }) => {
  const expectBad = (answer: Answer) => expectRefused(answer, bad)

  it('row 1: an untrusted peer is refused before any rule, and the log has the line to add', async () => {
    const closed = await house(onTestFinished, { trusted: ['10.0.0.0/8'] })
    for (const url of ['https://public.example.com/', 'https://one.example.com/', 'no url at all'])
      expectBad(await asProxy(closed, { url, cookie: cookieOf('john', 2) }))
    expectBad(await raw(closed, []))
    expectLogged(closed, 'gate-untrusted-peer', '127.0.0.1', 'server.trusted_proxies', "- '127.0.0.1/32'")
    expect(closed.lines.filter(line => line.event === 'gate.refused')).toHaveLength(1)
    expect(closed.touched).toEqual([])
  })

  it('row 1: a peer that asks again and again is told of once a minute, with the count', async () => {
    const closed = await house(onTestFinished, { trusted: [] })
    const events = () => closed.lines.filter(line => line.event === 'gate.refused')
    const refs = new Set<string>()
    for (let i = 0; i < 5; i++) refs.add((await asProxy(closed, publicHost)).body)
    expect([events().length, refs.size]).toEqual([1, 1])
    expect([...refs][0]).toContain(events()[0]?.ref)
    closed.now += 61_000
    await asProxy(closed, publicHost)
    expect(events()[1]).toMatchObject({ count: 4 })
  })

  it('row 7: the peer of a unix socket is trusted only where it is configured', async () => {
    const path = join(temporaryFolder(), 'postern.sock')
    const fields = of(nginx, traefik)
    const closed = await house(onTestFinished, { path, trusted: ['0.0.0.0/0', '::/0'] })
    expectBad(await raw({ path }, fields))
    expectLogged(closed, 'gate-untrusted-peer', 'unix socket', "- 'unix'")
    await closed.app.close()
    await house(onTestFinished, { path, trusted: ['unix'] })
    expect((await raw({ path }, fields)).status).toBe(200)
  })

  it('row 12: the four headers of a 200 are the gate’s own, whatever the client sent', async () => {
    const more = [
      ['Remote-User', 'admin'],
      ['Remote-Groups', 'admins'],
      ['remote_user', 'admin'],
    ] as const
    const { status, headers } = await asProxy(at, { ...publicHost, more })
    expect([status, headers['remote-user'], headers['remote-groups']]).toEqual([200, '', ''])
  })

  it('row 16: a list of headers that could be cut is refused, wherever the cut falls', async () => {
    for (const count of [250, 990, 999, 1000, 1001, 1900, 1995, 2000]) {
      const many = Array.from({ length: count }, (_, i) => [`a${i}`, ''] as [string, string])
      for (const fields of [of(many, nginx, traefik), of(nginx, traefik, many)]) {
        const answer = await raw(at, fields)
        expect([bad, 431]).toContain(answer.status)
        expect(opensNothing(answer)).toBe(true)
      }
    }
    const some = Array.from({ length: 120 }, (_, i) => [`a${i}`, ''] as [string, string])
    expect((await asProxy(at, { ...publicHost, more: some })).status).toBe(200)
  })

  it('row 15: X-Forwarded-Prefix, X-Envoy-Original-Path and their kin are never part of the object', async () => {
    const kin = ['X-Forwarded-Prefix', 'X-Envoy-Original-Path', 'X-Rewrite-URL', 'X-Original-URI', 'X-Forwarded-Path']
    for (const value of ['/public', 'https://public.example.com/']) {
      const more = kin.map(header => [header, value] as const)
      const answer = await asProxy(at, { url: 'https://one.example.com/secret?a=b', more })
      expect(answer.headers.location).toContain(`=${encodeURIComponent('https://one.example.com/secret?a=b')}&`)
    }
  })

  it('row 18: names of Object are unknown headers', async () => {
    const more = ['__proto__', 'constructor', 'hasOwnProperty', 'accept__proto__', 'x-__proto__'].map(
      header => [header, 'https://public.example.com/'] as const,
    )
    expect((await asProxy(at, { ...publicHost, more })).status).toBe(200)
    expect((await asProxy(at, { more })).headers.location).toContain('rd=')
  })

  it('row 19: no answer depends on the User-Agent', async () => {
    for (const agent of ['GoogleHC/1.0', 'kube-probe/1.29', 'ELB-HealthChecker/2.0', ''])
      expectLogin(await asProxy(at, { more: [['User-Agent', agent]] }))
  })

  it('row 20: the judged method is A to Z, and nothing overrides it', async () => {
    for (const method of ['get', 'GET,POST', 'G3T', 'A'.repeat(300), '', ' ', 'GET POST', 'M-SEARCH', 'GÉT']) {
      expectBad(await asProxy(at, { ...publicHost, method }))
    }
    expectLogged(
      at,
      'gate-method',
      { 'auth-request': 'x-original-method', 'ext-authz': 'request line' }[name as string] ?? 'x-forwarded-method',
    )
    const overridden = await asProxy(at, { method: 'DELETE', more: [['X-HTTP-Method-Override', 'GET']] })
    expect(overridden.headers.location).toMatch(/&rm=DELETE$/)
  })

  it.skipIf(name === 'ext-authz')('row 20: a missing or doubled method is refused', async () => {
    const methodHeader = name === 'auth-request' ? 'X-Original-Method' : 'X-Forwarded-Method'
    const others = name === 'legacy' ? ['X-Original-Method', 'X-Original-URL'] : []
    const rest = of(nginx, traefik).filter(([header]) => ![methodHeader, ...others].includes(header))
    const method = [methodHeader, 'GET'] as [string, string]
    expect((await raw(at, of(rest, [method]))).status).toBe(200)
    expectBad(await raw(at, rest))
    expectBad(await raw(at, of(rest, [method, method])))
    expectLogged(at, 'gate-headers', methodHeader.toLowerCase(), 'missing')
    expectLogged(at, 'gate-headers', methodHeader.toLowerCase(), 'more than one line')
  })

  const bodies = ['application/json', 'text/plain', 'x', ''].flatMap(type =>
    ['Content-Length: 5000000', 'Transfer-Encoding: chunked'].map(length => ({ type, length })),
  )
  const withBody = (method: string, { type, length }: (typeof bodies)[number]) => {
    const path = { 'auth-request': authRequest, 'forward-auth': forwardAuth, 'ext-authz': `${extAuthz}//` }[
      name as string
    ]
    const fields = of(nginx, traefik, type === '' ? [] : [['Content-Type', type]])
    const lines = fields.map(([header, value]) => `${header}: ${value}\r\n`).join('')
    return exchange(at, `${method} ${path ?? legacy} HTTP/1.1\r\nHost: public.example.com\r\n${lines}${length}\r\n\r\n`)
  }

  it.runIf(name === 'auth-request' || name === 'forward-auth')(
    'row 21: answers 405 to everything but GET and HEAD, before any body has come',
    async () => {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LOCK'])
        for (const body of bodies) {
          const answer = await withBody(method, body)
          expectRefused(answer, 405)
          expect(answer.headers).toMatchObject({ allow: 'GET, HEAD', connection: 'close' })
        }
    },
  )

  it.runIf(name === 'ext-authz' || name === 'legacy')(
    'row 21: judges every method without a look at the body, and closes rather than to read it',
    async () => {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'LOCK'])
        for (const body of bodies) {
          const answer = await withBody(method, body) // ends only when the server closes
          expect([method, answer.status, answer.headers.connection]).toEqual([method, 200, 'close'])
        }
    },
  )

  it('row 21: a GET with a body is judged without waiting for it, and the connection closed', async () => {
    for (const method of ['GET', 'HEAD'])
      for (const body of bodies) {
        const answer = await withBody(method, body) // ends only when the server closes
        expect([answer.status, answer.headers.connection]).toEqual([200, 'close'])
      }
  })

  it('row 22: names the header that said http', async () => {
    for (const scheme of ['http', 'ws', 'javascript', 'ftp'])
      expectBad(await asProxy(at, { url: `${scheme}://public.example.com/` }))
    expectLogged(
      at,
      'gate-scheme',
      name === 'auth-request' ? 'X-Original-URL' : 'X-Forwarded-Proto',
      'http',
      'one hop before',
    )
    expect((await asProxy(at, { url: 'HTTPS://public.example.com/' })).status).toBe(200)
    expectLogin(await asProxy(at, { url: 'http://x.app.localhost/' }))
  })

  it('row 24: the cookie comes first, whatever Authorization holds', async () => {
    for (const values of [
      ['Token x'],
      ['Basic !!!'],
      ['Bearer y'],
      [`Basic ${'A'.repeat(10_000)}`],
      ['Basic a', 'Basic b'],
      [''],
    ]) {
      const more = values.map(value => ['Authorization', value] as const)
      const { status, headers } = await asProxy(at, { cookie: cookieOf('john', 1), more })
      expect([status, headers['remote-user']]).toEqual([200, 'john'])
    }
  })

  it.each([
    'https://evil.com/',
    'http://auth.example.com/',
    'https://auth.example.org:8443',
    'https://one.example.com/',
    'https://auth.example.com.evil.com/',
    'https://auth.example.com@evil.com/',
    'https://auth.example.com/x',
    'javascript:alert(1)',
    '//auth.example.com/',
    '',
  ])('row 25: refuses %s as the portal', async portal => {
    for (const url of ['https://one.example.com/', 'https://public.example.com/', 'https://other.example.com/']) {
      if (names !== null) expectBad(await asProxy(at, { url, query: `?${names}=${encodeURIComponent(portal)}` }))
      expectBad(await asProxy(at, { url, more: [['X-Authelia-URL', portal]] }))
    }
  })

  it('row 25: takes the configured portal, in any spelling of it, and only once', async () => {
    for (const portal of ['https://auth.example.com', 'https://auth.example.com/', 'HTTPS://AUTH.example.com/']) {
      const answer = await asProxy(at, {
        ...(names === null ? {} : { query: `?${names}=${encodeURIComponent(portal)}` }),
        more: [['X-Authelia-URL', portal]],
      })
      expect(answer.headers.location).toMatch(/^https:\/\/auth\.example\.com\/\?rd=/)
    }
    if (names !== null)
      expectBad(await asProxy(at, { query: `?${names}=https://auth.example.com&${names}=https://evil.com` }))
    const doubled = [
      ['X-Authelia-URL', 'https://auth.example.com'],
      ['X-Authelia-URL', 'https://auth.example.com'],
    ] as const
    expectBad(await asProxy(at, { more: doubled }))
  })

  it('never tells the visitor what a header said', async () => {
    for (const accept of ['text/html', 'text/plain']) {
      const { body } = await asProxy(at, { url: 'http://secret-name.example.com/?token=secret', accept })
      expect(body).not.toContain('secret')
      expect(body).toMatch(/[0-9A-Z]{4}-[0-9A-Z]{4}/)
    }
    await asProxy(at, { url: 'http://user:secret@secret-name.example.com/?token=secret#secret' })
    // The framework's own lines, which the server does not write, hold the proxy's URL.
    expect(JSON.stringify(at.lines.filter(line => !('req' in line)))).not.toMatch(/token=|:secret|#secret/)
  })
})

function expectLogin(answer: Answer) {
  expect([401, 302, 303]).toContain(answer.status)
  expect(answer.headers.location).toContain('/?rd=')
  expect(opensNothing(answer)).toBe(true)
}

describe('forward-auth', () => {
  it.each(['X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-URI', 'X-Forwarded-Method'])(
    'row 8: a missing, empty or doubled %s is refused, and named',
    async header => {
      const value = traefik[header as keyof typeof traefik]
      const rest = of(traefik).filter(([name]) => name !== header)
      expectRefused(await ask(at, forwardAuth, rest))
      expectLogged(at, 'gate-headers', header.toLowerCase(), 'missing', 'deploy/traefik/dynamic.yml')
      for (const other of [value, 'two.example.com', 'https', ''])
        for (const name of [header, header.toLowerCase(), header.toUpperCase()])
          expectRefused(await ask(at, forwardAuth, of(traefik, [[name, other]])))
      expectLogged(at, 'gate-headers', header.toLowerCase(), 'more than one line')
      if (header !== 'X-Forwarded-URI') expectRefused(await ask(at, forwardAuth, of(rest, [[header, '']])))
    },
  )

  it('row 8: an empty X-Forwarded-URI is the path /', async () => {
    expect((await ask(at, forwardAuth, of({ ...traefik, 'X-Forwarded-URI': '' }))).status).toBe(200)
  })

  it('row 10: reads only its own headers', async () => {
    const fields = of({ ...traefik, 'X-Forwarded-Host': 'two.example.com' }, nginx, { Accept: 'text/html' })
    const answer = await ask(at, forwardAuth, fields)
    expect([answer.status, answer.headers.location]).toEqual([302, expect.stringContaining('two.example.com')])
    expectRefused(await ask(at, forwardAuth, of(nginx)))
    expectLogged(at, 'gate-headers', 'let this one ask /api/authz/auth-request')
  })

  it.each([
    'X_Forwarded_Host',
    'X.Forwarded.Host',
    'X-Forwarded_Host',
    'Forwarded',
    'X-Forwarded-Server',
    'X-Host',
    'X-Forwarded-Hostx',
    'Host2',
  ])('row 11: %s is another header', async alias => {
    const two = { ...traefik, 'X-Forwarded-Host': 'two.example.com' }
    for (const fields of [of(two, [[alias, 'public.example.com']]), of([[alias, 'public.example.com']], two)])
      expect((await ask(at, forwardAuth, fields)).headers.location).toContain('two.example.com')
    const { 'X-Forwarded-Host': _host, ...without } = traefik
    expectRefused(await ask(at, forwardAuth, of(without, [[alias, 'public.example.com']])))
  })

  it('row 14: a header that `Connection` made a proxy drop is a missing header', async () => {
    for (const dropped of Object.keys(traefik)) {
      const fields = of(traefik, [['Connection', `close, Remote-User, ${dropped}`]])
      expectRefused(await exchangeFields(fields.filter(([name]) => name !== dropped)))
      expect((await exchangeFields(fields)).status).toBe(200)
    }
  })

  it('row 22: the scheme is one word', async () => {
    for (const scheme of ['https, http', 'https,https', 'https://', ' '])
      expectRefused(await ask(at, forwardAuth, of({ ...traefik, 'X-Forwarded-Proto': scheme })))
    expectLogged(at, 'gate-scheme', 'X-Forwarded-Proto', 'https, http')
  })
})

const exchangeFields = (fields: [string, string][]) =>
  exchange(
    at,
    `GET ${forwardAuth} HTTP/1.1\r\nHost: x\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}Connection: close\r\n\r\n`,
  )

describe('auth-request', () => {
  it('row 9: two lines are refused, a comma inside one URL is fine', async () => {
    expectRefused(await ask(at, authRequest, of(nginx, [['x-original-url', 'https://public.example.com/']])))
    expectLogged(at, 'gate-headers', 'x-original-url', 'more than one line')
    expect((await asNginx(at, { url: 'https://public.example.com/?a=1,2' })).status).toBe(200)
  })

  it('row 10: reads only its own headers', async () => {
    const fields = of({ ...nginx, 'X-Original-URL': 'https://two.example.com/' }, traefik)
    expect((await ask(at, authRequest, fields)).headers.location).toContain('two.example.com')
    expectRefused(await ask(at, authRequest, of(traefik)))
    expectLogged(at, 'gate-headers', 'x-original-url', 'let this one ask /api/authz/forward-auth')
    expectRefused(await ask(at, authRequest, []))
    expectLogged(at, 'gate-headers', 'x-original-url', 'deploy/nginx/snippets/postern-location.conf')
  })

  it.each(['X_Original_URL', 'X.Original.URL', 'X-Original-URI', 'X-Rewrite-URL'])(
    'row 11: %s is another header',
    async alias => {
      const two = { ...nginx, 'X-Original-URL': 'https://two.example.com/' }
      const answer = await ask(at, authRequest, of([[alias, 'https://public.example.com/']], two))
      expect(answer.headers.location).toContain('two.example.com')
      expectRefused(
        await ask(at, authRequest, of({ 'X-Original-Method': 'GET', [alias]: 'https://public.example.com/' })),
      )
    },
  )
})

describe('the parser below the gate', () => {
  const head = `GET ${authRequest} HTTP/1.1\r\nHost: x\r\nX-Original-URL: https://public.example.com/\r\nX-Original-Method: GET\r\n`

  it.each([
    ['a line without a name', `${head}: x\r\n\r\n`],
    ['a space before the colon', `${head}X-Forwarded-Host : a\r\n\r\n`],
    ['a folded line', `${head}X-A: b\r\n folded\r\n\r\n`],
    ['a bare LF inside a value', `${head}X-A: b\nX-B: c\r\n\r\n`],
    ['a bare CR inside a value', `${head}X-A: b\rX-B: c\r\n\r\n`],
    ['an end with a bare CR', `${head}X-A: b\r\n\rX\r\n\r\n`],
    ['a NUL in a value', `${head}X-A: b\0\r\n\r\n`],
    ['a space in a name', `${head}X A: b\r\n\r\n`],
  ])('row 17: refuses %s and closes', async (_kind, bytes) => {
    const answer = await exchange(at, bytes) // ends only when the server closes
    expect(answer.status).toBe(400)
    expect(opensNothing(answer)).toBe(true)
  })

  it('row 17: takes the same without the fault', async () => {
    expect((await exchange(at, `${head}Connection: close\r\n\r\n`)).status).toBe(200)
  })
})
