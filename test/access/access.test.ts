import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileAccess, type Decision, type Proof, verdict } from '../../src/access/access.ts'
import { type Config, type Policy, policies } from '../../src/config/schema.ts'

type Rules = Config['access_control']

const compile = (rules: Rules) => compileAccess({ access_control: rules, definitions: { network: {} } })
const asked = (host: string) => ({ host, target: '/', method: 'GET', ip: undefined })
const decide = (rules: Rules, host: string) => compile(rules).decide(null, asked(host))

const deny = (...list: [domain: string | string[], policy: Policy][]): Rules => ({
  default_policy: 'deny',

  rules: list.map(([domain, policy]) => ({ domain: [domain].flat(), policy })),
})

describe(compileAccess, () => {
  it.each([
    ['an exact domain is this host', 'a.example.com', 'a.example.com', true],
    ['and no host below it', 'a.example.com', 'x.a.example.com', false],
    ['and no host above it', 'a.example.com', 'example.com', false],
    ['and none that ends alike', 'a.example.com', 'aa.example.com', false],
    ['a wildcard is any host below', '*.example.com', 'a.example.com', true],
    ['at any depth', '*.example.com', 'a.b.c.example.com', true],
    ['but not the domain itself', '*.example.com', 'example.com', false],
    ['and none that ends alike', '*.example.com', 'notexample.com', false],
    ['and none that only begins so', '*.example.com', 'a.example.com.evil.net', false],
    ['upper case in a rule is alike', 'A.Example.COM', 'a.example.com', true],
    ['upper case in a wildcard too', '*.Example.COM', 'a.example.com', true],
    ['a wildcard of one label', '*.localhost', 'a.localhost', true],
    ['a star without a dot is no wildcard', '*example.com', 'a.example.com', false],
    ['a star in the middle is none either', 'a.*.com', 'a.example.com', false],
    ['two stars match nothing', '*.*.example.com', 'a.b.example.com', false],
    ['a star alone matches nothing', '*', 'a.example.com', false],
    ['{user} in the middle matches nothing', 'a.{user}.example.com', 'a.{user}.example.com', false],
    ['{group} likewise', '*.{group}.example.com', 'a.{group}.example.com', false],
    ['names of Object are no rules', 'a.example.com', 'constructor', false],
    ['nor is __proto__', '*.com', '__proto__', false],
  ])('%s: %s for %s', (_title, domain, host, matches) => {
    expect(decide(deny([domain, 'bypass']), host).policy).toBe(matches ? 'bypass' : 'deny')
  })

  it.each([
    [['*.example.com', 'a.example.com'], 1],
    [['a.example.com', '*.example.com'], 1],
    [['*.com', '*.example.com', 'a.example.com'], 1],
    [['b.example.com', '*.b.example.com', '*.example.com', 'a.example.com'], 3],
    [['a.example.com', 'a.example.com'], 1],
  ] as const)('takes the first of %j, whether exact or a wildcard: rule %i', (domains, rule) => {
    const found = decide(deny(...domains.map(domain => [domain, 'one_factor'] as [string, Policy])), 'a.example.com')
    expect(found).toMatchObject({ rule, policy: 'one_factor' })
  })

  it('says which rule decided, and why', () => {
    const rules = deny([['x.example.com', '*.Example.com'], 'two_factor'])
    expect(decide(rules, 'a.example.com')).toMatchObject({
      policy: 'two_factor',
      rule: 1,
      why: 'rule 1 (*.example.com) says two_factor',
    })
    expect(decide(rules, 'example.com')).toMatchObject({
      policy: 'deny',
      rule: null,
      why: 'no rule matches, the default is deny',
    })
  })

  it('takes the default policy where there is no rule', () => {
    for (const policy of policies)
      expect(decide({ default_policy: policy, rules: [] }, 'a.example.com')).toMatchObject({
        policy,
        rule: null,
      })
  })

  it('row 40: a narrow deny before a wide bypass holds, whatever the spelling of the rule', () => {
    const rules = deny(['*.B.example.com', 'deny'], ['*.example.com', 'bypass'])
    expect(decide(rules, 'a.b.example.com').policy).toBe('deny')
    expect(decide(rules, 'a.c.example.com').policy).toBe('bypass')
  })

  it('lists the hosts that rules write out', () => {
    const rules = deny(
      [['b.example.com', '*.x.com'], 'deny'],
      [['A.example.com', 'b.example.com', '{user}.y.com'], 'bypass'],
    )
    expect(compile(rules).namedHosts).toEqual(['b.example.com', 'a.example.com'])
  })

  it('knows which policies are wanted, the default included', () => {
    const access = compile(deny(['a.example.com', 'one_factor']))
    expect(policies.filter(policy => access.wants(policy))).toEqual(['one_factor', 'deny'])
  })

  it('decides as a walk through all rules would', () => {
    const label = fc.constantFrom('a', 'b', 'B', 'c')
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
    const domain = fc.tuple(fc.constantFrom('', '*.'), host).map(parts => parts.join(''))
    const rule = fc.record({
      domain: fc.array(domain, { minLength: 1, maxLength: 3 }),
      policy: fc.constantFrom(...policies),
    })
    const rules = fc.record({
      default_policy: fc.constantFrom(...policies),

      rules: fc.array(rule, { maxLength: 12 }),
    })
    fc.assert(
      fc.property(rules, host, (config, asked) => {
        const host = asked.toLowerCase()
        const { policy, rule } = decide(config, host)
        expect({ policy, rule }).toEqual(walk(config, host))
      }),
      { numRuns: 2000 },
    )
  })

  it('looks at no rule of another host: ten thousand of them leave the time of a decision alike', () => {
    const other = Array.from({ length: 10_000 }, (_, i) => ({
      domain: [`h${i}.example.com`, `*.h${i}.example.com`],
      policy: 'bypass' as const,
    }))
    const mine = { domain: ['*.mine.example.com'], policy: 'one_factor' as const }
    const object = asked('a.b.mine.example.com')
    const few = compile({ default_policy: 'deny', rules: [mine] })
    const many = compile({ default_policy: 'deny', rules: [...other, mine] })
    expect(many.decide(null, object)).toMatchObject({ policy: 'one_factor', rule: 10_001 })
    const time = (access: typeof few) => {
      const start = process.hrtime.bigint()
      for (let i = 0; i < 20_000; i++) access.decide(null, object)
      return Number(process.hrtime.bigint() - start)
    }
    const best = (access: typeof few) => Math.min(...Array.from({ length: 7 }, () => time(access)))
    best(few)
    // A walk would take thousands of times as long; the margin is for a busy machine.
    expect(best(many)).toBeLessThan(best(few) * 20)
  })
})

