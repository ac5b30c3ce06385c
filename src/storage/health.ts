import type { FastifyBaseLogger } from 'fastify'
import { type Milliseconds, SECOND } from '../clock.ts'

/** Tells the log where the state of the records changes, and only there: not for each query that fails. */
export interface Health {
  /** @param what `writes`: it can be read */
  failed(what: 'all' | 'writes', error: unknown): void
  worked(wrote: boolean): void
  /** Whether the records could not be reached, or not be written, when that was tried last. */
  readonly isDown: boolean
}

/** Some queries may go through while others fail: it is well again once none has failed for so long. */
const QUIET: Milliseconds = 2 * SECOND

/** @param name of what holds the records, as it begins a sentence: `PostgreSQL` */
export function openHealth(name: string, log: FastifyBaseLogger): Health {
  let down: { readonly what: 'all' | 'writes'; readonly since: Milliseconds; failedAt: Milliseconds } | null = null
  const now = () => performance.now()
  return {
    get isDown() {
      return down !== null
    },
    failed(what, error) {
      if (down === null) {
        const trouble = what === 'all' ? 'does not answer' : 'cannot be written'
        log.error({ err: error, reason: 'records-down' }, `${name} ${trouble}: what needs records is refused meanwhile`)
      }
      down = { what, since: down?.since ?? now(), failedAt: now() }
    },
    worked(wrote) {
      if (down === null || (down.what === 'writes' && !wrote) || now() - down.failedAt < QUIET) return
      log.info({ seconds: Math.round((now() - down.since) / SECOND) }, `${name} is well again`)
      down = null
    },
  }
}
