import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileAccess, type Subject } from '../../src/access/access.ts'
import { type Config, configSchema, type Policy, policies } from '../../src/config/schema.ts'
import { timeout, tryOut } from './budget.ts'
import { plainPath } from './oracle.ts'

const strictness: readonly Policy[] = ['bypass', 'one_factor', 'two_factor', 'deny']

function configOf(access_control: Record<string, unknown>): Config {
  return configSchema.parse({
    authentication_backend: { file: { path: 'users.yml' } },
    session: {
      secret: 'a secret of a test, which has thirty-two characters and more',
      cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
    },
    storage: { encryption_key: 'a key of a test, long enough', local: { path: 'db.sqlite3' } },
    access_control,
  })
}

const subject: fc.Arbitrary<Subject | null> = fc.constantFrom(
  null,
  { username: 'a', groups: [] },
  { username: 'b', groups: ['a', 'secret'] },
  { username: 'secret', groups: ['b'] },
)

describe('a fuzzer of the readings of a path', () => {
  const name = fc.constantFrom('public', 'secret', 'a', 'b', 'style.css', 'x.key', 'é', 'a b')
  const resource = fc.oneof(
    name.map(one => `^/${one}([/?].*)?$`),
    name.map(one => `^/${one}/`),
    name.map(one => `${one}$`),
    name,
    fc.constantFrom(
      '^/$',
      '^/(?P<User>[^/]+)/',
      '^/a/(?P<Group>[^/]+)',
      '\\.css(\\?.*)?$',
      '\\.key$',
      '^/public/[^/]+$',
      '.*',
    ),
  )
  const rule = fc.record({
    domain: fc.constant('f.example.com'),
    policy: fc.constantFrom(...policies),
    resources: fc.array(resource, { minLength: 1, maxLength: 2 }),
  })

  const hex = (byte: number, upper: boolean) => {
    const digits = byte.toString(16).padStart(2, '0')
    return `%${upper ? digits.toUpperCase() : digits}`
  }
  /** One character in one of its spellings: as it is, escaped, escaped twice, with the percent or each letter of the escape escaped. */
  const spelt = (one: string) =>
    fc.tuple(fc.nat(9), fc.boolean()).map(([way, upper]) => {
      const must = one > '~' || one === ' '
      if (way < 6 && !must) return one
      const escapes = [...Buffer.from(one)].map(byte => hex(byte, upper)).join('')
      if (way < 8 || must) return escapes
      return way === 8
        ? escapes.replaceAll('%', '%25')
        : [...escapes].map(part => hex(part.charCodeAt(0), upper)).join('')
    })
  const word = name.chain(text => fc.tuple(...[...text].map(spelt)).map(parts => parts.join('')))
  const dots = fc
    .constantFrom('.', '..', '...')
    .chain(text => fc.tuple(...[...text].map(spelt)).map(parts => parts.join('')))
  const separator = fc.oneof(
    { weight: 4, arbitrary: fc.constant('/') },
    fc
      .constantFrom('/', '//', '\\', '/', '///')
      .chain(text => fc.tuple(...[...text].map(spelt)).map(parts => parts.join(''))),
  )
  const parameters = fc.oneof(
    { weight: 5, arbitrary: fc.constant('') },
    fc.constantFrom(';', ';a=b', ';.css', ';a;b', ';v=1.css', '%3b', '%3Bx'),
  )
  const part = fc
    .tuple(separator, fc.oneof({ weight: 2, arbitrary: word }, dots, fc.constant('')), parameters)
    .map(parts => parts.join(''))
  const path = fc.array(part, { minLength: 1, maxLength: 6 }).map(parts => `/${parts.join('')}`)
  const query = fc.constantFrom('', '?', '?a=1', '?x=.css', '?/public')

  it('finds no spelling that reaches a resource more loosely than its cleaned spelling does', { timeout }, async () => {
    let ambiguous = 0
    await tryOut(
      fc.property(
        fc.constantFrom(...policies),
        fc.array(rule, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(path, query, subject), { minLength: 10, maxLength: 30 }),
        (default_policy, rules, asked) => {
          const access = compileAccess(configOf({ default_policy, rules }))
          for (const [raw, behind, who] of asked) {
            const plain = plainPath(raw)
            const clean = [...Buffer.from(plain, 'latin1')]
              .map(byte => (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : hex(byte, true)))
              .join('')
            const object = { host: 'f.example.com', method: 'GET', ip: undefined }
            const spelled = access.decide(who, { ...object, target: raw + behind })
            const cleaned = access.decide(who, { ...object, target: clean + behind })
            if (raw !== clean) ambiguous++
            expect(
              strictness.indexOf(spelled.policy),
              `${raw + behind}: ${spelled.policy} (${spelled.why}); ${clean + behind}: ${cleaned.policy} (${cleaned.why})`,
            ).toBeGreaterThanOrEqual(strictness.indexOf(cleaned.policy))
            if (spelled.unclear) expect(spelled.policy).toBe('deny')
          }
        },
      ),
    )
    expect(ambiguous).toBeGreaterThan(2)
  })
})

