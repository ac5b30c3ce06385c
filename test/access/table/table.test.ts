import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { compileAccess, verdict } from '../../../src/access/access.ts'
import { configSchema } from '../../../src/config/schema.ts'
import { parseUrl } from '../../../src/http/original-url.ts'

// README.md beside this file says what the fields mean.
const person = z.strictObject({ username: z.string(), groups: z.array(z.string()) })
const policy = z.enum(['bypass', 'one_factor', 'two_factor', 'deny', 'refused'])
const factors = z.array(z.literal('duo'))
const decisions = z.strictObject({
  name: z.string(),
  access_control: z.record(z.string(), z.unknown()),
  definitions: z.record(z.string(), z.unknown()).optional(),
  subjects: z.record(z.string(), person),
  cases: z.array(
    z.strictObject({
      title: z.string().optional(),
      subject: z.string().nullable(),
      method: z.string(),
      url: z.string(),
      ip: z.string().optional(),
      policy: z.union([policy, z.array(policy)]),
      rule: z.number().nullable().optional(),
      bySubject: z.boolean().optional(),
      maxAgeSeconds: z.number().nullable().optional(),
      factors: factors.optional(),
    }),
  ),
})
const verdicts = z.strictObject({
  name: z.string(),
  cases: z.array(
    z.strictObject({
      title: z.string().optional(),
      decision: z.strictObject({
        policy: z.enum(['bypass', 'one_factor', 'two_factor', 'deny']),
        bySubject: z.boolean(),
        maxAgeSeconds: z.number().nullable(),
        factors,
      }),
      proof: z
        .strictObject({
          level: z.union([z.literal(1), z.literal(2)]),
          passwordSecondsAgo: z.number(),
          secondFactor: z.strictObject({ how: z.string(), secondsAgo: z.number() }).nullable(),
        })
        .nullable(),
      verdict: z.enum(['allowed', 'password', 'second-factor', 'forbidden']),
    }),
  ),
})

const read = (file: string): unknown => JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8'))
const files = readdirSync(import.meta.dirname).filter(
  file => file.endsWith('.json') && file !== 'verdicts.json' && file !== 'refused.json',
)

let rows = 0
for (const file of files) {
  const table = decisions.parse(read(file))
  rows += table.cases.length
  describe(`${file}: ${table.name}`, () => {
    // Inside a test, so that rules which do not load fail here and not the whole file.
    const access = () => accessOf(table)
    const named = table.cases.map(one => [sentence(one), one] as const)
    it.each(named)('%s', (what, { subject, method, url, ip, ...wanted }) => {
      const parsed = parseUrl(url)
      const decision =
        typeof parsed === 'object'
          ? access().decide(subject === null ? null : personOf(table, subject), {
              host: parsed.host,
              target: parsed.target,
              method,
              ip,
            })
          : undefined
      const got = decision === undefined || decision.unclear ? 'refused' : decision.policy
      expect([wanted.policy].flat(), `${what}: ${decision?.why}`).toContain(got)
      if (decision === undefined || decision.unclear) return
      if (wanted.rule !== undefined) expect(decision.rule, what).toBe(wanted.rule)
      if (wanted.bySubject !== undefined) expect(decision.bySubject, what).toBe(wanted.bySubject)
      if (wanted.maxAgeSeconds !== undefined)
        expect(decision.maxAge, what).toBe(wanted.maxAgeSeconds === null ? null : wanted.maxAgeSeconds * 1000)
      if (wanted.factors !== undefined) expect(decision.factors, what).toEqual(wanted.factors)
    })
  })
}

describe(verdict, () => {
  const now = 1_800_000_000_000
  const table = verdicts.parse(read('verdicts.json'))
  const named = table.cases.map(one => [JSON.stringify(one), one] as const)
  it.each(named)('%s', (_what, { decision: { maxAgeSeconds, ...decision }, proof, verdict: wanted }) => {
    const said = verdict(
      { ...decision, rule: 1, why: '', unclear: false, maxAge: maxAgeSeconds === null ? null : maxAgeSeconds * 1000 },
      proof && {
        level: proof.level,
        passwordAt: now - proof.passwordSecondsAgo * 1000,
        secondFactor: proof.secondFactor && {
          how: proof.secondFactor.how,
          at: now - proof.secondFactor.secondsAgo * 1000,
        },
      },
      now,
    )
    expect(said).toBe(wanted)
  })
})

it('has all its rows', () => {
  expect(rows).toBeGreaterThan(400)
})

const compiled = new Map<string, ReturnType<typeof compileAccess>>()
function accessOf({ name, access_control, definitions }: z.infer<typeof decisions>) {
  const known = compiled.get(name)
  if (known !== undefined) return known
  const config = configSchema.parse({
    authentication_backend: { file: { path: 'users.yml' } },
    session: {
      secret: 'a secret of a test, which has thirty-two characters and more',
      cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
    },
    storage: { encryption_key: 'a key of a test, long enough', local: { path: 'db.sqlite3' } },
    access_control,
    ...(definitions && { definitions }),
  })
  const access = compileAccess(config)
  compiled.set(name, access)
  return access
}

function personOf(table: z.infer<typeof decisions>, name: string) {
  const found = table.subjects[name]
  if (found === undefined) throw new Error(`${table.name} has no subject ${name}`)
  return found
}

function sentence({ title, subject, method, url, ip }: z.infer<typeof decisions>['cases'][number]) {
  const plain = `${subject ?? 'anonymous'}: ${method} ${url}${ip === undefined ? '' : ` from ${ip}`}`
  return title === undefined ? plain : `${title}: ${plain}`
}
