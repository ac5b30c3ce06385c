import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AccessObject, Subject } from '../../src/access/access.ts'
import { patternCompiler } from '../../src/access/pattern.ts'
import { compileCondition, parseQuery } from '../../src/access/query.ts'
import { type Policy, policies, queryOperators } from '../../src/config/schema.ts'
import { access, accessOf, bob, john, object, type RuleConfig } from './rules.ts'

/** Whether one rule matches. */
const matches = (rule: Omit<RuleConfig, 'policy'>, subject: Subject | null, over: Partial<AccessObject> = {}) =>
  access([{ domain: ['app.example.com'], ...rule, policy: 'one_factor' }]).decide(subject, object(over)).policy ===
  'one_factor'

describe('subject', () => {
  it.each([
    [[['user:john']], true, false],
    [[['user:John']], false, false],
    [[['user:jo']], false, false],
    [[['group:dev']], true, false],
    [[['group:Dev']], false, false],
    [[['group:Night Shift']], true, false],
    [[['user:dev']], false, false],
    [[['group:john']], false, false],
    [[['user:bob'], ['group:dev']], true, true],
    [[['user:john', 'group:dev']], true, false],
    [[['user:john', 'group:ops']], false, false],
    [[['user:john', 'group:ops'], ['user:bob']], false, true],
  ])('%j is john: %s, bob: %s', (subject, forJohn, forBob) => {
    expect([matches({ subject }, john), matches({ subject }, bob)]).toEqual([forJohn, forBob])
  })

  it('may be anybody who has not signed in, who is then sent to log in, past a later bypass too', () => {
    const rules = access([
      { domain: ['app.example.com'], subject: [['user:john']], policy: 'deny' },
      { domain: ['app.example.com'], policy: 'bypass' },
    ])
    expect(rules.decide(null, object())).toMatchObject({ policy: 'deny', rule: 1, bySubject: true })
    expect(rules.decide(john, object())).toMatchObject({ policy: 'deny', rule: 1 })
    expect(rules.decide(bob, object())).toMatchObject({ policy: 'bypass', rule: 2, bySubject: false })
  })
})

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

describe('resources', () => {
  const home = { resources: ['^/home/(?P<User>[^/]+)/', '^/of/(?P<Group>[^/]+)/'] }
  it.each([
    ['/home/john/x', true, false],
    ['/home/JOHN/x', true, false],
    ['/home/bob/x', false, true],
    ['/of/dev/', true, false],
    ['/of/night%20shift/', true, false],
    ['/of/ops/', false, false],
    ['/home/.*/', false, false],
    ['/home/bob/../john/', false, false],
  ])('name people by User and Group: %s is for john: %s, for bob: %s', (target, forJohn, forBob) => {
    expect([matches(home, john, { target }), matches(home, bob, { target })]).toEqual([forJohn, forBob])
  })

  it('with these groups, may be for anybody who has not signed in', () => {
    const rules = access([{ domain: ['app.example.com'], ...home, policy: 'deny' }], 'bypass')
    expect(rules.decide(null, object({ target: '/home/x/' }))).toMatchObject({ policy: 'deny', bySubject: true })
    expect(rules.decide(null, object({ target: '/x' })).policy).toBe('bypass')
  })

  it('are matched against path and raw query, not anchored', () => {
    expect(matches({ resources: ['b\\?c=%20$'] }, null, { target: '/a/b?c=%20' })).toBe(true)
    expect(matches({ resources: ['^/$', '^/x'] }, null, { target: '/xy' })).toBe(true)
    expect(matches({ resources: ['^/a/$'] }, null, { target: '/a' })).toBe(false)
  })

  it('row 48: a bad expression takes linear time, at the cap of 4 KB', () => {
    const tail = '!/'
    for (const [pattern, unit] of [
      ['(a+)+$', 'a'],
      ['(.*a){20}$', 'a'],
      ['(a|a)*b', 'a'],
      ['(x+x+)+y', 'x'],
      ['([a-z]+)*\\d', 'q'],
      ['(?:a?){100}a{100}$', 'a'],
    ] as const) {
      const { decide } = access([{ domain: ['app.example.com'], resources: [pattern], policy: 'deny' }])
      const took = (length: number) => {
        const target = `/${unit.repeat(length - 3)}${tail}`
        const times = Array.from({ length: 3 }, () => {
          const start = performance.now()
          decide(null, object({ target }))
          return performance.now() - start
        })
        return Math.min(...times)
      }
      took(100)
      // Alone it is under a millisecond; exponential time would not end.
      expect(took(4096), pattern).toBeLessThan(100)
    }
  })

  it('row 48: and so does one that captures', () => {
    const rules = access([{ domain: ['app.example.com'], resources: ['^/(?P<User>(a+)+)$'], policy: 'deny' }])
    const start = performance.now()
    rules.decide(john, object({ target: `/${'a'.repeat(4000)}!` }))
    expect(performance.now() - start).toBeLessThan(500)
  })
})

