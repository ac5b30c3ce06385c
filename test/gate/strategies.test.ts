import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { FirstFactor } from '../../src/users/users.ts'
import { endsWithSuite } from '../support/process.ts'
import {
  asLegacy,
  asNginx,
  asTraefik,
  cookieOf,
  type House,
  house,
  john,
  legacy,
  opensNothing,
  proxiesOf,
} from './house.ts'

const cookieFirst = [{ name: 'CookieSession' as const }, { name: 'HeaderAuthorization' as const }]
const headerFirst = [{ name: 'HeaderAuthorization' as const }, { name: 'CookieSession' as const }]
const endpoints = {
  basic: { implementation: 'ForwardAuth' as const, authn_strategies: [{ name: 'HeaderAuthorization' as const }] },
  'cookie-first': { implementation: 'ForwardAuth' as const, authn_strategies: cookieFirst },
  authelia: { implementation: 'ForwardAuth' as const, authn_strategies: headerFirst },
  cookie: { implementation: 'ForwardAuth' as const, authn_strategies: [{ name: 'CookieSession' as const }] },
  proxy: { implementation: 'ForwardAuth' as const, authn_strategies: [{ name: 'HeaderProxyAuthorization' as const }] },
  'nginx/proxy': {
    implementation: 'AuthRequest' as const,
    authn_strategies: [{ name: 'HeaderAuthRequestProxyAuthorization' as const }],
  },
  bearer: {
    implementation: 'ForwardAuth' as const,
    authn_strategies: [{ name: 'HeaderAuthorization' as const, schemes: ['bearer'] }],
  },
  cached: {
    implementation: 'ForwardAuth' as const,
    authn_strategies: [{ name: 'HeaderAuthorization' as const, scheme_basic_cache_lifespan: '1m' }],
  },
}

let at: House
const endsWith = endsWithSuite()
beforeAll(async () => {
  at = await house(endsWith, { endpoints })
})
beforeEach(() => {
  at.now += 120_000
  at.checked.length = 0
  at.touched.length = 0
  at.lines.length = 0
  at.banned.clear()
})

const basic = (username: string, password: string) =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
const header = (value: string, name = 'Authorization') => ({ more: [[name, value] as const] })
const right = header(basic('john', 'secret'))
const wrong = header(basic('john', 'guess'))
const own = (name: string) => `/api/authz/${name}`
const realm = 'Basic realm="Authorization Required"'

