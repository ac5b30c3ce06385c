import type { CookieSerializeOptions } from '@fastify/cookie'
import type { Milliseconds } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import { Unavailable } from '../problems/unavailable.ts'

/** Written once; see DESIGN.md. Group, name and mail are not in it: they come from users/. */
export interface SessionRecord {
  readonly username: string
  /** The person's `credential` when the password was accepted. */
  readonly credential: string
  readonly level: 1 | 2
  readonly cookieDomain: string
  readonly remember: boolean
  /** When the password was accepted: the end counts from here. */
  readonly passwordAt: Milliseconds
  readonly secondFactor: SecondFactor | null
  readonly expiresAt: Milliseconds
  /** Where the password was typed: `Firefox on Linux`. */
  readonly browser: string
  /** From there too; undefined where the proxy did not tell. */
  readonly ip: string | undefined
}

/** What raised the level. `duo-allow`: Duo let the person pass without a factor. `failmode`: Duo could not be asked, and that lets people pass. */
export interface SecondFactor {
  readonly how: 'push' | 'phone' | 'passcode' | 'duo-allow' | 'failmode'
  readonly at: Milliseconds
  /** Duo's words. */
  readonly said: string
}

/** A session that lives at this moment. */
export interface Session extends SessionRecord {
  /** Hash of the id: what the store and a push know it by. Safe to compare, of no use to a thief. */
  readonly key: string
}

/** A session in a list of them. */
export interface SeenSession {
  readonly session: Session
  /** Its last activity, as far as it was written down; see `touch`. */
  readonly seenAt: Milliseconds
}

export type Found =
  | { readonly state: 'live'; readonly session: Session }
  /** `ended`: the cookie was ours, the session is over (so that the portal can say why). */
  | { readonly state: 'anonymous'; readonly ended: 'inactive' | 'expired' | 'revoked' | null }

/** A new session, and the cookie that carries it. */
export interface Started {
  readonly session: Session
  readonly cookie: { readonly name: string; readonly value: string; readonly options: CookieSerializeOptions }
}

export class StoreDown extends Unavailable {
  readonly reason = 'store-down'
}

export interface Sessions {
  /**
   * Who asks: by the raw Cookie header. Read only: no write, no Set-Cookie. Several cookies of one name give the same answer in any order:
   * live sessions of two people, or eight cookies and more, are nobody, and an event; of one person's the higher level counts, then the newer.
   * A promise only where the store is busy.
   * @throws {StoreDown}
   */
  find(rawHeaders: readonly string[], domain: CookieDomain): Found | Promise<Found>
  /**
   * After a right password. `replaces` dies first, or in the same transaction. Remember is ignored where the domain has it switched off.
   * Where the person has more than `session.max_sessions_per_user` by it, over all cookie domains, the oldest ones end.
   */
  start(
    domain: CookieDomain,
    login: {
      readonly username: string
      readonly credential: string
      readonly remember: boolean
      readonly browser: string
      readonly ip: string | undefined
    },
    replaces: Session | null,
  ): Promise<Started>
  /** A new record at level 2 under a new id in place of this one; of one at level 2 too, with the newer second factor and the same end. `'ended'` when the session no longer lives: nothing is raised. */
  raise(session: Session, factor: SecondFactor): Promise<Started | 'ended'>
  /** Idempotent. Once it resolves, no process of this machine lets it in from its next turn of the event loop on. */
  end(session: Pick<Session, 'key'>): Promise<void>
  /** All that the person has, over all cookie domains, but the one with the key `except`. Returns how many it ended. */
  endAllOf(username: string, options?: { readonly except?: string }): Promise<number>
  /** Everybody's. Returns how many it ended. */
  endAll(): Promise<number>
  /** The person's live sessions, over all cookie domains, the one that was active last first. */
  list(username: string): Promise<readonly SeenSession[]>
  /** Live sessions of everybody, the one that was active last first. Beyond `limit`, which ones are shown is up to the store. */
  listAll(limit: number): Promise<readonly SeenSession[]>
  /** Live sessions whose key begins so, ten at most: for an administrator, who types the first letters of one. */
  withKeyPrefix(prefix: string): Promise<readonly SeenSession[]>
  /** Whether it still lives, asked of the store, past any cache. */
  lives(key: string): Promise<boolean>
  /** Marks activity, at most every min(60 s, inactivity/10); with *remember me*, where nothing hangs on it, every ten minutes. Never throws, never inserts. */
  touch(session: Session): void
  close(): Promise<void>
}