describe('methods', () => {
  it('are compared to the letter, and HEAD is not GET', () => {
    expect(matches({ methods: ['GET', 'PROPFIND'] }, null)).toBe(true)
    expect(matches({ methods: ['GET', 'PROPFIND'] }, null, { method: 'PROPFIND' })).toBe(true)
    expect(matches({ methods: ['GET'] }, null, { method: 'HEAD' })).toBe(false)
    expect(matches({ methods: ['GET'] }, null, { method: 'BREW' })).toBe(false)
  })

  it('may be written in lower case', () => {
    const rules = accessOf({ rules: [{ domain: 'app.example.com', policy: 'one_factor', methods: 'get' }] })
    expect(rules.decide(null, object()).policy).toBe('one_factor')
  })
})

describe('networks', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.255.0.1', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.10', false],
    ['0.0.0.0/0', '192.0.2.1', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '192.0.2.1', false],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:DB8::1', '2001:db8::1', true],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '11.1.2.3', false],
    ['::ffff:10.1.2.3', '10.1.2.3', true],
  ])('%s holds %s: %s', (network, ip, expected) => {
    expect(matches({ networks: [network] }, null, { ip })).toBe(expected)
  })

  it('are named in definitions.network, or in its older place', () => {
    const rules = accessOf(
      {
        networks: [{ name: 'vpn', networks: ['10.9.0.0/16'] }],
        rules: [{ domain: 'app.example.com', policy: 'one_factor', networks: ['internal', 'vpn', '192.0.2.7'] }],
      },
      { network: { internal: ['10.0.0.0/16', 'fd00::/8'] } },
    )
    const at = (ip: string) => rules.decide(null, object({ ip })).policy
    expect(['10.0.1.1', 'fd00::1', '10.9.0.1', '192.0.2.7'].map(at)).toEqual(Array(4).fill('one_factor'))
    expect(['10.1.0.1', '192.0.2.8', 'fe80::1'].map(at)).toEqual(Array(3).fill('deny'))
  })

  it('a name that is not defined does not pass unnoticed', () => {
    expect(() => access([{ domain: ['a.example.com'], networks: ['internal'], policy: 'bypass' }])).toThrow()
  })

  it('an unknown address is judged both ways, and the stricter answer is given', () => {
    const of = (list: [Policy, string[] | undefined][], fallback: Policy, ip: string | undefined) =>
      access(
        list.map(([policy, networks]) => ({ domain: ['app.example.com'], policy, ...(networks && { networks }) })),
        fallback,
      ).decide(null, object({ ip }))
    const inside = ['10.0.0.0/8']
    for (const ip of [undefined, 'nonsense', '10.1']) {
      expect(of([['bypass', inside]], 'two_factor', ip)).toMatchObject({ policy: 'two_factor', rule: null })
      expect(
        of(
          [
            ['deny', inside],
            ['bypass', undefined],
          ],
          'one_factor',
          ip,
        ),
      ).toMatchObject({ policy: 'deny', rule: 1 })
      expect(
        of(
          [
            ['bypass', inside],
            ['one_factor', undefined],
            ['deny', undefined],
          ],
          'deny',
          ip,
        ),
      ).toMatchObject({ policy: 'one_factor', rule: 2 })
      expect(
        of(
          [
            ['bypass', inside],
            ['bypass', undefined],
          ],
          'deny',
          ip,
        ),
      ).toMatchObject({ policy: 'bypass' })
    }
  })
})

