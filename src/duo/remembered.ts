import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { type Clock, DAY, MINUTE, type Milliseconds } from '../clock.ts'
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
  list(username: string): Promise<readonly RememberedBrowser[]>
  forget(username: string, id?: string): Promise<void>
}

/** @param encryptionKey `storage.encryption_key` */
export function openRemembered(db: Kysely<Tables>, encryptionKey: string, clock: Clock): Remembered {
  const box = sealedWith(encryptionKey)
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
        .values({ ...row, token: box.seal(token, aboutOf(row)) })
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
      return row === undefined ? null : box.open(row.token, aboutOf(row))
    },

    async list(username) {
      const rows = await mine(username).where('cookie_hash', 'is not', null).orderBy('created_at', 'desc').execute()
      return rows.map(({ id, browser, created_at }) => ({ id, browser, since: created_at }))
    },

    async forget(username, id) {
      const all = db.deleteFrom('postern_remembered_browsers').where('username', '=', username)
      await (id === undefined ? all : all.where('id', '=', id)).execute()
    },
  }
}

const hashOf = (cookie: string) => createHash('sha256').update(cookie).digest('base64url')

/** What a token is bound to: moved to another row, it opens for nobody. */
const aboutOf = ({ id, username }: { readonly id: string; readonly username: string }) => JSON.stringify([id, username])

const VERSION = '1'

/** AES-256-GCM under a key of its own. A text names its key, so that another `storage.encryption_key` reads as none, not as damage. */
function sealedWith(encryptionKey: string) {
  const derived = (about: string, bytes: number) => Buffer.from(hkdfSync('sha256', encryptionKey, '', about, bytes))
  const key = derived('postern remembered device 1', 32)
  const keyId = derived('postern remembered device 1 id', 6).toString('base64url')
  return {
    seal(text: string, about: string): string {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv)
      cipher.setAAD(Buffer.from(about))
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return [VERSION, keyId, ...[iv, cipher.getAuthTag(), sealed].map(part => part.toString('base64url'))].join('.')
    },
    /** Null: of another key, another row, or altered. */
    open(sealed: string, about: string): string | null {
      const [version, id, iv = '', tag = '', content = '', ...rest] = sealed.split('.')
      if (version !== VERSION || id !== keyId || rest.length > 0) return null
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'), { authTagLength: 16 })
        decipher.setAAD(Buffer.from(about))
        decipher.setAuthTag(Buffer.from(tag, 'base64url'))
        return Buffer.concat([decipher.update(Buffer.from(content, 'base64url')), decipher.final()]).toString('utf8')
      } catch {
        return null
      }
    },
  }
}
