import { describe, expect, it } from 'vitest'
import { compileAccess } from '../../src/access/access.ts'
import { MINUTE, type Milliseconds } from '../../src/clock.ts'
import type { Visit } from '../../src/login/login.ts'
import { openNext } from '../../src/login/next.ts'
import { testConfig } from '../portal/portal-under-test.ts'

const NOW = Date.UTC(2026, 10, 24, 18)
const config = testConfig({
  rest: {
    access_control: {
      default_policy: 'deny',
      rules: [
        { domain: 'open.example.com', policy: 'bypass' },
        { domain: 'one.example.com', policy: 'one_factor', max_age: '1h' },
        { domain: 'two.example.com', policy: 'two_factor' },
        { domain: 'fresh.example.com', policy: 'two_factor', max_age: '15m' },
        { domain: 'duo.example.com', policy: 'two_factor', factors: ['duo'] },
        { domain: 'both.example.com', policy: 'two_factor', factors: ['duo'], max_age: '15m' },
        { domain: 'mixed.example.com', methods: ['POST'], policy: 'two_factor' },
        { domain: 'mixed.example.com', policy: 'one_factor' },
        { domain: 'query.example.com', query: [[{ key: 'admin' }]], policy: 'two_factor' },
        { domain: 'query.example.com', policy: 'one_factor' },
        { domain: 'home.example.com', networks: ['192.0.2.0/24'], policy: 'bypass' },
        { domain: 'home.example.com', policy: 'one_factor' },
        { domain: 'not-alice.example.com', subject: 'user:alice', policy: 'deny' },
        { domain: 'not-alice.example.com', policy: 'one_factor' },
      ],
    },
  },
})
const [domain] = config.session.cookies
const { next, needs, decisionOn } = openNext({
  access: compileAccess(config),
  domains: config.session.cookies,
  clock: () => NOW,
})

type How = 'push' | 'phone' | 'passcode' | 'duo-allow' | 'failmode'
/** Somebody whose password is this old, and whose second factor, where there was one. */
function visit(password: Milliseconds | null, second?: [How, Milliseconds], ip = '203.0.113.7'): Visit {
  if (domain === undefined) throw new Error('no domain')
  const facts = { domain, ip, browser: 'Firefox on Linux', remembered: undefined }
  if (password === null) return { ...facts, who: null, level: 0, ended: null }
  const level = second === undefined ? 1 : 2
  return {
    ...facts,
    level,
    ended: null,
    who: {
      person: { username: 'alice', displayName: 'Alice', emails: [], groups: [], credential: 'c' },
      session: {
        key: 'k',
        username: 'alice',
        credential: 'c',
        level,
        cookieDomain: 'example.com',
        remember: false,
        passwordAt: NOW - password,
        secondFactor: second === undefined ? null : { how: second[0], at: NOW - second[1], said: '' },
        expiresAt: NOW + MINUTE,
        browser: 'Firefox on Linux',
        ip: undefined,
      },
    },
  }
}
const at = (host: string, path = '/') => ({ rd: `https://${host}.example.com${path}` })

