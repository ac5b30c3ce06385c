import type { Kysely } from 'kysely'
import type { Milliseconds } from '../clock.ts'
import type { Tables } from '../storage/tables.ts'
import type { Refusal } from './duo.ts'
import type { PushRecords } from './push-records.ts'

/** The newest push that was denied or reported after the person last marked such as seen. */
export async function newestRefusal(
  db: Kysely<Tables>,
  records: Pick<PushRecords, 'endedAfter'>,
  username: string,
): Promise<Refusal | null> {
  const seen = await db
    .selectFrom('postern_push_guard')
    .select('refusals_seen_at')
    .where('username', '=', username)
    .executeTakeFirst()
  for (const { push, facts } of await records.endedAfter(username, seen?.refusals_seen_at ?? 0)) {
    const refused = push.state === 'denied' || push.state === 'fraud' ? push.state : null
    if (refused !== null && push.endedAt !== null) return { how: refused, at: push.endedAt, facts }
  }
  return null
}

/** Nothing that ended until now is told again. */
export async function refusalsSeen(db: Kysely<Tables>, username: string, now: Milliseconds): Promise<void> {
  await db.updateTable('postern_push_guard').set({ refusals_seen_at: now }).where('username', '=', username).execute()
}
