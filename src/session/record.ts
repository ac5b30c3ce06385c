import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Tables } from '../storage/tables.ts'
import type { Session, SessionRecord } from './session.ts'

/** A session as the store holds it. */
export type Row = Tables['postern_sessions']

const time = z.int().nonnegative()
const rowShape = z.object({
  key: z.string(),
  username: z.string().min(1),
  credential: z.string(),
  level: z.literal([1, 2]),
  cookie_domain: z.string().min(1),
  remember: z.literal([0, 1]),
  password_at: time,
  second_factor: z.string().nullable(),
  expires_at: time,
  tag: z.string(),
})
const secondFactorShape = z.strictObject({
  how: z.enum(['push', 'phone', 'passcode', 'duo-allow', 'failmode']),
  at: time,
  said: z.string(),
})

export interface Records {
  toRow(key: string, record: SessionRecord): Row
  /** The session in a row; undefined when it is not as we wrote it: altered, cut, moved under another key, another secret, another shape. */
  fromRow(row: Readonly<Record<string, unknown>>): Session | undefined
}

/**
 * Rows carry a message authentication code, so that whoever can write to the file, yet has not the secret, raises no level and moves no end.
 * @param secret `session.secret`
 */
export function recordsTaggedWith(secret: string): Records {
  const tagKey = Buffer.from(hkdfSync('sha256', secret, '', 'postern session record 1', 32))
  const tagOf = (row: Omit<Row, 'tag'>): Buffer =>
    createHmac('sha256', tagKey)
      .update(
        JSON.stringify([
          row.key,
          row.username,
          row.credential,
          row.level,
          row.cookie_domain,
          row.remember,
          row.password_at,
          row.second_factor,
          row.expires_at,
        ]),
      )
      .digest()
  return {
    toRow(key, record) {
      const row = {
        key,
        username: record.username,
        credential: record.credential,
        level: record.level,
        cookie_domain: record.cookieDomain,
        remember: record.remember ? (1 as const) : (0 as const),
        password_at: record.passwordAt,
        second_factor: record.secondFactor === null ? null : JSON.stringify(record.secondFactor),
        expires_at: record.expiresAt,
      }
      return { ...row, tag: tagOf(row).toString('base64url') }
    },
    fromRow(stored) {
      const row = rowShape.safeParse(stored).data
      if (row === undefined) return undefined
      const tag = Buffer.from(row.tag, 'base64url')
      const expected = tagOf(row)
      if (tag.length !== expected.length || !timingSafeEqual(tag, expected)) return undefined
      const secondFactor =
        row.second_factor === null ? null : secondFactorShape.safeParse(parsed(row.second_factor)).data
      if (secondFactor === undefined || (row.level === 2) !== (secondFactor !== null)) return undefined
      return Object.freeze({
        key: row.key,
        username: row.username,
        credential: row.credential,
        level: row.level,
        cookieDomain: row.cookie_domain,
        remember: row.remember === 1,
        passwordAt: row.password_at,
        secondFactor,
        expiresAt: row.expires_at,
      })
    },
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
