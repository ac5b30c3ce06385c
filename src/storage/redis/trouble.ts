import type { FastifyBaseLogger } from 'fastify'
import { type Clock, type Milliseconds, SECOND } from '../../clock.ts'
import { problems } from '../../problems/problems.ts'
import { newReference } from '../../problems/reference.ts'
import type { RedisDown, Trouble } from './redis.ts'

/** So long nothing may have gone wrong before it counts, and is logged, as over. */
const OVER_AFTER: Milliseconds = 3 * SECOND
const PROBE_EVERY: Milliseconds = SECOND

export interface Troubles {
  readonly now: Trouble | null
  /** Whether it can be reached. */
  connection(fault: RedisDown | null): void
  /** It can be reached and refuses. `probe` is tried until it succeeds: nothing else would tell that it is over while nobody asks. */
  command(fault: RedisDown, probe: () => Promise<unknown>): void
  close(): void
}

/** What is wrong with Redis, logged once when it begins, once when it becomes something else, and once when it is over. */
export function openTrouble(clock: Clock, log: FastifyBaseLogger): Troubles {
  let unreachable: Trouble | null = null
  let refusing: Trouble | null = null
  let told: Trouble | null = null
  let over: NodeJS.Timeout | undefined
  let probing: NodeJS.Timeout | undefined

  function began({ reason, message }: RedisDown): Trouble {
    clearTimeout(over)
    if (told?.reason !== reason) {
      const { title, mend } = problems[reason]
      const ref = told?.ref ?? newReference()
      log.error({ ref, reason, detail: message }, `${title}. ${mend}`)
      told = { ref, reason, since: told?.since ?? clock() }
    }
    return told
  }

  function ended(): void {
    clearTimeout(over)
    over = setTimeout(() => {
      if (told === null) return
      const seconds = Math.round((clock() - told.since) / SECOND)
      log.info({ ref: told.ref, reason: told.reason, seconds }, 'Redis works again')
      told = null
    }, OVER_AFTER)
  }

  return {
    get now() {
      return unreachable ?? refusing
    },
    connection(fault) {
      unreachable = fault === null ? null : began(fault)
      if (fault === null && refusing === null) ended()
    },
    command(fault, probe) {
      refusing = began(fault)
      clearInterval(probing)
      probing = setInterval(() => {
        probe().then(
          () => {
            clearInterval(probing)
            refusing = null
            if (unreachable === null) ended()
          },
          () => {},
        )
      }, PROBE_EVERY)
    },
    close() {
      clearTimeout(over)
      clearInterval(probing)
    },
  }
}