describe.each(proxiesOf.filter(([name]) => name !== 'legacy'))('asked as %s, by default', (_name, ask) => {
  it('takes name and password where there is no cookie, as one factor and never as more', async () => {
    const answer = await ask(at, right)
    expect([answer.status, answer.headers['remote-user'], answer.headers['remote-groups']]).toEqual([
      200,
      'john',
      'dev,admins',
    ])
    const two = await ask(at, { ...right, url: 'https://two.example.com/' })
    expect([two.status, two.headers['www-authenticate'], two.headers.location]).toEqual([401, realm, undefined])
    expect(opensNothing(two)).toBe(true)
    expect(at.touched).toEqual([])
    expect(at.lines.filter(({ event }) => event === 'basic.accepted')).toEqual([
      expect.objectContaining({ username: 'john', host: 'one.example.com' }),
    ])
  })

  it('challenges after a wrong password, without a Location, and tells each guess', async () => {
    for (const url of ['https://one.example.com/', 'https://two.example.com/', 'https://other.example.com/']) {
      const answer = await ask(at, { ...wrong, url })
      expect([answer.status, answer.headers['www-authenticate'], answer.headers.location]).toEqual([
        401,
        realm,
        undefined,
      ])
      expect([answer.body, opensNothing(answer)]).toEqual(['401 Unauthorized', true])
    }
    const told = at.lines.filter(({ event }) => event === 'login.failed')
    expect(told).toHaveLength(3)
    expect(told[0]).toMatchObject({ username: 'john', reason: 'wrong-password', host: 'one.example.com' })
    expect(JSON.stringify(at.lines)).not.toContain('guess')
  })

  it('only logs a wrong password where everybody may pass', async () => {
    const answer = await ask(at, { ...wrong, url: 'https://public.example.com/' })
    expect([answer.status, answer.headers['remote-user']]).toEqual([200, ''])
    expect(at.lines).toContainEqual(expect.objectContaining({ event: 'login.failed' }))
    const named = await ask(at, { ...right, url: 'https://public.example.com/' })
    expect(named.headers['remote-user']).toBe('john')
  })

  it.each([
    'Token x',
    'Basic !!!',
    'Basic',
    'Bearer y',
    `Basic ${'QUFB'.repeat(2000)}`,
    'Basic Og==',
    'Basic /w==',
    '',
  ])('row 24: takes %s for no credentials at all', async value => {
    const nobody = await ask(at, header(value))
    expect(nobody.headers.location).toContain('/?rd=')
    const somebody = await ask(at, { ...header(value), cookie: cookieOf('john', 1) })
    expect([somebody.status, somebody.headers['remote-user']]).toEqual([200, 'john'])
    expect(at.checked).toEqual([])
  })

  it('row 24: takes two Authorization lines for none', async () => {
    const more = [
      ['Authorization', basic('john', 'secret')] as const,
      ['Authorization', basic('john', 'secret')] as const,
    ]
    expect((await ask(at, { more })).headers.location).toContain('/?rd=')
    expect(at.checked).toEqual([])
  })

  it('hashes no password where the cookie tells already who it is', async () => {
    for (const url of ['https://one.example.com/', 'https://two.example.com/', 'https://public.example.com/'])
      for (const more of [wrong, right]) await ask(at, { ...more, url, cookie: cookieOf('john', 1) })
    expect(at.checked).toEqual([])
  })

  it('sends a person whose session must prove more to the portal, whatever the header holds', async () => {
    const answer = await ask(at, { ...right, url: 'https://two.example.com/', cookie: cookieOf('john', 1) })
    expect(answer.headers.location).toContain('/?rd=')
    expect(answer.headers).not.toHaveProperty('www-authenticate')
  })
})

describe('asked as legacy, by default', () => {
  it('reads Proxy-Authorization, or Authorization with ?auth=basic', async () => {
    expect((await asLegacy(at, right)).headers.location).toContain('/?rd=')
    expect((await asLegacy(at, header(basic('john', 'secret'), 'Proxy-Authorization'))).headers['remote-user']).toBe(
      'john',
    )
    expect((await asLegacy(at, { ...right, query: '?auth=basic' })).headers['remote-user']).toBe('john')
  })

  it('challenges with ?auth=basic, also where no header came', async () => {
    for (const more of [{}, wrong, header('Token x')]) {
      const answer = await asLegacy(at, { ...more, query: '?auth=basic&rd=https://auth.example.com/' })
      expect([answer.status, answer.headers['www-authenticate'], answer.headers.location]).toEqual([
        401,
        realm,
        undefined,
      ])
    }
    const known = await asLegacy(at, { query: '?auth=basic', cookie: cookieOf('john', 1) })
    expect(known.headers['remote-user']).toBe('john')
  })

  it('answers 401 without a Location where the proxy names no portal', async () => {
    for (const [url, method] of [
      ['https://one.example.com/', 'GET'],
      ['https://two.example.com/', 'POST'],
    ] as const) {
      const answer = await asLegacy(at, { url, method, query: '' })
      expect([answer.status, answer.headers.location, answer.headers['www-authenticate']]).toEqual([
        401,
        undefined,
        undefined,
      ])
    }
    expect((await asLegacy(at, { query: '', cookie: cookieOf('john', 1) })).status).toBe(200)
    expect((await asLegacy(at, { query: '', more: [['X-Authelia-URL', 'https://auth.example.com/']] })).status).toBe(
      302,
    )
  })

  it('answers at any path below /api/verify', async () => {
    for (const path of [legacy, `${legacy}/`, `${legacy}/x/y`, `${legacy}/%zz`])
      expect((await asLegacy(at, { at: path, cookie: cookieOf('john', 1) })).status).toBe(200)
    expect((await asLegacy(at, { at: `${legacy}x`, cookie: cookieOf('john', 1) })).status).toBe(404)
  })
})

