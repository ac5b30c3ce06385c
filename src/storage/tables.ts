import type { Generated } from 'kysely'

/** Columns as the migrations make them. Times are milliseconds since the epoch. */
export interface Tables {
  postern_sessions: {
    key: string
    username: string
    credential: string
    level: 1 | 2
    cookie_domain: string
    remember: 0 | 1
    password_at: number
    second_factor: string | null
    expires_at: number
    /** Message authentication code over all of the above. */
    tag: string
    /** Where it began, and a code over key and both. All null in a record of the version before. */
    browser: string | null
    ip: string | null
    origin_tag: string | null
  }
  /** With which secrets the file is used, by their fingerprints, and when last. */
  postern_session_secrets: { fingerprint: string; seen_at: number }
  /** Apart from the record, which is never changed. Goes with it. */
  postern_session_activity: { key: string; seen_at: number }
  /** Sessions that were ended before their time, so that the portal can say so. */
  postern_revoked_sessions: { key: string; expires_at: number }
  /** The way that a person used last. `device` is empty for a passcode. */
  postern_duo_devices: { username: string; device: string; method: string; name: Generated<string> }
  postern_pushes: {
    id: string
    session_key: string
    username: string
    /** JSON of the state machine's state; see duo/push. */
    state: string
    /** Moves with each write: a late holder's write is refused by it. */
    version: number
    /** The process that follows it at Duo, and until when unless it renews. Null: Duo has nothing more to say. */
    lease_holder: string | null
    lease_until: number | null
    created_at: number
    ended_at: number | null
    /** So that no answer of Duo's is ever tied to two pushes. */
    txid_hash: string | null
  }
  postern_push_guard: {
    username: string
    denials: number
    not_before: number
    locked_until: number
    refusals_seen_at: Generated<number>
  }
  /** Each factor that a person was asked for: budgets are counted over it. */
  postern_factors_asked: {
    id: string
    username: string
    session_key: string
    kind: 'push' | 'phone' | 'sms' | 'passcode'
    /** IPv4 address, or IPv6 network of 64 bits. */
    network: string | null
    at: number
    /** 0: an approval came, and gave it back to the person. */
    spent: number
  }
  /** Of the records as a whole; see migrate.ts and encryption-key.ts. */
  postern_about: { name: string; value: string }
  /** Browsers that Duo's *remembered devices* lets pass. */
  postern_remembered_browsers: {
    id: string
    username: string
    /** The push that brought the token. */
    push_id: string
    /** Null until the browser that claimed the push has its cookie. */
    cookie_hash: string | null
    browser: string
    /** Encrypted. */
    token: string
    created_at: number
  }
  /** What was done lately with each person's name; an empty one stands for all that nobody has. */
  postern_logins: {
    id: string
    username: string
    at: number
    ip: string | null
    browser: string
    /** `seen`: not a login, but that the failures until then have been read. */
    outcome: 'accepted' | 'refused' | 'banned' | 'denied' | 'fraud' | 'timed-out' | 'seen'
    factor: 'password' | 'push' | 'phone' | 'passcode' | 'duo-allow' | 'failmode'
  }
}
