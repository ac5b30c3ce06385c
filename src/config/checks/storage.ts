import type { Report } from './report.ts'
import { checkTls } from './tls.ts'

const STORAGE = ['storage'] as const
const POSTGRES = ['storage', 'postgres'] as const

/** What goes together in `storage`, and what would weaken it. */
export function checkStorage(report: Report): void {
  if (typeof (report.value(STORAGE) ?? {}) !== 'object') return // told by the schema
  const isGiven = (path: readonly string[]) => {
    const value = report.value(path)
    return value !== undefined && value !== null
  }
  const local = isGiven([...STORAGE, 'local'])
  if (!isGiven(POSTGRES)) {
    if (!local)
      report.error(STORAGE, 'It is not said where records are kept: give local.path, or postgres (docs/postgres.md).')
    return
  }
  if (!isGiven(['session', 'redis']))
    report.warning(
      POSTGRES,
      `Without session.redis, sessions and counts of wrong passwords stay on this machine${local ? '' : ', in /var/lib/postern/postern.sqlite3'}: several Posterns would not know each other’s.`,
    )
  const isSocket = report.text([...POSTGRES, 'address'])?.startsWith('unix:') === true
  checkTls(report, POSTGRES, 'read and change the records.', isSocket)
}
