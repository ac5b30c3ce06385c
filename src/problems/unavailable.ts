import type { Reason } from './problems.ts'

/** Something that Postern needs does not answer now: refused with 503 for the moment, logged by `reason`, and nobody's mistake. */
export abstract class Unavailable extends Error {
  abstract readonly reason: Reason
  /** Under which the log has this outage, where what noticed its begin has told it; undefined: nobody has yet. */
  ref?: string
}
