import { createHash } from 'node:crypto'
import { type Client, type Entry, InvalidCredentialsError } from 'ldapts'
import type { Clock } from '../clock.ts'
import { type LdapServer, withConnection } from './ldap-connection.ts'
import { fillFilter, type LdapNames } from './ldap-filter.ts'
import { isPlausibleName, isPlausiblePassword } from './names.ts'
import type { Person } from './users.ts'

export interface LdapSettings extends LdapServer, LdapNames {
  readonly base_dn: string
  readonly group_search_mode: 'filter' | 'memberof'
  /** Who asks. */
  readonly user: string
  readonly password: string
}

export interface Found {
  readonly dn: string
  readonly person: Person
}

export interface Directory {
  /** The one entry that this name means; undefined: none, or several. @throws when the directory does not answer */
  find(typed: string): Promise<Found | undefined>
  /** @throws when the directory does not answer: then nothing is known about the password */
  isPassword(dn: string, password: string): Promise<boolean>
}

const PASSWORD_CHANGED = ['pwdChangedTime', 'pwdLastSet', 'krbLastPwdChange'] as const

/** People of a directory, asked anew each time. Referrals are never followed. */
export function ldapDirectory(settings: LdapSettings, clock: Clock): Directory {
  const { attributes } = settings
  const below = (branch: string) => (branch === '' ? settings.base_dn : `${branch},${settings.base_dn}`)

  async function groupsOf(client: Client, entry: Entry, username: string): Promise<string[]> {
    if (settings.group_search_mode === 'memberof') return texts(entry, attributes.member_of).flatMap(firstValue)
    const { searchEntries } = await client.search(below(settings.additional_groups_dn), {
      filter: fillFilter(settings.groups_filter, { attributes, input: username, username, dn: entry.dn }, clock()),
      attributes: [attributes.group_name],
    })
    return searchEntries.flatMap(group => texts(group, attributes.group_name).slice(0, 1))
  }

  return {
    async find(typed) {
      if (!isPlausibleName(typed)) return undefined
      return withConnection(settings, async client => {
        await client.bind(settings.user, settings.password)
        const { searchEntries } = await client.search(below(settings.additional_users_dn), {
          filter: fillFilter(settings.users_filter, { attributes, input: typed }, clock()),
          // Two tell already that nobody can say who is meant.
          sizeLimit: 2,
          attributes: [
            ...new Set([attributes.username, attributes.display_name, attributes.mail, attributes.member_of]),
            ...PASSWORD_CHANGED,
            'entryUUID',
          ].filter(name => name !== ''),
        })
        const [entry, another] = searchEntries
        const username = entry && texts(entry, attributes.username)[0]
        if (entry === undefined || another !== undefined || username === undefined || !isPlausibleName(username))
          return undefined
        const groups = await groupsOf(client, entry, username)
        return {
          dn: entry.dn,
          person: Object.freeze({
            username,
            displayName: texts(entry, attributes.display_name)[0] ?? username,
            emails: texts(entry, attributes.mail),
            // A comma would make two groups of one in Remote-Groups.
            groups: [...new Set(groups)].filter(group => !group.includes(',')),
            credential: credentialOf(entry),
          }),
        }
      })
    },

    async isPassword(dn, password) {
      // A bind without a password succeeds for everybody: RFC 4513, section 5.1.2. Some servers end a password at a NUL.
      if (dn === '' || !isPlausiblePassword(password) || password.includes('\0')) return false
      return withConnection(settings, async client => {
        try {
          await client.bind(dn, password)
          return true
        } catch (error) {
          if (error instanceof InvalidCredentialsError) return false
          throw error
        }
      })
    },
  }
}

function texts(entry: Entry, attribute: string): string[] {
  // Servers answer attribute names in a spelling of their own.
  const key = Object.keys(entry).find(name => name.toLowerCase() === attribute.toLowerCase())
  const value = key === undefined ? [] : entry[key]
  return [value ?? []].flat().flatMap(one => (typeof one === 'string' && one !== '' ? [one] : []))
}

/** `admins` of `cn=admins,ou=groups,dc=example,dc=com`. */
function firstValue(dn: string): string[] {
  const value = /^[^=]+=((?:\\.|[^,+\\])+)/.exec(dn)?.[1]
  if (value === undefined) return []
  return [value.replace(/\\([^0-9a-fA-F])/g, '$1').trim()]
}

/** Another one when the password was changed, where the directory tells that. */
function credentialOf(entry: Entry): string {
  const parts = [entry.dn, ...texts(entry, 'entryUUID'), ...PASSWORD_CHANGED.flatMap(name => texts(entry, name))]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 16)
}
