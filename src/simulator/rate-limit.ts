import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import { tooManyRequests } from './failure.ts'
import type { Policy } from './policy.ts'

/** Counts a user's calls of `auth` within the last minute. @throws DuoFailure 42901 when there were too many; that call does not count */
export function openRateLimit(clock: Clock, policy: () => Policy): (userId: string) => void {
  const recent = new Map<string, Milliseconds[]>()
  return userId => {
    const limit = policy().rateLimit
    if (!limit) return recent.clear()
    const now = clock()
    const within = (recent.get(userId) ?? []).filter(time => now - time < MINUTE)
    if (within.length >= limit.authsPerMinute) throw tooManyRequests(limit.retryAfter)
    recent.set(userId, [...within, now])
  }
}
