import { printable } from '../../config/problem.ts'
import { problems, type Reason } from '../../problems/problems.ts'

export type Area =
  | 'configuration'
  | 'log'
  | 'address'
  | 'users file'
  | 'directory'
  | 'storage'
  | 'Redis'
  | 'proxies'
  | 'Duo'
  | 'people'

/** One thing that doctor looked at. */
export interface Finding {
  readonly area: Area
  readonly severity: 'ok' | 'warning' | 'error'
  readonly what: string
  /** What to do; the catalogue's, where the finding is one of its entries. */
  readonly mend?: string
  readonly reason?: Reason
}

/** A finding that is an entry of the catalogue: its cause and its mend, with what is particular here. */
export function known(area: Area, severity: Finding['severity'], reason: Reason, detail = ''): Finding {
  const { title, mend } = problems[reason]
  return { area, severity, what: detail === '' ? `${title}.` : `${title}: ${detail}`, mend, reason }
}

const marks = { ok: 'ok     ', warning: 'WARNING', error: 'ERROR  ' } as const

/** A line, and below it what to do. */
export function formatFinding({ area, severity, what, mend, reason }: Finding): string {
  const line = printable(`${marks[severity]} ${area}: ${what}`)
  const entry = reason === undefined ? '' : ` (${reason})`
  return mend === undefined ? line : `${line}\n        ${printable(mend)}${entry}`
}
