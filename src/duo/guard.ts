import type { Kysely } from 'kysely'
import { HOUR, type Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { Tables } from '../storage/tables.ts'
import { giveBackBudget } from './asked.ts'
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
const FORGOTTEN_AFTER: Milliseconds = HOUR

const open: Guard = { denials: 0, notBefore: 0, lockedUntil: 0 }

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
  limits: GuardLimits,
): Promise<void> {
  if (notes.length === 0) return
  if (notes.includes('allowed')) await giveBackBudget(db, username)
  const before = await readGuard(db, username)
  const guard = notes.reduce((current, note) => guardAfter(current, note, now, limits), before)
  const row = { denials: guard.denials, not_before: guard.notBefore, locked_until: guard.lockedUntil }
  await db
    .insertInto('postern_push_guard')
    .values({ username, ...row })
    .onConflict(conflict => conflict.column('username').doUpdateSet(row))
    .execute()
}
