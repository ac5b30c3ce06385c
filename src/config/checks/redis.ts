import type { Report } from './report.ts'
import { checkTls } from './tls.ts'

const REDIS = ['session', 'redis'] as const
const at = (...keys: string[]) => [...REDIS, ...keys]

/** What goes together in `session.redis`, and what would weaken it. */
export function checkRedis(report: Report): void {
  const redis = report.value(REDIS)
  if (typeof redis !== 'object' || redis === null || Array.isArray(redis)) return
  const sentinels = report.value(at('high_availability')) !== undefined
  const cluster = report.value(at('cluster')) !== undefined
  const section = sentinels ? 'high_availability' : 'cluster'
  const host = report.text(at('host'))
  if (sentinels && cluster)
    report.error(
      at('cluster'),
      `Either Sentinels (high_availability, ${report.where(at('high_availability'))}) or a Cluster. Take one of them out.`,
    )
  if (host === undefined && report.list(at(section, 'nodes')).length === 0)
    report.error(
      sentinels || cluster ? at(section) : REDIS,
      sentinels
        ? 'There is no address: give the Sentinels under nodes.'
        : cluster
          ? 'There is no address: give some of its servers under nodes.'
          : 'There is no address: give host.',
    )
  if (host?.startsWith('/') && (sentinels || cluster))
    report.error(at('host'), 'A socket is one server on this machine: take it out, and give nodes.')
  if (report.value(at('port')) === 0 && !host?.startsWith('/'))
    report.error(at('port'), 'Only a socket (a host that begins with /) has no port. Redis’ is 6379.')
  if (cluster && report.value(at('database_index')) !== undefined && report.value(at('database_index')) !== 0)
    report.error(at('database_index'), 'A Cluster has one database only, 0. Take this out.')
  if (report.text(at('username')) !== undefined && report.text(at('password')) === undefined)
    report.error(at('password'), 'There is a username without a password. Give POSTERN_SESSION_REDIS_PASSWORD_FILE.')
  if (
    report.text(at(section, 'sentinel_username')) !== undefined &&
    report.text(at(section, 'sentinel_password')) === undefined
  )
    report.error(at(section, 'sentinel_password'), 'There is a sentinel_username without a password.')
  checkTls(report, REDIS, 'read and forge sessions.', host?.startsWith('/') === true)
}
