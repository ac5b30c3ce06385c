import type { DatabaseSync } from 'node:sqlite'
import type { Milliseconds } from '../clock.ts'
import { whenFree } from '../storage/busy.ts'
import { inTransaction } from '../storage/transaction.ts'
import type { Row } from './record.ts'

/** A row as it is read, not yet believed. */
export type StoredRow = Readonly<Record<string, unknown>>

/** The statements on the tables of sessions. What is marked so must run in `write`. */
export interface SessionRows {
  /** Changes whenever another connection has written, in this process or another. */
  version(): unknown
  /** With the stamp of its last activity as `seen_at`; `'unreadable'` when a column holds what JavaScript cannot. */
  read(key: string): StoredRow | 'unreadable' | undefined
  /** Whether it was ended before its time. Known for as long as it would have lived. */
  wasRevoked(key: string): boolean
  /** A transaction, whole or not at all; waits for its turn without holding the event loop. */
  write<T>(work: () => T): Promise<T>
  /** In `write`. */
  insert(row: Row, seenAt: Milliseconds): void
  /** In `write`. Without a trace: another record takes its place. */
  remove(key: string): void
  /** In `write`. */
  revoke(key: string): void
  /** In `write`. All but the one with the key `except`; returns how many. */
  revokeAllOf(username: string, except: string | undefined): number
  /** In `write`. */
  revokeAll(before: Milliseconds): void
  /** Of those whose password was accepted before. */
  before(at: Milliseconds): Iterable<StoredRow>
  allOf(username: string): readonly StoredRow[]
  /** Those that have not expired, the one that was active last first. */
  lately(now: Milliseconds): Iterable<StoredRow>
  withKeyPrefix(prefix: string, limit: number): readonly StoredRow[]
  /** In `write`. */
  noteSecret(fingerprint: string, now: Milliseconds): void
  secrets(): readonly StoredRow[]
  /** Moves a stamp that lies between the two times; false when there is none. Never inserts. */
  stamp(key: string, seenAt: Milliseconds, between: readonly [Milliseconds, Milliseconds]): boolean
  /** Forgets at most `limit` of those that ended before this time; returns how many. */
  clear(endedBefore: Milliseconds, limit: number): number
}

export function sessionRows(database: DatabaseSync): SessionRows {
  const version = database.prepare('PRAGMA data_version')
  const seen =
    'SELECT s.*, a.seen_at FROM postern_sessions s LEFT JOIN postern_session_activity a ON a.key = s.key WHERE'
  const read = database.prepare(`${seen} s.key = ?`)
  // Beyond 2^53 there is none of ours: what a single look-up calls unreadable must not spoil a list.
  const sane = 's.password_at < 1e15 AND s.expires_at < 1e15 AND a.seen_at < 1e15'
  const allOf = database.prepare(`${seen} s.username = ? AND ${sane}`)
  const before = database.prepare(`${seen} s.password_at < ? AND ${sane}`)
  const lately = database.prepare(`${seen} s.expires_at > ? AND ${sane} ORDER BY a.seen_at DESC`)
  const withKeyPrefix = database.prepare(`${seen} s.key >= ? AND s.key < ? AND ${sane} ORDER BY s.key LIMIT ?`)
  const noteSecret = database.prepare(
    'INSERT INTO postern_session_secrets (fingerprint, seen_at) VALUES (?, ?) ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at',
  )
  const secrets = database.prepare('SELECT fingerprint, seen_at FROM postern_session_secrets')
  const wasRevoked = database.prepare('SELECT 1 FROM postern_revoked_sessions WHERE key = ?')
  const insert = database.prepare(
    `INSERT INTO postern_sessions (key, username, credential, level, cookie_domain, remember, password_at, second_factor, expires_at, tag,
       browser, ip, origin_tag)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const insertStamp = database.prepare('INSERT INTO postern_session_activity (key, seen_at) VALUES (?, ?)')
  const remove = database.prepare('DELETE FROM postern_sessions WHERE key = ?')
  const bury =
    'INSERT OR IGNORE INTO postern_revoked_sessions (key, expires_at) SELECT key, expires_at FROM postern_sessions'
  const buryOne = database.prepare(`${bury} WHERE key = ?`)
  const buryAllOf = database.prepare(`${bury} WHERE username = ? AND key <> ?`)
  const removeAllOf = database.prepare('DELETE FROM postern_sessions WHERE username = ? AND key <> ?')
  const buryAll = database.prepare(`${bury} WHERE password_at < ?`)
  const removeAll = database.prepare('DELETE FROM postern_sessions WHERE password_at < ?')
  const stamp = database.prepare(
    'UPDATE postern_session_activity SET seen_at = ? WHERE key = ? AND seen_at > ? AND seen_at <= ?',
  )
  const clearing = ['postern_sessions', 'postern_revoked_sessions'].map(table =>
    database.prepare(`DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table} WHERE expires_at < ? LIMIT ?)`),
  )

  return {
    version: () => version.get()?.data_version,
    read(key) {
      try {
        return read.get(key)
      } catch (error) {
        // An integer beyond 2^53: none of ours.
        if (error instanceof RangeError) return 'unreadable'
        throw error
      }
    },
    wasRevoked: key => wasRevoked.get(key) !== undefined,
    write: work => whenFree(() => inTransaction(database, work)),
    insert(row, seenAt) {
      insert.run(
        row.key,
        row.username,
        row.credential,
        row.level,
        row.cookie_domain,
        row.remember,
        row.password_at,
        row.second_factor,
        row.expires_at,
        row.tag,
        row.browser,
        row.ip,
        row.origin_tag,
      )
      insertStamp.run(row.key, seenAt)
    },
    remove(key) {
      remove.run(key)
    },
    revoke(key) {
      buryOne.run(key)
      remove.run(key)
    },
    revokeAllOf(username, except = '') {
      buryAllOf.run(username, except)
      return Number(removeAllOf.run(username, except).changes)
    },
    revokeAll(before) {
      buryAll.run(before)
      removeAll.run(before)
    },
    before: at => before.iterate(at),
    allOf: username => allOf.all(username),
    lately: now => lately.iterate(now),
    // `~` comes after all that a key is made of.
    withKeyPrefix: (prefix, limit) => withKeyPrefix.all(prefix, `${prefix}~`, limit),
    noteSecret(fingerprint, now) {
      noteSecret.run(fingerprint, now)
    },
    secrets: () => secrets.all(),
    stamp(key, seenAt, [after, until]) {
      // Not worth waiting for the disk: a power cut may take a stamp, never a login or a logout.
      database.exec('PRAGMA synchronous = NORMAL')
      try {
        return stamp.run(seenAt, key, after, until).changes === 1
      } finally {
        database.exec('PRAGMA synchronous = FULL')
      }
    },
    clear: (endedBefore, limit) =>
      clearing.reduce((sum, statement) => sum + Number(statement.run(endedBefore, limit).changes), 0),
  }
}
