import type { Milliseconds } from '../clock.ts'
import type { Found, SeenSession, SessionRecord } from './session.ts'

/** A record that was read once. It never changes; its stamp of activity does. */
export interface Known extends SeenSession {
  /** Made once, since it is the answer to most requests. */
  readonly found: Extract<Found, { state: 'live' }>
  seenAt: Milliseconds
  /** Not to be stamped again before. */
  nextStamp: Milliseconds
}

/** Null: the value is not ours, and no store was asked. */
export type LookedUp = Known | 'gone' | 'revoked' | null

/** Where records are kept. What lives is judged outside of it, and a failure of it is told as it is. */
export interface SessionStore {
  /** What a cookie's value stands for. A promise only where it is not known here. */
  lookUp(value: string): LookedUp | Promise<LookedUp>
  /** Past any cache. Null: there is none, or it is not as we wrote it. */
  read(key: string): Promise<SeenSession | null>
  /**
   * A new record. `replaces` is gone before it can be found. Beyond `atMost` live ones of the person the oldest end;
   * returns how many did. `'ended'`: all that the person has were ended in the same moment, this one with them.
   */
  start(key: string, record: SessionRecord, now: Milliseconds, wishes: StartWishes): Promise<number | 'ended'>
  /** The record that `next` makes in place of the old one: once, whoever tries at the same time. Null: there was none, or `next` gave null for it. */
  replace(old: string, key: string, next: (old: SeenSession) => SessionRecord | null): Promise<SessionRecord | null>
  end(key: string): Promise<void>
  endAllOf(username: string, except: string | undefined): Promise<number>
  /** Everybody's whose password was accepted before this moment. Returns how many of them lived. */
  endAll(before: Milliseconds, lives: (seen: SeenSession) => boolean): Promise<number>
  allOf(username: string): Promise<readonly SeenSession[]>
  /** `limit` of those that pass the filter; where the store knows, the one that was active last first. */
  some(limit: number, passes: (seen: SeenSession) => boolean): Promise<readonly SeenSession[]>
  withKeyPrefix(prefix: string, limit: number): Promise<readonly SeenSession[]>
  /** What is in memory of it. */
  known(session: SeenSession['session']): Known | undefined
  /** Moves a stamp that lies between the two times, soon. Never inserts, never throws. */
  stamp(session: SeenSession['session'], now: Milliseconds, between: readonly [Milliseconds, Milliseconds]): void
  /** Notes that this secret is in use, and tells of every other one when it was noted last. */
  noteSecret(fingerprint: string, now: Milliseconds): Promise<ReadonlyMap<string, Milliseconds>>
  close(): void
}

export interface StartWishes {
  readonly replaces: string | null
  readonly atMost: number | undefined
  readonly lives: (seen: SeenSession) => boolean
}
