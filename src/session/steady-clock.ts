import type { FastifyBaseLogger } from 'fastify'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'

/**
 * A clock that never goes back: what the machine's clock is set back by is added again, so that no session lives longer for it. Set
 * forward counts as time that passed (a suspended machine), which ends sessions early rather than late.
 */
export function steadyClock(clock: Clock, log: FastifyBaseLogger): Clock {
  let latest: Milliseconds = clock()
  let offset: Milliseconds = 0
  return () => {
    const now = clock()
    if (now < latest) {
      const back = latest - now
      offset += back
      if (back >= SECOND)
        log.warn({ seconds: Math.round(back / SECOND) }, 'the clock of this machine was set back: sessions count on')
    }
    latest = now
    return now + offset
  }
}
