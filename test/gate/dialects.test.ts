import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { endsWithSuite } from '../support/process.ts'
import { ask, exchange, extAuthz, type House, house, legacy, opensNothing } from './house.ts'
import { expectLogged, expectRefused, inAnotherMinute, nginx, of, traefik } from './refused.ts'

let at: House
const endsWith = endsWithSuite()
beforeAll(async () => {
  at = await house(endsWith)
})

beforeEach(() => inAnotherMinute(at))

describe('ext-authz', () => {
  const proto = { 'X-Forwarded-Proto': 'https' }
  const path = `${extAuthz}//some/path?with=a&query=too`
  const wanted = encodeURIComponent('https://one.example.com/some/path?with=a&query=too')
  /** Request line and header lines, exactly. */
  const lines = (first: string, ...rest: string[]) =>
    exchange(
      at,
      `${[first, ...rest, 'X-Forwarded-Proto: https', 'Accept: text/html', 'Connection: close'].join('\r\n')}\r\n\r\n`,
    )

  it('judges what stands behind its own path, with the query', async () => {
    for (const [behind, target] of [
      ['//some/path?with=a&query=too', '/some/path?with=a&query=too'],
      ['/some/path?with=a&query=too', '/some/path?with=a&query=too'],
      ['', '/'],
      ['/', '/'],
      ['//', '/'],
      ['?a=b', '/?a=b'],
      ['/?a=b', '/?a=b'],
      ['//?a=b', '/?a=b'],
      ['///public', '//public'],
      ['//%E9t%E9', '/%E9t%E9'],
      ['//a;b=c', '/a;b=c'],
      ['//api/authz/ext-authz/x', '/api/authz/ext-authz/x'],
      [
        '//?rd=https://evil.com/&authelia_url=https://evil.com/',
        '/?rd=https://evil.com/&authelia_url=https://evil.com/',
      ],
    ] as const) {
      const { status, headers } = await lines(`GET ${extAuthz}${behind} HTTP/1.1`, 'Host: one.example.com')
      expect([behind, status, new URL(headers.location ?? '').searchParams.get('rd')]).toEqual([
        behind,
        302,
        `https://one.example.com${target}`,
      ])
    }
  })

  it('does not judge another spelling of its own path', async () => {
    for (const other of [
      '/%61pi/authz/ext-authz',
      '/api/authz/ext-authzz/x',
      '/api/authz//ext-authz/x',
      '/API/authz/ext-authz/x',
    ]) {
      const answer = await lines(`GET ${other} HTTP/1.1`, 'Host: public.example.com')
      expect([400, 404]).toContain(answer.status)
      expect(opensNothing(answer)).toBe(true)
    }
  })

  it.each(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'MKCOL', 'REPORT'])(
    'judges the visitor’s own %s',
    async method => {
      const { headers } = await lines(`${method} ${path} HTTP/1.1`, 'Host: one.example.com', 'Content-Length: 0')
      expect(headers.location).toBe(`https://auth.example.com/?rd=${wanted}&rm=${method}`)
    },
  )

  it('row 23: a missing, doubled or empty Host is refused', async () => {
    for (const hosts of [
      [],
      ['Host: public.example.com', 'Host: two.example.com'],
      ['Host: public.example.com', 'Host: public.example.com'],
      ['Host: public.example.com', 'host: public.example.com'],
      ['Host:'],
      ['Host: public.example.com, two.example.com'],
    ])
      for (const version of ['HTTP/1.1', 'HTTP/1.0'])
        expectRefused(await lines(`GET ${extAuthz}//x ${version}`, ...hosts))
    expectLogged(at, 'gate-headers', 'host', 'missing')
    expectLogged(at, 'gate-headers', 'host', 'more than one line')
    for (const bytes of [
      `GET ${extAuthz}//x\r\n\r\n`,
      `GET ${extAuthz}//x HTTP/0.9\r\nHost: public.example.com\r\n\r\n`,
    ])
      expectRefused(await exchange(at, bytes))
    expect((await lines(`GET ${extAuthz}//x HTTP/1.1`, 'Host: public.example.com')).status).toBe(200)
  })

  it('row 23: an absolute form must name the host that the Host header names', async () => {
    const absolute = (host: string, header: string) =>
      lines(`GET http://${host}${extAuthz}//x HTTP/1.1`, `Host: ${header}`)
    expect((await absolute('public.example.com', 'public.example.com')).status).toBe(200)
    expect((await absolute('PUBLIC.example.com', 'public.example.com')).status).toBe(200)
    for (const [one, other] of [
      ['public.example.com', 'two.example.com'],
      ['two.example.com', 'public.example.com'],
      ['public.example.com@two.example.com', 'public.example.com'],
      ['two.example.com:80', 'public.example.com'],
    ] as const)
      expectRefused(await absolute(one, other))
    expectLogged(at, 'gate-headers', 'another host')
  })

  it('row 8: a missing, empty or doubled X-Forwarded-Proto is refused, and named', async () => {
    const plain = (...rest: string[]) =>
      exchange(
        at,
        `GET ${path} HTTP/1.1\r\nHost: public.example.com\r\n${rest.map(line => `${line}\r\n`).join('')}\r\n`,
      )
    for (const rest of [
      [],
      ['X-Forwarded-Proto:'],
      ['X-Forwarded-Proto: https', 'x-forwarded-proto: https'],
      ['X-Forwarded-Proto: http'],
    ])
      expectRefused(await plain('Connection: close', ...rest))
    expectLogged(at, 'gate-headers', 'x-forwarded-proto', 'missing')
  })

  it('row 10, row 11: reads only its own headers, and no alias of them', async () => {
    const others = [
      ['X-Forwarded-Host', 'public.example.com'],
      ['X-Forwarded-URI', '/public'],
      ['X-Forwarded-Method', 'OPTIONS'],
      ['X-Original-URL', 'https://public.example.com/'],
      ['X-Original-Method', 'OPTIONS'],
      ['X_Forwarded_Proto', 'http'],
      ['X-Host', 'public.example.com'],
      ['Forwarded', 'host=public.example.com'],
      ['X-HTTP-Method-Override', 'OPTIONS'],
    ] as [string, string][]
    const { headers } = await ask(at, path, of(proto, others, { Accept: 'text/html' }), 'DELETE', 'one.example.com')
    expect(headers.location).toBe(`https://auth.example.com/?rd=${wanted}&rm=DELETE`)
  })
})

