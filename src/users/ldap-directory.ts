import { createHash, randomUUID } from 'node:crypto'
import { type Client, type Entry, ResultCodeError } from 'ldapts'
import type { Clock } from '../clock.ts'
import { withConnection } from './ldap-connection.ts'
import { EntryUnclear } from './ldap-fault.ts'
import { escapeFilterValue, fillFilter } from './ldap-filter.ts'
import type { LdapSettings } from './ldap-settings.ts'
import { isPlausibleName, isPlausiblePassword } from './names.ts'
import type { Person } from './users.ts'

/** An entry of somebody who may sign in. */
export interface Identified {
  readonly dn: string
  /** The canonical name, as the directory spells it. */
  readonly username: string
}

/** All of it rejects when the directory does not answer, refuses the account that asks, or has nothing at the place asked for. */
export interface Directory {
  /** The one entry that this name means; undefined: none, or several. */
  identify(typed: string): Promise<Identified | undefined>
  /** The person with this very name, with their groups; undefined: nobody, or nobody who may sign in. */
  person(username: string): Promise<Person | undefined>
  /**
   * Whether a bind succeeds. `null` is nobody's entry: costs the same, and is never right. `refused`: the directory lets this entry in with no
   * password. Rejects with EntryUnclear where the answer is another.
   */
  bind(dn: string | null, password: string): Promise<'right' | 'wrong' | 'refused'>
  /** Some of those who may sign in, without their groups. `more`: not all of them. */
  list(limit: number): Promise<{ readonly people: readonly Person[]; readonly more: boolean }>
}

/** Result codes: RFC 4511, appendix A. */
const code = {
  constraintViolation: 19,
  inappropriateMatching: 18,
  invalidAttributeSyntax: 21,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  inappropriateAuthentication: 48,
  invalidCredentials: 49,
  insufficientAccessRights: 50,
  unwillingToPerform: 53,
} as const

/** A name that the server cannot even compare is nobody's. */
const meansNobody: ReadonlySet<number> = new Set([
  code.inappropriateMatching,
  code.invalidAttributeSyntax,
  code.invalidDnSyntax,
])

/** The entry is locked, expired or has no password: what the person gets told is the same as for a wrong one. */
const refusedForGood: ReadonlySet<number> = new Set([
  code.constraintViolation,
  code.noSuchObject,
  code.invalidDnSyntax,
  code.inappropriateAuthentication,
  code.insufficientAccessRights,
  code.unwillingToPerform,
])

const PASSWORD_CHANGED = ['pwdChangedTime', 'pwdLastSet', 'krbLastPwdChange'] as const
/** OpenLDAP's password policy: must change the password first; locked by an administrator, until one unlocks it. */
const [MUST_RESET, LOCKED, LOCKED_FOR_GOOD] = ['pwdReset', 'pwdAccountLockedTime', '000001010000Z']
const PAGE = 100

/**
 * People of a directory, asked anew each time. Referrals are never followed: they would lead the account's password elsewhere.
 * @param dropped told each group whose name cannot stand in Remote-Groups
 */
