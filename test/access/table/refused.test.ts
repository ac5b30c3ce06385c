import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { loadConfig } from '../../../src/config/load.ts'
import { temporaryFolder } from '../../support/process.ts'

// README.md beside this file says what the fields mean.
const table = z
  .strictObject({
    name: z.string(),
    cases: z.array(
      z.strictObject({
        title: z.string(),
        access_control: z.record(z.string(), z.unknown()),
        definitions: z.record(z.string(), z.unknown()).optional(),
        key: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, 'refused.json'), 'utf8')))

async function problemsOf(rules: Record<string, unknown>) {
  const folder = temporaryFolder()
  const file = (name: string) => join(folder, name)
  writeFileSync(
    file('configuration.yml'),
    JSON.stringify({
      authentication_backend: { file: { path: file('users.yml') } },
      session: {
        secret: 'a secret of a test, which has thirty-two characters and more',
        cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
      },
      storage: { encryption_key: 'a key of a test, long enough', local: { path: file('db.sqlite3') } },
      ...rules,
    }),
  )
  const loaded = await loadConfig(file('configuration.yml'), {})
  return loaded.ok ? [] : loaded.problems.filter(({ severity }) => severity === 'error')
}

describe(`refused.json: ${table.name}`, () => {
  it.each(table.cases.map(one => [one.title, one] as const))('%s', async (_title, { title: _, key, ...rules }) => {
    const errors = await problemsOf(rules)
    expect(
      errors.filter(problem => problem.key.startsWith(key)),
      JSON.stringify(errors),
    ).not.toEqual([])
    expect(errors.every(({ line, message }) => line > 0 && message.length > 10)).toBe(true)
  })

  it('loads such rules without the fault, so that they are not refused for another', async () => {
    const fine = { domain: 'a.example.com', policy: 'one_factor' }
    expect(await problemsOf({ access_control: { rules: [fine] } })).toEqual([])
    const all = {
      domain: ['{user}.example.com', '*.example.com'],
      domain_regex: '^(?P<Group>\\w+)-x\\.example\\.com$',
      policy: 'two_factor',
      subject: [['user:john', 'group:dev'], 'group:ops'],
      methods: ['GET', 'PROPFIND'],
      networks: ['office', '10.0.0.1', '2001:db8::/32'],
      resources: ['^/(?P<User>[^/]+)', '(?i)\\.css$'],
      query: [[{ key: 'a' }, { key: 'b', operator: 'not pattern', value: '^x' }], [{ key: 'c', value: '1' }]],
      max_age: '1h',
      factors: ['duo'],
    }
    const definitions = { network: { office: ['192.0.2.0/24'] } }
    expect(await problemsOf({ access_control: { rules: [all] }, definitions })).toEqual([])
  })
})
