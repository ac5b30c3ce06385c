import type { Kysely } from 'kysely'
import { HOUR, MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import type { Tables } from '../storage/tables.ts'
import type { GuardNote } from './push.ts'

/** What stands between somebody who has the password and a phone that rings all night. */
export interface Guard {
  /** Denials in a row. */
  readonly denials: number
  /** The pause after a denial. */
  readonly notBefore: Milliseconds
  /** The lock after a fraud report. */
  readonly lockedUntil: Milliseconds
}

export const FIRST_PAUSE: Milliseconds = 30 * SECOND
export const LONGEST_PAUSE: Milliseconds = 15 * MINUTE
export const FRAUD_LOCK: Milliseconds = HOUR
/** So long after the last pause, denials are forgotten. */
const FORGOTTEN_AFTER: Milliseconds = HOUR

const open: Guard = { denials: 0, notBefore: 0, lockedUntil: 0 }

/** What one note makes of a person's guard. */
export function guardAfter(guard: Guard, note: GuardNote, now: Milliseconds): Guard {
  switch (note) {
    case 'allowed':
      return { ...guard, denials: 0, notBefore: 0 }
    case 'denied': {
      const denials = now >= guard.notBefore + FORGOTTEN_AFTER ? 0 : guard.denials
      const pause = Math.min(FIRST_PAUSE * 2 ** Math.min(denials, 20), LONGEST_PAUSE)
      return { ...guard, denials: denials + 1, notBefore: Math.max(guard.notBefore, now + pause) }
    }
    case 'fraud':
      return { ...guard, lockedUntil: Math.max(guard.lockedUntil, now + FRAUD_LOCK) }
    case 'lost':
      // Nobody knows whether the phone rings: no second push beside it.
      return { ...guard, notBefore: Math.max(guard.notBefore, now + FIRST_PAUSE) }
  }
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

export async function readGuard(db: Kysely<Tables>, username: string): Promise<Guard> {
  const row = await db.selectFrom('postern_push_guard').selectAll().where('username', '=', username).executeTakeFirst()
  return row === undefined ? open : { denials: row.denials, notBefore: row.not_before, lockedUntil: row.locked_until }
}

/** Within the transaction that writes the push, so that no denial is forgotten by a crash between the two. */
export async function applyNotes(
  db: Kysely<Tables>,
  username: string,
  notes: readonly GuardNote[],
  now: Milliseconds,
): Promise<void> {
  if (notes.length === 0) return
  const before = await readGuard(db, username)
  const guard = notes.reduce((current, note) => guardAfter(current, note, now), before)
  const row = { denials: guard.denials, not_before: guard.notBefore, locked_until: guard.lockedUntil }
  await db
    .insertInto('postern_push_guard')
    .values({ username, ...row })
    .onConflict(conflict => conflict.column('username').doUpdateSet(row))
    .execute()
}