describe('a fuzzer of what a path costs', () => {
  const pieces = [
    '/',
    ';',
    '%3b',
    '\\',
    '%5c',
    '.',
    '..',
    '%2e',
    '%252e',
    '%2f',
    '%252f',
    '?',
    '%3f',
    '%23',
    'a',
    '%ff',
    '%c0%ae',
    '//',
    ';a=b',
    '/../',
  ]
  const piece = fc.constantFrom(...pieces)
  const access = compileAccess(
    configOf({
      rules: [{ domain: 'f.example.com', policy: 'bypass', resources: ['(a+)+$', '(.*a){20}', '/([^/;]+;?)*x'] }],
    }),
  )
  const took = (target: string) => {
    const began = performance.now()
    access.decide(null, { host: 'f.example.com', target, method: 'GET', ip: undefined })
    return performance.now() - began
  }
  function expectQuick(repeated: string, behind: string) {
    const target = `/${repeated.repeat(Math.floor(4000 / repeated.length))}${behind}`
    // The shortest of several: a machine that is busy with something else is no fault of the path.
    for (let tries = 0; tries < 5; tries++) if (took(target) < 60) return
    expect.unreachable(`${target.slice(0, 60)}…${behind}`)
  }

  it('row 48: finds no path of 4 KB that takes long, whatever it repeats and however it ends', {
    timeout,
  }, async () => {
    for (const repeated of pieces) for (const behind of ['', '/', ';', 'x', '/x']) expectQuick(repeated, behind)
    await tryOut(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 3 }),
        fc.array(piece, { maxLength: 3 }),
        (repeated, behind) => expectQuick(repeated.join(''), behind.join('')),
      ),
    )
  })
})

describe('a fuzzer of the index of hosts', () => {
  const label = fc.constantFrom('a', 'b', 'c', 'secret', 'x-a')
  const host = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
  const subjectCriterion = fc.constantFrom('user:a', 'user:b', 'group:a', 'group:secret', 'group:c')
  const rule = fc
    .record(
      {
        domain: fc.array(
          fc.oneof(
            host,
            host.map(one => `*.${one}`),
            host.map(one => `{user}.${one}`),
            host.map(one => `{group}.${one}`),
            host.map(one => one.toUpperCase()),
          ),
          { minLength: 1, maxLength: 3 },
        ),
        policy: fc.constantFrom(...policies),
        methods: fc.subarray(['GET', 'POST', 'PUT'], { minLength: 1 }),
        subject: fc.array(fc.uniqueArray(subjectCriterion, { minLength: 1, maxLength: 2 }), {
          minLength: 1,
          maxLength: 2,
        }),
      },
      { requiredKeys: ['domain', 'policy'] },
    )
    .filter(
      one => one.policy !== 'bypass' || (one.subject === undefined && !one.domain.some(domain => domain.includes('{'))),
    )

  type Rule = typeof rule extends fc.Arbitrary<infer Of> ? Of : never
  const may = (matches: boolean, known: boolean) => (known ? matches : 'may')

  /** One rule after the other, one criterion after the other. */
  function naive(rules: readonly Rule[], fallback: Policy, who: Subject | null, asked: string, method: string) {
    for (const [position, { domain, policy, methods, subject }] of rules.entries()) {
      const domains = domain.map(written => {
        const one = written.toLowerCase()
        const rest = one.slice(one.indexOf('.'))
        const before = asked.endsWith(rest) ? asked.slice(0, -rest.length) : ''
        if (one.startsWith('*.')) return before !== ''
        if (one.startsWith('{user}.')) return before !== '' && may(before === who?.username, who !== null)
        if (one.startsWith('{group}.')) {
          if (!before || before.includes('.')) return who === null && before !== '' ? undefined : false
          return may(who?.groups.some(group => group.toLowerCase() === before) ?? false, who !== null)
        }
        return one === asked
      })
      if (domains.includes(undefined)) return undefined // what nobody's group is on a host of more labels is not said
      if (!domains.includes(true) && !domains.includes('may')) continue
      if (methods !== undefined && !methods.includes(method)) continue
      if (subject !== undefined && who !== null) {
        const has = (one: string) =>
          one === `user:${who.username}` || who.groups.some(group => one === `group:${group}`)
        if (!subject.some(all => all.every(has))) continue
      }
      return { policy, rule: position + 1 }
    }
    return { policy: fallback, rule: null }
  }

  it('finds no host, person and method for whom another rule decides than the first that matches', {
    timeout,
  }, async () => {
    let byRule = 0
    await tryOut(
      fc.property(
        fc.constantFrom(...policies),
        fc.array(rule, { maxLength: 8 }),
        fc.array(fc.tuple(subject, host, fc.constantFrom('GET', 'POST', 'DELETE')), { minLength: 5, maxLength: 20 }),
        (default_policy, rules, asked) => {
          const access = compileAccess(configOf({ default_policy, rules }))
          for (const [who, where, method] of asked) {
            const wanted = naive(rules, default_policy, who, where, method)
            if (wanted === undefined) continue
            if (wanted.rule !== null) byRule++
            expect(
              access.decide(who, { host: where, target: '/', method, ip: undefined }),
              `${where} ${method} ${who?.username}`,
            ).toMatchObject(wanted)
          }
        },
      ),
    )
    expect(byRule).toBeGreaterThan(2)
  })
})
