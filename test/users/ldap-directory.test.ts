import { createServer, type Server } from 'node:net'
import { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type LdapAddress, parseLdapAddress } from '../../src/config/ldap.ts'
import { ldapDirectory } from '../../src/users/ldap-directory.ts'
import { escapeFilterValue, fillFilter } from '../../src/users/ldap-filter.ts'
import { type LdapConfig, type LdapSettings, ldapSettings } from '../../src/users/ldap-settings.ts'
import { endsWithSuite } from '../support/process.ts'
import { type Slapd, startSlapd } from './slapd.ts'

const cleanup = endsWithSuite()
let slapd: Slapd
beforeAll(async () => {
  slapd = await startSlapd(cleanup)
})

const at = (address: string): LdapAddress => {
  const parsed = parseLdapAddress(address)
  if (parsed === undefined) throw new Error(address)
  return parsed
}
const config: Omit<LdapConfig, 'address'> = {
  implementation: 'rfc2307bis',
  timeout: 1000,
  start_tls: true,
  base_dn: 'dc=example,dc=com',
  group_search_mode: 'filter',
  permit_referrals: false,
  permit_unauthenticated_bind: false,
  permit_feature_detection_failure: false,
  user: 'cn=postern,dc=example,dc=com',
  password: 'service',
  attributes: {},
  grace: 60_000,
}
const settings = await ldapSettings({ ...config, address: at('ldap://localhost') })
const dropped: string[] = []
const directory = (given: Partial<LdapSettings> = {}) => {
  const real = { address: at(`ldap://localhost:${slapd.port}`), tls: { ca: slapd.ca } }
  const asked = ldapDirectory({ ...settings, ...real, ...given }, Date.now, group => dropped.push(group))
  return {
    ...asked,
    async find(typed: string) {
      const found = await asked.identify(typed)
      const person = found && (await asked.person(found.username))
      return found && person && { dn: found.dn, person }
    },
    isPassword: async (dn: string, password: string) => (await asked.bind(dn, password)) === 'right',
  }
}
const john = 'uid=john,ou=people,dc=example,dc=com'

