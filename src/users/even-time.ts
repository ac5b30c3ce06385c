import { type Milliseconds, SECOND } from '../clock.ts'

/** A time for tests to move. Not the server's clock: that one may stand still, or be set. */
export interface Timer {
  now(): Milliseconds
  wait(span: Milliseconds): Promise<void>
}

export interface EvenTime {
  /** Notes how long one verification of this cost took. */
  learn(cost: string, took: Milliseconds): void
  /** Forgets costs that no hash has any more. */
  keep(costs: ReadonlySet<string>): void
  /** Ends when an answer to something that began then may leave. */
  until(began: Milliseconds): Promise<void>
}

const MARGIN = 1.25
const FORGET = 0.9
// A machine that slept meanwhile must not make refusals wait for hours.
const MOST: Milliseconds = 5 * SECOND
// Nothing measured yet, or all hashes are very cheap: a floor over the noise of the rest of a request.
const LEAST: Milliseconds = 100

/**
 * Makes refusals take equally long, whatever the hash (or none) behind the name. Doing the same work for everybody is not enough: a file
 * may hold bcrypt beside argon2id, and an unknown name can have only one of them. So an answer leaves at a multiple of one step, and the
 * step is longer than the slowest verification that this file can ask for, by what was measured here lately. Multiples, because
 * in a rush the queue makes some answers miss the first step, and those must not show by how much. How busy the machine is counts for all
 * costs at once: were each remembered apart, the step would tell which one is being tried.
 */
export function createEvenTime(timer: Timer): EvenTime {
  /** What each cost takes when nothing disturbs it. */
  const undisturbed = new Map<string, Milliseconds>()
  let slowdown = 1
  const step = () => Math.max(LEAST, MARGIN * Math.min(MOST, slowdown * Math.max(0, ...undisturbed.values())))
  return {
    learn(cost, took) {
      const usual = Math.max(1, Math.min(took, undisturbed.get(cost) ?? MOST))
      undisturbed.set(cost, usual)
      slowdown = Math.max(1, took / usual, slowdown * FORGET)
      slowdown = Math.min(slowdown, MOST / usual)
    },
    keep(costs) {
      for (const cost of undisturbed.keys()) if (!costs.has(cost)) undisturbed.delete(cost)
    },
    async until(began) {
      const elapsed = timer.now() - began
      const span = step()
      await timer.wait(span * Math.max(1, Math.ceil(elapsed / span)) - elapsed)
    },
  }
}
