import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { StorageProblem } from './storage-problem.ts'
import type { Tables } from './tables.ts'

const VERSION = '1'
/** In `postern_about`. */
export const KEY_CHECK = 'key-check'

/** Encrypts what is secret in the records. */
export interface Box {
  /** @param about what the text is bound to: moved elsewhere, it opens for nobody */
  seal(text: string, about: string): string
  /** Null: of another key, about something else, or altered. */
  open(sealed: string, about: string): string | null
}

/** AES-256-GCM under a key made from `storage.encryption_key`. A text names its key, so that another one reads as none, not as damage. */
export function boxOf(encryptionKey: string): Box {
  const derived = (about: string, bytes: number) => Buffer.from(hkdfSync('sha256', encryptionKey, '', about, bytes))
  const key = derived('postern remembered device 1', 32)
  const keyId = derived('postern remembered device 1 id', 6).toString('base64url')
  return {
    seal(text, about) {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv)
      cipher.setAAD(Buffer.from(about))
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return [VERSION, keyId, ...[iv, cipher.getAuthTag(), sealed].map(part => part.toString('base64url'))].join('.')
    },
    open(sealed, about) {
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

/** What the token of a remembered browser is bound to. */
export const aboutBrowser = ({ id, username }: { readonly id: string; readonly username: string }) =>
  JSON.stringify([id, username])

/**
 * Whether these records were written with this key: a text that only it opens stands among them since they were first opened.
 * @param where for the message
 * @throws {StorageProblem} when they were not
 */
export async function requireKey(db: Kysely<Tables>, encryptionKey: string, where: string): Promise<void> {
  if (await hasKey(db, encryptionKey)) return
  const value = boxOf(encryptionKey).seal(KEY_CHECK, KEY_CHECK)
  await db
    .insertInto('postern_about')
    .values({ name: KEY_CHECK, value })
    .onConflict(conflict => conflict.doNothing())
    .execute()
  // Of two that open them first, with different keys, the slower is refused.
  if (!(await hasKey(db, encryptionKey))) throw new StorageProblem('storage-key', where)
}

async function hasKey(db: Kysely<Tables>, encryptionKey: string): Promise<boolean> {
  return (await fits(db, encryptionKey)) === true
}

/** Whether these records were written with this key; undefined: with none yet. Changes nothing. */
export async function fits(db: Kysely<Tables>, encryptionKey: string): Promise<boolean | undefined> {
  const row = await db.selectFrom('postern_about').select('value').where('name', '=', KEY_CHECK).executeTakeFirst()
  return row === undefined ? undefined : isOf(encryptionKey, row.value)
}

/** @param sealed the value of `KEY_CHECK` */
export const isOf = (encryptionKey: string, sealed: string): boolean =>
  boxOf(encryptionKey).open(sealed, KEY_CHECK) === KEY_CHECK

/** For a key that is lost: deletes what only it opens, and begins with this one. */
export async function beginWithKey(db: Kysely<Tables>, encryptionKey: string): Promise<{ readonly deleted: number }> {
  return db.transaction().execute(async transaction => {
    const { numDeletedRows } = await transaction.deleteFrom('postern_remembered_browsers').executeTakeFirst()
    await transaction.deleteFrom('postern_about').where('name', '=', KEY_CHECK).execute()
    await requireKey(transaction, encryptionKey, 'the records')
    return { deleted: Number(numDeletedRows) }
  })
}

/**
 * Encrypts everything anew, in one transaction: until its end all is of the former key, afterwards all is of the new one. What the former key does not
 * open is of no use to anybody, and is deleted.
 * @throws {StorageProblem} when the records are not of the former key
 */
export async function changeKey(
  db: Kysely<Tables>,
  keys: { readonly former: string; readonly next: string },
  where: string,
): Promise<{ readonly encrypted: number; readonly deleted: number }> {
  const [former, next] = [boxOf(keys.former), boxOf(keys.next)]
  return db.transaction().execute(async transaction => {
    // Taken first: another change of the key waits here, and finds that it has the wrong one.
    await transaction.updateTable('postern_about').set({ name: KEY_CHECK }).where('name', '=', KEY_CHECK).execute()
    await requireKey(transaction, keys.former, where)
    const rows = await transaction
      .selectFrom('postern_remembered_browsers')
      .select(['id', 'username', 'token'])
      .execute()
    let deleted = 0
    for (const row of rows) {
      const about = aboutBrowser(row)
      const token = former.open(row.token, about)
      if (token === null) deleted += 1
      await (token === null
        ? transaction.deleteFrom('postern_remembered_browsers').where('id', '=', row.id)
        : transaction
            .updateTable('postern_remembered_browsers')
            .set({ token: next.seal(token, about) })
            .where('id', '=', row.id)
      ).execute()
    }
    const value = next.seal(KEY_CHECK, KEY_CHECK)
    await transaction.updateTable('postern_about').set({ value }).where('name', '=', KEY_CHECK).execute()
    return { encrypted: rows.length - deleted, deleted }
  })
}
