import type { Milliseconds } from '../clock.ts'
import type { Refusal } from './duo.ts'
import { isFromFuture } from './push.ts'
import type { PushRecords } from './push-records.ts'

/** The newest push that was denied or reported after the person last marked such as seen. */
export async function newestRefusal(
  records: PushRecords,
  username: string,
  now: Milliseconds,
): Promise<Refusal | null> {
  const seenAt = await records.refusalsSeenAt(username)
  // Marked before the clock was set back: it would hide all that is refused from now on, for as long as that clock was ahead.
  for (const { push, facts } of await records.endedAfter(username, isFromFuture(seenAt, now) ? 0 : seenAt)) {
    const refused = push.state === 'denied' || push.state === 'fraud' ? push.state : null
    if (refused !== null && push.endedAt !== null) return { how: refused, at: push.endedAt, facts }
  }
  return null
}
