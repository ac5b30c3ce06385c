import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { DAY, type Milliseconds } from '../clock.ts'
import { problems, type Reason } from '../problems/problems.ts'
import type { PushView, RequestFacts } from './duo.ts'
import type { Guard } from './guard.ts'
import type { GuardNote, Push } from './push.ts'

/** A push with what is written beside it. */
export interface PushRecord {
  readonly id: string
  readonly sessionKey: string
  readonly username: string
  readonly version: number
  readonly holder: string | null
  readonly leaseUntil: Milliseconds | null
  readonly push: Push
  readonly factor: PushView['factor']
  readonly code: PushView['code']
  readonly device: { readonly id: string; readonly name: string }
  readonly facts: RequestFacts
  readonly startedAt: Milliseconds
}

export interface Lease {
  readonly holder: string
  readonly until: Milliseconds
}

/** A push that somebody follows, or did until they were gone. */
export interface Leased {
  readonly id: string
  /** `GIVEN_BACK`, or by the holder's clock. */
  readonly until: Milliseconds
}
export const GIVEN_BACK: Milliseconds = 0
/** More than ring at once; what is beyond is seen when those before it are over. */
export const LEASES_AT_MOST = 1_000

/** So long a person is told of a push that was denied or reported. */
export const KEPT: Milliseconds = 30 * DAY
export const LOOKED_BACK_AT_MOST = 50

const milliseconds = z.number().int()
const reason = z.custom<Reason>(value => typeof value === 'string' && Object.hasOwn(problems, value)).nullable()
const stored = z.object({
  push: z.object({
    state: z.enum(['sending', 'waiting', 'allowed', 'claimed', 'denied', 'fraud', 'timed-out', 'cancelled', 'failed']),
    upstream: z.discriminatedUnion('at', [
      z.object({ at: z.literal('sending') }),
      z.object({
        at: z.literal('ringing'),
        txid: z.string(),
        until: milliseconds,
        misses: z.number().int(),
        trouble: reason,
      }),
      z.object({ at: z.literal('reporting') }),
      z.object({ at: z.literal('over') }),
    ]),
    deadline: milliseconds,
    endedAt: milliseconds.nullable(),
    said: z.string(),
    reason,
    bypassed: z.boolean(),
  }) satisfies z.ZodType<Push>,
  factor: z.enum(['push', 'phone', 'passcode']),
  code: z.object({ kind: z.enum(['verified', 'matching']), digits: z.string() }).nullable(),
  device: z.object({ id: z.string(), name: z.string() }),
  facts: z.object({
    site: z.string().nullable(),
    path: z.string().nullable(),
    ip: z.string().optional(),
    browser: z.string(),
    at: milliseconds,
  }),
  startedAt: milliseconds,
})

/** What stands in a record as one text. */
export type Content = z.infer<typeof stored>
/** What a record begins with. */
export type NewRecord = Pick<PushRecord, 'sessionKey' | 'username' | keyof Content>

export const newId = (): string => `push_${randomBytes(15).toString('base64url')}`
/** A txid itself is at no place where it is looked for: whoever has it can ask Duo about it. */
export const hashOfTxid = (txid: string): string => createHash('sha256').update(txid).digest('hex')

/**
 * All pushes and what guards each person's phone, for every process: in the records' database, or in Redis. Each write names the version it saw; one
 * that somebody else moved is refused. Time is what is passed in, never the store's.
 */
