import { randomUUID } from 'node:crypto'
import { BasicClientSideCache } from '@redis/client'
import { type Milliseconds, SECOND } from '../../clock.ts'
import { type LinkOptions, openLink } from './link.ts'
import type { Watch, Watcher } from './redis.ts'

const HEARTBEAT: Milliseconds = SECOND / 4
/** What was true so long ago is believed no more. Documented in docs/redis.md: so long a session that was ended may still be let in, at most. */
const BELIEVED_FOR: Milliseconds = SECOND
/** Stands in keys that nobody but a watch has written. */
const PROOF = '\0watch:'

export const isProof = (key: string): boolean => key.includes(PROOF)

/** A watch that can be told to look for its server anew. */
export interface LiveWatch extends Watch {
  leave(why: string): void
}

/**
 * A connection on which Redis tells of changes (`CLIENT TRACKING` in broadcasting mode: no key has to be read on it first). Messages and answers of one
 * connection come in order, so the answer to a heartbeat says that every change before it was sent has been told.
 * @param write writes a key where the commands go: only when that change is told here is this the same server, whatever lies between
 */
export function openWatch(
  options: Pick<LinkOptions, 'access' | 'where' | 'inspect'>,
  { beginning, write }: { beginning: string; write: (key: string) => Promise<unknown> },
  { changed, lost }: Watcher,
): LiveWatch {
  let heardFrom = Number.NEGATIVE_INFINITY
  let proof = ''
  let proven = false

  function seekProof(): void {
    proof = `${beginning}${PROOF}${randomUUID()}`
    write(proof).catch(() => {}) // the next heartbeat tries again
  }

  function told(key: string | null): void {
    if (key === null) lost()
    else if (!isProof(key)) changed(key)
    else if (key === proof) proven = true
  }

  const link = openLink({
    ...options,
    heartbeat: HEARTBEAT,
    heard: sentAt => {
      heardFrom = sentAt
      if (!proven) seekProof()
    },
    changed: () => {
      heardFrom = Number.NEGATIVE_INFINITY
      proven = false
      lost()
    },
    tracking: new Tracking(beginning, told),
  })
  return {
    isTrue: () => proven && performance.now() - heardFrom < BELIEVED_FOR,
    leave: link.leave,
    close: link.close,
  }
}

/** Stands where node-redis has its cache: what it would cache is not asked for on this connection, so only the messages are of use. */
class Tracking extends BasicClientSideCache {
  readonly #beginning: string
  readonly #tell: (key: string | null) => void
  constructor(beginning: string, tell: (key: string | null) => void) {
    super({ recordStats: false })
    this.#beginning = beginning
    this.#tell = tell
  }
  override trackingOn(): string[] {
    return ['CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', this.#beginning]
  }
  override invalidate(key: Buffer | string | null): void {
    this.#tell(key === null ? null : String(key))
  }
  override onError(): void {}
  override onClose(): void {}
}
