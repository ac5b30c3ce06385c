import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Clock, Milliseconds } from '../clock.ts'
import { networkOf } from '../http/client-address.ts'
import type { Tables } from '../storage/tables.ts'
import { type Asked, KEPT, SMS_COOL_DOWN } from './asked.ts'
import type { GuardLimits } from './guard.ts'

const SWEPT_AT_ONCE = 100
const TRIES = 20

/** What reaches a phone, or Duo's count of wrong passcodes. */
type Kind = Tables['postern_factors_asked']['kind']

/** In the table `postern_factors_asked`. */
export function sqlAsked(db: Kysely<Tables>, limits: GuardLimits, clock: Clock): Asked {
  async function add(
    on: Kysely<Tables>,
    row: { username: string; session_key: string; kind: Kind; network: string | null },
    now: Milliseconds,
  ): Promise<void> {
    await sweep(on, now - Math.max(KEPT, limits.find_time))
    await on
      .insertInto('postern_factors_asked')
      .values({ id: randomBytes(12).toString('base64url'), at: now, spent: 1, ...row })
      .execute()
  }

  return {
    take: ({ username, sessionKey, ip }, kind) =>
      inSeries(db, async transaction => {
        const now = clock()
        const since = now - limits.find_time
        // A row from the future is one of before the clock was set back: it must not count for years.
        const counted = () =>
          transaction
            .selectFrom('postern_factors_asked')
            .select('at')
            .where('kind', '!=', 'passcode')
            .where('at', '>', since)
            .where('at', '<=', now)
            .orderBy('at', 'desc')
        if (kind === 'sms') {
          const last = await counted().where('username', '=', username).where('kind', '=', 'sms').executeTakeFirst()
          if (last !== undefined && last.at + SMS_COOL_DOWN > now)
            return { outcome: 'cool-down' as const, until: last.at + SMS_COOL_DOWN }
        }
        const network = ip === undefined ? null : networkOf(ip)
        const nth = async (query: ReturnType<typeof counted>, limit: number) =>
          (
            await query
              .limit(1)
              .offset(limit - 1)
              .executeTakeFirst()
          )?.at ?? null
        const full = [
          await nth(counted().where('username', '=', username).where('spent', '=', 1), limits.pushes_per_user),
          network === null ? null : await nth(counted().where('network', '=', network), limits.pushes_per_address),
          await nth(counted(), limits.pushes_in_all),
        ].flatMap(at => at ?? [])
        if (full.length > 0)
          return { outcome: 'paused' as const, why: 'budget' as const, until: Math.max(...full) + limits.find_time }
        await add(transaction, { username, session_key: sessionKey, kind, network }, now)
        return null
      }),

    async note({ username, sessionKey }) {
      await add(db, { username, session_key: sessionKey, kind: 'passcode', network: null }, clock())
    },

    async everIn(sessionKey) {
      const query = db.selectFrom('postern_factors_asked').select('id').where('session_key', '=', sessionKey).limit(1)
      return (await query.executeTakeFirst()) !== undefined
    },
  }
}

/** An approval shows that the person is there: what was spent on them is theirs again. Address and total keep their count. */
export async function giveBackBudget(db: Kysely<Tables>, username: string): Promise<void> {
  await db.updateTable('postern_factors_asked').set({ spent: 0 }).where('username', '=', username).execute()
}

async function sweep(db: Kysely<Tables>, before: Milliseconds): Promise<void> {
  const old = db.selectFrom('postern_factors_asked').select('id').where('at', '<', before).limit(SWEPT_AT_ONCE)
  await db.deleteFrom('postern_factors_asked').where('id', 'in', old).execute()
}

/**
 * One after the other, as if alone. SQLite has them wait. PostgreSQL lets them run and fails one of two that counted what the other added
 * (SQLSTATE 40001): that one counts again.
 */
async function inSeries<T>(db: Kysely<Tables>, work: (transaction: Kysely<Tables>) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.transaction().setIsolationLevel('serializable').execute(work)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === '40001') || tries === TRIES) throw error
    }
  }
}
