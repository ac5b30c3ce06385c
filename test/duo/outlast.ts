import { until } from '../support/process.ts'
import type { House } from './house.ts'

/**
 * Moves the clock on, step by step, until this has happened: whoever died is silent only once another has seen for as long as a lease lasts that
 * nobody renews it. Some ten seconds by that clock, far from the end of a push.
 */
export function outlast<T>(house: Pick<House, 'now'>, happened: () => T | Promise<T>, what: string) {
  return until(() => {
    house.now += 250
    return happened()
  }, what)
}
