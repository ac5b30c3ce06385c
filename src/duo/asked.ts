import { randomBytes } from 'node:crypto'
import ipaddr from 'ipaddr.js'
import type { Kysely } from 'kysely'
import { type Clock, DAY, MINUTE, type Milliseconds } from '../clock.ts'
import type { Tables } from '../storage/tables.ts'
import type { GuardLimits } from './guard.ts'

/** Between two text messages to one person. */
const SMS_COOL_DOWN: Milliseconds = MINUTE
/** So long it is known that a session was asked for a factor: a day, and a level-1 session that is older proves as little as a new one. */
const KEPT: Milliseconds = DAY
const SWEPT_AT_ONCE = 100

/** What reaches a phone, or Duo's count of wrong passcodes. */
type Kind = 'push' | 'phone' | 'sms' | 'passcode'

export type Refused =
  | { readonly outcome: 'paused'; readonly until: Milliseconds; readonly why: 'budget' }
  | { readonly outcome: 'cool-down'; readonly until: Milliseconds }

/** The factors that were asked for, of everybody: budgets are counted here, in the store that all processes share. */
export interface Asked {
  /** Counts one that is about to reach a phone, before it does; or says until when it may not. */
  take(
    who: { username: string; sessionKey: string; ip: string | undefined },
    kind: 'push' | 'phone' | 'sms',
  ): Promise<Refused | null>
  /** A passcode is about to be tried; users/ counts those. */
  note(who: { username: string; sessionKey: string }): Promise<void>
  /** Whether this session was ever asked for a factor. */
  everIn(sessionKey: string): Promise<boolean>
}

export function openAsked(db: Kysely<Tables>, limits: GuardLimits, clock: Clock): Asked {
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
      db.transaction().execute(async transaction => {
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

/** Whoever has one IPv6 address has the other 2^64 of its network. */
export function networkOf(ip: string): string | null {
  if (!ipaddr.isValid(ip)) return null
  const address = ipaddr.process(ip)
  if (address.kind() === 'ipv4') return address.toString()
  const parts = address.toByteArray().slice(0, 8)
  return `${parts.map(byte => byte.toString(16).padStart(2, '0')).join('')}::/64`
}
