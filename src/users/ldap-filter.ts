import type { Milliseconds } from '../clock.ts'

/** What a server of this kind calls things, and who of its entries may sign in. Any of it may be given anew. */
export interface LdapNames {
  readonly users_filter: string
  readonly groups_filter: string
  readonly additional_users_dn: string
  readonly additional_groups_dn: string
  readonly attributes: {
    readonly username: string
    readonly display_name: string
    readonly mail: string
    readonly member_of: string
    readonly group_name: string
  }
}

const byNameOrMail = '(|({username_attribute}={input})({mail_attribute}={input}))'
const usual = { username: 'uid', display_name: 'displayName', mail: 'mail', member_of: 'memberOf', group_name: 'cn' }
const noBranches = { additional_users_dn: '', additional_groups_dn: '' }

/** Authelia's implementations. `custom` names nothing: both filters and the attribute of the name must be given. */
export const ldapPresets = {
  activedirectory: {
    ...noBranches,
    // Neither disabled, nor made to change the password first, nor expired.
    users_filter: `(&${byNameOrMail}(sAMAccountType=805306368)(!(userAccountControl:1.2.840.113556.1.4.803:=2))(!(pwdLastSet=0))(|(!(accountExpires=*))(accountExpires=0)(accountExpires>={date-time:microsoft-nt})))`,
    groups_filter: '(&(member={dn})(|(sAMAccountType=268435456)(sAMAccountType=536870912)))',
    attributes: { ...usual, username: 'sAMAccountName' },
  },
  rfc2307bis: {
    ...noBranches,
    users_filter: `(&${byNameOrMail}(|(objectClass=inetOrgPerson)(objectClass=organizationalPerson))(!(pwdReset=TRUE)))`,
    groups_filter:
      '(&(|(member={dn})(uniqueMember={dn}))(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)))',
    attributes: usual,
  },
  freeipa: {
    ...noBranches,
    users_filter: `(&${byNameOrMail}(objectClass=person)(!(nsAccountLock=TRUE))(krbPasswordExpiration>={date-time:generalized})(|(!(krbPrincipalExpiration=*))(krbPrincipalExpiration>={date-time:generalized})))`,
    groups_filter: '(&(member={dn})(objectClass=groupOfNames))',
    attributes: usual,
  },
  lldap: {
    additional_users_dn: 'OU=people',
    additional_groups_dn: 'OU=groups',
    users_filter: `(&${byNameOrMail}(objectClass=person))`,
    groups_filter: '(&(member={dn})(objectClass=groupOfUniqueNames))',
    attributes: { ...usual, display_name: 'cn' },
  },
  glauth: {
    ...noBranches,
    users_filter: `(&${byNameOrMail}(objectClass=posixAccount)(!(accountStatus=inactive)))`,
    groups_filter: '(&(uniqueMember={dn})(objectClass=posixGroup))',
    attributes: { ...usual, username: 'cn', display_name: 'description' },
  },
} as const satisfies Record<string, LdapNames>

const escapes: Record<string, string> = { '\\': '\\5c', '*': '\\2a', '(': '\\28', ')': '\\29', '\0': '\\00' }

/** A value inside a filter: whatever it holds, it compares and never structures. RFC 4515, section 3. */
export const escapeFilterValue = (value: string): string => value.replace(/[\\*()\0]/g, one => escapes[one] ?? '')

interface Values {
  readonly attributes: LdapNames['attributes']
  /** What was typed, or the canonical name. */
  readonly input: string
  readonly username?: string
  readonly dn?: string
}

const UNIX_EPOCH_IN_FILETIME = 116_444_736_000_000_000n

/** A filter with Authelia's placeholders filled in, each once: what stands in a value is never taken for another placeholder. */
export function fillFilter(filter: string, { attributes, input, username, dn }: Values, now: Milliseconds): string {
  const instant = new Date(now).toISOString()
  const values: Record<string, string> = {
    username_attribute: attributes.username,
    mail_attribute: attributes.mail,
    display_name_attribute: attributes.display_name,
    member_of_attribute: attributes.member_of,
    group_name_attribute: attributes.group_name,
    input: escapeFilterValue(input),
    username: escapeFilterValue(username ?? input),
    'date-time:generalized': `${instant.replace(/[-:T]|\.\d+Z$/g, '')}Z`,
    'date-time:unix': String(Math.floor(now / 1000)),
    'date-time:microsoft-nt': String(BigInt(Math.floor(now)) * 10_000n + UNIX_EPOCH_IN_FILETIME),
    ...(dn === undefined ? {} : { dn: escapeFilterValue(dn) }),
  }
  return filter.replace(/\{([a-z_:-]+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? whole) : whole,
  )
}