describe('an endpoint of the operator’s own', () => {
  it('answers by its implementation at its name, and nowhere else', async () => {
    expect(
      (await asNginx(at, { ...header(basic('john', 'secret'), 'Proxy-Authorization'), at: own('nginx/proxy') })).status,
    ).toBe(200)
    expect((await asTraefik(at, { at: own('nobody') })).status).toBe(404)
    expect((await asTraefik(at, { ...right, at: own('basic'), by: 'POST' })).status).toBe(405)
  })

  it.each([
    ['basic', 'Authorization', 401, 'www-authenticate'],
    ['cookie-first', 'Authorization', 401, 'www-authenticate'],
    ['proxy', 'Proxy-Authorization', 407, 'proxy-authenticate'],
  ] as const)(
    '%s: the last strategy is a header, so nobody is challenged',
    async (name, headerName, status, challenge) => {
      for (const more of [{}, header('Token x', headerName), header(basic('john', 'no'), headerName)]) {
        const answer = await asTraefik(at, { ...more, at: own(name) })
        expect([answer.status, answer.headers[challenge], answer.headers.location]).toEqual([status, realm, undefined])
        expect(opensNothing(answer)).toBe(true)
      }
      expect((await asTraefik(at, { ...header(basic('john', 'secret'), headerName), at: own(name) })).status).toBe(200)
    },
  )

  it('challenges nginx, which knows no 407, by 401', async () => {
    const answer = await asNginx(at, { at: own('nginx/proxy') })
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, realm])
  })

  it('in Authelia’s order, nobody goes to the portal, and a wrong password shuts out a cookie', async () => {
    expect((await asTraefik(at, { at: own('authelia') })).headers.location).toContain('/?rd=')
    const cookie = cookieOf('john', 1)
    expect((await asTraefik(at, { ...wrong, cookie, at: own('authelia') })).status).toBe(401)
    for (const value of ['Token x', 'Basic !!!', 'Bearer y'])
      expect((await asTraefik(at, { ...header(value), cookie, at: own('authelia') })).status).toBe(200)
  })

  it('with CookieSession alone looks at no password', async () => {
    expect((await asTraefik(at, { ...right, at: own('cookie') })).headers.location).toContain('/?rd=')
    expect(at.checked).toEqual([])
  })

  it('with the scheme bearer alone lets nobody in by a header', async () => {
    for (const more of [right, header('Bearer x')])
      expect((await asTraefik(at, { ...more, at: own('bearer') })).status).toBe(401)
    expect(at.checked).toEqual([])
  })

  it('may take the place of a built-in one', async () => {
    const other = await house(onTestFinished, {
      endpoints: { 'forward-auth': { implementation: 'ForwardAuth', authn_strategies: [{ name: 'CookieSession' }] } },
    })
    expect((await asTraefik(other, right)).headers.location).toContain('/?rd=')
    expect((await asNginx(other, right)).status).toBe(200)
  })
})

describe('what is not known of a password', () => {
  it.each([
    [{ outcome: 'banned', until: 0, whose: 'name', by: 'regulation' }, 401, undefined],
    [{ outcome: 'busy', retryAfterSeconds: 7 }, 503, '7'],
    [{ outcome: 'unavailable' }, 503, undefined],
  ] satisfies [FirstFactor, number, string | undefined][])(
    'lets nobody in: %j is %i',
    async (outcome, status, retryAfter) => {
      const closed = await house(onTestFinished)
      closed.check = () => outcome
      const answer = await asTraefik(closed, right)
      expect([answer.status, answer.headers['retry-after'], answer.headers.location]).toEqual([
        status,
        retryAfter,
        undefined,
      ])
      expect(opensNothing(answer)).toBe(true)
      const open = await asTraefik(closed, { ...right, url: 'https://public.example.com/' })
      expect([open.status, open.headers['remote-user']]).toEqual([200, ''])
      expect(closed.lines).toContainEqual(expect.objectContaining({ event: `login.${outcome.outcome}` }))
    },
  )

  it('a cookie goes on while the session store is up, and a password while it is down', async () => {
    at.state = 'down'
    const answer = await asTraefik(at, right)
    const nobody = await asTraefik(at, { cookie: cookieOf('john', 2) })
    at.state = 'up'
    expect([answer.status, answer.headers['remote-user'], nobody.status]).toEqual([200, 'john', 503])
  })
})