describe('query', () => {
  const holds = (condition: Parameters<typeof compileCondition>[0], query: string) =>
    compileCondition(condition, patternCompiler())(parseQuery(`/?${query}`))

  it.each([
    [{ key: 'a' }, ['a', 'a=', 'a=1', 'b&a'], ['', 'b', 'A', 'b=a']],
    [{ key: 'a', operator: 'present' }, ['a', 'a=1'], ['', 'aa']],
    [{ key: 'a', operator: 'absent' }, ['', 'b=1', 'aa'], ['a', 'a=']],
    [{ key: 'a', value: '1' }, ['a=1', 'a=%31', 'b&a=1'], ['', 'a', 'a=2', 'a=11', 'b=1']],
    [{ key: 'a', operator: 'equal', value: '' }, ['', 'a', 'a='], ['a=1']],
    [{ key: 'a', operator: 'not equal', value: '1' }, ['', 'a', 'a=2'], ['a=1']],
    [{ key: 'a', operator: 'pattern', value: '^[0-9]+$' }, ['a=1', 'a=%32'], ['', 'a', 'a=x1']],
    [{ key: 'a', operator: 'not pattern', value: '^[0-9]+$' }, ['', 'a', 'a=x1'], ['a=1']],
    [{ key: 'a b', value: 'c d' }, ['a+b=c%20d', 'a%20b=c+d'], ['a+b=c%2Bd']],
    [{ key: 'ü', value: '€' }, ['%C3%BC=%E2%82%AC'], ['%c3=%e2']],
  ] as const)('%j', (condition, yes, no) => {
    for (const query of yes) expect(holds(condition, query), query).toBe(true)
    for (const query of no) expect(holds(condition, query), query).toBe(false)
  })

  it('the outer list is or, the inner one and', () => {
    const query = [[{ key: 'a' }, { key: 'b', value: '2' }], [{ key: 'c', operator: 'absent' as const }]]
    const on = (target: string) => matches({ query }, null, { target })
    expect(['/?a&b=2&c', '/', '/?a'].map(on)).toEqual([true, true, true])
    expect(['/?a&c', '/?b=2&c'].map(on)).toEqual([false, false])
  })

  it('row 47: names of Object are keys like any other', () => {
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(holds({ key }, '')).toBe(false)
      expect(holds({ key }, 'a=1')).toBe(false)
      expect(holds({ key, value: '1' }, `${key}=1`)).toBe(true)
    }
    expect(Object.prototype).not.toHaveProperty('1')
  })

  it('row 47: of a doubled key the first value counts', () => {
    expect(holds({ key: 'a', value: '1' }, 'a=1&a=2')).toBe(true)
    expect(holds({ key: 'a', value: '2' }, 'a=1&a=2')).toBe(false)
    expect(holds({ key: 'a', value: '2' }, '%61=1&a=2')).toBe(false)
    expect(holds({ key: 'a', value: '2' }, 'a&a=2')).toBe(false)
  })

  it('row 47: what is malformed counts as it was written', () => {
    expect(holds({ key: '%zz' }, '%zz')).toBe(true)
    expect(holds({ key: 'a', value: '%' }, 'a=%')).toBe(true)
    expect(holds({ key: 'a', value: '%ff' }, 'a=%ff')).toBe(true)
    expect(holds({ key: 'a', value: '1;b=2' }, 'a=1;b=2')).toBe(true)
    expect(holds({ key: '' }, '=1')).toBe(true)
    expect(holds({ key: 'a', value: 'b=c' }, 'a=b=c')).toBe(true)
  })

  it('row 47: ten thousand pairs take a moment', () => {
    const start = performance.now()
    expect(parseQuery(`/?${Array.from({ length: 10_000 }, (_, n) => `a${n}=1`).join('&')}`).size).toBe(10_000)
    expect(performance.now() - start).toBeLessThan(500)
  })

  it('row 47: nothing makes it throw, and of an operator and its contrary one holds', () => {
    const contrary = { present: 'absent', equal: 'not equal', pattern: 'not pattern' } as const
    const operator = fc.constantFrom(...(['present', 'equal', 'pattern'] as const))
    fc.assert(
      fc.property(operator, fc.string(), fc.string({ unit: 'binary' }), (operator, key, query) => {
        const condition = { key, value: operator === 'present' ? undefined : '1' }
        expect(holds({ ...condition, operator }, query)).not.toBe(
          holds({ ...condition, operator: contrary[operator] }, query),
        )
      }),
    )
    expect(queryOperators).toHaveLength(6)
  })
})

