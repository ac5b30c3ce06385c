import type { Report } from './report.ts'

const STORAGE = ['storage'] as const
const POSTGRES = ['storage', 'postgres'] as const
const at = (...keys: string[]) => [...POSTGRES, ...keys]

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
  checkTls(report)
}

function checkTls(report: Report): void {
  const tls = (key: string) => at('tls', key)
  if (report.text(at('address'))?.startsWith('unix:') && report.value(at('tls')) !== undefined)
    report.error(at('tls'), 'There is no TLS on a socket. Take this out.')
  if (report.value(tls('skip_verify')) === true)
    report.error(
      tls('skip_verify'),
      'Without it anybody on the way could read and change the records. Take this out, and name the CA in storage.postgres.tls.ca_file.',
    )
  const pair = ['certificate_chain', 'private_key'] as const
  const [missing, more] = pair.filter(key => report.text(tls(key)) === undefined)
  if (missing !== undefined && more === undefined)
    report.error(tls(missing), 'A certificate and its key go together: one of them is missing.')
  for (const key of pair)
    if (report.text(tls(key))?.includes('-----BEGIN ') === false)
      report.error(tls(key), 'This is no PEM: it begins with -----BEGIN, and keeps its lines (in YAML, after a |).')
  if (report.text(tls('minimum_version')) === 'TLS1.3' && report.text(tls('maximum_version')) === 'TLS1.2')
    report.error(tls('maximum_version'), 'It is below minimum_version.')
}
