import type { Kysely } from 'kysely'
import type { Milliseconds } from '../clock.ts'
import type { Tables } from './tables.ts'

/** In `postern_about`: when the Redis that these records are used with was last known to be in use. */
const REDIS_MARK = 'redis-mark'

/** The second place of a Redis' mark: the records, wherever they are. */
export interface RecordsMark {
  /** Null: none was noted. @throws {RecordsDown} */
  read(): Promise<Milliseconds | null>
  /** Never back. @throws {RecordsDown} */
  move(mark: Milliseconds): Promise<void>
}

export function recordsMark(db: Kysely<Tables>): RecordsMark {
  async function read(): Promise<Milliseconds | null> {
    const row = await db.selectFrom('postern_about').select('value').where('name', '=', REDIS_MARK).executeTakeFirst()
    return row !== undefined && /^\d{1,15}$/.test(row.value) ? Number(row.value) : null
  }
  return {
    read,
    async move(mark) {
      if (((await read()) ?? 0) >= mark) return
      // Of two at once the slower may set it back by the moment between them: behind is never wrong.
      await db
        .insertInto('postern_about')
        .values({ name: REDIS_MARK, value: String(mark) })
        .onConflict(conflict => conflict.column('name').doUpdateSet({ value: String(mark) }))
        .execute()
    },
  }
}
