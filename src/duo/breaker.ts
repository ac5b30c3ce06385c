import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleType } from 'cockatiel'
import type { FastifyBaseLogger } from 'fastify'
import { type Milliseconds, SECOND } from '../clock.ts'
import type { DuoAnswer } from './client.ts'
import { type DuoFailure, isOutage, unavailable } from './failure.ts'

const FAILURES_IN_A_ROW = 5
const PAUSE: Milliseconds = 10 * SECOND

/** Spares people the wait for a Duo that is down: after some failures in a row, which a probe confirms, the next calls fail at once. */
export interface Breaker {
  /** The call's answer; or, while calls are paused, the failure that paused them. */
  through<T>(call: () => Promise<DuoAnswer<T>>): Promise<DuoAnswer<T>>
}

interface Parts {
  /** Asks once whether Duo is there again. A person waits for it: short. */
  readonly probe: () => Promise<DuoAnswer<unknown>>
  readonly log: FastifyBaseLogger
  /** For tests: how long calls are paused before the next probe. */
  readonly pause?: Milliseconds | undefined
}

class Outage extends Error {
  readonly failure: DuoFailure

  constructor(failure: DuoFailure) {
    super(failure.reason)
    this.failure = failure
  }
}

export function openBreaker({ probe, log, pause = PAUSE }: Parts): Breaker {
  // The pause is measured here: cockatiel's own goes by the wall clock, and one that is set back an hour would pause for an hour.
  const policy = circuitBreaker(handleType(Outage), {
    halfOpenAfter: Number.NEGATIVE_INFINITY,
    breaker: new ConsecutiveBreaker(FAILURES_IN_A_ROW),
  })
  let last: DuoFailure = unavailable('duo-unreachable', '', false)
  let was = CircuitState.Closed
  let isTold = false
  let probeFrom = 0
  let probing: Promise<DuoAnswer<unknown>> | undefined
  policy.onStateChange(state => {
    const before = was
    was = state
    if (state === CircuitState.Open) {
      probeFrom = performance.now() + pause
      // Confirmed at once: what fails for one person alone must not fail for everybody, nor let everybody pass where the failmode is safe.
      if (before === CircuitState.Closed) void ask()
      else if (!isTold) {
        isTold = true
        log.warn(
          { reason: last.reason, detail: last.detail },
          'calls to Duo are paused for a moment: it does not answer',
        )
      }
    } else if (state === CircuitState.Closed && isTold) {
      isTold = false
      log.info('Duo answers again')
    }
  })

  /** One probe for all who come meanwhile. */
  function ask(): Promise<DuoAnswer<unknown>> {
    probing ??= attempt(probe).finally(() => {
      probing = undefined
    })
    return probing
  }

  async function attempt<T>(call: () => Promise<DuoAnswer<T>>): Promise<DuoAnswer<T>> {
    try {
      return await policy.execute(async () => {
        const answer = await call()
        if (answer.ok || !isOutage(answer.failure)) return answer
        last = answer.failure
        throw new Outage(answer.failure)
      })
    } catch (error) {
      if (error instanceof Outage) return { ok: false, failure: error.failure }
      throw error
    }
  }

  return {
    async through(call) {
      if (policy.state !== CircuitState.Closed) {
        if (probing === undefined && performance.now() < probeFrom)
          return { ok: false, failure: { ...last, sent: false } }
        const probed = await ask()
        if (!probed.ok && isOutage(probed.failure)) return { ok: false, failure: { ...probed.failure, sent: false } }
      }
      return attempt(call)
    },
  }
}
