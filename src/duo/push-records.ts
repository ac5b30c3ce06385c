import { createHash, randomBytes } from 'node:crypto'
import type { Kysely, Selectable } from 'kysely'
import { z } from 'zod'
import { DAY, type Milliseconds } from '../clock.ts'
import { problems, type Reason } from '../problems/problems.ts'
import type { Tables } from '../storage/tables.ts'
import type { PushView, RequestFacts } from './duo.ts'
import { applyNotes, type GuardLimits } from './guard.ts'
import type { GuardNote, Push } from './push.ts'

/** A push with what is written beside it. */
export interface PushRecord {
  readonly id: string
  readonly sessionKey: string
  readonly username: string
  readonly version: number
  readonly holder: string | null
  readonly leaseUntil: Milliseconds | null
  readonly createdAt: Milliseconds
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

/** So long a person is told of a push that was denied or reported. */
const KEPT: Milliseconds = 30 * DAY
const DELETED_AT_ONCE = 500
const LOOKED_BACK_AT_MOST = 50

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

type Content = z.infer<typeof stored>

const contentOfRecord = ({ push, factor, code, device, facts, startedAt }: Content): string =>
  JSON.stringify({ push, factor, code, device, facts, startedAt } satisfies Content)

/** The table `postern_pushes`. Each write names the version it saw; one that somebody else moved is refused. */
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
  insert(
    record: Pick<PushRecord, 'sessionKey' | 'username' | keyof Content>,
    lease: Lease | null,
  ): Promise<PushRecord | undefined>
  /**
   * Writes what became of a push, the person's guard with it; a holder's write renews its lease. Undefined: somebody wrote meanwhile, or
   * `by` no longer has the lease.
   * `'taken'`: its txid belongs to another push.
   */
  write(
    seen: PushRecord,
    push: Push,
    change: { by: Lease | 'anybody'; notes: readonly GuardNote[]; now: Milliseconds },
  ): Promise<PushRecord | 'taken' | undefined>
  /** False: the lease is somebody else's by now. */
  renew(id: string, holder: string, until: Milliseconds): Promise<boolean>
  /** Gives a lease back, so that another process may take it at once. */
  release(id: string, holder: string): Promise<void>
  /** Ids of pushes whose follower is gone. */
  abandoned(now: Milliseconds): Promise<string[]>
  /** Undefined: it was renewed, or somebody else was faster. */
  takeOver(seen: PushRecord, holder: string, now: Milliseconds, until: Milliseconds): Promise<PushRecord | undefined>
  /** For a row that this program cannot read: it may neither let anybody in nor stand in the way. */
  discard(id: string): Promise<void>
  /** Deletes some of those that are long over. */
  forgetOld(now: Milliseconds): Promise<void>
}