describe(next, () => {
  it.each<[string, Visit, ReturnType<typeof at> & { rm?: string }, string, object]>([
    ['nobody, at a bypass', visit(null), at('open'), 'site', { forbidden: false }],
    ['nobody, at one factor', visit(null), at('one'), 'password', {}],
    ['nobody, at two', visit(null), at('two'), 'password', { maxAge: null }],
    ['a young password', visit(59 * MINUTE), at('one'), 'site', {}],
    ['a password that is as old as may be', visit(60 * MINUTE), at('one'), 'password', { maxAge: 60 * MINUTE }],
    ['an old password, a young push', visit(90 * MINUTE, ['push', 5 * MINUTE]), at('one'), 'site', {}],
    ['a password only, at two', visit(0), at('two'), 'prove', { why: 'level' }],
    ['a push, at two', visit(0, ['push', 0]), at('two'), 'site', {}],
    ['a bypass of Duo, at two', visit(0, ['duo-allow', 0]), at('two'), 'site', {}],
    ['a push of 14 minutes', visit(0, ['push', 14 * MINUTE]), at('fresh'), 'site', {}],
    [
      'a push of 15 minutes',
      visit(0, ['push', 15 * MINUTE]),
      at('fresh'),
      'prove',
      { why: 'age', maxAge: 15 * MINUTE },
    ],
    ['a passcode, at a rule with factors', visit(0, ['passcode', 0]), at('duo'), 'site', {}],
    ['a call, at a rule with factors', visit(0, ['phone', 0]), at('duo'), 'site', {}],
    ['a bypass of Duo there', visit(0, ['duo-allow', 0]), at('duo'), 'prove', { why: 'factor', factors: ['duo'] }],
    ['the failmode there', visit(0, ['failmode', 0]), at('duo'), 'prove', { why: 'factor' }],
    ['an old bypass of Duo at both', visit(0, ['duo-allow', 20 * MINUTE]), at('both'), 'prove', { why: 'age' }],
    ['a GET where only the POST needs two', visit(0), { ...at('mixed'), rm: 'GET' }, 'site', {}],
    ['the POST there', visit(0), { ...at('mixed'), rm: 'post' }, 'prove', { why: 'level' }],
    ['a query that needs two', visit(0), at('query', '/x?admin=1'), 'prove', {}],
    ['the same path without it', visit(0), at('query', '/x'), 'site', {}],
    ['nobody, from the network that needs nothing', visit(null, undefined, '192.0.2.9'), at('home'), 'site', {}],
    ['nobody, from elsewhere', visit(null), at('home'), 'password', {}],
    ['nobody, where a rule refuses alice', visit(null), at('not-alice'), 'password', {}],
    ['alice there', visit(0), at('not-alice'), 'site', { forbidden: true }],
    ['anybody, where no rule is', visit(0), at('unheard-of'), 'site', { forbidden: true }],
    ['the portal itself', visit(0), at('auth'), 'home', {}],
    ['another domain', visit(0), { rd: 'https://example.org/' }, 'unsafe', { host: 'example.org' }],
  ])('%s', (_who, who, wanted, to, more) => {
    expect(next(who, wanted)).toMatchObject({ to, ...more })
  })
})

it('sends nobody of another cookie domain round here: the gate there knows a portal of its own', () => {
  const domains = [
    ...config.session.cookies,
    ...testConfig({
      rest: {
        session: {
          secret: 'x'.repeat(32),
          cookies: [{ domain: 'example.org', authelia_url: 'https://auth.example.org' }],
        },
      },
    }).session.cookies,
  ]
  const { next: nextOfTwo } = openNext({ access: compileAccess(config), domains, clock: () => NOW })
  const rd = 'https://two.example.org/'
  expect(nextOfTwo(visit(0), { rd })).toEqual({ to: 'site', url: rd, host: 'two.example.org', forbidden: false })
})

describe(needs, () => {
  it('says what opening a host asks for, and nothing of one that is refused', () => {
    const old = visit(90 * MINUTE, ['push', 80 * MINUTE])
    expect(['open', 'one', 'two', 'fresh', 'not-alice'].map(host => needs(old, `${host}.example.com`))).toEqual([
      'nothing',
      'password',
      'nothing',
      'second-factor',
      null,
    ])
  })
})

describe(decisionOn, () => {
  it('names the rule that refuses, and knows nothing of what is not this portal’s', () => {
    expect(decisionOn(visit(0), at('not-alice'))).toMatchObject({ host: 'not-alice.example.com', rule: 13 })
    expect(decisionOn(visit(0), at('unheard-of'))).toMatchObject({ rule: null })
    expect(decisionOn(visit(0), { rd: 'https://example.org/' })).toBeNull()
    expect(decisionOn(visit(0), { rd: undefined })).toBeNull()
  })
})
