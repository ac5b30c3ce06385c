import { isIP } from 'node:net'
import { FilterParser } from 'ldapts'
import { ldapPlaceholders, parseLdapAddress } from '../ldap.ts'
import type { Report } from './report.ts'
import { checkTls } from './tls.ts'

const BACKEND = ['authentication_backend'] as const
const at = (...keys: string[]) => [...BACKEND, 'ldap', ...keys]

/** Where people come from: one place; and what goes together in `authentication_backend.ldap`, and what would weaken it. */
export function checkPeople(report: Report): void {
  const backend = report.value(BACKEND)
  if (typeof backend !== 'object' || backend === null) return // told by the schema
  const [file, ldap] = [report.value([...BACKEND, 'file']), report.value(at())]
  if (file === undefined && ldap === undefined)
    report.error(BACKEND, 'It is not said where people are: give file.path, or ldap (docs/ldap.md).')
  if (file !== undefined && ldap !== undefined)
    report.error(
      at(),
      `People are in a file (${report.where([...BACKEND, 'file'])}) or in a directory. Take one of them out.`,
    )
  if (typeof ldap !== 'object' || ldap === null || Array.isArray(ldap)) return
  if (report.value([...BACKEND, 'refresh_interval']) === 'disable')
    report.warning(
      [...BACKEND, 'refresh_interval'],
      'Whoever is disabled in the directory, or leaves a group, stays as they were until they sign in again or Postern restarts.',
    )
  checkConnection(report)
  checkPlaces(report)
  checkPermissions(report)
  checkFilters(report)
}

function checkConnection(report: Report): void {
  const address = parseLdapAddress(report.text(at('address')) ?? '')
  const startTls = report.value(at('start_tls')) === true
  const isClear = address?.kind === 'tcp' && address.scheme === 'ldap'
  if (startTls && address !== undefined && !isClear)
    report.error(at('start_tls'), 'Only ldap:// begins in the clear; this address does not. Take this out.')
  if (isClear && !startTls && !isLoopback(address.host))
    report.warning(
      at('address'),
      'Passwords go to this directory in the clear. Use ldaps:// or start_tls, and tls.ca_file for a CA of your own.',
    )
  if (address?.kind === 'tcp' && address.port === (isClear ? 636 : 389))
    report.warning(
      at('address'),
      `Port ${address.port} is the usual one of ${isClear ? 'ldaps://' : 'ldap://'}, which speaks otherwise from the first byte on.`,
    )
  checkTls(report, at(), 'read every password, and let in whom they like.', address?.kind === 'unix')
}

const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

/** What stands before the base must not end with it: that place would be below itself. */
function checkPlaces(report: Report): void {
  const plain = (text: string | undefined) => text?.toLowerCase().replace(/\s*([,=])\s*/g, '$1')
  const base = plain(report.text(at('base_dn')))
  for (const key of ['additional_users_dn', 'additional_groups_dn'])
    if (base !== undefined && `,${plain(report.text(at(key)))}`.endsWith(`,${base}`))
      report.error(at(key), 'It is put before base_dn, so it must not hold that too: write OU=people, for example.')
}

function checkPermissions(report: Report): void {
  if (report.value(at('permit_unauthenticated_bind')) === true)
    report.error(
      at('permit_unauthenticated_bind'),
      'Postern asks with an account of its own: give user and password, and take this out.',
    )
  if (report.value(at('permit_referrals')) === true)
    report.warning(
      at('permit_referrals'),
      'Ignored: referrals are never followed. Give the server that has the people.',
    )
}

function checkFilters(report: Report): void {
  const isCustom = (report.text(at('implementation')) ?? 'custom') === 'custom'
  const mode = report.text(at('group_search_mode')) ?? 'filter'
  const [users, groups] = [report.text(at('users_filter')), report.text(at('groups_filter'))]
  for (const [key, filter] of [
    ['users_filter', users],
    ['groups_filter', groups],
  ] as const)
    if (filter === undefined && isCustom)
      report.error(at(key), 'It is missing: the implementation custom has none of its own. docs/ldap.md has examples.')
    else if (filter !== undefined) checkFilter(report, key, filter)
  if (users !== undefined)
    for (const needed of ['{username_attribute}', '{input}'])
      if (!users.includes(needed))
        report.error(at('users_filter'), `It does not hold ${needed}: nobody could be found by their name.`)
  const byMemberOf = groups?.includes('{memberof:') === true
  if (mode === 'memberof' && !byMemberOf)
    report.error(
      at('groups_filter'),
      'With group_search_mode memberof it holds {memberof:rdn} or {memberof:dn}, such as (&(|{memberof:rdn})(objectClass=groupOfNames)).',
    )
  if (mode === 'filter' && byMemberOf)
    report.error(at('groups_filter'), '{memberof:…} needs group_search_mode: memberof.')
  if (
    groups?.includes('{memberof:dn}') === true &&
    report.text(at('attributes', 'distinguished_name')) === undefined &&
    report.text(at('implementation')) !== 'activedirectory'
  )
    report.error(
      at('attributes', 'distinguished_name'),
      '{memberof:dn} needs it: the attribute that holds an entry’s own name. Few directories have one; {memberof:rdn} needs none.',
    )
}

function checkFilter(report: Report, key: 'users_filter' | 'groups_filter', filter: string): void {
  const unknown = [...filter.matchAll(/\{([^{}]*)\}/g)].map(([, inside = '']) => inside)
  const known: readonly string[] = ldapPlaceholders
  for (const placeholder of unknown)
    if (!known.includes(placeholder))
      report.error(at(key), `{${placeholder}} is no placeholder. There are ${known.map(one => `{${one}}`).join(', ')}.`)
  if (key === 'users_filter' && /\{(?:dn|username|memberof:r?dn)\}/.test(filter))
    report.error(
      at(key),
      '{dn}, {username} and {memberof:…} are for groups_filter: here nobody is known yet. Use {input}.',
    )
  try {
    if (!isBalanced(filter)) throw new Error('a parenthesis too many or too few') // ldapts forgives that, servers do not
    FilterParser.parseString(filter.replace(/\{memberof:r?dn\}/g, '(a=b)').replace(/\{[^{}]*\}/g, 'a'))
  } catch {
    report.error(
      at(key),
      'This is no LDAP filter: each condition stands in parentheses, such as (&(uid={input})(objectClass=person)).',
    )
  }
}

function isBalanced(filter: string): boolean {
  let depth = 0
  for (const one of filter) {
    depth += one === '(' ? 1 : one === ')' ? -1 : 0
    if (depth < 0) return false
  }
  return depth === 0
}
