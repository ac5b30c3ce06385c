import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isCollection, parse, parseDocument } from 'yaml'
import { environmentNames } from '../../src/config/environment.ts'
import { knownKeys } from '../../src/config/keys.ts'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { configSchema, secretKeys } from '../../src/config/schema.ts'
import { valueAt } from '../../src/config/schema-problems.ts'
import { projectRoot, temporaryFolder } from '../support/process.ts'
import { secrets } from './secrets.ts'

const templateFile = join(projectRoot, 'config.template.yml')
const template = readFileSync(templateFile, 'utf8')
const known = knownKeys(configSchema)
const env = { ...secrets, POSTERN_DUO_API_HOSTNAME: 'api-0123abcd.duosecurity.com' }

/** Keys of plain data as the schema writes them: `session.cookies[].domain`. */
function keysOf(value: unknown, key = ''): string[] {
  if (Array.isArray(value)) {
    const inside = value.flatMap(item => keysOf(item, `${key}[]`))
    return inside.every(one => one === `${key}[]`) ? [key] : inside
  }
  if (typeof value !== 'object' || value === null) return [key]
  return Object.entries(value).flatMap(([name, item]) =>
    keysOf(
      item,
      key === ''
        ? name
        : ['server.endpoints.authz', 'definitions.network'].includes(key)
          ? `${key}.*`
          : `${key}.${name}`,
    ),
  )
}

/** With its examples switched on: each commented line that is a key or an entry of a list. */
const whole = template
  .replace(/^ *(?:(?:links|sites): \[\]|authz: \{\})\n/gm, '')
  .replace(/^( *)# (( *)(?:- )?[a-z_0-9]+:(?: \S.*)?)$/gm, (line, indent: string, content: string) =>
    /^[a-z_0-9]+: [a-z]+ [a-z]/.test(content) && !content.startsWith('text:') ? line : `${indent}${content}`,
  )

describe('config.template.yml', () => {
  it('is valid as it stands once the secrets are given, without a warning', async () => {
    const loaded = await loadConfig(templateFile, env)
    expect(loaded.ok ? loaded.warnings : loaded.problems.map(formatProblem)).toEqual([])
  })

  it('row 147: is refused as it stands, and each secret is named', async () => {
    const loaded = await loadConfig(templateFile, {})
    const named = loaded.ok ? [] : loaded.problems.map(({ key, line, message }) => ({ key, line: line > 0, message }))
    const shown = secretKeys.filter(
      key => !/^(?:session\.redis|storage\.postgres|authentication_backend\.ldap)\./.test(key),
    ) // of a section that is switched off
    expect(named.map(({ key }) => key).toSorted()).toEqual([...shown, 'duo_api.hostname'].toSorted())
    for (const { line, message } of named) {
      expect(line).toBe(true)
      expect(message).toContain('what the template has in its place')
    }
  })

  it('names every key of the schema, and no other', () => {
    expect([...new Set(keysOf(parse(whole)))].toSorted()).toEqual(known.map(({ key }) => key).toSorted())
  })

  // Of two that exclude each other, one at a time.
  it.each([
    {
      without: ['session.redis.cluster', 'authentication_backend.ldap'],
      secrets: ['SESSION_REDIS_PASSWORD', 'SESSION_REDIS_HIGH_AVAILABILITY_SENTINEL_PASSWORD'],
    },
    {
      without: ['session.redis.high_availability', 'authentication_backend.file'],
      secrets: ['SESSION_REDIS_PASSWORD', 'AUTHENTICATION_BACKEND_LDAP_PASSWORD'],
    },
  ])('is valid with all its examples switched on, but for $without', async ({ without, secrets }) => {
    const file = join(temporaryFolder(), 'whole.yml')
    const document = parseDocument(whole)
    // The PEMs are cut short: to be right they would have to be as long as real ones.
    const cut = known.map(({ key }) => key).filter(key => /\.tls\.(?:certificate_chain|private_key)$/.test(key))
    for (const key of [...cut, ...without]) if (document.hasIn(key.split('.'))) document.deleteIn(key.split('.'))
    writeFileSync(file, document.toString())
    const more = Object.fromEntries(
      [...secrets, 'STORAGE_POSTGRES_PASSWORD'].map(name => [`POSTERN_${name}`, 'a password of this test']),
    )
    const loaded = await loadConfig(file, { ...env, ...more })
    expect(loaded.ok ? loaded.warnings : loaded.problems.map(formatProblem)).toEqual([])
  })

  it('shows the defaults: without the keys that have one, the configuration is the same', async () => {
    const file = join(temporaryFolder(), 'bare.yml')
    const bare = `authentication_backend: { file: { path: /config/users.yml } }
session: { cookies: [{ domain: example.com, authelia_url: https://auth.example.com }] }
storage: { local: { path: /data/postern.sqlite3 } }
access_control: { rules: [{ domain: public.example.com, policy: bypass }, { domain: '*.example.com', policy: two_factor }] }
`
    writeFileSync(file, bare)
    const [shown, unsaid] = [await loadConfig(templateFile, env), await loadConfig(file, env)]
    if (!shown.ok || !unsaid.ok) throw new Error('refused')
    expect(shown.config).toEqual(unsaid.config)
  })

  it('explains every key that has a value: a comment stands right before it', () => {
    const lines = template.split('\n')
    const unexplained = lines.filter(
      (line, index) => /^ *(?:- )?[a-z_0-9]+: /.test(line) && !/^ *(?:- )?#/.test(lines[index - 1] ?? ''),
    )
    // The second rule shows what the first explains; the lists are explained above their examples.
    expect(unexplained).toEqual(['    - domain: "*.example.com"', '      policy: two_factor'])
  })
})