describe('the cache of right passwords', () => {
  const ask = (username: string, password: string, name = 'cached') =>
    asTraefik(at, { ...header(basic(username, password)), at: own(name) })

  it('is off unless it is configured', async () => {
    for (let i = 0; i < 3; i++) await ask('john', 'secret', 'basic')
    expect(at.checked).toHaveLength(3)
  })

  it('believes a right password for its lifespan, by the injected clock, and a wrong one never', async () => {
    for (let i = 0; i < 3; i++) expect((await ask('john', 'secret')).status).toBe(200)
    expect(at.checked).toHaveLength(1)
    at.now += 59_999
    await ask('john', 'secret')
    expect(at.checked).toHaveLength(1)
    at.now += 1
    await ask('john', 'secret')
    expect(at.checked).toHaveLength(2)
    at.now -= 3_600_000 // a clock that was set back makes nothing last longer
    await ask('john', 'secret')
    expect(at.checked).toHaveLength(3)
    for (let i = 0; i < 3; i++) expect((await ask('john', 'wrong')).status).toBe(401)
    expect(at.checked).toHaveLength(6)
  })

  it('row 98: name and password are told apart by their lengths', async () => {
    const ab = { ...john, username: 'ab' }
    const a = { ...john, username: 'a' }
    at.people.set('ab', ab).set('a', a)
    at.check = (typed, password) =>
      typed === 'ab' && password === 'c'
        ? { outcome: 'accepted', person: ab }
        : { outcome: 'refused', triesLeft: 1, cause: 'wrong-password' }
    expect((await ask('ab', 'c')).headers['remote-user']).toBe('ab')
    for (const [username, password] of [
      ['a', 'bc'],
      ['abc', ''],
      ['a', 'b:c'],
      ['ab', 'c\0'],
      ['ab', 'c '],
      ['AB', 'c'],
    ] as const)
      expect((await ask(username, password)).status).toBe(401)
    expect((await ask('ab', 'c')).status).toBe(200)
  })

  it.each(['up', 'slow'] as const)(
    'row 98: a changed password, a removed or a banned person empties it (%s)',
    async directory => {
      const fresh = await house(onTestFinished, { endpoints })
      fresh.directory = directory
      const asked = () => asTraefik(fresh, { ...right, at: own('cached') })
      await asked()
      fresh.people.set('john', { ...john, credential: 'of another password' })
      fresh.check = () => ({ outcome: 'refused', triesLeft: 2, cause: 'wrong-password' })
      expect((await asked()).status).toBe(401)
      fresh.people.set('john', john)
      expect((await asked()).status).toBe(200)
      fresh.people.delete('john')
      expect((await asked()).status).toBe(401)
      fresh.people.set('john', john)
      fresh.banned.add('john')
      expect((await asked()).status).toBe(401)
    },
  )

  it.each(['down', 'down later'] as const)('believes nobody while the directory does not answer (%s)', async state => {
    const fresh = await house(onTestFinished, { endpoints })
    const asked = () => asTraefik(fresh, { ...right, at: own('cached') })
    expect((await asked()).status).toBe(200)
    fresh.directory = state
    fresh.check = () => ({ outcome: 'unavailable' })
    expect((await asked()).status).toBe(503)
    fresh.directory = 'up'
    expect((await asked()).status).toBe(200)
  })

  it('uses what is known of the person now', async () => {
    const fresh = await house(onTestFinished, { endpoints })
    const asked = () => asTraefik(fresh, { ...right, at: own('cached') })
    expect((await asked()).headers['remote-groups']).toBe('dev,admins')
    fresh.people.set('john', { ...john, groups: ['dev'] })
    expect([(await asked()).headers['remote-groups'], fresh.checked.length]).toEqual(['dev', 1])
  })
})
