import type { Kysely, Selectable } from 'kysely'
import type { Milliseconds } from '../clock.ts'
import type { Tables } from '../storage/tables.ts'
import { giveBackBudget } from './asked-sql.ts'
import { believable, type Guard, type GuardLimits, guardAfterAll, open } from './guard.ts'
import type { GuardNote } from './push.ts'
import {
  GIVEN_BACK,
  hashOfTxid,
  KEPT,
  LEASES_AT_MOST,
  LOOKED_BACK_AT_MOST,
  newId,
  type PushRecord,
  type PushRecords,
  type Seal,
  sealOf,
  UnreadablePush,
} from './push-records.ts'

const DELETED_AT_ONCE = 500

/**
 * In the tables `postern_pushes` and `postern_push_guard`.
 * @param encryptionKey `storage.encryption_key`
 */
export function sqlPushRecords(db: Kysely<Tables>, limits: GuardLimits, encryptionKey: string): PushRecords {
  const seal = sealOf(encryptionKey)
  const { parse, unlessUnreadable } = rowsSealedBy(seal)
  const select = () => db.selectFrom('postern_pushes').selectAll()
  const newest = (sessionKey: string) =>
    db
      .selectFrom('postern_pushes')
      .where('session_key', '=', sessionKey)
      .orderBy('created_at', 'desc')
      .orderBy('id')
      .limit(1)

  const records: PushRecords = {
    async read(id) {
      return parse(await select().where('id', '=', id).executeTakeFirst())
    },

    async newest(sessionKey) {
      return unlessUnreadable(await newest(sessionKey).selectAll().executeTakeFirst())
    },

    async inFlight(username) {
      return parse(await select().where('username', '=', username).where('ended_at', 'is', null).executeTakeFirst())
    },

    async stillRinging(username) {
      const query = select()
        .where('username', '=', username)
        .where('ended_at', 'is not', null)
        .where('lease_until', 'is not', null)
      return (await query.execute()).flatMap(row => unlessUnreadable(row) ?? [])
    },

    async endedAfter(username, time) {
      const query = select()
        .where('username', '=', username)
        .where('ended_at', '>', time)
        .orderBy('ended_at', 'desc')
        .limit(LOOKED_BACK_AT_MOST)
      return (await query.execute()).flatMap(row => unlessUnreadable(row) ?? [])
    },

    async insert({ sessionKey, username, ...content }, lease) {
      const { push, startedAt } = content
      const before = await newest(sessionKey).select(['version', 'created_at']).executeTakeFirst()
      const id = newId()
      const row = {
        id,
        session_key: sessionKey,
        username,
        state: seal.close({ id, sessionKey, username }, content),
        // Higher than all before it in this session, so that whoever waits past a version is woken by a new push too.
        version: (before?.version ?? 0) + 1,
        lease_holder: lease?.holder ?? null,
        lease_until: lease?.until ?? null,
        // Decides which is the newest: a clock that stands still or goes back must not.
        created_at: Math.max(startedAt, (before?.created_at ?? 0) + 1),
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
      const txid_hash = upstream.at === 'ringing' ? hashOfTxid(upstream.txid) : undefined
      try {
        return await db.transaction().execute(async transaction => {
          let update = transaction
            .updateTable('postern_pushes')
            .set({
              state: seal.close(seen, { ...seen, push }),
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
        if (isTxidTaken(error)) return 'taken'
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
        .set({ lease_until: GIVEN_BACK })
        .where('id', '=', id)
        .where('lease_holder', '=', holder)
        .execute()
    },

    async leases() {
      const query = db
        .selectFrom('postern_pushes')
        .select(['id', 'lease_until'])
        .where('lease_until', 'is not', null)
        .orderBy('lease_until')
        .limit(LEASES_AT_MOST)
      return (await query.execute()).flatMap(({ id, lease_until: until }) => (until === null ? [] : [{ id, until }]))
    },

    async takeOver(seen, { holder, until }) {
      const row = await db
        .updateTable('postern_pushes')
        .set({ lease_holder: holder, lease_until: until, version: seen.version + 1 })
        .where('id', '=', seen.id)
        .where('version', '=', seen.version)
        .where('lease_until', '=', seen.leaseUntil)
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

    async guardOf(username, now) {
      const written = await guardOf(db, username)
      const guard = believable(written, now, limits)
      if (guard !== written) await replaceGuard(db, username, written, guard)
      return guard
    },

    async refusalsSeenAt(username) {
      const query = db.selectFrom('postern_push_guard').select('refusals_seen_at').where('username', '=', username)
      return (await query.executeTakeFirst())?.refusals_seen_at ?? 0
    },

    async markRefusalsSeen(username, now) {
      const seen = { refusals_seen_at: now }
      await db.updateTable('postern_push_guard').set(seen).where('username', '=', username).execute()
    },

    watch: () => ({ areTold: () => false, close() {} }),
  }
  return records
}

/** SQLite names the column, PostgreSQL the index; only one of them has the txid. */
function isTxidTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && error.code === '23505') return 'constraint' in error && /txid/.test(String(error.constraint))
  return error.message.includes('UNIQUE constraint failed: postern_pushes.txid_hash')
}

async function guardOf(db: Kysely<Tables>, username: string): Promise<Guard> {
  const row = await db.selectFrom('postern_push_guard').selectAll().where('username', '=', username).executeTakeFirst()
  return row === undefined ? open : { denials: row.denials, notBefore: row.not_before, lockedUntil: row.locked_until }
}

/** Within the transaction that writes the push, so that no denial is forgotten by a crash between the two. */
async function applyNotes(
  db: Kysely<Tables>,
  username: string,
  notes: readonly GuardNote[],
  now: Milliseconds,
  limits: GuardLimits,
): Promise<void> {
  if (notes.length === 0) return
  if (notes.includes('allowed')) await giveBackBudget(db, username)
  await db
    .insertInto('postern_push_guard')
    .values({ username, ...rowOf(open) })
    .onConflict(conflict => conflict.column('username').doNothing())
    .execute()
  // Two pushes of one person may end at once. PostgreSQL lets both read first: the second one's condition fails then, and it reads again.
  for (;;) {
    const before = await guardOf(db, username)
    if (await replaceGuard(db, username, before, guardAfterAll(before, notes, now, limits))) return
  }
}

/** False: somebody else wrote it meanwhile. */
async function replaceGuard(db: Kysely<Tables>, username: string, before: Guard, after: Guard): Promise<boolean> {
  const seen = rowOf(before)
  const { numUpdatedRows } = await db
    .updateTable('postern_push_guard')
    .set(rowOf(after))
    .where('username', '=', username)
    .where('denials', '=', seen.denials)
    .where('not_before', '=', seen.not_before)
    .where('locked_until', '=', seen.locked_until)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

const rowOf = ({ denials, notBefore, lockedUntil }: Guard) => ({
  denials,
  not_before: notBefore,
  locked_until: lockedUntil,
})

type Row = Selectable<Tables['postern_pushes']>

function rowsSealedBy(seal: Seal) {
  /** @throws {UnreadablePush} */
  const parse = (row: Row | undefined): PushRecord | undefined => {
    if (row === undefined) return undefined
    const of = { id: row.id, sessionKey: row.session_key, username: row.username }
    const { facts, ...content } = seal.open(of, row.state)
    const { version, lease_holder: holder, lease_until: leaseUntil } = row
    return { ...of, version, holder, leaseUntil, ...content, facts: { ...facts, ip: facts.ip } }
  }
  /** What is over and cannot be read, as after a change of the key, is nothing; what is not over is to be dropped by whoever takes it over. */
  const unlessUnreadable = (row: Row | undefined) => {
    try {
      return parse(row)
    } catch (error) {
      if (error instanceof UnreadablePush && row?.ended_at != null) return undefined
      throw error
    }
  }
  return { parse, unlessUnreadable }
}
