import { createHash, randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { type Clock, DAY, MINUTE, type Milliseconds } from '../clock.ts'
import { aboutBrowser, boxOf } from '../storage/encryption-key.ts'
import type { Tables } from '../storage/tables.ts'
import type { RememberedBrowser } from './duo.ts'

/** Duo's policy lets nobody be remembered for longer. */
const KEPT: Milliseconds = 365 * DAY
/** Until the browser that claims the push has taken its cookie. */
const HELD: Milliseconds = 10 * MINUTE
const OF_ONE_PERSON_AT_MOST = 20
const SWEPT_AT_ONCE = 100

/** Duo's tokens for browsers that it remembers: encrypted, and each of use to one browser and one person only. */
export interface Remembered {
  /** Keeps the token that came with an approval until its browser is known. */
  hold(from: { pushId: string; username: string; browser: string }, token: string): Promise<void>
  /** The value of a cookie for the browser that claimed the push; null: there is no token, or it was given already. */
  give(pushId: string): Promise<string | null>
  /** The token for the cookie that a browser brings; null when it is none of this person's. */
  tokenOf(username: string, cookie: string): Promise<string | null>
  list(username: string, cookie?: string): Promise<readonly RememberedBrowser[]>
  forget(username: string, id?: string): Promise<void>
}

/** @param encryptionKey `storage.encryption_key` */
export function openRemembered(db: Kysely<Tables>, encryptionKey: string, clock: Clock): Remembered {
  const box = boxOf(encryptionKey)
  const mine = (username: string) =>
    db
      .selectFrom('postern_remembered_browsers')
      .selectAll()
      .where('username', '=', username)
      .where('created_at', '>', clock() - KEPT)

  async function sweep(): Promise<void> {
    const now = clock()
    const old = db
      .selectFrom('postern_remembered_browsers')
      .select('id')
      .where(where =>
        where.or([
          where('created_at', '<=', now - KEPT),
          where.and([where('cookie_hash', 'is', null), where('created_at', '<=', now - HELD)]),
        ]),
      )
      .limit(SWEPT_AT_ONCE)
    await db.deleteFrom('postern_remembered_browsers').where('id', 'in', old).execute()
  }

  return {
    async hold({ pushId, username, browser }, token) {
      await sweep()
      const known = await mine(username).orderBy('created_at', 'desc').execute()
      for (const { id } of known.slice(OF_ONE_PERSON_AT_MOST - 1))
        await db.deleteFrom('postern_remembered_browsers').where('id', '=', id).execute()
      const id = `browser_${randomBytes(12).toString('base64url')}`
      const row = { id, username, push_id: pushId, cookie_hash: null, browser, created_at: clock() }
      await db
        .insertInto('postern_remembered_browsers')
        .values({ ...row, token: box.seal(token, aboutBrowser(row)) })
        .onConflict(conflict => conflict.doNothing())
        .execute()
    },

    async give(pushId) {
      const cookie = randomBytes(32).toString('base64url')
      const { numUpdatedRows } = await db
        .updateTable('postern_remembered_browsers')
        .set({ cookie_hash: hashOf(cookie) })
        .where('push_id', '=', pushId)
        .where('cookie_hash', 'is', null)
        .executeTakeFirst()
      return numUpdatedRows === 1n ? cookie : null
    },

    async tokenOf(username, cookie) {
      if (!/^[\w-]{43}$/.test(cookie)) return null
      const row = await mine(username).where('cookie_hash', '=', hashOf(cookie)).executeTakeFirst()
      return row === undefined ? null : box.open(row.token, aboutBrowser(row))
    },

    async list(username, cookie) {
      const own = cookie === undefined ? null : hashOf(cookie)
      const rows = await mine(username).where('cookie_hash', 'is not', null).orderBy('created_at', 'desc').execute()
      return rows.map(({ id, browser, created_at, cookie_hash }) => ({
        id,
        browser,
        since: created_at,
        here: cookie_hash === own,
      }))
    },

    async forget(username, id) {
      const all = db.deleteFrom('postern_remembered_browsers').where('username', '=', username)
      await (id === undefined ? all : all.where('id', '=', id)).execute()
    },
  }
}

const hashOf = (cookie: string) => createHash('sha256').update(cookie).digest('base64url')