/** The criteria as the documentation tells them, for plain paths and simple expressions, with no index and no code of theirs. */
function oracle(rules: readonly RuleConfig[], fallback: Policy, subject: Subject | null, asked: AccessObject) {
  const [path = '', query = ''] = asked.target.split('?')
  const at = rules.findIndex(rule => {
    const domains = (rule.domain ?? []).some(domain => {
      if (domain.startsWith('*.')) return asked.host.endsWith(domain.slice(1))
      if (!domain.startsWith('{user}')) return domain === asked.host
      const rest = domain.slice('{user}'.length)
      return subject === null
        ? asked.host.endsWith(rest) && asked.host !== rest
        : asked.host === `${subject.username}${rest}`
    })
    const hosts = (rule.domain_regex ?? []).some(source => new RegExp(source).test(asked.host))
    if (!domains && !hosts) return false
    if (rule.methods && !rule.methods.includes(asked.method)) return false
    if (rule.networks && !rule.networks.some(one => asked.ip?.startsWith(one.split('.')[0] ?? '') === true))
      return false
    if (
      rule.resources &&
      !rule.resources.some(source => new RegExp(source).test(query === '' ? path : `${path}?${query}`))
    )
      return false
    if (rule.query && !rule.query.some(all => all.every(({ key }) => new URLSearchParams(query).has(key)))) return false
    if (rule.subject === undefined || subject === null) return true
    const names = [`user:${subject.username}`, ...subject.groups.map(group => `group:${group}`)]
    return rule.subject.some(all => all.every(one => names.includes(one)))
  })
  const rule = rules[at]
  return rule === undefined ? { policy: fallback, rule: null } : { policy: rule.policy, rule: at + 1 }
}