describe('docs/configuration.md', () => {
  const page = readFileSync(join(projectRoot, 'docs/configuration.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*) \|$/gm)]

  it('lists every key of the schema in its order, with what it takes', () => {
    expect(rows.map(([, key, takes]) => ({ key, takes }))).toEqual(
      known.map(({ key, expected }) => ({ key, takes: expected })),
    )
  })

  it('marks what is required, and the secrets', () => {
    const marked = (word: string) => rows.filter(([, , , , mark]) => mark?.includes(word)).map(([, key]) => key)
    expect(marked('required')).toEqual(known.filter(({ required }) => required).map(({ key }) => key))
    expect(marked('secret')).toEqual(known.map(({ key }) => key).filter(key => secretKeys.some(one => one === key)))
  })

  it('tells the defaults: with them written out the configuration is the same, and what has none is not there', () => {
    const read = (text: string, more: { path: string[]; value: unknown }[] = []) => {
      const document = parseDocument(text)
      for (const { path, value } of more) document.setIn(path, value)
      return configSchema.parse(document.toJS())
    }
    const text = `authentication_backend:
  file: { path: users.yml }
  ldap: { address: ldaps://ldap, base_dn: dc=x, user: x, password: x, tls: {} }
session:
  secret: ${secrets.POSTERN_SESSION_SECRET}
  cookies: [{ domain: example.com, authelia_url: https://auth.example.com }]
  redis: { host: redis, tls: {} }
storage:
  encryption_key: ${secrets.POSTERN_STORAGE_ENCRYPTION_KEY}
  postgres: { address: tcp://db, database: x, username: x, tls: {} }
server: { identity_assertion: {} }
duo_api: {}
`
    const bare = read(text)
    const single = rows.filter(([, key]) => key !== undefined && !/\[\]|\*/.test(key))
    for (const [, key = '', , shown = ''] of single) {
      const path = key.split('.')
      const written = /^`(.*)`$/.exec(shown)?.[1]
      if (written !== undefined)
        expect(read(text, [{ path, value: written.startsWith('{') ? written : parse(written) }]), key).toEqual(bare)
      else if (shown === '–' && parseDocument(text).getIn(path) === undefined)
        expect(valueAt(bare, path) ?? '', key).toBe('')
    }
  })

  it('tells the defaults that config.template.yml shows, in examples that are switched off too', () => {
    for (const [, key = '', , shown = ''] of rows) {
      const written = /^`(.*)`$/.exec(shown)?.[1]
      if (written === undefined || /\[\]|\*/.test(key)) continue
      const there: unknown = parseDocument(whole).getIn(key.split('.'))
      expect(isCollection(there) ? there.toJSON() : there, key).toEqual(
        written.startsWith('{') ? written : parse(written),
      )
    }
  })

  it('names variables that are read', () => {
    const names = [...page.matchAll(/\bPOSTERN_[A-Z_]*[A-Z]\b/g)].map(([name]) => name.replace(/_FILE$/, ''))
    expect(names.length).toBeGreaterThan(3)
    for (const name of names) expect([...environmentNames().keys(), 'POSTERN_CONFIG', 'POSTERN_PORT']).toContain(name)
  })
})
