import { isIP } from 'node:net'
import { z } from 'zod'
import { MINUTE, SECOND } from '../clock.ts'
import { duration, filePath, name } from './notations.ts'

/** Where a directory listens. */
export type LdapAddress =
  | { readonly kind: 'tcp'; readonly scheme: 'ldap' | 'ldaps'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

const words = 'an address such as ldaps://ldap.example.com, ldap://127.0.0.1:389 or ldapi:///run/slapd/ldapi'

const address = z
  .string()
  .transform((value, context): LdapAddress => {
    const parsed = parseLdapAddress(value)
    if (parsed !== undefined) return parsed
    context.addIssue({ code: 'custom', message: words })
    return z.NEVER
  })
  .meta({ expected: words })

/** Authelia's notation: without a scheme a path is a socket, and everything else speaks TLS. */
export function parseLdapAddress(value: string): LdapAddress | undefined {
  const path = /^(?:ldapi:\/\/)?(\/[^?#\p{Cc}]+)$/u.exec(value)?.[1]
  if (path !== undefined) return { kind: 'unix', path }
  const [, said = 'ldaps', host = '', digits] =
    /^(?:(ldaps?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^:/?#[\]@]+)(?::(\d{1,5}))?\/?$/.exec(value) ?? []
  const scheme = said === 'ldap' ? 'ldap' : 'ldaps'
  const bare = host.replace(/^\[|\]$/g, '')
  const isName = /^(?!\d+(?:\.\d+)*$)[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(bare)
  if ((isIP(bare) === 0 && !isName) || (isIP(bare) === 6) !== host.startsWith('[')) return undefined
  const port = digits === undefined ? (scheme === 'ldap' ? 389 : 636) : Number(digits)
  return port === 0 || port > 65_535 ? undefined : { kind: 'tcp', scheme, host: bare, port }
}

const ldapImplementations = ['custom', 'activedirectory', 'rfc2307bis', 'freeipa', 'lldap', 'glauth'] as const

/** Placeholders of filters, as Authelia has them. */
export const ldapPlaceholders = [
  'distinguished_name_attribute',
  'username_attribute',
  'display_name_attribute',
  'mail_attribute',
  'member_of_attribute',
  'input',
  'username',
  'dn',
  'memberof:dn',
  'memberof:rdn',
  'date-time:generalized',
  'date-time:unix',
  'date-time:microsoft-nt',
] as const

const dn = name.regex(/^[^=,]+=/).meta({ expected: 'a distinguished name such as DC=example,DC=com' })
const filter = name.meta({ expected: 'an LDAP filter such as (&({username_attribute}={input})(objectClass=person))' })
const attribute = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9-]*(?:\.[0-9]+)*$|^[0-9]+(?:\.[0-9]+)+$/)
  .meta({ expected: 'the name of an attribute, such as uid' })
const pem = name.meta({ expected: 'a text in PEM' })
const tlsVersion = z.enum(['TLS1.2', 'TLS1.3'])

/** What goes together is told by checks/people.ts. Authelia's keys, and below them `tls.ca_file` and `grace`. */
export const ldap = z.strictObject({
  address,
  implementation: z.enum(ldapImplementations).default('custom'),
  /** For all of one look-up, from the connection to the last answer. */
  timeout: duration
    .refine(timeout => timeout >= SECOND / 10 && timeout <= 20 * SECOND)
    .meta({ expected: 'a duration from 100ms to 20s' })
    .default(5 * SECOND),
  start_tls: z.boolean().default(false),
  tls: z
    .strictObject({
      server_name: name.optional(),
      skip_verify: z.boolean().default(false),
      minimum_version: tlsVersion.default('TLS1.2'),
      maximum_version: tlsVersion.default('TLS1.3'),
      certificate_chain: pem.optional(),
      private_key: pem.optional(),
      /** PEM file to trust instead of this machine's roots. */
      ca_file: filePath.optional(),
    })
    .optional(),
  base_dn: dn,
  additional_users_dn: dn.optional(),
  users_filter: filter.optional(),
  additional_groups_dn: dn.optional(),
  groups_filter: filter.optional(),
  group_search_mode: z.enum(['filter', 'memberof']).default('filter'),
  permit_referrals: z.boolean().default(false),
  permit_unauthenticated_bind: z.boolean().default(false),
  permit_feature_detection_failure: z.boolean().default(false),
  user: name,
  password: name,
  attributes: z
    .strictObject({
      distinguished_name: attribute.optional(),
      username: attribute.optional(),
      display_name: attribute.optional(),
      mail: attribute.optional(),
      member_of: attribute.optional(),
      group_name: attribute.optional(),
    })
    .prefault({}),
  /** How long people stay in whom the directory, which is down, can't be asked about. */
  grace: duration.default(60 * MINUTE),
})
