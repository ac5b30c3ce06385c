import type { Milliseconds } from '../clock.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { CookieValues } from './cookie.ts'
import { recent } from './recent.ts'
import type { Records } from './record.ts'
import type { Found, Session } from './session.ts'
import type { SessionRows } from './session-rows.ts'

/** A record that was read once, and is believed while nobody has written. It never changes; its stamp of activity does. */
export interface Known {
  readonly session: Session
  readonly found: Found
  seenAt: Milliseconds
  /** Which state of the store it was last seen in. */
  generation: number
  /** Not to be stamped again before. */
  nextStamp: Milliseconds
}

type Stored = Pick<Known, 'session' | 'seenAt'>

export interface KnownSessions {
  /** What a cookie's value stands for. Null: it is not ours, and no store was asked. */
  lookUp(value: string): Known | 'gone' | 'revoked' | null
  /** Past the memory. */
  read(key: string): Stored | 'gone' | 'invalid'
  of(session: Session): Known | undefined
  /** After a write of our own: everything is looked at again when it is next asked for. */
  recheck(): void
}

const KNOWN_AT_MOST = 20_000

/**
 * A bounded memory of live records, by the cookie's value. Writes of other connections, in this process or another, show in SQLite's
 * `data_version`, which is asked once a turn of the event loop: a request that was sent after the answer to a logout comes in a later one.
 */
export function knownSessions(rows: SessionRows, values: CookieValues, records: Records, audit: Audit): KnownSessions {
  const byValue = recent<Known>(KNOWN_AT_MOST / 2)
  const bySession = new WeakMap<Session, Known>()
  let generation = 0
  let version: unknown
  let askedThisTurn = false
  const endOfTurn = () => {
    askedThisTurn = false
  }

  function noticeWrites(): void {
    if (askedThisTurn) return
    const current = rows.version()
    askedThisTurn = true
    setImmediate(endOfTurn)
    if (current === version) return
    version = current
    generation++
  }

  function read(key: string): Stored | 'gone' | 'invalid' {
    const row = rows.read(key)
    if (row === undefined) return 'gone'
    const session = row === 'unreadable' ? undefined : records.fromRow(row)
    if (row !== 'unreadable' && session !== undefined && typeof row.seen_at === 'number')
      return { session, seenAt: row.seen_at }
    audit('session.invalid-record', { detail: 'A stored session was altered, or written by another version: ignored.' })
    return 'invalid'
  }

  function lookUp(value: string): Known | 'gone' | 'revoked' | null {
    const known = byValue.get(value)
    const key = known === undefined ? values.keyOf(value) : known.session.key
    if (key === null) return null
    noticeWrites()
    if (known?.generation === generation) return known
    const stored = read(key)
    if (stored === 'invalid') return 'revoked'
    if (stored === 'gone') return rows.wasRevoked(key) ? 'revoked' : 'gone'
    if (known !== undefined) {
      known.seenAt = stored.seenAt
      known.generation = generation
      return known
    }
    const found = { state: 'live', session: stored.session } as const
    const fresh: Known = { ...stored, found, generation, nextStamp: 0 }
    byValue.set(value, fresh)
    bySession.set(stored.session, fresh)
    return fresh
  }

  return {
    lookUp,
    read,
    of: session => bySession.get(session),
    recheck() {
      generation++
    },
  }
}
