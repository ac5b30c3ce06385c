import { describe, expect, it } from 'vitest'
import type { Subject } from '../../src/access/access.ts'
import { access, bob, john, matches, object } from './rules.ts'

describe('{user} and {group} in a domain', () => {
  const on = (domain: string, subject: Subject | null, host: string) => matches({ domain: [domain] }, subject, { host })
  it.each([
    ['{user}.example.com', 'john.example.com', true],
    ['{user}.example.com', 'bob.example.com', false],
    ['{user}.example.com', 'x.john.example.com', false],
    ['{user}.example.com', '.example.com', false],
    ['{user}.example.com', 'example.com', false],
    ['{USER}.Example.com', 'john.example.com', true],
    ['{user}-files.example.com', 'john-files.example.com', true],
    ['{user}-files.example.com', '-files.example.com', false],
    ['{user}-files.example.com', 'xjohn-files.example.com', false],
    ['{group}.example.com', 'dev.example.com', true],
    ['{group}.example.com', 'ops.example.com', false],
    ['{group}.example.com', 'x.dev.example.com', false],
    ['{group}.example.com', 'john.example.com', false],
  ])('%s for john at %s: %s', (domain, host, expected) => {
    expect(on(domain, john, host)).toBe(expected)
  })

  it('a name with dots is its whole name, and upper case counts for a user only', () => {
    expect(on('{user}.example.com', { username: 'a.b', groups: [] }, 'a.b.example.com')).toBe(true)
    expect(on('{user}.example.com', { username: 'b', groups: [] }, 'a.b.example.com')).toBe(false)
    expect(on('{user}.example.com', { username: 'John', groups: [] }, 'john.example.com')).toBe(false)
    expect(on('{group}.example.com', { username: 'x', groups: ['DEV'] }, 'dev.example.com')).toBe(true)
  })

  it('may be anybody who has not signed in', () => {
    const rules = access([{ domain: ['{user}.example.com'], policy: 'deny' }], 'bypass')
    expect(rules.decide(null, object({ host: 'john.example.com' }))).toMatchObject({ policy: 'deny', bySubject: true })
    expect(rules.decide(null, object({ host: 'example.com' })).policy).toBe('bypass')
    expect(matches({ domain: ['{user}-x.example.com'] }, null, { host: 'a-x.example.com' })).toBe(true)
    expect(matches({ domain: ['{user}-x.example.com'] }, null, { host: '-x.example.com' })).toBe(false)
    expect(rules.decide(bob, object({ host: 'john.example.com' })).policy).toBe('bypass')
  })

  it('beside a plain domain of the same rule: that one is for everybody, and a deny by it is for good', () => {
    const rules = access([{ domain: ['{user}.example.com', 'a.example.com'], policy: 'deny' }], 'bypass')
    expect(rules.decide(null, object({ host: 'a.example.com' }))).toMatchObject({ policy: 'deny', bySubject: false })
    expect(rules.decide(bob, object({ host: 'a.example.com' })).policy).toBe('deny')
    expect(rules.decide(bob, object({ host: 'bob.example.com' })).policy).toBe('deny')
    expect(rules.decide(bob, object({ host: 'c.example.com' })).policy).toBe('bypass')
  })
})

describe('domain_regex', () => {
  const on = (pattern: string, subject: Subject | null, host: string) =>
    access([{ domain_regex: [pattern], policy: 'one_factor' }]).decide(subject, object({ host })).policy ===
    'one_factor'

  it('is not anchored', () => {
    expect(on('pp\\.ex', null, 'app.example.com')).toBe(true)
    expect(on('^pp', null, 'app.example.com')).toBe(false)
  })

  it('is beside domain: either is enough', () => {
    const rules = access([{ domain: ['a.example.com'], domain_regex: ['^b'], policy: 'one_factor' }])
    expect(['a', 'b', 'c'].map(label => rules.decide(null, object({ host: `${label}.example.com` })).rule)).toEqual([
      1,
      1,
      null,
    ])
  })

  const users = '^user-(?P<User>[^.]*)\\.example\\.com$'
  it('row 46: what User captures is the name, as text', () => {
    expect(on(users, john, 'user-john.example.com')).toBe(true)
    expect(on(users, { username: 'JOHN', groups: [] }, 'user-john.example.com')).toBe(true)
    expect(on(users, bob, 'user-john.example.com')).toBe(false)
    for (const username of ['.*', '.+', '', '^', '$', 'j.hn', '[a-z]+', 'john|bob', '(?i)john', '\\w+', '__proto__'])
      expect(on(users, { username, groups: [username] }, 'user-john.example.com'), username).toBe(false)
  })

  it('row 46: an empty capture is nobody', () => {
    expect(on(users, john, 'user-.example.com')).toBe(false)
    expect(on('^(?:user-(?P<User>\\w+)|free)\\.example', john, 'free.example.com')).toBe(false)
  })

  it('row 46: the Kelvin sign is no k, nor the long s an s', () => {
    expect(on(users, { username: '\u212Aim', groups: [] }, 'user-kim.example.com')).toBe(false)
    expect(on(users, { username: 'Kim', groups: [] }, 'user-kim.example.com')).toBe(true)
    const groups = '^(?P<Group>\\w+)\\.example'
    expect(on(groups, { username: 'x', groups: ['\u017Ftaff', '\u212Aeys'] }, 'staff.example.com')).toBe(false)
    expect(on(groups, { username: 'x', groups: ['\u212Aeys'] }, 'keys.example.com')).toBe(false)
    expect(on('{group}.example.com', { username: 'x', groups: ['\u212Aeys'] }, 'keys.example.com')).toBe(false)
    expect(on(groups, { username: 'x', groups: ['KEYS'] }, 'keys.example.com')).toBe(true)
  })

  it('Group is one of the groups, and with User both must fit', () => {
    const both = '^(?P<User>\\w+)\\.(?P<Group>\\w+)\\.example'
    expect(on(both, john, 'john.dev.example.com')).toBe(true)
    expect(on(both, john, 'john.ops.example.com')).toBe(false)
    expect(on(both, john, 'bob.dev.example.com')).toBe(false)
    expect(on(both, null, 'bob.dev.example.com')).toBe(true)
    expect(on(both, null, 'dev.example.com')).toBe(false)
  })
})

describe('the index', () => {
  it('answers alike before and after it forgot a host, and for hosts that somebody makes up', () => {
    const rules = access([
      { domain: ['*.a.example.com'], policy: 'one_factor' },
      { domain_regex: ['^h1\\d*\\.'], policy: 'two_factor' },
      { domain: ['*.example.com'], policy: 'bypass' },
    ])
    const at = (host: string) => rules.decide(null, object({ host })).rule
    const expected = (n: number) => (String(n).startsWith('1') ? 2 : 3)
    for (let round = 0; round < 2; round++)
      for (let n = 0; n < 3000; n++) {
        expect(at(`h${n}.example.com`)).toBe(expected(n))
        if (n % 500 === 0)
          expect([at('h1.a.example.com'), at('example.com'), at('constructor')]).toEqual([1, null, null])
      }
  })
})
