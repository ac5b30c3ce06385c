import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { examine } from '../../src/commands/doctor.ts'
import { setUp } from '../support/postern.ts'
import { endsWithSuite, node, projectRoot, start, temporaryFolder } from '../support/process.ts'
import { type Slapd, startSlapd } from './slapd.ts'

const cleanup = endsWithSuite()
let slapd: Slapd
beforeAll(async () => {
  slapd = await startSlapd(cleanup)
})

async function configured(keys: Record<string, unknown> = {}) {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'ca.pem'), slapd.ca)
  const ldap = {
    address: `ldap://localhost:${slapd.port}`,
    implementation: 'rfc2307bis',
    start_tls: true,
    tls: { ca_file: join(folder, 'ca.pem') },
    base_dn: 'dc=example,dc=com',
    user: 'cn=postern,dc=example,dc=com',
    password: 'service',
    ...keys,
  }
  const rules = [{ domain: 'one.postern.localhost', policy: 'one_factor', subject: 'group:dev' }]
  return (await setUp({ folder, rules, people: JSON.stringify({ ldap }) })).configFile
}
const found = async (keys?: Record<string, unknown>) =>
  (await examine(await configured(keys), {})).findings.filter(({ area }) => area === 'directory')

describe('commands with a directory', () => {
  it('doctor tells how many may sign in', async () => {
    expect(await found()).toEqual([{ area: 'directory', severity: 'ok', what: 'it answers; 4 people' }])
  })

  it.each([
    ['a wrong password of its own', { password: 'wrong' }, 'directory-denied'],
    ['a wrong base', { base_dn: 'dc=example,dc=org' }, 'directory-base'],
    ['a wrong place of the groups', { additional_groups_dn: 'ou=nowhere' }, 'directory-base'],
    ['a CA that is not trusted', { tls: {} }, 'directory-tls'],
    ['a port where nobody listens', { address: 'ldap://localhost:1' }, 'directory-down'],
  ])('doctor finds %s', async (_, keys, reason) => {
    expect(await found(keys)).toEqual([expect.objectContaining({ severity: 'error', reason })])
  })

  it('doctor warns of a filter that finds nobody', async () => {
    const users_filter = '(&({username_attribute}={input})(objectClass=device))'
    expect(await found({ users_filter })).toEqual([expect.objectContaining({ severity: 'warning' })])
  })

  it('explain takes the groups of the directory', async () => {
    const file = await configured()
    const entry = join(projectRoot, 'src/main.ts')
    const url = 'http://one.postern.localhost/'
    const run = start(node, [entry, 'explain', '--config', file, '--user', 'JOHN@example.com', '--url', url])
    await run.exit
    expect(run.output()).toContain('The groups are those of the directory.')
    expect(run.output()).toMatch(/john/)
  })
})
