import type { Reason } from './problems.ts'

/** Something that Postern needs does not answer now: refused with 503 for the moment, logged by `reason`, and nobody's mistake. */
export abstract class Unavailable extends Error {
  abstract readonly reason: Reason
}