export function ldapDirectory(settings: LdapSettings, clock: Clock, dropped: (group: string) => void): Directory {
  const { attributes } = settings
  const personAttributes = [
    ...new Set([attributes.username, attributes.display_name, attributes.mail, attributes.member_of]),
    ...PASSWORD_CHANGED,
    'entryUUID',
    MUST_RESET,
    LOCKED,
  ].filter(name => name !== '')

  const asked = <T>(use: (client: Client) => Promise<T>): Promise<T> =>
    withConnection(settings, async client => {
      await client.bind(settings.user, settings.password)
      return use(client)
    })

  /** The entry that a filter means, if it is one and may sign in. */
  async function only(client: Client, filter: string): Promise<{ entry: Entry; username: string } | undefined> {
    let entries: Entry[]
    try {
      // Two tell already that nobody can say who is meant. That there are more is no error of ldapts'.
      const found = await client.search(settings.users_base, { filter, sizeLimit: 2, attributes: personAttributes })
      entries = found.searchEntries
    } catch (error) {
      if (error instanceof ResultCodeError && meansNobody.has(error.code)) return undefined
      throw error
    }
    const [entry, another] = entries
    if (entry === undefined || another !== undefined || isBarred(entry)) return undefined
    const username = nameOf(entry)
    return username === undefined ? undefined : { entry, username }
  }

  /** Of several values nobody could say which is the name. */
  function nameOf(entry: Entry): string | undefined {
    const [username, another] = texts(entry, attributes.username)
    return username !== undefined && another === undefined && isPlausibleName(username) ? username : undefined
  }

  async function groupsOf(client: Client, entry: Entry, username: string): Promise<string[]> {
    const byMemberOf = settings.group_search_mode === 'memberof'
    const memberOf = byMemberOf ? texts(entry, attributes.member_of) : []
    if (byMemberOf && memberOf.length === 0) return []
    const filter = fillFilter(
      settings.groups_filter,
      { attributes, input: username, username, dn: entry.dn, memberOf },
      clock(),
    )
    const { searchEntries } = await client.search(settings.groups_base, {
      filter,
      attributes: [attributes.group_name],
      paged: { pageSize: PAGE },
    })
    const named = new Set(memberOf.map(foldDn))
    return searchEntries
      .filter(group => !byMemberOf || named.has(foldDn(group.dn)))
      .flatMap(group => texts(group, attributes.group_name).slice(0, 1))
  }

  function personOf(entry: Entry, username: string, groups: readonly string[]): Person {
    // A comma would make two groups of one in Remote-Groups.
    const usable = [...new Set(groups)].filter(group => {
      if (!group.includes(',')) return true
      dropped(group)
      return false
    })
    return Object.freeze({
      username,
      displayName: texts(entry, attributes.display_name)[0] ?? username,
      emails: texts(entry, attributes.mail),
      groups: usable,
      credential: credentialOf(entry),
    })
  }

  return {
    async identify(typed) {
      if (!isPlausibleName(typed)) return undefined
      return asked(async client => {
        const filter = fillFilter(settings.users_filter, { attributes, input: typed }, clock())
        const found = await only(client, filter)
        return found && { dn: found.entry.dn, username: found.username }
      })
    },

    person: username =>
      asked(async client => {
        // Whose mail address this is besides is nobody's business here.
        const byName = `(${attributes.username}=${escapeFilterValue(username)})`
        const filter = `(&${byName}${fillFilter(settings.users_filter, { attributes, input: username }, clock())})`
        const found = await only(client, filter)
        // Spelled otherwise it is a new name: sessions, bans and rules know the old one.
        if (found === undefined || found.username !== username) return undefined
        return personOf(found.entry, username, await groupsOf(client, found.entry, username))
      }),

    async bind(dn, password) {
      // A bind without a password succeeds for everybody: RFC 4513, section 5.1.2. Some servers end a password at a NUL.
      if (dn === '' || !isPlausiblePassword(password) || password.includes('\0')) return 'wrong'
      const nobody = `${attributes.username}=${randomUUID()},${settings.users_base}`
      return withConnection(settings, async client => {
        try {
          await client.bind(dn ?? nobody, password)
          return dn === null ? 'wrong' : 'right'
        } catch (error) {
          if (!(error instanceof ResultCodeError)) throw error
          if (error.code === code.invalidCredentials) return 'wrong'
          if (refusedForGood.has(error.code)) return 'refused'
          throw new EntryUnclear(dn ?? nobody, error)
        }
      })
    },

    list: limit =>
      asked(async client => {
        const people: Person[] = []
        const pages = client.searchPaginated(settings.users_base, {
          filter: fillFilter(settings.users_filter, { attributes, input: null }, clock()),
          attributes: personAttributes,
          paged: { pageSize: PAGE },
        })
        for await (const { searchEntries } of pages)
          for (const entry of searchEntries) {
            const username = isBarred(entry) ? undefined : nameOf(entry)
            if (username === undefined) continue
            if (people.length >= limit) return { people, more: true }
            people.push(personOf(entry, username, []))
          }
        return { people, more: false }
      }),
  }
}

const isBarred = (entry: Entry): boolean =>
  texts(entry, MUST_RESET).some(value => value.toUpperCase() === 'TRUE') ||
  texts(entry, LOCKED).includes(LOCKED_FOR_GOOD)

/** Directories write a name in one spelling here and in another there. */
const foldDn = (dn: string): string => dn.toLowerCase().replace(/\s*([,=+])\s*/g, '$1')

function texts(entry: Entry, attribute: string): string[] {
  // Servers answer attribute names in a spelling of their own.
  const key = Object.keys(entry).find(name => name.toLowerCase() === attribute.toLowerCase())
  const value = key === undefined ? [] : entry[key]
  return [value ?? []].flat().flatMap(one => (typeof one === 'string' && one !== '' ? [one] : []))
}

/** Another one when the password was changed, where the directory tells that. */
function credentialOf(entry: Entry): string {
  const parts = [entry.dn, ...texts(entry, 'entryUUID'), ...PASSWORD_CHANGED.flatMap(name => texts(entry, name))]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 16)
}