/** The rules as the documentation tells them, with no index. */
function walk({ default_policy, rules }: Rules, host: string) {
  const at = rules.findIndex(({ domain: domains }) =>
    (domains ?? []).some(domain => {
      const rule = domain.toLowerCase()
      return rule.startsWith('*.') ? host.endsWith(rule.slice(1)) && host.length > rule.length - 1 : host === rule
    }),
  )
  const rule = rules[at]
  return rule === undefined ? { policy: default_policy, rule: null } : { policy: rule.policy, rule: at + 1 }
}

const decision = (over: Partial<Decision>): Decision => ({
  policy: 'deny',
  rule: 1,
  why: '',
  maxAge: null,
  factors: [],
  bySubject: false,
  unclear: false,
  ...over,
})

const SECOND_FACTOR_AT = 2_000
const proofs: Record<'nobody' | 'password' | 'duo' | 'let pass', Proof | null> = {
  nobody: null,
  password: { level: 1, passwordAt: 1_000, secondFactor: null },
  duo: { level: 2, passwordAt: 1_000, secondFactor: { how: 'push', at: SECOND_FACTOR_AT } },
  'let pass': { level: 2, passwordAt: 1_000, secondFactor: { how: 'duo-allow', at: SECOND_FACTOR_AT } },
}

describe(verdict, () => {
  it.each([
    ['bypass', ['allowed', 'allowed', 'allowed']],
    ['one_factor', ['password', 'allowed', 'allowed']],
    ['two_factor', ['password', 'second-factor', 'allowed']],
    ['deny', ['forbidden', 'forbidden', 'forbidden']],
  ] as const)('%s for nobody, with the password, with Duo: %j', (policy, expected) => {
    const said = [proofs.nobody, proofs.password, proofs.duo].map(proof => verdict(decision({ policy }), proof, 3_000))
    expect(said).toEqual(expected)
  })

  it('lets an anonymous visitor sign in where a deny is for certain people: it may be for somebody else', () => {
    const denied = decision({ policy: 'deny', bySubject: true })
    expect(verdict(denied, null, 0)).toBe('password')
    expect(verdict(denied, proofs.duo, 0)).toBe('forbidden')
  })

  it.each<[Policy, keyof typeof proofs, number, string, string]>([
    ['one_factor', 'password', 1_000, 'password', 'the password is old'],
    ['one_factor', 'duo', SECOND_FACTOR_AT, 'password', 'the later of the two proofs is old'],
    ['two_factor', 'duo', SECOND_FACTOR_AT, 'second-factor', 'the second factor is old'],
  ])('max_age on %s: after %s, at %i + max_age, asks for the %s: %s', (policy, who, at, asksFor) => {
    const aged = decision({ policy, maxAge: 500 })
    expect(verdict(aged, proofs[who], at + 499)).toBe('allowed')
    expect(verdict(aged, proofs[who], at + 500)).toBe(asksFor)
  })

  it('max_age on two_factor asks for the second factor alone, however old the password is', () => {
    const aged = decision({ policy: 'two_factor', maxAge: 10 })
    expect(verdict(aged, proofs.duo, SECOND_FACTOR_AT + 9)).toBe('allowed')
    expect(verdict(aged, { level: 2, passwordAt: 1_000, secondFactor: null }, 1_001)).toBe('second-factor')
  })

  it('factors: who was let pass without a factor has to give one', () => {
    const wanting = decision({ policy: 'two_factor', factors: ['duo'] })
    expect(verdict(wanting, proofs.duo, 3_000)).toBe('allowed')
    expect(verdict(wanting, proofs['let pass'], 3_000)).toBe('second-factor')
    expect(verdict(decision({ policy: 'two_factor' }), proofs['let pass'], 3_000)).toBe('allowed')
  })
})
