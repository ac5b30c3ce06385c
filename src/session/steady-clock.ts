import type { FastifyBaseLogger } from 'fastify'
import { type Clock, MINUTE, type Milliseconds, SECOND } from '../clock.ts'

/** More than any correction of a clock that runs a little wrong. */
const JUMP: Milliseconds = MINUTE

/**
 * A clock that never goes back: what the machine's clock is set back by is added again, so that no session lives longer for it. Set
 * forward counts as time that passed (a suspended machine), which ends sessions early rather than late. Both are logged.
 */
export function steadyClock(clock: Clock, log: FastifyBaseLogger): Clock {
  let latest: Milliseconds = clock()
  let offset: Milliseconds = 0
  // Goes on while nobody asks, and stands still while the machine sleeps.
  let ran: Milliseconds = performance.now()
  return () => {
    const now = clock()
    if (now === latest) return now + offset // as most requests of a busy gate find it
    const running = performance.now()
    if (now < latest) {
      const back = latest - now
      offset += back
      if (back >= SECOND)
        log.warn({ seconds: Math.round(back / SECOND) }, 'the clock of this machine was set back: sessions count on')
    } else if (now - latest - (running - ran) >= JUMP)
      log.warn(
        { seconds: Math.round((now - latest) / SECOND) },
        'the clock of this machine was set forward, or the machine slept: for sessions that time has passed',
      )
    latest = now
    ran = running
    return now + offset
  }
}
