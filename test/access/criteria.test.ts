import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AccessObject, Subject } from '../../src/access/access.ts'
import { type Policy, policies } from '../../src/config/schema.ts'
import { access, accessOf, bob, john, matches, object, type RuleConfig } from './rules.ts'

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
