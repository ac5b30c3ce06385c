import type { Milliseconds } from '../clock.ts'

/** Why something may not be tried now. */
export interface Ban {
  readonly began: Milliseconds
  /** Null: until an administrator lifts it. */
  readonly until: Milliseconds | null
  /** What regulation brought, regulation may take back; what an administrator said stays until its end. */
  readonly by: 'regulation' | 'administrator'
  readonly reason: string | null
}

/** A try that was counted before it is made. It counts as failed until it is forgotten or taken back. */
export interface Counted {
  /** Rises with each try of this key. */
  readonly id: number
  /** Tries that are left after this one. */
  readonly left: number
  /** The end of the ban that it brought, in force already; null: it brought none. */
  readonly bannedUntil: Milliseconds | null
}

/**
 * Tries and bans by key. Each operation is atomic by itself, also towards other processes; none is ever half done.
 * Each rejects when the store does not answer: then nothing may be tried. Time is that of the clock it was opened with.
 */
export interface Counter {
  /** The ban in force; null where there is none. Changes nothing; a promise only where the answer is not at hand. */
  banned(key: string): Ban | null | Promise<Ban | null>
  /**
   * Counts one more try, unless a ban is in force: then nothing is counted. The `max_retries`-th within `find_time` brings a ban of
   * `ban_time`, in this same step, so that of many at once no more than `max_retries` are ever counted.
   */
  count(key: string): Promise<Counted | { readonly ban: Ban }>
  /** It was right: the tries up to this one are forgotten; those after it stay. Lifts regulation's ban where they no longer bring one. */
  forget(key: string, upTo: number): Promise<void>
  /** It was never evaluated: this one is not counted. Lifts regulation's ban where the others no longer bring one. */
  takeBack(key: string, id: number): Promise<void>
  /** Bans in force, the newest first. @param limit at most so many */
  bans(limit: number): Promise<readonly (Ban & { readonly key: string })[]>
  /** An administrator's ban, in place of whatever there was. It is never dropped for want of room. */
  ban(key: string, ban: { readonly until: Milliseconds | null; readonly reason: string | null }): Promise<void>
  /** Lifts the ban, whoever brought it, and forgets the tries. False: there was none in force. */
  lift(key: string): Promise<boolean>
}

/** `typed-names`: keys are digests of names as typed. `people`: canonical names. `passcodes`: those too. `addresses`: networks. */
export type CounterName = 'typed-names' | 'people' | 'passcodes' | 'addresses'

export interface Limits {
  /** From 1. */
  readonly max_retries: number
  readonly find_time: Milliseconds
  readonly ban_time: Milliseconds
}

/** One counter, over SQLite or over Redis. Opening it asks nothing of the store. */
export type OpenCounter = (name: CounterName, limits: Limits) => Counter
