import { printable } from '../../config/problem.ts'
import type { Offer, Way } from '../../duo/duo.ts'
import { type Readiness, reasonOf } from '../../duo/readiness.ts'
import { problems, type Reason } from '../../problems/problems.ts'
import type { Finding } from './finding.ts'

/** A row of the table: one person who may sign in, or is disabled. */
export interface PersonRow {
  readonly username: string
  /** What Duo is asked for; null when it was not asked. */
  readonly duoName: string | null
  readonly state: 'ready' | 'enrols' | 'passes' | 'not ready' | 'disabled here'
  /** By which ways, or why not. */
  readonly says: string
  readonly reason?: Reason
  /** What to do. */
  readonly mend?: string
}

export function disabledRow(username: string): PersonRow {
  return { username, duoName: null, state: 'disabled here', says: 'disabled in the users file; Duo was not asked' }
}

export function rowOf({ username, duoName, offer, knownAs }: Readiness): PersonRow {
  const person = { username, duoName }
  if (offer.kind === 'choose') return { ...person, state: 'ready', says: waysInWords(offer) }
  if (offer.kind === 'enroll' && offer.portalUrl !== null)
    return { ...person, state: 'enrols', says: 'not in Duo, or without a device: gets Duo’s link to enrol' }
  const reason = reasonOf(offer)
  const row = {
    ...person,
    state: offer.kind === 'allow' ? ('passes' as const) : ('not ready' as const),
    says: `${sayingOf(offer, reason)}${knownAs === null ? '' : `; Duo knows this person as ${knownAs}`}`,
  }
  if (reason === undefined) return row
  return { ...row, reason, mend: knownAs === null ? problems[reason].mend : aliasMend(username, knownAs) }
}

const aliasMend = (username: string, knownAs: string) =>
  `In Duo, add ${username} as an alias of ${knownAs}; or set duo_api.username so that it makes ${knownAs} of this user.`

function sayingOf(offer: Offer, reason: Reason | undefined): string {
  const title = reason === undefined ? '' : problems[reason].title
  if ('said' in offer && offer.said !== '') return `${title}: “${offer.said}”`
  return offer.kind === 'no-device' && offer.device !== null ? `${title}: ${offer.device}` : title
}

const words = { push: 'push', phone: 'phone call', sms: 'SMS', passcode: 'passcode' } as const satisfies Record<
  Way['kind'],
  string
>

/** `push, phone call on Work phone (XXX-XXX-0123); passcode`. */
function waysInWords({ ways, devices }: Extract<Offer, { kind: 'choose' }>): string {
  const byDevice = devices.map(({ id, name, number }) => {
    const kinds = ways.flatMap(way => (way.kind !== 'passcode' && way.device === id ? [words[way.kind]] : []))
    return `${kinds.join(', ')} on ${name}${number === '' ? '' : ` (${number})`}`
  })
  return [...byDevice, ...(ways.some(({ kind }) => kind === 'passcode') ? [words.passcode] : [])].join('; ')
}

/** The table, and below it what to do, each once. */
export function formatPeople(rows: readonly PersonRow[]): string {
  const names = rows.map(({ username, duoName }) =>
    printable(duoName === null || duoName === username ? username : `${username} (${duoName})`),
  )
  const width = Math.min(Math.max(...names.map(({ length }) => length), 4), 40)
  const line = (name: string, state: string, says: string) => `${name.padEnd(width)}  ${state.padEnd(13)}  ${says}`
  const table = rows.map(({ state, says, reason }, at) =>
    line(names[at] ?? '', state, printable(`${says}${reason === undefined ? '' : ` (${reason})`}`)),
  )
  const mends = new Set(rows.flatMap(({ mend, reason }) => (mend === undefined ? [] : [`${reason}: ${mend}`])))
  const toDo = mends.size === 0 ? [] : ['', 'What to do:', ...[...mends].map(mend => `- ${printable(mend)}`)]
  return [line('user', 'state', 'what Duo says'), ...table, ...toDo].join('\n')
}

/** All of them in one line. */
export function peopleFinding(rows: readonly PersonRow[]): Finding {
  const count = (state: PersonRow['state']) => rows.filter(row => row.state === state).length
  const parts = (['ready', 'enrols', 'passes', 'not ready', 'disabled here'] as const).flatMap(state =>
    count(state) === 0 ? [] : [`${count(state)} ${state}`],
  )
  const severity = count('not ready') > 0 ? 'error' : count('passes') > 0 ? 'warning' : 'ok'
  return { area: 'people', severity, what: parts.length === 0 ? 'nobody may sign in' : parts.join(', ') }
}
