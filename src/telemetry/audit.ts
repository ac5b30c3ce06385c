import type { FastifyBaseLogger } from 'fastify'
import type { Milliseconds } from '../clock.ts'

/** What an event carries. Never a password, cookie, key, passcode, txid or query string. */
interface Fields {
  /** The reference that a page shows. */
  ref?: string
  username?: string
  ip?: string
  host?: string
  /** Its position in `access_control.rules`, from 1. */
  rule?: number | 'default'
  reason?: string
  device?: string
  /** Of Duo's: push, phone or passcode. */
  factor?: string
  /** For an administrator: cause and mend in words. */
  detail?: string
  count?: number
  until?: string
}

// A stable name each: log searches and banning tools rely on them. docs/logs.md lists them and is checked against this table.
export const severity = {
  'login.succeeded': 'info',
  'login.failed': 'warn',
  'login.banned': 'warn',
  'login.busy': 'warn',
  'login.unavailable': 'error',
  'ban.added': 'warn',
  'ban.lifted': 'warn',
  'basic.accepted': 'info',
  logout: 'info',
  'session.foreign-domain': 'warn',
  'session.ambiguous': 'warn',
  'session.invalid-record': 'warn',
  'session.person-gone': 'warn',
  'session.ended-by-fraud': 'warn',
  'session.ended-by-limit': 'info',
  'session.ended-by-owner': 'info',
  'session.revoked': 'warn',
  'push.sent': 'info',
  'push.allowed': 'info',
  'push.denied': 'warn',
  'push.fraud': 'error',
  'push.timed-out': 'info',
  'push.failed': 'warn',
  'push.cancelled': 'info',
  'push.late-approval': 'warn',
  'push.held': 'warn',
  'passcode.accepted': 'info',
  'passcode.wrong': 'warn',
  'passcode.failed': 'warn',
  'sms.sent': 'info',
  'sms.failed': 'warn',
  'duo.locked-out': 'error',
  'duo.bypass': 'warn',
  'duo.failmode': 'error',
  'duo.denied': 'warn',
  'duo.no-device': 'warn',
  'duo.enroll': 'warn',
  'duo.unavailable': 'error',
  'duo.misconfigured': 'error',
  'limit.exceeded': 'warn',
  'level.raised': 'info',
  'level.refused': 'warn',
  'redirect.refused': 'warn',
  'access.denied': 'info',
  'gate.refused': 'warn',
  'form.refused': 'warn',
} as const

/** A moment as a field of an event; no field where there is no end. */
export const untilField = (until: Milliseconds | null): { until?: string } =>
  until === null ? {} : { until: new Date(until).toISOString() }

export type AuditEvent = keyof typeof severity
export type Audit = (event: AuditEvent, fields: Fields) => void

/** One function for an audit event: the one place that writes it. */
export function createAudit(log: FastifyBaseLogger): Audit {
  return (event, fields) => log[severity[event]]({ event, ...fields }, event)
}
