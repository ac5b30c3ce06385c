import type { Milliseconds } from '../clock.ts'

export interface LdapAttributes {
  /** Where entries have an attribute that holds their own name: Active Directory. */
  readonly distinguished_name: string | undefined
  readonly username: string
  readonly display_name: string
  readonly mail: string
  readonly member_of: string
  readonly group_name: string
}

const escapes: Record<string, string> = { '\\': '\\5c', '*': '\\2a', '(': '\\28', ')': '\\29', '\0': '\\00' }

/** A value inside a filter: whatever it holds, it compares and never structures. RFC 4515, section 3. */
export const escapeFilterValue = (value: string): string => value.replace(/[\\*()\0]/g, one => escapes[one] ?? '')

/** What fills the placeholders. Each is escaped here. */
interface Values {
  readonly attributes: LdapAttributes
  /** What was typed, or the canonical name; null: whatever there is. */
  readonly input: string | null
  readonly username?: string
  readonly dn?: string
  /** The groups that the person's entry names. */
  readonly memberOf?: readonly string[]
}

const UNIX_EPOCH_IN_FILETIME = 116_444_736_000_000_000n

/** A filter with Authelia's placeholders filled in, each once: what stands in a value is never taken for another placeholder. */
export function fillFilter(
  filter: string,
  { attributes, input, username, dn, memberOf }: Values,
  now: Milliseconds,
): string {
  const instant = new Date(now).toISOString()
  const typed = input === null ? '*' : escapeFilterValue(input)
  const values: Record<string, string> = {
    distinguished_name_attribute: attributes.distinguished_name ?? '',
    username_attribute: attributes.username,
    mail_attribute: attributes.mail,
    display_name_attribute: attributes.display_name,
    member_of_attribute: attributes.member_of,
    input: typed,
    username: username === undefined ? typed : escapeFilterValue(username),
    'date-time:generalized': `${instant.replace(/[-:T]|\.\d+Z$/g, '')}.0Z`,
    'date-time:unix': String(Math.floor(now / 1000)),
    'date-time:microsoft-nt': String(BigInt(Math.floor(now)) * 10_000n + UNIX_EPOCH_IN_FILETIME),
    ...(dn === undefined ? {} : { dn: escapeFilterValue(dn) }),
    ...(memberOf === undefined ? {} : memberOfValues(memberOf, attributes)),
  }
  return filter.replace(/\{([a-z_:-]+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? whole) : whole,
  )
}

/** One condition a group, as Authelia writes them. */
function memberOfValues(memberOf: readonly string[], { distinguished_name }: LdapAttributes): Record<string, string> {
  const rdns = new Set(
    memberOf.flatMap(name => {
      const [, attribute, value] = /^([A-Za-z][A-Za-z0-9-]*|[0-9.]+)=((?:\\.|[^,+\\])+)/.exec(name) ?? []
      return value === undefined ? [] : [`(${attribute}=${escapeFilterValue(unescapeDnValue(value))})`]
    }),
  )
  return {
    'memberof:rdn': [...rdns].join(''),
    'memberof:dn':
      distinguished_name === undefined
        ? ''
        : memberOf.map(name => `(${distinguished_name}=${escapeFilterValue(name)})`).join(''),
  }
}

/** A value as it stands in a distinguished name (RFC 4514, section 2.4), without its escapes, which may be bytes of UTF-8. */
function unescapeDnValue(value: string): string {
  return value
    .replace(/(?:\\[0-9a-fA-F]{2})+/g, bytes => Buffer.from(bytes.replaceAll('\\', ''), 'hex').toString())
    .replace(/\\(.)/g, '$1')
}
