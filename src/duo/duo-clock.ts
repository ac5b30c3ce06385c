import type { FastifyBaseLogger } from 'fastify'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import { problems } from '../problems/problems.ts'

/** Duo's time as this machine has learnt it, for the Date of a signature alone. */
export interface DuoClock {
  readonly now: Clock
  /** This machine's clock minus Duo's, in seconds; undefined until Duo has told its time. */
  readonly offsetSeconds: number | undefined
  /** What is taken from this machine's time; 0 while the two agree. */
  readonly correction: Milliseconds
  /** @param seconds Duo's time since the epoch, just received */
  learn(seconds: number): void
}

/** Duo refuses what is dated five minutes wrong; half a minute is more than the network explains. */
export const CORRECTED_FROM_SECONDS = 30

/** A clock that is wrong is worked around, and named in the log as often as it changes by much. */
export function duoClock(clock: Clock, log: FastifyBaseLogger): DuoClock {
  let offsetSeconds: number | undefined
  let correction: Milliseconds = 0
  return {
    now: () => clock() - correction,
    get correction() {
      return correction
    },
    get offsetSeconds() {
      return offsetSeconds
    },
    learn(seconds) {
      offsetSeconds = Math.round(clock() / SECOND) - seconds
      const wanted = Math.abs(offsetSeconds) < CORRECTED_FROM_SECONDS ? 0 : offsetSeconds * SECOND
      // A second more or less is the network's.
      if (wanted !== 0 && Math.abs(wanted - correction) < CORRECTED_FROM_SECONDS * SECOND) return
      if (wanted === correction) return
      correction = wanted
      const { title, mend } = problems['clock-off']
      if (wanted === 0) log.info({ clockOffsetSeconds: offsetSeconds }, 'this machine’s clock agrees with Duo’s again')
      else log.warn({ reason: 'clock-off', clockOffsetSeconds: offsetSeconds }, `${title}. ${mend}`)
    },
  }
}
