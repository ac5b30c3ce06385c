import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { CLOCK_TOLERANCE, type Clock, HOUR } from '../clock.ts'
import { deriveKey } from './keys.ts'

// A page that was left open overnight still works.
const LIFETIME = 24 * HOUR
const TIME_BYTES = 6
const TOKEN_BYTES = TIME_BYTES + 32

export interface FormTokens {
  /** A value for the cookie that ties forms to a browser. Nothing stores it. */
  newCookie(): string
  isCookie(value: string): boolean
  /** A fresh spelling each time, so that a page's compressed size tells nothing about it (BREACH). */
  issue(cookie: string): string
  /** @param cookies all values that came under the cookie's name */
  accepts(cookies: readonly string[], token: string | undefined): boolean
}

/** Stateless tokens against forged forms: an HMAC of the browser's cookie and the time. */
export function createFormTokens(secret: string, clock: Clock): FormTokens {
  const key = deriveKey(secret, 'form token')
  const isCookie = (value: string) => /^[\w-]{22}$/.test(value)
  const seal = (cookie: string, time: Buffer) => createHmac('sha256', key).update(time).update(cookie).digest()
  const mask = (bytes: Buffer, with_: Buffer) => Buffer.from(bytes.map((byte, i) => byte ^ (with_[i] ?? 0)))
  return {
    newCookie: () => randomBytes(16).toString('base64url'),
    isCookie,
    issue(cookie) {
      const time = Buffer.alloc(TIME_BYTES)
      time.writeUIntBE(clock(), 0, TIME_BYTES)
      const pad = randomBytes(TOKEN_BYTES)
      return Buffer.concat([pad, mask(Buffer.concat([time, seal(cookie, time)]), pad)]).toString('base64url')
    },
    accepts(cookies, token) {
      const bytes = Buffer.from(token ?? '', 'base64url')
      if (bytes.length !== 2 * TOKEN_BYTES) return false
      const plain = mask(bytes.subarray(TOKEN_BYTES), bytes.subarray(0, TOKEN_BYTES))
      const time = plain.subarray(0, TIME_BYTES)
      const age = clock() - time.readUIntBE(0, TIME_BYTES)
      if (age < -CLOCK_TOLERANCE || age > LIFETIME) return false
      const given = plain.subarray(TIME_BYTES)
      return cookies.some(cookie => isCookie(cookie) && timingSafeEqual(seal(cookie, time), given))
    },
  }
}
