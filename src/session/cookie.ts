import { createHash, randomBytes } from 'node:crypto'
import fastifyCookie, { type CookieSerializeOptions } from '@fastify/cookie'
import type { Milliseconds } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'

const ID_BYTES = 32
// The id in base64url, a dot, and @fastify/cookie's signature: HMAC-SHA-256 in base64 without padding.
const signedValue = /^([A-Za-z0-9_-]{43})\.[A-Za-z0-9+/]{43}$/

export interface CookieValues {
  /** A value with a fresh id in it, and the key that the store knows the id by. */
  mint(): { readonly value: string; readonly key: string }
  /** The key of a value that we signed; null for any other. Compares in constant time; asks no store. */
  keyOf(value: string): string | null
}

/** @param secret `session.secret` */
export function cookieValuesSignedWith(secret: string): CookieValues {
  const signer = new fastifyCookie.Signer(secret)
  return {
    mint() {
      const id = randomBytes(ID_BYTES).toString('base64url')
      return { value: signer.sign(id), key: keyOfId(id) }
    },
    keyOf(value) {
      const id = signedValue.exec(value)?.[1]
      return id !== undefined && signer.unsign(value).valid ? keyOfId(id) : null
    },
  }
}

/** What an id is stored as: a store that is read by a thief opens no session. No salt: the id is 256 random bits. */
export function keyOfId(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

/** The id in a value that is known to be ours. */
export function idIn(value: string): string {
  return value.slice(0, value.lastIndexOf('.'))
}

/** @param maxAge undefined: until the browser is closed */
export function cookieOptions(domain: CookieDomain, maxAge: Milliseconds | undefined): CookieSerializeOptions {
  return {
    domain: domain.domain,
    path: '/',
    secure: true, // also on http://*.localhost, where browsers accept it
    httpOnly: true,
    sameSite: domain.same_site,
    encode: value => value, // nothing in it needs it, and find compares the header as it was sent
    // No Expires: that would compare the browser's clock with ours.
    ...(maxAge === undefined ? {} : { maxAge: Math.floor(maxAge / 1000) }),
  }
}
