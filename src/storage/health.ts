import type { FastifyBaseLogger } from 'fastify'
import { type Milliseconds, SECOND } from '../clock.ts'
import { problems, type Reason } from '../problems/problems.ts'
import { newReference } from '../problems/reference.ts'

/** Tells the log where the state of what holds the records changes, and only there: not for each query that fails. */
export interface Health {
  /**
   * Returns the reference under which the log has it.
   * @param what `writes`: it can be read
   */
  failed(what: 'all' | 'writes', error: unknown): string
  worked(wrote: boolean): void
  /** What whoever looks at the file has found, or that it is as it was. */
  found(standing: 'storage-moved' | 'storage-broken' | 'storage-overwritten' | null): void
  /** Whether the records could not be reached, or not be written, when that was tried last. */
  readonly isDown: boolean
}

/** Some queries may go through while others fail: it is well again once none has failed for so long. */
const QUIET: Milliseconds = 2 * SECOND

interface Down {
  readonly ref: string
  readonly what: 'all' | 'writes'
  readonly since: Milliseconds
  readonly failedAt: Milliseconds
}

/**
 * @param name of what holds the records, as it begins a sentence: `PostgreSQL`
 * @param unwritable what is to be mended where it can only be read
 */
export function openHealth(name: string, log: FastifyBaseLogger, unwritable: Reason = 'records-down'): Health {
  let down: Down | null = null
  const now = () => performance.now()
  function isWell(): void {
    if (down === null) return
    log.info({ ref: down.ref, seconds: Math.round((now() - down.since) / SECOND) }, `${name} is well again`)
    down = null
  }
  return {
    get isDown() {
      return down !== null
    },
    failed(what, error) {
      const ref = down?.ref ?? newReference()
      if (down === null) {
        const trouble = what === 'all' ? 'does not answer' : 'cannot be written'
        const reason = what === 'all' ? 'records-down' : unwritable
        const { mend } = problems[reason]
        log.error({ ref, err: error, reason }, `${name} ${trouble}: what needs it is refused. ${mend}`)
      }
      down = { ref, what, since: down?.since ?? now(), failedAt: now() }
      return ref
    },
    worked(wrote) {
      if (down === null || (down.what === 'writes' && !wrote) || now() - down.failedAt < QUIET) return
      isWell()
    },
    found(reason) {
      if (reason === null) return isWell()
      const ref = down?.ref ?? newReference()
      const { title, mend } = problems[reason]
      log.error({ ref, reason }, `${title}: nothing is written to it. ${mend}`)
      down = { ref, what: 'writes', since: down?.since ?? now(), failedAt: now() }
    },
  }
}