export interface PushRecords {
  read(id: string): Promise<PushRecord | undefined>
  newest(sessionKey: string): Promise<PushRecord | undefined>
  /** The person's push that still waits, whichever session it belongs to. */
  inFlight(username: string): Promise<PushRecord | undefined>
  /** Those of a person that Duo may still have something to say about, though they are over here. */
  stillRinging(username: string): Promise<PushRecord[]>
  /** The latest of a person's that ended after this time, the newest first. */
  endedAfter(username: string, time: Milliseconds): Promise<PushRecord[]>
  /** Undefined: another push of this person is in flight. The lease is the holder's; null: it is over, and nobody has to follow it. */
  insert(record: NewRecord, lease: Lease | null): Promise<PushRecord | undefined>
  /**
   * Writes what became of a push, the person's guard with it; a holder's write renews its lease. Undefined: somebody wrote meanwhile, or
   * `by` no longer has the lease.
   * `'taken'`: its txid belongs to another push.
   */
  write(seen: PushRecord, push: Push, change: Change): Promise<PushRecord | 'taken' | undefined>
  /** False: the lease is somebody else's by now. */
  renew(id: string, holder: string, until: Milliseconds): Promise<boolean>
  /** Gives a lease back, so that another process may take it at once. */
  release(id: string, holder: string): Promise<void>
  /** All leases, up to a bound, those first that end first. Whether one is over is not for its date alone: each holder writes it by its own clock. */
  leases(): Promise<Leased[]>
  /** Undefined: it was renewed since it was seen, or somebody else was faster. */
  takeOver(seen: PushRecord, lease: Lease): Promise<PushRecord | undefined>
  /** For one that this program cannot read: it may neither let anybody in nor stand in the way. */
  discard(id: string): Promise<void>
  /** Deletes some of those that are long over. */
  forgetOld(now: Milliseconds): Promise<void>
  /** What stands between a person's phone and one more push. What reaches further than it can counts from now on. */
  guardOf(username: string, now: Milliseconds): Promise<Guard>
  /** When this person last marked what was denied or reported as seen; 0: never. */
  refusalsSeenAt(username: string): Promise<Milliseconds>
  markRefusalsSeen(username: string, now: Milliseconds): Promise<void>
  /** Tells of what other processes write, at once, where the store can. */
  watch(changed: (sessionKey: string) => void): Changes
}

export interface Changes {
  /** Whether all changes are being told; while not, whoever waits for one has to look. */
  areTold(): boolean
  close(): void
}

export interface Change {
  /** Who writes: the holder of the lease, which is renewed with it, or a person. */
  readonly by: Lease | 'anybody'
  readonly notes: readonly GuardNote[]
  readonly now: Milliseconds
}

/** The row is not as this program writes it: nobody may be let in by it. */
export class UnreadablePush extends Error {}

/** What a state belongs to. */
type Owner = Pick<PushRecord, 'id' | 'sessionKey' | 'username'>

/** The state of a record as one text that only Postern can make, for this record alone: whoever can write to the store cannot approve anything. */
export interface Seal {
  close(of: Owner, content: Content): string
  /** @throws {UnreadablePush} it was altered, is of another record or another key, or not as this program writes it */
  open(of: Owner, text: string): Content
}

/** @param encryptionKey `storage.encryption_key` */
export function sealOf(encryptionKey: string): Seal {
  const key = Buffer.from(hkdfSync('sha256', encryptionKey, '', 'postern push record 1', 32))
  const tagOf = ({ id, sessionKey, username }: Owner, text: string) =>
    createHmac('sha256', key)
      .update(JSON.stringify([id, sessionKey, username, text]))
      .digest()
  return {
    close(of, { push, factor, code, device, facts, startedAt }) {
      const text = JSON.stringify({ push, factor, code, device, facts, startedAt } satisfies Content)
      return `${text.slice(0, -1)},"tag":"${tagOf(of, text).toString('base64url')}"}`
    },
    open(of, sealed) {
      const [, beginning, tag = ''] = /^(.*),"tag":"([\w-]{43})"\}$/s.exec(sealed) ?? []
      const text = `${beginning}}`
      if (beginning === undefined || !timingSafeEqual(Buffer.from(tag, 'base64url'), tagOf(of, text)))
        throw new UnreadablePush('the record of a push was altered, or has another key')
      try {
        return stored.parse(JSON.parse(text))
      } catch (cause) {
        throw new UnreadablePush('the record of a push is not as Postern writes it', { cause })
      }
    },
  }
}

/** What the owner of the session may see of it. */
export function viewOf({ id, version, push, factor, code, device, facts, startedAt }: PushRecord): PushView {
  const { state, deadline, said, reason } = push
  return { id, seq: version, state, factor, code, device, facts, startedAt, deadline, said, reason }
}
