import type { Person } from '../users/users.ts'
import { commonHeaders } from './common-headers.ts'

/** Who it is, ready to be sent. */
export interface Identity {
  /**
   * The headers of a yes, names and values in turn: the common ones, and the four that tell the application who it is. A character of
   * a value is one byte of UTF-8, which is how Node takes bytes.
   */
  readonly headers: readonly string[]
  /** The same as text, for who reads no headers. */
  readonly claims: { readonly groups: readonly string[]; readonly name: string; readonly email: string }
  /** Groups that were left out: they can't be written into the header, or it would be longer than proxies take. */
  readonly groupsLeftOut: number
}

export const nobody: Identity = {
  headers: headersOf('', '', '', ''),
  claims: { groups: [], name: '', email: '' },
  groupsLeftOut: 0,
}

const NAME_BYTES_AT_MOST = 512
// nginx takes a whole response header of 4 or 8 KB unless it is told otherwise; deploy/nginx tells it 32.
const GROUPS_BYTES_AT_MOST = 8192

/**
 * What applications are told of this person. Undefined where the name can't be written so that an application reads the same name:
 * it must then not be told any. A group of which that is true is left out, a mail is empty, of a display name the controls are dropped.
 */
export function identityOf(person: Person): Identity | undefined {
  if (!isExact(person.username)) return undefined
  const writable = person.groups.filter(group => isExact(group) && !group.includes(','))
  const groups: string[] = []
  let bytes = 0
  for (const group of writable) {
    bytes += Buffer.byteLength(group) + 1
    if (bytes > GROUPS_BYTES_AT_MOST) break
    groups.push(group)
  }
  const mail = person.emails[0] ?? ''
  const email = isExact(mail) ? mail : ''
  const name = cut(person.displayName.toWellFormed().replace(controls, ''))
  return {
    headers: headersOf(person.username, groups.join(','), name, email),
    claims: { groups, name, email },
    groupsLeftOut: person.groups.length - groups.length,
  }
}

function headersOf(user: string, groups: string, name: string, email: string): readonly string[] {
  const who = { 'remote-user': user, 'remote-groups': groups, 'remote-name': name, 'remote-email': email }
  return Object.entries({ ...commonHeaders, ...who }).flatMap(([header, value]) => [header, asBytes(value)])
}

// The two separators too: some applications read them as the end of a line.
const controls = /[\p{Cc}\p{Zl}\p{Zp}]/gu

/** Whether a header carries this text unchanged: nothing is dropped, trimmed or cut, so that no name becomes another one's. */
function isExact(text: string): boolean {
  return (
    text !== '' &&
    text.trim() === text &&
    text.isWellFormed() &&
    text.search(controls) === -1 &&
    Buffer.byteLength(text) <= NAME_BYTES_AT_MOST
  )
}

/** Cut between two characters. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= NAME_BYTES_AT_MOST) return text
  let bytes = 0
  let kept = ''
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > NAME_BYTES_AT_MOST) break
    kept += character
  }
  return kept
}

function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
