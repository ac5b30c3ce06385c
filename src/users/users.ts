import type { Milliseconds } from '../clock.ts'
import { Unavailable } from '../problems/unavailable.ts'

/** What is known of a person now. The session holds only the name. */
export interface Person {
  /** The canonical name: goes to bans, session, Duo and Remote-User. */
  readonly username: string
  readonly displayName: string
  readonly emails: readonly string[]
  readonly groups: readonly string[]
  /** Another one when the password was changed: what was begun with the old one is over. A digest; says nothing of the password. */
  readonly credential: string
}

/** A ban in force, as far as visitors may see it. */
export interface Banned {
  /** Null: until an administrator lifts it. */
  readonly until: Milliseconds | null
  /** What is banned: with another name, or from elsewhere, it may go on. */
  readonly whose: 'name' | 'address'
  readonly by: 'regulation' | 'administrator'
}

export type FirstFactor =
  | { readonly outcome: 'accepted'; readonly person: Person }
  /** Wrong password, unknown name or disabled person: alike in content and time. `triesLeft` is null where regulation is off. */
  | {
      readonly outcome: 'refused'
      readonly triesLeft: number | null
      /** For the log only: no answer may show it. `banned`: under another spelling of this person's name. */
      readonly cause?: RefusalCause
      /** Whose name it is; undefined: nobody's. For that person's own records: no answer may show it. */
      readonly username?: string | undefined
    }
  | ({ readonly outcome: 'banned'; readonly username?: string | undefined } & Banned)
  /** Too many hashes wait already: nothing was counted. */
  | { readonly outcome: 'busy'; readonly retryAfterSeconds: number }
  /** The counters or the directory do not answer: not evaluated, not counted. Without a cause: a bug, which the log has, or the server ends. */
  | { readonly outcome: 'unavailable'; readonly cause?: Unavailable }

export type RefusalCause = 'implausible' | 'unknown' | 'disabled' | 'wrong-password' | 'unusable-hash' | 'banned'

/** A try at a passcode, counted already: without one of its ends it counts as failed. */
export interface PasscodeTry {
  /** After this one; null where regulation is off. */
  readonly triesLeft: number | null
  /** The ban that this try brings when it fails; null when it brings none. */
  readonly brings: Banned | null
  /** It was right: this person's tries are forgotten. */
  succeeded(): Promise<void>
  /** Nobody looked at it: it is not counted. */
  givenBack(): Promise<void>
}

/** Nobody can be known: the directory does not answer, and what it said last is too old to be believed. */
export class DirectoryDown extends Unavailable {
  readonly reason = 'directory-down'
}

export interface Users {
  /** Why the users file on disk is not the one in use; undefined when it is. For health and status. */
  readonly fault: string | undefined
  /**
   * The person with this canonical name; undefined when unknown or disabled. The gate asks it on each request, so a promise is given only
   * where the answer is not at hand.
   * @throws {DirectoryDown} and rejects with it
   */
  find(username: string): Person | undefined | Promise<Person | undefined>
  /** All who may sign in; the same list until that changes. */
  everybody(): readonly { readonly username: string; readonly email: string | undefined }[]
  /**
   * The ban of this person, after too many wrong passwords or passcodes or by an administrator, or of where they are: who waits for the phone
   * is not raised then, and no right password is remembered. Null: neither is banned.
   */
  ban(username: string, from: { ip: string | undefined }): Banned | null | Promise<Banned | null>
  /** Counts a try at a passcode for the person, over all sessions, before it is made. Rejects when the counters do not answer. */
  tryPasscode(username: string, from: { ip: string | undefined }): Promise<PasscodeTry | { readonly banned: Banned }>
  /**
   * Checks a password. Counted for the person before it is hashed, so that parallel guesses cannot pass the limit.
   * @param typed the name as typed; resolved once
   */
  checkPassword(typed: string, password: string, from: { ip: string | undefined }): Promise<FirstFactor>
  close(): Promise<void>
}
