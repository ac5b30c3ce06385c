import { DAY, HOUR, type Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { GuardNote } from './push.ts'

/** `duo_api.guard`. */
export type GuardLimits = NonNullable<Config['duo_api']>['guard']

/** What stands between somebody who has the password and a phone that rings all night. */
export interface Guard {
  /** Denials in a row. */
  readonly denials: number
  /** The pause after a denial. */
  readonly notBefore: Milliseconds
  /** The lock after a fraud report. */
  readonly lockedUntil: Milliseconds
}

/** So long after the last pause, denials are forgotten. */
export const FORGOTTEN_AFTER: Milliseconds = HOUR

/** Of whom nothing is known. */
export const open: Guard = { denials: 0, notBefore: 0, lockedUntil: 0 }

/** What one note makes of a person's guard. */
export function guardAfter(
  guard: Guard,
  note: GuardNote,
  now: Milliseconds,
  { first_pause, longest_pause, fraud_lock }: Pick<GuardLimits, 'first_pause' | 'longest_pause' | 'fraud_lock'>,
): Guard {
  switch (note) {
    case 'allowed':
      return { ...guard, denials: 0, notBefore: 0 }
    case 'denied': {
      const denials = now >= guard.notBefore + FORGOTTEN_AFTER ? 0 : guard.denials
      const pause = Math.min(first_pause * 2 ** Math.min(denials, 20), longest_pause)
      return { ...guard, denials: denials + 1, notBefore: Math.max(guard.notBefore, now + pause) }
    }
    case 'fraud':
      return { ...guard, lockedUntil: Math.max(guard.lockedUntil, now + fraud_lock) }
    case 'lost':
      // Nobody knows whether the phone rings: no second push beside it.
      return { ...guard, notBefore: Math.max(guard.notBefore, now + first_pause) }
  }
}

/**
 * What of a guard can be: a pause that reaches further than the longest was made before the clock was set back, and counts from now on. A lock is
 * shortened only where it is off by more than a day: a clock that is wrong for an hour and then right again must not end it. The same object where
 * all of it can be.
 */
export function believable(
  guard: Guard,
  now: Milliseconds,
  { first_pause, longest_pause, fraud_lock }: Pick<GuardLimits, 'first_pause' | 'longest_pause' | 'fraud_lock'>,
): Guard {
  const notBefore = Math.min(guard.notBefore, now + Math.max(first_pause, longest_pause))
  const lockedUntil = guard.lockedUntil > now + fraud_lock + DAY ? now + fraud_lock : guard.lockedUntil
  return notBefore === guard.notBefore && lockedUntil === guard.lockedUntil
    ? guard
    : { ...guard, notBefore, lockedUntil }
}

/** Until when no push and no call may go out, and why; null when one may. */
export function pausedUntil(
  guard: Guard,
  now: Milliseconds,
): { readonly until: Milliseconds; readonly why: 'denied' | 'fraud' } | null {
  const { notBefore, lockedUntil } = guard
  if (lockedUntil > now && lockedUntil >= notBefore) return { until: lockedUntil, why: 'fraud' }
  return notBefore > now ? { until: notBefore, why: 'denied' } : null
}

/** What all the notes of one step make of it, in their order. */
export function guardAfterAll(
  guard: Guard,
  notes: readonly GuardNote[],
  now: Milliseconds,
  limits: GuardLimits,
): Guard {
  return notes.reduce((current, note) => guardAfter(current, note, now, limits), guard)
}
