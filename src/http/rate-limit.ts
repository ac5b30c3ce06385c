import type { Clock, Milliseconds } from '../clock.ts'
import type { Bucket } from '../config/rate-limits.ts'
import { keyOfClient } from './client-address.ts'

/** What a process counts for its clients. */
export interface RateLimit {
  /**
   * Counts a request of this address, unless that would be one too many: then nothing is counted, and this is when it would not be.
   * @param ip undefined: all whose address is not known are counted together
   */
  take(ip: string | undefined): Milliseconds | null
}

const ADDRESSES_AT_MOST = 50_000

/**
 * So many requests of one address (or one IPv6 network of 64 bits) in any stretch of each bucket's period. In the memory of this process: who has
 * several lets an address through that often, and a restart forgets. Bounded: beyond `addressesAtMost` the one that is quiet for longest goes.
 */
export function rateLimit(
  { enable, buckets }: { readonly enable: boolean; readonly buckets: readonly Bucket[] },
  clock: Clock,
  addressesAtMost: number = ADDRESSES_AT_MOST,
): RateLimit {
  if (!enable) return { take: () => null }
  const longest = Math.max(...buckets.map(({ period }) => period))
  /** When each was let through, the oldest first. In the order of their last request, which is what a map keeps. */
  const taken = new Map<string, readonly Milliseconds[]>()

  return {
    take(ip) {
      const now = clock()
      const key = keyOfClient(ip)
      // What lies in the future was counted before the clock was set back.
      const lately = (taken.get(key) ?? []).filter(at => at > now - longest && at <= now)
      const free = Math.max(...buckets.map(bucket => freeAt(lately, bucket)))
      taken.delete(key)
      taken.set(key, free > now ? lately : [...lately, now])
      for (const quiet of taken.keys()) {
        if (taken.size <= addressesAtMost) break
        taken.delete(quiet)
      }
      return free > now ? free : null
    },
  }
}

/** When this bucket lets one more through; a moment that is over where it does already. */
function freeAt(times: readonly Milliseconds[], { period, requests }: Bucket): Milliseconds {
  const oldest = times.at(-requests)
  return times.length < requests || oldest === undefined ? 0 : oldest + period
}
