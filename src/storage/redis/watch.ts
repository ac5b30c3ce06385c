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

/** A Cluster has a thousand servers at most. */
const TRIES_AT_MOST = 20_000

export const isProof = (key: string): boolean => key.includes(PROOF)

interface Proof {
  readonly beginning: string
  /** Writes a key where the commands go. */
  readonly write: (key: string) => Promise<unknown>
  /** Whether this server is the one that has such a key. */
  readonly fits?: (key: string) => boolean
}

/** A watch that can be told to look for its server anew. */
export interface LiveWatch extends Watch {
  leave(why: string): void
}

/**
 * A connection on which Redis tells of changes (`CLIENT TRACKING` in broadcasting mode: no key has to be read on it first). Messages and answers of one
 * connection come in order, so the answer to a heartbeat says that every change before it was sent has been told.
 * It is believed only once it has told of a key that was written where the commands go: then it is the same server, whatever lies between.
 */
export function openWatch(
  options: Pick<LinkOptions, 'access' | 'where' | 'inspect'>,
  { beginning, write, fits = () => true }: Proof,
  { changed, lost }: Watcher,
): LiveWatch {
  let heardFrom = Number.NEGATIVE_INFINITY
  let proof = ''
  let proven = false

  function seekProof(): void {
    let tries = 0
    do proof = `${beginning}${PROOF}${randomUUID()}`
    while (!fits(proof) && ++tries < TRIES_AT_MOST)
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
    close() {
      link.close()
      proven = false // of what changes from now on nothing is told
    },
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
