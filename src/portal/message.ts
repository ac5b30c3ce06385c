import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { CLOCK_TOLERANCE, type Clock, type Milliseconds, SECOND } from '../clock.ts'
import { isReason, type Reason } from '../problems/problems.ts'
import { deriveKey } from './keys.ts'

/** It lives just long enough for the page after the 303. */
export const MESSAGE_LIFETIME = 60 * SECOND

const reason = z.custom<Reason>(value => typeof value === 'string' && isReason(value))

const schema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('wrong'), username: z.string(), triesLeft: z.number().nullable() }),
  z.object({ kind: z.literal('empty'), username: z.string(), missing: z.enum(['username', 'password', 'both']) }),
  z.object({
    kind: z.literal('banned'),
    username: z.string(),
    until: z.number().nullable(),
    whose: z.enum(['name', 'address']),
    by: z.enum(['regulation', 'administrator']),
  }),
  z.object({ kind: z.literal('limited'), until: z.number() }),
  z.object({ kind: z.literal('down'), ref: z.string(), reason: reason.optional() }),
  z.object({ kind: z.literal('stale') }),
  z.object({ kind: z.literal('fraud'), username: z.string(), ref: z.string() }),
  z.object({ kind: z.literal('cancelled') }),
  z.object({ kind: z.literal('failed'), ref: z.string() }),
  z.object({ kind: z.literal('unknown-device') }),
  z.object({ kind: z.literal('not-enrolled') }),
  z.object({ kind: z.literal('busy'), until: z.number() }),
  z.object({ kind: z.literal('paused'), until: z.number(), why: z.enum(['denied', 'fraud', 'budget']) }),
  z.object({ kind: z.literal('locked'), ref: z.string() }),
  z.object({ kind: z.literal('sms-sent'), device: z.string(), nextCode: z.string().nullable() }),
  z.object({ kind: z.literal('sms-wait'), until: z.number() }),
  z.object({ kind: z.literal('sms-refused'), said: z.string() }),
  z.object({ kind: z.literal('passcode-empty') }),
  z.object({ kind: z.literal('passcode-malformed') }),
  z.object({ kind: z.literal('passcode-wrong'), triesLeft: z.number().nullable() }),
  z.object({
    kind: z.literal('settings'),
    news: z.union([
      z.object({ did: z.enum(['ended', 'browser']), browser: z.string() }),
      z.object({ did: z.literal('others'), count: z.number() }),
      z.object({ did: z.enum(['browsers', 'forgot-way', 'kept-way', 'gone', 'no-way', 'no-ways']) }),
    ]),
  }),
  z.object({ kind: z.literal('everywhere'), count: z.number() }),
  // In cookies of their own: where a browser was sent and how often in a row, and for which push it asked to be remembered.
  z.object({ kind: z.literal('went'), to: z.string(), times: z.int() }),
  z.object({ kind: z.literal('remember'), push: z.string() }),
])

/** What the page after a POST has to say. Never a password. */
export type Message = z.infer<typeof schema>

export interface Messages {
  seal(message: Message): string
  /** The first of the cookie's values that this server sealed a short time ago. @param within default: a minute */
  open(cookies: readonly string[], within?: Milliseconds): Message | undefined
}

export function createMessages(secret: string, clock: Clock): Messages {
  const key = deriveKey(secret, 'message')
  const openOne = (cookie: string, within: Milliseconds): Message | undefined => {
    const bytes = Buffer.from(cookie, 'base64url')
    if (bytes.length < 29) return undefined
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 })
      decipher.setAuthTag(bytes.subarray(12, 28))
      const text = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString()
      const { at, message } = z.object({ at: z.number(), message: schema }).parse(JSON.parse(text))
      const age = clock() - at
      return age >= -CLOCK_TOLERANCE && age < within ? message : undefined
    } catch {
      return undefined // not sealed by this server, or by an older version of it
    }
  }
  return {
    seal(message) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 })
      const text = Buffer.concat([cipher.update(JSON.stringify({ at: clock(), message })), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url')
    },
    open: (cookies, within = MESSAGE_LIFETIME) =>
      cookies.map(cookie => openOne(cookie, within)).find(message => message !== undefined),
  }
}
