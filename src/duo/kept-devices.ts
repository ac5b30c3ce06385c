import type { Kysely } from 'kysely'
import type { Tables } from '../storage/tables.ts'

/** The device that a person chose last, one each. */
export interface KeptDevices {
  of(username: string): Promise<string | null>
  keep(username: string, device: string): Promise<void>
  /** Only when it is still this one: another may have been chosen meanwhile. */
  forget(username: string, device: string): Promise<void>
}

export function keptDevices(db: Kysely<Tables>): KeptDevices {
  return {
    async of(username) {
      const query = db.selectFrom('postern_duo_devices').select('device').where('username', '=', username)
      return (await query.executeTakeFirst())?.device ?? null
    },
    async keep(username, device) {
      await db
        .insertInto('postern_duo_devices')
        .values({ username, device, method: 'push' })
        .onConflict(conflict => conflict.column('username').doUpdateSet({ device, method: 'push' }))
        .execute()
    },
    async forget(username, device) {
      await db.deleteFrom('postern_duo_devices').where('username', '=', username).where('device', '=', device).execute()
    },
  }
}