export function pushRecords(db: Kysely<Tables>, limits: GuardLimits): PushRecords {
  const select = () => db.selectFrom('postern_pushes').selectAll()

  const records: PushRecords = {
    async read(id) {
      return parse(await select().where('id', '=', id).executeTakeFirst())
    },

    async newest(sessionKey) {
      const query = select().where('session_key', '=', sessionKey).orderBy('created_at', 'desc').limit(1)
      return parse(await query.executeTakeFirst())
    },

    async inFlight(username) {
      return parse(await select().where('username', '=', username).where('ended_at', 'is', null).executeTakeFirst())
    },

    async stillRinging(username) {
      const query = select()
        .where('username', '=', username)
        .where('ended_at', 'is not', null)
        .where('lease_until', 'is not', null)
      return (await query.execute()).flatMap(row => parse(row) ?? [])
    },

    async endedAfter(username, time) {
      const query = select()
        .where('username', '=', username)
        .where('ended_at', '>', time)
        .orderBy('ended_at', 'desc')
        .limit(LOOKED_BACK_AT_MOST)
      return (await query.execute()).flatMap(row => parse(row) ?? [])
    },

    async insert({ sessionKey, username, ...content }, lease) {
      const { push, startedAt } = content
      const before = await records.newest(sessionKey)
      const id = `push_${randomBytes(15).toString('base64url')}`
      const row = {
        id,
        session_key: sessionKey,
        username,
        state: contentOfRecord(content),
        // Higher than all before it in this session, so that whoever waits past a version is woken by a new push too.
        version: (before?.version ?? 0) + 1,
        lease_holder: lease?.holder ?? null,
        lease_until: lease?.until ?? null,
        // Decides which is the newest: a clock that stands still or goes back must not.
        created_at: Math.max(startedAt, (before?.createdAt ?? 0) + 1),
        ended_at: push.endedAt,
        txid_hash: null,
      }
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('postern_pushes')
        .values(row)
        .onConflict(conflict => conflict.doNothing())
        .executeTakeFirstOrThrow()
      return numInsertedOrUpdatedRows === 1n ? parse(row) : undefined
    },

    async write(seen, push, { by, notes, now }) {
      const { upstream } = push
      const txid_hash = upstream.at === 'ringing' ? createHash('sha256').update(upstream.txid).digest('hex') : undefined
      try {
        return await db.transaction().execute(async transaction => {
          let update = transaction
            .updateTable('postern_pushes')
            .set({
              state: contentOfRecord({ ...seen, push }),
              version: seen.version + 1,
              ended_at: push.endedAt,
              ...(by === 'anybody' ? {} : { lease_until: by.until }),
              ...(upstream.at === 'over' ? { lease_holder: null, lease_until: null } : {}),
              ...(txid_hash === undefined ? {} : { txid_hash }),
            })
            .where('id', '=', seen.id)
            .where('version', '=', seen.version)
          if (by !== 'anybody') update = update.where('lease_holder', '=', by.holder)
          const row = await update.returningAll().executeTakeFirst()
          if (row === undefined) return undefined
          await applyNotes(transaction, seen.username, notes, now, limits)
          return parse(row)
        })
      } catch (error) {
        // The unique index decides, between processes too.
        if (error instanceof Error && /UNIQUE constraint failed: postern_pushes\.txid_hash/.test(error.message))
          return 'taken'
        throw error
      }
    },

    async renew(id, holder, until) {
      const { numUpdatedRows } = await db
        .updateTable('postern_pushes')
        .set({ lease_until: until })
        .where('id', '=', id)
        .where('lease_holder', '=', holder)
        .executeTakeFirst()
      return numUpdatedRows === 1n
    },

    async release(id, holder) {
      await db
        .updateTable('postern_pushes')
        .set({ lease_until: 0 })
        .where('id', '=', id)
        .where('lease_holder', '=', holder)
        .execute()
    },

    async abandoned(now) {
      const query = db.selectFrom('postern_pushes').select('id').where('lease_until', '<=', now).limit(50)
      return (await query.execute()).map(({ id }) => id)
    },

    async takeOver(seen, holder, now, until) {
      const row = await db
        .updateTable('postern_pushes')
        .set({ lease_holder: holder, lease_until: until, version: seen.version + 1 })
        .where('id', '=', seen.id)
        .where('version', '=', seen.version)
        .where('lease_until', '<=', now)
        .returningAll()
        .executeTakeFirst()
      return parse(row)
    },

    async discard(id) {
      await db.deleteFrom('postern_pushes').where('id', '=', id).execute()
    },

    async forgetOld(now) {
      const old = db
        .selectFrom('postern_pushes')
        .select('id')
        .where('ended_at', '<', now - KEPT)
        .where('lease_until', 'is', null)
        .limit(DELETED_AT_ONCE)
      await db.deleteFrom('postern_pushes').where('id', 'in', old).execute()
    },
  }
  return records
}

/** The row is not as this program writes it: nobody may be let in by it. */
export class UnreadablePush extends Error {}

function contentOf(text: string): Content {
  try {
    return stored.parse(JSON.parse(text))
  } catch (cause) {
    throw new UnreadablePush('a row of postern_pushes is not as Postern writes it', { cause })
  }
}

/** @throws {UnreadablePush} */
function parse(row: Selectable<Tables['postern_pushes']> | undefined): PushRecord | undefined {
  if (row === undefined) return undefined
  const { facts, ...content } = contentOf(row.state)
  return {
    id: row.id,
    sessionKey: row.session_key,
    username: row.username,
    version: row.version,
    holder: row.lease_holder,
    leaseUntil: row.lease_until,
    createdAt: row.created_at,
    ...content,
    facts: { ...facts, ip: facts.ip },
  }
}

/** What the owner of the session may see of it. */
export function viewOf({ id, version, push, factor, code, device, facts, startedAt }: PushRecord): PushView {
  const { state, deadline, said, reason } = push
  return { id, seq: version, state, factor, code, device, facts, startedAt, deadline, said, reason }
}
