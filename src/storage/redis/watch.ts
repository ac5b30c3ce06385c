import { BasicClientSideCache } from '@redis/client'
import { type Milliseconds, SECOND } from '../../clock.ts'
import { type Link, type LinkOptions, openLink } from './link.ts'
import type { Watch, Watcher } from './redis.ts'

const HEARTBEAT: Milliseconds = SECOND / 4
/** What was true so long ago is believed no more. Documented in docs/redis.md: so long a session that was ended may still be let in, at most. */
const BELIEVED_FOR: Milliseconds = SECOND

/**
 * A connection on which Redis tells of changes (`CLIENT TRACKING` in broadcasting mode: no key has to be read on it first). Messages and answers of one
 * connection come in order, so the answer to a heartbeat says that every change before it was sent has been told.
 */
export function openWatch(
  options: Pick<LinkOptions, 'access' | 'where' | 'inspect'>,
  beginning: string,
  { changed, lost }: Watcher,
): Watch {
  let heardFrom = Number.NEGATIVE_INFINITY
  const link: Link = openLink({
    ...options,
    heartbeat: HEARTBEAT,
    heard: sentAt => {
      heardFrom = sentAt
    },
    changed: () => {
      heardFrom = Number.NEGATIVE_INFINITY
      lost()
    },
    tracking: new Tracking(beginning, key => (key === null ? lost() : changed(key))),
  })
  return { isTrue: () => performance.now() - heardFrom < BELIEVED_FOR, close: link.close }
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
