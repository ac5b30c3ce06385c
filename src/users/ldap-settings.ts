import { X509Certificate } from 'node:crypto'
import { readBounded, UnreadableFile } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import type { LdapServer } from './ldap-connection.ts'
import type { LdapAttributes } from './ldap-filter.ts'

export type LdapConfig = NonNullable<Config['authentication_backend']['ldap']>

/** What is asked of a directory, and how. */
export interface LdapSettings extends LdapServer {
  readonly users_base: string
  readonly users_filter: string
  readonly groups_base: string
  readonly groups_filter: string
  readonly group_search_mode: 'filter' | 'memberof'
  readonly attributes: LdapAttributes
  /** Who asks. */
  readonly user: string
  readonly password: string
}

interface Preset {
  readonly additional_users_dn?: string
  readonly additional_groups_dn?: string
  readonly users_filter: string
  readonly groups_filter: string
  readonly attributes?: Partial<LdapAttributes>
}

const byNameOrMail = '(|({username_attribute}={input})({mail_attribute}={input}))'

/**
 * Authelia's implementations, as its 4.39 has them: what a server of this kind calls things, and who of its entries may sign in. One
 * differs: (!(pwdReset=TRUE)), which stands in Authelia's groups filter of rfc2307bis, is looked at in the person's own entry instead. In a
 * filter it finds nothing at all where the server does not know the attribute.
 */
const presets = {
  // Both filters have to be given, which the configuration's checks see to.
  custom: { users_filter: '', groups_filter: '' },
  activedirectory: {
    // Neither disabled, nor made to change the password first, nor expired.
    users_filter: `(&${byNameOrMail}(sAMAccountType=805306368)(!(userAccountControl:1.2.840.113556.1.4.803:=2))(!(pwdLastSet=0))(|(!(accountExpires=*))(accountExpires=0)(accountExpires>={date-time:microsoft-nt})))`,
    groups_filter: '(&(member={dn})(|(sAMAccountType=268435456)(sAMAccountType=536870912)))',
    attributes: { username: 'sAMAccountName', distinguished_name: 'distinguishedName' },
  },
  rfc2307bis: {
    users_filter: `(&${byNameOrMail}(|(objectClass=inetOrgPerson)(objectClass=organizationalPerson)))`,
    groups_filter:
      '(&(|(member={dn})(uniqueMember={dn}))(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)))',
  },
  freeipa: {
    users_filter: `(&${byNameOrMail}(objectClass=person)(!(nsAccountLock=TRUE))(krbPasswordExpiration>={date-time:generalized})(|(!(krbPrincipalExpiration=*))(krbPrincipalExpiration>={date-time:generalized})))`,
    groups_filter: '(&(member={dn})(objectClass=groupOfNames))',
  },
  lldap: {
    additional_users_dn: 'OU=people',
    additional_groups_dn: 'OU=groups',
    users_filter: `(&${byNameOrMail}(objectClass=person))`,
    groups_filter: '(&(member={dn})(objectClass=groupOfUniqueNames))',
    attributes: { display_name: 'cn' },
  },
  glauth: {
    users_filter: `(&${byNameOrMail}(objectClass=posixAccount)(!(accountStatus=inactive)))`,
    groups_filter: '(&(uniqueMember={dn})(objectClass=posixGroup))',
    attributes: { username: 'cn', display_name: 'description' },
  },
} as const satisfies Record<LdapConfig['implementation'], Preset>

const usualAttributes: LdapAttributes = {
  distinguished_name: undefined,
  username: 'uid',
  display_name: 'displayName',
  mail: 'mail',
  member_of: 'memberOf',
  group_name: 'cn',
}

const CA_BYTES_AT_MOST = 1024 * 1024

/**
 * The configuration with the preset of its implementation below it.
 * @throws when `tls.ca_file` cannot be read or holds no certificate
 */
export async function ldapSettings(config: LdapConfig): Promise<LdapSettings> {
  const preset: Preset = presets[config.implementation]
  const below = (branch: string | undefined) => (branch === undefined ? config.base_dn : `${branch},${config.base_dn}`)
  const given = Object.fromEntries(Object.entries(config.attributes).filter(([, value]) => value !== undefined))
  const { tls } = config
  return {
    address: config.address,
    start_tls: config.start_tls,
    timeout: config.timeout,
    tls: {
      ...(tls?.ca_file === undefined ? {} : { ca: await readCa(tls.ca_file) }),
      ...(tls?.server_name === undefined ? {} : { servername: tls.server_name }),
      ...(tls?.certificate_chain === undefined ? {} : { cert: tls.certificate_chain, key: tls.private_key }),
      minVersion: tls?.minimum_version === 'TLS1.3' ? 'TLSv1.3' : 'TLSv1.2',
      maxVersion: tls?.maximum_version === 'TLS1.2' ? 'TLSv1.2' : 'TLSv1.3',
    },
    users_base: below(config.additional_users_dn ?? preset.additional_users_dn),
    users_filter: config.users_filter ?? preset.users_filter,
    groups_base: below(config.additional_groups_dn ?? preset.additional_groups_dn),
    groups_filter: config.groups_filter ?? preset.groups_filter,
    group_search_mode: config.group_search_mode,
    attributes: { ...usualAttributes, ...preset.attributes, ...given },
    user: config.user,
    password: config.password,
  }
}

async function readCa(path: string): Promise<Buffer> {
  const where = `authentication_backend.ldap.tls.ca_file, ${path},`
  try {
    const bytes = await readBounded(path, CA_BYTES_AT_MOST)
    new X509Certificate(bytes)
    return bytes
  } catch (error) {
    const why = error instanceof UnreadableFile ? error.message : 'holds no certificate in PEM'
    throw new Error(`${where} ${why}`, { cause: error })
  }
}
