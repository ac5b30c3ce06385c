import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Tables } from '../storage/tables.ts'
import type { Session, SessionRecord } from './session.ts'

/** A session as SQLite holds it. */
export type Row = Tables['postern_sessions']

/** What a record of the version before, which did not know, is said to come from. */
const UNKNOWN_BROWSER = 'Unknown browser'

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
  browser: z.string().nullable(),
  ip: z.string().nullable(),
  origin_tag: z.string().nullable(),
})
const secondFactorShape = z.strictObject({
  how: z.enum(['push', 'phone', 'passcode', 'duo-allow', 'failmode']),
  at: time,
  said: z.string(),
})
// What a later version adds is left out, not refused: two versions run side by side during an upgrade.
const recordShape = z.object({
  username: z.string().min(1),
  credential: z.string(),
  level: z.literal([1, 2]),
  cookieDomain: z.string().min(1),
  remember: z.boolean(),
  passwordAt: time,
  secondFactor: secondFactorShape.nullable(),
  expiresAt: time,
  browser: z.string(),
  ip: z.string().optional(),
})

export interface Records {
  toRow(key: string, record: SessionRecord): Row
  /** The session in a row; undefined when it is not as we wrote it: altered, cut, moved under another key, another secret, another shape. */
  fromRow(row: Readonly<Record<string, unknown>>): Session | undefined
  /** For a store that holds one text for each key: the code, a dot, and JSON. */
  toText(key: string, record: SessionRecord): string
  /** As `fromRow`. */
  fromText(key: string, text: string): Session | undefined
  /** Tells one `session.secret` from another, and nothing of what it is. */
  readonly secretFingerprint: string
}

/**
 * Records carry a message authentication code, so that whoever can write to the store, yet has not the secret, raises no level and moves no end.
 * @param secret `session.secret`
 */
export function recordsTaggedWith(secret: string): Records {
  const keyFor = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, '', purpose, 32))
  const tagger = (purpose: string) => {
    const key = keyFor(purpose)
    return (...parts: readonly (string | number | null)[]) =>
      createHmac('sha256', key).update(JSON.stringify(parts)).digest()
  }
  const rowTag = tagger('postern session record 1')
  // Apart from the other, so that a version before this one, which does not know of it, takes the record and is taken.
  const originTag = tagger('postern session origin 1')
  const textTag = tagger('postern session text 1')
  const tagOf = (row: Omit<Row, 'tag' | 'browser' | 'ip' | 'origin_tag'>) =>
    rowTag(
      row.key,
      row.username,
      row.credential,
      row.level,
      row.cookie_domain,
      row.remember,
      row.password_at,
      row.second_factor,
      row.expires_at,
    )

  function originOf({ key, browser, ip, origin_tag }: z.infer<typeof rowShape>) {
    if (origin_tag === null)
      return browser === null && ip === null ? { browser: UNKNOWN_BROWSER, ip: undefined } : undefined
    if (browser === null || !isTag(origin_tag, originTag(key, browser, ip))) return undefined
    return { browser, ip: ip ?? undefined }
  }

  return {
    secretFingerprint: keyFor('postern session secret fingerprint').toString('base64url').slice(0, 12),

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
        browser: record.browser,
        ip: record.ip ?? null,
      }
      const origin_tag = originTag(key, row.browser, row.ip).toString('base64url')
      return { ...row, tag: tagOf(row).toString('base64url'), origin_tag }
    },

    fromRow(stored) {
      const row = rowShape.safeParse(stored).data
      if (row === undefined || !isTag(row.tag, tagOf(row))) return undefined
      const origin = originOf(row)
      const secondFactor =
        row.second_factor === null ? null : secondFactorShape.safeParse(parsed(row.second_factor)).data
      if (origin === undefined || secondFactor === undefined || !isLevelOf(row.level, secondFactor)) return undefined
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
        ...origin,
      })
    },

    toText(key, record) {
      const json = JSON.stringify(record)
      return `${textTag(key, json).toString('base64url')}.${json}`
    },

    fromText(key, text) {
      const dot = text.indexOf('.')
      const json = text.slice(dot + 1)
      if (dot === -1 || !isTag(text.slice(0, dot), textTag(key, json))) return undefined
      const record = recordShape.safeParse(parsed(json)).data
      if (record === undefined || !isLevelOf(record.level, record.secondFactor)) return undefined
      return Object.freeze({ ...record, ip: record.ip, key })
    },
  }
}

function isTag(text: string, expected: Buffer): boolean {
  const tag = Buffer.from(text, 'base64url')
  return tag.length === expected.length && timingSafeEqual(tag, expected)
}

function isLevelOf(level: 1 | 2, secondFactor: object | null): boolean {
  return (level === 2) === (secondFactor !== null)
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
