import type { FastifyBaseLogger } from 'fastify'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import { problems, type Reason } from '../problems/problems.ts'
import { newReference } from '../problems/reference.ts'
import { Unavailable } from '../problems/unavailable.ts'

/** What a page and the log have in common about something that does not answer. */
export interface Outage {
  readonly ref: string
  readonly reason: Reason
}

/**
 * Somebody is refused, since something does not answer. All who are refused by one outage are given the same reference, and the log holds it:
 * when the outage begins, and once a minute with how many were refused. Never a line for each.
 */
export type Refuse = (error: Unavailable) => Outage

interface Known {
  readonly outage: Outage
  /** Since it was last told how many. */
  refused: number
  toldAt: Milliseconds
  refusedAt: Milliseconds
}

const KNOWN_AT_MOST = 50

/** One for all that refuse. What notices its own outages has told of them already, by the error's `ref`; the others are told of here. */
export function outages(log: FastifyBaseLogger, clock: Clock): Refuse {
  const known = new Map<string, Known>()
  return error => {
    const { ref, reason } = rootOf(error)
    const now = clock()
    const key = ref ?? reason
    const before = known.get(key)
    const { title, mend } = problems[reason]
    // Without a reference of its own nothing says when it is over: another one, after a minute in which nobody was refused.
    if (before === undefined || (ref === undefined && Math.abs(now - before.refusedAt) >= MINUTE)) {
      const outage = { ref: ref ?? newReference(), reason }
      known.delete(key)
      const [oldest] = known.keys()
      if (known.size >= KNOWN_AT_MOST && oldest !== undefined) known.delete(oldest)
      known.set(key, { outage, refused: 1, toldAt: now, refusedAt: now })
      if (ref === undefined) log.error({ ...outage, err: error }, `${title}. ${mend}`)
      return outage
    }
    before.refused++
    before.refusedAt = now
    if (Math.abs(now - before.toldAt) >= MINUTE) {
      log.warn({ ...before.outage, count: before.refused }, `${title}: people are still refused`)
      before.refused = 0
      before.toldAt = now
    }
    return before.outage
  }
}

/** Redis under the session store, say: what is to be mended. */
function rootOf(error: Unavailable): Unavailable {
  return error.cause instanceof Unavailable ? rootOf(error.cause) : error
}
