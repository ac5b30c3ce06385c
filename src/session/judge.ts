import { MINUTE, type Milliseconds } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Found, SeenSession, Session } from './session.ts'
import type { LookedUp } from './store.ts'

type Ended = Extract<Found, { state: 'anonymous' }>['ended']

const anonymous = (ended: Ended): Found => Object.freeze({ state: 'anonymous', ended })
export const NOBODY = anonymous(null)
const OVER = { expired: anonymous('expired'), inactive: anonymous('inactive'), revoked: anonymous('revoked') } as const

/** How far the clocks of two processes may be apart, on one machine after it was set back, or on two. */
const AHEAD_AT_MOST = MINUTE

/** Why a session no longer lives, were it only for the time; null: it does. */
export function whyOver(
  { session, seenAt }: SeenSession,
  { inactivity }: CookieDomain,
  now: Milliseconds,
): 'expired' | 'inactive' | null {
  if (now >= session.expiresAt || Math.max(session.passwordAt, seenAt) > now + AHEAD_AT_MOST) return 'expired'
  return !session.remember && now >= seenAt + inactivity ? 'inactive' : null
}

/**
 * Who asks, by what the cookies of one name stand for: the same answer in any order. Live sessions of two people are nobody; of one person's
 * the higher level counts, then the newer.
 */
export function judge(looked: readonly LookedUp[], domain: CookieDomain, now: Milliseconds, audit: Audit): Found {
  let best: Exclude<LookedUp, string | null> | null = null
  let over: Ended = null
  for (const candidate of looked) {
    if (candidate === null) continue
    if (typeof candidate === 'string') {
      over = worse(over, candidate === 'gone' ? 'expired' : candidate)
      continue
    }
    const { session } = candidate
    if (session.cookieDomain !== domain.domain) {
      audit('session.foreign-domain', {
        username: session.username,
        host: domain.domain,
        detail: session.cookieDomain,
      })
      continue
    }
    const why = whyOver(candidate, domain, now)
    if (why !== null) {
      over = worse(over, why)
      continue
    }
    if (best !== null && best.session.username !== session.username) {
      audit('session.ambiguous', { host: domain.domain, detail: 'live sessions of two people' })
      return NOBODY
    }
    if (best === null || outranks(session, best.session)) best = candidate
  }
  return best?.found ?? (over === null ? NOBODY : OVER[over])
}

/** Of two live sessions of one person: the higher level, then the newer; the key only makes the answer the same in either order. */
function outranks(a: Session, b: Session): boolean {
  if (a.level !== b.level) return a.level > b.level
  if (a.passwordAt !== b.passwordAt) return a.passwordAt > b.passwordAt
  return a.key > b.key
}

/**
 * Which live sessions of one person are too many once `newest` has begun: the ones with the oldest passwords. In one order for all who ask at once,
 * so that two that begin together do not both end the other.
 */
export function beyondLimit(all: readonly SeenSession[], atMost: number, newest: string): readonly Session[] {
  return all
    .map(({ session }) => session)
    .sort((a, b) => b.passwordAt - a.passwordAt || (a.key > b.key ? -1 : 1))
    .slice(atMost)
    .filter(({ key }) => key !== newest)
}

/** Which of two reasons is told where a browser sent several cookies; a fixed order, so that theirs does not matter. */
function worse(a: Ended, b: NonNullable<Ended>): NonNullable<Ended> {
  return a !== null && reasons.indexOf(a) > reasons.indexOf(b) ? a : b
}
const reasons: readonly Ended[] = ['revoked', 'inactive', 'expired']
