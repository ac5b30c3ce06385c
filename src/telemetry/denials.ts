import type { Clock } from '../clock.ts'
import { newReference } from '../problems/reference.ts'
import type { Audit } from './audit.ts'
import { occasional } from './occasional.ts'

export interface Denied {
  /** Undefined: nobody has signed in. */
  readonly username: string | undefined
  readonly ip: string | undefined
  readonly host: string
  /** Its position in `access_control.rules`, from 1; null: the default policy. */
  readonly rule: number | null
  readonly why: string
}

/** Writes `access.denied`, at most once a minute for a person, a host and a rule. Returns the reference under which the log holds it. */
export type Deny = (denied: Denied) => string

/**
 * One for the gate and the portal: behind nginx the portal shows the page for what the gate refused a moment before, and both give the
 * same reference to the same line.
 */
export function denials(audit: Audit, clock: Clock): Deny {
  const occasionally = occasional(clock, newReference)
  return ({ username, ip, host, rule, why }) =>
    occasionally(`${username ?? ''} ${host} ${rule ?? 'default'}`, (ref, count) =>
      audit('access.denied', {
        ref,
        ...(username === undefined ? {} : { username }),
        ...(ip === undefined ? {} : { ip }),
        host,
        rule: rule ?? 'default',
        detail: why,
        ...(count > 0 ? { count } : {}),
      }),
    )
}