describe('legacy', () => {
  const accept = { Accept: 'text/html' }
  const both = of(nginx, traefik)
  const without = (name: string) => both.filter(([header]) => header !== name)

  it('takes X-Original-URL, X-Forwarded-*, or both where they agree', async () => {
    for (const fields of [of(nginx), of(traefik), both, of(both, { 'X-Forwarded-Port': '443' })])
      expect((await ask(at, legacy, fields)).status).toBe(200)
    for (const header of [
      'X-Forwarded-Proto',
      'X-Forwarded-Host',
      'X-Forwarded-URI',
      'X-Forwarded-Method',
      'X-Original-URL',
    ])
      expect([header, (await ask(at, legacy, without(header))).status]).toEqual([header, 200])
    const two = { ...nginx, 'X-Original-URL': 'https://two.example.com/' }
    expectRefused(await ask(at, legacy, of(two, accept)), 401)
  })

  it.each([
    ['X-Forwarded-Host', 'two.example.com', 'x-forwarded-host'],
    ['X-Forwarded-Host', 'a, b', 'x-forwarded-host'],
    ['X-Forwarded-URI', '/other', 'x-forwarded-uri'],
    ['X-Forwarded-URI', 'no-slash', 'x-forwarded-uri'],
    ['X-Forwarded-Proto', 'http', 'x-forwarded-proto'],
    ['X-Original-Method', 'POST', 'x-original-method'],
  ])('refuses %s: %s beside an X-Original-URL that says otherwise', async (header, value, named) => {
    expectRefused(await ask(at, legacy, of(without(header), { [header]: value })), 401)
    expectLogged(at, 'gate-headers', named, 'contradict')
  })

  it('refuses what a visitor sends beside the headers of a proxy that sets the others only', async () => {
    // Traefik sets X-Forwarded-* and passes an X-Original-URL of the visitor's on: for Authelia that one counts.
    const asked = { ...traefik, 'X-Forwarded-Host': 'two.example.com' }
    expectRefused(await ask(at, legacy, of(asked, { 'X-Original-URL': 'https://public.example.com/' })), 401)
    const original = { ...nginx, 'X-Original-URL': 'https://two.example.com/' }
    expectRefused(await ask(at, legacy, of(original, { 'X-Forwarded-Host': 'public.example.com' })), 401)
  })

  it.each(Object.keys({ ...nginx, ...traefik }))('row 8, row 9: a doubled %s is refused, and named', async header => {
    const value = Object.fromEntries(both)[header] ?? ''
    expectRefused(await ask(at, legacy, of(both, [[header, value]])), 401)
    const { detail } = at.lines.findLast(line => line.event === 'gate.refused') ?? {}
    expect(detail).toMatch(/more than one line|contradict/)
    expect(detail).toContain(header.toLowerCase())
  })

  it('row 14: what `Connection` made a proxy drop is missing', async () => {
    for (const dropped of Object.keys(traefik))
      expectRefused(
        await ask(
          at,
          legacy,
          of(traefik).filter(([header]) => header !== dropped),
        ),
        401,
      )
  })

  it.each(['X_Original_URL', 'X.Original.URL', 'X-Original-URI', 'X_Forwarded_Host'])(
    'row 11: %s is another header',
    async alias => {
      const two = { ...traefik, 'X-Forwarded-Host': 'two.example.com' }
      const answer = await ask(
        at,
        `${legacy}?rd=https://auth.example.com`,
        of([[alias, 'https://public.example.com/']], two, accept),
      )
      expect(answer.headers.location).toContain('two.example.com')
    },
  )
})
