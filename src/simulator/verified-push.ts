import { randomInt, randomUUID } from 'node:crypto'
import { type Clock, MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import type { AccountUser } from './users.ts'

/** A push whose code the client shows and the person enters on the phone. */
export interface Verification {
  readonly txid: string
  readonly code: string
}

/** Verified Push: preauth announces a push with its code, auth sends it. */
export interface Verifications {
  /** What preauth adds to its answer. */
  announce(user: AccountUser, digits: number): { txid: string; verification_code: string; expiration: number }
  /** The announced push of this user, which is not announced any more then. Undefined when there is none, or its time is over. */
  take(user: AccountUser, txid: string): Verification | undefined
}

const GOOD_FOR: Milliseconds = MINUTE
const ANNOUNCED_AT_MOST = 10_000

export function openVerifications(clock: Clock): Verifications {
  const announced = new Map<string, { userId: string; code: string; until: Milliseconds }>()
  return {
    announce(user, digits) {
      const txid = randomUUID()
      const code = String(randomInt(10 ** digits)).padStart(digits, '0')
      const until = clock() + GOOD_FOR
      announced.set(txid, { userId: user.id, code, until })
      for (const old of announced.keys()) {
        if (announced.size <= ANNOUNCED_AT_MOST) break
        announced.delete(old)
      }
      return { txid, verification_code: code, expiration: Math.floor(until / SECOND) }
    },
    take(user, txid) {
      const found = announced.get(txid)
      if (!found || found.userId !== user.id) return undefined
      announced.delete(txid)
      return clock() < found.until ? { txid, code: found.code } : undefined
    },
  }
}
