import type { Refusal } from './duo.ts'
import type { PushRecords } from './push-records.ts'

/** The newest push that was denied or reported after the person last marked such as seen. */
export async function newestRefusal(records: PushRecords, username: string): Promise<Refusal | null> {
  for (const { push, facts } of await records.endedAfter(username, await records.refusalsSeenAt(username))) {
    const refused = push.state === 'denied' || push.state === 'fraud' ? push.state : null
    if (refused !== null && push.endedAt !== null) return { how: refused, at: push.endedAt, facts }
  }
  return null
}
