import { hkdfSync } from 'node:crypto'

/** A key of its own for each purpose, from `session.secret`, so that none can be used for another. */
export function deriveKey(secret: string, purpose: 'form token' | 'message'): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `postern portal ${purpose}`, 32))
}