describe('rules with several criteria', () => {
  const some = <T>(...items: T[]) => fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: 2 })
  const hosts = ['a.example.com', 'b.example.com', 'john.example.com', 'example.com', 'x.a.example.com']
  const rule: fc.Arbitrary<RuleConfig> = fc
    .record(
      {
        domain: some(...hosts, '*.example.com', '*.a.example.com', '{user}.example.com'),
        domain_regex: some('^a\\.', 'example\\.com$', '^[bx]'),
        policy: fc.constantFrom(...policies),
        subject: some(['user:john'], ['group:dev'], ['user:bob', 'group:dev']),
        networks: some('10.0.0.0/8', '192.0.0.0/8'),
        methods: some('GET', 'POST'),
        resources: some('^/a', '^/b$', 'c=1'),
        query: some([{ key: 'c' }], [{ key: 'c' }, { key: 'd' }]),
      },
      { requiredKeys: ['policy'] },
    )
    .filter(({ domain, domain_regex }) => domain !== undefined || domain_regex !== undefined)
  const rules = fc.array(rule, { maxLength: 8 })
  const asked = fc.record({
    host: fc.constantFrom(...hosts),
    target: fc.constantFrom('/', '/a', '/b', '/ab?c=1', '/b?c&d', '/x?d=c=1'),
    method: fc.constantFrom('GET', 'POST'),
    ip: fc.constantFrom<string>('10.1.1.1', '192.0.2.1', '2001:db8::1'),
  })
  const subject = fc.constantFrom<Subject | null>(null, john, bob)
  const fallback = fc.constantFrom(...policies)

  it('decide as a walk through all of them would: the first full match wins', () => {
    fc.assert(
      fc.property(rules, fallback, subject, asked, (rules, fallback, subject, asked) => {
        expect(access(rules, fallback).decide(subject, asked)).toMatchObject(oracle(rules, fallback, subject, asked))
      }),
      { numRuns: 600 },
    )
  })

  it('explain the decision that they make, and the rule that hits first is the one', () => {
    const ips = fc.constantFrom('10.1.1.1', undefined)
    const targets = fc.constantFrom('/', '/a', '/x/..;/b', '/a%2fb?c=1', '//b', '/%61')
    fc.assert(
      fc.property(rules, fallback, subject, asked, ips, targets, (rules, fallback, subject, asked, ip, target) => {
        const { decide, explain } = access(rules, fallback)
        const question = { ...asked, ip, target }
        const { decision, readings } = explain(subject, question)
        expect(decision).toEqual(decide(subject, question))
        for (const reading of readings) {
          const { rules: explained } = reading
          const certain = explained.findIndex(
            ({ verdict, criteria }) => verdict === 'hit' || (verdict === 'may' && criteria.networks !== 'may'),
          )
          expect(explained.map(({ verdict }) => verdict === 'skipped')).toEqual(
            explained.map((_, index) => certain !== -1 && index > certain),
          )
          const unsure = explained.some(({ verdict, criteria }) => verdict !== 'miss' && criteria.networks === 'may')
          if (!unsure) expect(reading.decision.rule).toBe(certain === -1 ? null : certain + 1)
        }
        if (readings.length === 1) expect(readings[0]?.decision).toEqual(decision)
      }),
      { numRuns: 400 },
    )
  })

  it('do not change a decision that was made before them, nor one that they miss', () => {
    fc.assert(
      fc.property(rules, rule, fallback, subject, asked, fc.nat(8), (rules, more, fallback, subject, asked, at) => {
        const before = access(rules, fallback).decide(subject, asked)
        const behind = access([...rules, more], fallback).decide(subject, asked)
        if (before.rule !== null) expect(behind.rule).toBe(before.rule)
        if (access([more], fallback).decide(subject, asked).rule !== null) return
        const inserted = access([...rules.slice(0, at), more, ...rules.slice(at)], fallback).decide(subject, asked)
        expect(inserted.policy).toBe(before.policy)
      }),
      { numRuns: 300 },
    )
  })
})

describe('explain', () => {
  it('says hit, miss, may and skipped', () => {
    const rules = access([
      { domain: ['other.example.com'], policy: 'bypass' },
      { domain: ['app.example.com'], methods: ['POST'], resources: ['^/a'], policy: 'bypass' },
      { domain: ['{user}.example.com'], subject: [['user:app']], policy: 'two_factor' },
      { domain: ['app.example.com'], policy: 'deny' },
    ])
    const { readings } = rules.explain(null, object({ target: '/a' }))
    const skipped = {
      domain: 'skipped',
      subject: 'skipped',
      networks: 'skipped',
      methods: 'skipped',
      resources: 'skipped',
      query: 'skipped',
    }
    expect(readings[0]?.rules).toEqual([
      { rule: 1, policy: 'bypass', verdict: 'miss', criteria: { ...skipped, domain: 'miss' } },
      {
        rule: 2,
        policy: 'bypass',
        verdict: 'miss',
        criteria: { ...skipped, domain: 'hit', methods: 'miss', resources: 'hit' },
      },
      { rule: 3, policy: 'two_factor', verdict: 'may', criteria: { ...skipped, domain: 'may', subject: 'may' } },
      { rule: 4, policy: 'deny', verdict: 'skipped', criteria: skipped },
    ])
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
