import type { Kysely } from 'kysely'
import { z } from 'zod'
import type { Tables } from '../storage/tables.ts'
import type { Way } from './duo.ts'

/** The way that a person used or chose last, one each. */
export interface KeptWays {
  of(username: string): Promise<{ readonly way: Way; readonly name: string } | null>
  /** @param name of the device: all that can be said of it once Duo has forgotten it */
  keep(username: string, way: Way, name: string): Promise<void>
  /** @param way only when it is still this one: another may have been chosen meanwhile; undefined: whichever it is */
  forget(username: string, way?: Way): Promise<void>
}

const rowShape = z.union([
  z.object({ method: z.enum(['push', 'phone', 'sms']), device: z.string().min(1), name: z.string() }),
  z.object({ method: z.literal('passcode') }),
])

export function keptWays(db: Kysely<Tables>): KeptWays {
  const select = (username: string) =>
    db.selectFrom('postern_duo_devices').selectAll().where('username', '=', username).executeTakeFirst()
  return {
    async of(username) {
      const row = rowShape.safeParse(await select(username)).data
      if (row === undefined) return null
      return row.method === 'passcode'
        ? { way: { kind: 'passcode' }, name: '' }
        : { way: { kind: row.method, device: row.device }, name: row.name }
    },
    async keep(username, way, name) {
      const row = { device: deviceOf(way), method: way.kind, name }
      await db
        .insertInto('postern_duo_devices')
        .values({ username, ...row })
        .onConflict(conflict => conflict.column('username').doUpdateSet(row))
        .execute()
    },
    async forget(username, way) {
      const mine = db.deleteFrom('postern_duo_devices').where('username', '=', username)
      const these = way === undefined ? mine : mine.where('device', '=', deviceOf(way)).where('method', '=', way.kind)
      await these.execute()
    },
  }
}

const deviceOf = (way: Way) => (way.kind === 'passcode' ? '' : way.device)