/** Listens, and keeps what it was sent. */
async function listener(answer: (data: Buffer) => Buffer | undefined): Promise<{ port: number; received: Buffer[] }> {
  const received: Buffer[] = []
  const server: Server = createServer(socket => {
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    socket.on('data', (data: Buffer) => {
      received.push(data)
      const said = answer(data)
      if (said !== undefined) socket.write(said)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, received }
}

describe(ldapDirectory, () => {
  it('finds a person by name and by mail, with the groups of the filter', async () => {
    const found = await directory().find('john')
    expect(found?.dn).toBe(john)
    expect(found?.person).toMatchObject({ username: 'john', displayName: 'John Doe', emails: ['john@example.com'] })
    expect(found?.person.groups).toEqual(['dev'])
    expect((await directory().find('john@example.com'))?.person.username).toBe('john')
    expect(await directory().find('nobody')).toBeUndefined()
  })

  it('gives the name as the directory spells it, however it was typed', async () => {
    expect((await directory().find('JOHN'))?.person.username).toBe('john')
  })

  it('a group with a comma is left out, and told', async () => {
    dropped.length = 0
    await directory().find('john')
    expect(dropped).toEqual(['with, comma'])
  })

  it('with the usual filter groups are those that name the person; with memberof those that the directory resolves, groups of groups too', async () => {
    const groups_filter = '(&(|{memberof:rdn})(objectClass=groupOfNames))'
    const nested = directory({ group_search_mode: 'memberof', groups_filter })
    expect((await nested.find('john'))?.person.groups.toSorted()).toEqual(['dev', 'staff'])
    expect((await nested.find('ann'))?.person.groups).toEqual([])
  })

  it('with memberof a group of the same name elsewhere is none', async () => {
    const asked = directory({
      group_search_mode: 'memberof',
      groups_filter: '(|{memberof:rdn})',
      attributes: { ...settings.attributes, group_name: 'description' },
    })
    expect((await asked.find('john'))?.person.groups).toEqual(['of john'])
    expect((await asked.find('jane'))?.person.groups).toEqual(['of the others'])
  })

  it('with memberof only what groups_base holds is a group', async () => {
    const groups_filter = '(|{memberof:rdn})'
    const elsewhere = directory({
      group_search_mode: 'memberof',
      groups_filter,
      groups_base: settings.users_base.replace(/^/, 'ou=people,'),
    })
    expect((await elsewhere.find('john'))?.person.groups).toEqual([])
  })

  it.each(['activedirectory', 'rfc2307bis', 'freeipa', 'lldap', 'glauth'] as const)(
    'row 91: the filters of %s are filters, with a name that would break out of them too',
    async implementation => {
      const preset = await ldapSettings({ ...config, implementation, address: at('ldap://localhost') })
      const asked = directory({ ...preset, tls: { ca: slapd.ca }, address: at(`ldap://localhost:${slapd.port}`) })
      const isOpenLdap = implementation === 'rfc2307bis' || implementation === 'lldap'
      expect((await asked.find('john'))?.person.username).toBe(isOpenLdap ? 'john' : undefined)
      for (const name of ['*)(uid=*', 'john)(|(uid=*', '\\2a']) expect(await asked.identify(name)).toBeUndefined()
      expect((await asked.list(10)).people.length).toBe(isOpenLdap ? 4 : 0)
    },
  )

  it('speaks over a socket', async () => {
    const found = await directory({ address: at(`ldapi://${slapd.socket}`), start_tls: false }).find('john')
    expect(found?.dn).toBe(john)
  })

  it('lists who may sign in, so many and no more', async () => {
    const names = async (limit: number) => {
      const { people, more } = await directory().list(limit)
      return { names: people.map(({ username }) => username).toSorted(), more }
    }
    expect(await names(10)).toEqual({ names: ['ann', 'jane', 'joan', 'john'], more: false })
    expect((await names(2)).more).toBe(true)
  })

  it('a name in another case than the one that a session holds is another name', async () => {
    expect(await directory().person('JOHN')).toBeUndefined()
    expect(await directory().person('john@example.com')).toBeUndefined()
  })

  it('row 91: an entry of two names means nobody, since nobody could say which is its own', async () => {
    expect(await directory().find('two')).toBeUndefined()
  })

  it('row 101: a referral in the way is not followed', async () => {
    expect(await directory().find('john')).toBeDefined()
    const away = directory({ users_base: 'ou=elsewhere,ou=people,dc=example,dc=com' })
    await expect(away.find('john')).rejects.toThrow()
  })

  it('speaks ldaps, with the CA given, and without it not', async () => {
    const address = at(`ldaps://localhost:${slapd.securePort}`)
    expect((await directory({ address }).find('john'))?.dn).toBe(john)
    expect(await directory({ address }).isPassword(john, 'johns password')).toBe(true)
    await expect(directory({ address, tls: {} }).find('john')).rejects.toThrow(/self-signed certificate/)
  })

  it('tells the right password from a wrong one', async () => {
    expect(await directory().isPassword(john, 'johns password')).toBe(true)
    expect(await directory().isPassword(john, 'janes password')).toBe(false)
  })

  it.each(['', '\0', '\0\0\0', 'johns password\0', 'johns password\0x'])(
    'row 90: the password %j is refused before any bind',
    async password => {
      const { port, received } = await listener(() => undefined)
      const asked = directory({ address: at(`ldap://localhost:${port}`) })
      expect(await asked.isPassword(john, password)).toBe(false)
      expect(received).toEqual([])
      expect(await directory().isPassword(john, password)).toBe(false)
    },
  )

  it('row 90: nor is an empty DN bound, which would be anonymous', async () => {
    expect(await directory().isPassword('', 'anything')).toBe(false)
  })

  it.each([
    '*',
    'j*',
    'jan*',
    'j\\6fhn',
    'john)(cn=John',
    '*)(uid=*',
    'john)(|(uid=*',
    'john\0',
    '\\2a',
    'j\\2a',
    'john,ou=people',
    '{username_attribute}',
  ])('row 91: %j means nobody', async typed => {
    expect(await directory().find(typed)).toBeUndefined()
  })

  it('row 91: a name that means several entries means nobody', async () => {
    expect(await directory().find('shared@example.com')).toBeUndefined()
    expect((await directory().find('jane'))?.person.username).toBe('jane')
  })

  it('row 101: a wrong certificate ends it before any bind', async () => {
    await expect(directory({ tls: {} }).isPassword(john, 'johns password')).rejects.toThrow(/self-signed certificate/)
    await expect(
      directory({ address: at(`ldap://127.0.0.1:${slapd.port}`) }).isPassword(john, 'johns password'),
    ).rejects.toThrow(/127\.0\.0\.1/)
  })

  it('row 101: StartTLS refused (stripped): no bind in the clear', async () => {
    // protocolError to whatever is asked first: message 2, extended response.
    const { port, received } = await listener(data =>
      Buffer.from([0x30, 0x0c, 0x02, 0x01, data[4] ?? 0, 0x78, 0x07, 0x0a, 0x01, 0x02, 0x04, 0x00, 0x04, 0x00]),
    )
    const asked = directory({ address: at(`ldap://localhost:${port}`) })
    await expect(asked.isPassword(john, 'johns password')).rejects.toThrow()
    await expect(asked.find('john')).rejects.toThrow()
    expect(Buffer.concat(received).toString('latin1')).not.toMatch(/johns password|service/)
    expect(received.length).toBeGreaterThan(0)
  })

  it('row 101: StartTLS promised and then silence: a deadline, and no bind', async () => {
    const { port, received } = await listener(data =>
      data[0] === 0x30
        ? Buffer.from([0x30, 0x0c, 0x02, 0x01, data[4] ?? 0, 0x78, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00])
        : undefined,
    )
    const asked = directory({ address: at(`ldap://localhost:${port}`), timeout: 200 })
    await expect(asked.isPassword(john, 'johns password')).rejects.toThrow(/in time|within/)
    expect(Buffer.concat(received).toString('latin1')).not.toContain('johns password')
  })

  it('row 101: what was put behind the answer to StartTLS is no part of the answer to the bind', async () => {
    const server = createServer(plain => {
      onTestFinished(() => void plain.destroy())
      plain.on('error', () => {})
      plain.once('data', (asked: Buffer) => {
        const id = asked[4] ?? 0
        const promised = [0x30, 0x0c, 0x02, 0x01, id, 0x78, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00]
        // The beginning of a successful bind, whose text is what comes next: the true answer, which refuses.
        const begun = [0x30, 0x1a, 0x02, 0x01, id + 1, 0x61, 0x15, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x0e]
        plain.write(Buffer.from([...promised, ...begun]))
        const encrypted = new TLSSocket(plain, { isServer: true, key: slapd.key, cert: slapd.ca })
        encrypted.on('error', () => {})
        encrypted.on('data', (bind: Buffer) => {
          if (bind[5] === 0x60 || bind[6] === 0x60)
            encrypted.write(
              Buffer.from([0x30, 0x0c, 0x02, 0x01, bind[4] ?? 0, 0x61, 0x07, 0x0a, 0x01, 0x31, 0x04, 0x00, 0x04, 0x00]),
            )
        })
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    expect(await directory({ address: at(`ldap://localhost:${address.port}`) }).isPassword(john, 'wrong')).toBe(false)
  })

  it('row 101: down and slow are errors, not wrong passwords', async () => {
    const { port } = await listener(() => undefined)
    for (const start_tls of [true, false])
      await expect(
        directory({ address: at(`ldap://localhost:${port}`), timeout: 200, start_tls }).isPassword(john, 'x'),
      ).rejects.toThrow()
    await expect(directory({ address: at('ldap://localhost:1') }).isPassword(john, 'x')).rejects.toThrow()
  })
})

describe(fillFilter, () => {
  const values = { attributes: settings.attributes, input: 'x' }
  it.each([
    ['({username_attribute}={input})', '(uid=x)'],
    ['(a>={date-time:generalized})', '(a>=19700101000000.0Z)'],
    ['(a>={date-time:unix})', '(a>=0)'],
    ['(a>={date-time:microsoft-nt})', '(a>=116444736000000000)'],
  ])('%s becomes %s', (filter, filled) => expect(fillFilter(filter, values, 0)).toBe(filled))

  it('a group of memberof is one condition, whatever its name holds', () => {
    const memberOf = ['cn=a\\2Cb\\C3\\A9,ou=x', 'cn=a*(b,ou=x', 'cn=a\\+b,ou=x']
    expect(fillFilter('(|{memberof:rdn})', { ...values, memberOf }, 0)).toBe('(|(cn=a,bé)(cn=a\\2a\\28b)(cn=a+b))')
    const attributes = { ...values.attributes, distinguished_name: 'distinguishedName' }
    expect(fillFilter('{memberof:dn}', { ...values, attributes, memberOf: ['cn=a*,ou=x'] }, 0)).toBe(
      '(distinguishedName=cn=a\\2a,ou=x)',
    )
  })

  it('row 91: a value is never taken for a placeholder', () => {
    expect(fillFilter('({input})', { ...values, input: '{dn}', dn: 'cn=root' }, 0)).toBe('({dn})')
  })
})

it('row 91: what has a meaning in a filter is escaped', () => {
  expect(escapeFilterValue('*()\\\0é')).toBe('\\2a\\28\\29\\5c\\00é')
})
