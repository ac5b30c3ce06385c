import { Unavailable } from '../../problems/unavailable.ts'

/** What goes to Redis. Numbers travel as text. */
export type Argument = string | number

/** As RESP3 has it: text, number, null, boolean, array; a map is an object without prototype. Whoever asked checks its shape. */
export type Reply = unknown

/**
 * What several Posterns share: one server, one that Sentinels watch, or a Cluster. Each command has a deadline (`session.redis.timeout`), none waits
 * for a connection, and at most 10,000 are under way: what is over any of these is `RedisDown` at once.
 *
 * Keys are given without the prefix `postern:`. Keys that one script touches share a hash tag: `session:{…}`, `counter:{…}`.
 * In Redis text is UTF-8. Commands of one caller are carried out in the order in which they were given, as long as they are about one hash tag.
 */
export interface Redis {
  /**
   * One command about one key: `command('GET', 'session:{abc}')`, `command('SET', key, value, 'PX', 60_000)`.
   * @throws {RedisDown} whenever it is not known to be done: a write may still have been, or be done later
   */
  command(name: string, key: string, ...args: readonly Argument[]): Promise<Reply>
  /**
   * Lua that is sent once and called by its hash afterwards. Make it when the room is opened, not for each call.
   * `again`: what was done in the last ten minutes is done again before anything else on each new connection, since a new primary may not have heard
   * of it. For what takes something away, and may be done twice.
   */
  script(source: string, mode?: 'again'): Script
  /** Keys that begin so, without the prefix `postern:`, in pieces, from every node. Some may come twice, and what changes meanwhile may be missing. */
  scan(beginning: string): AsyncIterable<readonly string[]>
  /**
   * Tells of each change of keys that begin so, made by anybody, expiry and FLUSHALL included. Each call has a connection of its own. Two
   * beginnings of which one is the start of the other are two watches.
   */
  watch(beginning: string, watcher: Watcher): Watch
  /** Calls for each new connection to the server that has this key, before anything is read over it: what is there may be another state than before. */
  onRenewed(key: string, listener: () => void): void
  /** Why it cannot be used at this moment, or cannot be written; null: nothing is known to be wrong. For health and metrics. */
  readonly trouble: Trouble | null
  close(): Promise<void>
}

/** Runs the script as one step: nothing comes between, and a failure before its first write changes nothing. The first key decides the node. @throws {RedisDown} */
export type Script = (keys: readonly [string, ...string[]], args?: readonly Argument[]) => Promise<Reply>

export interface Watcher {
  /** A key (without `postern:`) was written, deleted, expired or evicted. */
  changed(key: string): void
  /** Anything may have changed: the connection broke or is new, or Redis was emptied. Whatever is cached is forgotten now. */
  lost(): void
}

export interface Watch {
  /**
   * Whether every change up to a second ago has been told: the heartbeat on this connection (all of them, in a Cluster) that was answered last was
   * sent less than a second ago. While it is false, nothing cached is believed; ask Redis. What was read while `changed` or `lost` came for the
   * key must not be cached: the answer may be older than the change.
   */
  isTrue(): boolean
  close(): void
}

export interface Trouble {
  /** Under which the log has it. */
  readonly ref: string
  readonly reason: RedisReason
  /** By the server's clock. */
  readonly since: number
}

/** Each is an entry of problems/ too. `redis-full` and `redis-read-only`: it can be read. */
export type RedisReason = 'redis-down' | 'redis-denied' | 'redis-tls' | 'redis-full' | 'redis-read-only'

/** Redis did not do it, or it is not known whether it did. Logged where the state changes, not for each command. */
export class RedisDown extends Unavailable {
  readonly reason: RedisReason
  constructor(reason: RedisReason, detail: string, cause?: unknown) {
    super(detail, { cause })
    this.name = 'RedisDown'
    this.reason = reason
  }
}
