import type { Link } from './link.ts'
import type { Argument, RedisDown, Reply, Watch, Watcher } from './redis.ts'

/** What is behind the face: one primary, or those of a Cluster. Keys carry the prefix here. */
export interface Servers {
  /** To the one that has this key. */
  send(key: string, args: readonly Argument[]): Promise<Reply>
  /** All that have keys. */
  all(): readonly Pick<Link, 'send'>[]
  watch(beginning: string, watcher: Watcher): Watch
  /** Why some keys cannot be reached; null: all can. */
  readonly fault: RedisDown | null
  close(): void
}
