import { createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, type JWK, SignJWT } from 'jose'
import { type Milliseconds, SECOND } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import { recent } from '../session/recent.ts'
import type { Person } from '../users/users.ts'
import type { Identity } from './identity.ts'

/** Signed statements of who somebody is, for applications that want to know that a header came from the gate. */
export interface Assertions {
  /** A JWT for this person at this host; a promise only where a new one must be signed. It is good for half the lifespan at least. */
  about(
    who: { person: Person; identity: Identity },
    domain: CookieDomain,
    host: string,
    now: Milliseconds,
  ): string | Promise<string>
  /** RFC 7517: the keys that they can be checked with. */
  readonly keys: { readonly keys: readonly JWK[] }
}

interface Signed {
  readonly person: Person
  readonly from: Milliseconds
  token: string | Promise<string>
}

const KEPT_AT_MOST = 10_000
// RFC 8410, section 7: what stands before the 32 bytes of an Ed25519 key in PKCS #8.
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * The key is derived from the secret: every process has the same, a restart changes nothing, and none lies on a disk.
 * @param secret `session.secret`
 */
export async function openAssertions(secret: string, lifespan: Milliseconds): Promise<Assertions> {
  const seed = Buffer.from(hkdfSync('sha256', secret, '', 'postern gate identity assertion', 32))
  const key = createPrivateKey({ key: Buffer.concat([ed25519Prefix, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = await exportJWK(createPublicKey(key))
  const kid = await calculateJwkThumbprint(publicKey)
  const kept = recent<Signed>(KEPT_AT_MOST / 2)

  function sign(
    person: Person,
    { groups, name, email }: Identity['claims'],
    issuer: string,
    host: string,
    now: Milliseconds,
  ) {
    const at = Math.floor(now / SECOND)
    return new SignJWT({ groups: [...groups], name, email })
      .setProtectedHeader({ alg: 'EdDSA', kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(host)
      .setSubject(person.username)
      .setIssuedAt(at)
      .setExpirationTime(at + Math.floor(lifespan / SECOND))
      .sign(key)
  }

  return {
    keys: { keys: [{ ...publicKey, kid, alg: 'EdDSA', use: 'sig' }] },
    about({ person, identity }, domain, host, now) {
      const id = `${host} ${person.username}`
      const known = kept.get(id)
      // Another object is another state of the person: a group that was taken counts at once.
      if (known?.person === person && now >= known.from && now < known.from + lifespan / 2) return known.token
      const token = sign(person, identity.claims, domain.authelia_url, host, now)
      const signed: Signed = { person, from: now, token }
      kept.set(id, signed)
      return token.then(text => {
        signed.token = text
        return text
      })
    },
  }
}
