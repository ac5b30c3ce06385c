import { expect, it } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { ldapSettings } from '../../src/users/ldap-settings.ts'

const usual = { display_name: 'displayName', mail: 'mail', member_of: 'memberOf', group_name: 'cn' }

// As Authelia 4.39 has them (internal/configuration/schema/authentication.go), but for (!(pwdReset=TRUE)) in the groups filter of rfc2307bis.
it.each([
  [
    'activedirectory',
    {
      users_filter:
        '(&(|({username_attribute}={input})({mail_attribute}={input}))(sAMAccountType=805306368)(!(userAccountControl:1.2.840.113556.1.4.803:=2))(!(pwdLastSet=0))(|(!(accountExpires=*))(accountExpires=0)(accountExpires>={date-time:microsoft-nt})))',
      groups_filter: '(&(member={dn})(|(sAMAccountType=268435456)(sAMAccountType=536870912)))',
      attributes: { ...usual, username: 'sAMAccountName', distinguished_name: 'distinguishedName' },
    },
  ],
  [
    'rfc2307bis',
    {
      users_filter:
        '(&(|({username_attribute}={input})({mail_attribute}={input}))(|(objectClass=inetOrgPerson)(objectClass=organizationalPerson)))',
      groups_filter:
        '(&(|(member={dn})(uniqueMember={dn}))(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)))',
      attributes: { ...usual, username: 'uid' },
    },
  ],
  [
    'freeipa',
    {
      users_filter:
        '(&(|({username_attribute}={input})({mail_attribute}={input}))(objectClass=person)(!(nsAccountLock=TRUE))(krbPasswordExpiration>={date-time:generalized})(|(!(krbPrincipalExpiration=*))(krbPrincipalExpiration>={date-time:generalized})))',
      groups_filter: '(&(member={dn})(objectClass=groupOfNames))',
      attributes: { ...usual, username: 'uid' },
    },
  ],
  [
    'lldap',
    {
      users_base: 'OU=people,DC=example,DC=com',
      groups_base: 'OU=groups,DC=example,DC=com',
      users_filter: '(&(|({username_attribute}={input})({mail_attribute}={input}))(objectClass=person))',
      groups_filter: '(&(member={dn})(objectClass=groupOfUniqueNames))',
      attributes: { ...usual, username: 'uid', display_name: 'cn' },
    },
  ],
  [
    'glauth',
    {
      users_filter:
        '(&(|({username_attribute}={input})({mail_attribute}={input}))(objectClass=posixAccount)(!(accountStatus=inactive)))',
      groups_filter: '(&(uniqueMember={dn})(objectClass=posixGroup))',
      attributes: { ...usual, username: 'cn', display_name: 'description' },
    },
  ],
])('%s asks as Authelia does', async (implementation, expected) => {
  const { ldap } = configSchema.shape.authentication_backend.parse({
    ldap: {
      address: 'ldaps://ldap.example.com',
      implementation,
      base_dn: 'DC=example,DC=com',
      user: 'CN=postern,DC=example,DC=com',
      password: 'service',
    },
  })
  if (ldap === undefined) throw new Error('no directory')
  const base = { users_base: 'DC=example,DC=com', groups_base: 'DC=example,DC=com', group_search_mode: 'filter' }
  expect(await ldapSettings(ldap)).toMatchObject({ ...base, ...expected })
})
