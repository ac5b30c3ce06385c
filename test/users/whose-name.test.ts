import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ldap } from '../../src/config/ldap.ts'
import { whoseName } from '../../src/users/whose-name.ts'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'
import { backend, hashes, usersFile, withHash } from './parts.ts'
import { type Slapd, startSlapd } from './slapd.ts'

const cleanup = endsWithSuite()
let slapd: Slapd
beforeAll(async () => {
  slapd = await startSlapd(cleanup)
})

function ofFile(text: string) {
  const path = join(temporaryFolder(), 'users.yml')
  writeFileSync(path, text)
  return backend(path, { email: true, case_insensitive: true })
}

function ofDirectory(port = slapd.port) {
  const ca_file = join(temporaryFolder(), 'ca.pem')
  writeFileSync(ca_file, slapd.ca)
  const directory = ldap.parse({
    address: `ldap://localhost:${port}`,
    implementation: 'rfc2307bis',
    timeout: '1s',
    start_tls: true,
    tls: { ca_file },
    base_dn: 'dc=example,dc=com',
    user: 'cn=postern,dc=example,dc=com',
    password: 'service',
  })
  const { file: _, ...rest } = backend('')
  return { ...rest, ldap: directory }
}

const john = usersFile({ john: withHash(hashes.argon2id, 'email: john@example.com') })

describe(whoseName, () => {
  it.each([
    ['the users file', () => ofFile(john)],
    ['the directory', () => ofDirectory()],
  ])('finds the canonical name in %s, whatever spelling is given', async (_, config) => {
    for (const typed of ['john', 'JOHN']) {
      const found = await whoseName(config(), typed, Date.now)
      expect(found.username).toBe('john')
      expect(found.counted(typed)).toBe('john')
    }
    expect((await whoseName(config(), 'nobody-at-all', Date.now)).username).toBeUndefined()
  })

  it.each([
    ['a users file that is broken', () => ofFile('broken: [')],
    ['a directory that does not answer', () => ofDirectory(1)],
  ])('says that nobody can tell, with %s', async (_, config) => {
    await expect(whoseName(config(), 'john', Date.now)).rejects.toThrow()
  })
})
