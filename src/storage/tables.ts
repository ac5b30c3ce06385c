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
  }
  /** Apart from the record, which is never changed. Goes with it. */
  postern_session_activity: { key: string; seen_at: number }
  /** Sessions that were ended before their time, so that the portal can say so. */
  postern_revoked_sessions: { key: string; expires_at: number }
  /** The way that a person used last. `device` is empty for a passcode. */
  postern_duo_devices: { username: string; device: string; method: string; name: string }
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
}
