import { setTimeout as pause } from 'node:timers/promises'
import type { Milliseconds } from '../clock.ts'

const TRIES_AT_MOST = 200
const PAUSE: Milliseconds = 25
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6

/** Whether SQLite refused because somebody else is writing. The low byte is the code, the rest says which kind. */
export function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return false
  const code = error.errcode & 0xff
  return code === SQLITE_BUSY || code === SQLITE_LOCKED
}

/**
 * Does `work` as soon as no other connection writes: tries again for some five seconds, without holding the event loop meanwhile. That
 * matters inside one process too: a transaction of `records` spans awaits, so whoever waits for its lock must let it go on.
 * `work` must be a single statement or a transaction that is rolled back when it fails.
 * @throws what SQLite threw, once the time is over or when it is something else
 */
export async function whenFree<T>(work: () => T | Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!isBusy(error) || tries === TRIES_AT_MOST) throw error
      await pause(tries < 10 ? tries : PAUSE)
    }
  }
}
