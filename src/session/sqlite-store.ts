import type { FastifyBaseLogger } from 'fastify'
import { type Clock, DAY, type Milliseconds, SECOND } from '../clock.ts'
import { newReference } from '../problems/reference.ts'
import { isBusy, whenFree } from '../storage/busy.ts'
import { RecordsDown } from '../storage/records-down.ts'
import { fileDown } from '../storage/sqlite-dialect.ts'
import type { Storage } from '../storage/storage.ts'
import type { Audit } from '../telemetry/audit.ts'
import { occasional } from '../telemetry/occasional.ts'
import type { CookieValues } from './cookie.ts'
import { beyondLimit } from './judge.ts'
import { recent } from './recent.ts'
import type { Records } from './record.ts'
import type { SeenSession, Session } from './session.ts'
import { type StoredRow, sessionRows } from './session-rows.ts'
import type { Known, LookedUp, SessionStore } from './store.ts'

interface Parts {
  readonly file: Pick<Storage, 'sessions' | 'health' | 'mark'>
  readonly values: CookieValues
  readonly records: Records
  /** Steady. */
  readonly now: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
}

interface Remembered extends Known {
  /** Which state of the store it was last seen in. */
  generation: number
}

const KNOWN_AT_MOST = 20_000
const STAMP_AGAIN_AFTER = SECOND
/** Kept for a day after its end, so that the portal can say why a session is over. */
const FORGOTTEN_AFTER = DAY
const CLEAR_AT_ONCE = 100
const CLEAR_EVERY = 10 * SECOND

/**
 * Sessions in the SQLite file of this machine, which several processes may share. A bounded memory of live records, by the cookie's value: writes
 * of other connections, in this process or another, show in SQLite's `data_version`, which is asked once a turn of the event loop. A request
 * that was sent after the answer to a logout comes in a later one.
 */
export function sqliteStore({ file, values, records, now, log, audit }: Parts): SessionStore {
  const rows = sessionRows(file.sessions)
  const byValue = recent<Remembered>(KNOWN_AT_MOST / 2)
  const bySession = new WeakMap<Session, Remembered>()
  let generation = 0
  let version: unknown
  let askedThisTurn = false
  const endOfTurn = () => {
    askedThisTurn = false
  }

  function noticeWrites(): void {
    if (askedThisTurn) return
    refuseOverwritten()
    const current = rows.version()
    askedThisTurn = true
    setImmediate(endOfTurn)
    if (current === version) return
    version = current
    generation++
  }

  /** What is read then is of an older copy, or of both. */
  function refuseOverwritten(): void {
    if (file.mark?.isOverwritten() !== true) return
    const error = new Error('an older copy was written over the storage file')
    throw new RecordsDown(error, file.health.failed('writes', error))
  }

  /** After a write of our own everything is looked at again when it is next asked for. */
  async function write<T>(work: () => T): Promise<T> {
    try {
      const done = await rows.write(work)
      file.health.worked(true)
      return done
    } finally {
      generation++
    }
  }

  function believe(row: StoredRow): SeenSession | null {
    const session = records.fromRow(row)
    return session === undefined || typeof row.seen_at !== 'number' ? null : { session, seenAt: row.seen_at }
  }

  function read(key: string): SeenSession | 'gone' | 'invalid' {
    refuseOverwritten()
    const row = rows.read(key)
    if (row === undefined) return 'gone'
    const seen = row === 'unreadable' ? null : believe(row)
    if (seen !== null) return seen
    audit('session.invalid-record', { detail: 'A stored session was altered, or written by another version: ignored.' })
    return 'invalid'
  }

  function readOrNull(key: string): SeenSession | null {
    const seen = read(key)
    return typeof seen === 'string' ? null : seen
  }

  function lookUp(value: string): LookedUp {
    const known = byValue.get(value)
    const key = known === undefined ? values.keyOf(value) : known.session.key
    if (key === null) return null
    noticeWrites()
    if (known?.generation === generation) return known
    const seen = read(key)
    if (seen === 'invalid') return 'revoked'
    if (seen === 'gone') return rows.wasRevoked(key) ? 'revoked' : 'gone'
    if (known !== undefined) {
      known.seenAt = seen.seenAt
      known.generation = generation
      return known
    }
    const found = { state: 'live', session: seen.session } as const
    const fresh: Remembered = { ...seen, found, generation, nextStamp: 0 }
    byValue.set(value, fresh)
    bySession.set(seen.session, fresh)
    return fresh
  }

  const believed = (row: StoredRow): readonly SeenSession[] => {
    refuseOverwritten()
    const seen = believe(row)
    return seen === null ? [] : [seen]
  }

  const occasionally = occasional(now, newReference)
  /** Nobody is refused by it: a file that cannot be written is told of once, for all that is written to it. */
  function tell(what: string, err: unknown): void {
    if (isBusy(err) || fileDown(err, file.health) !== null) return
    occasionally(what, (_, unwritten) => log.warn({ err, ...(unwritten > 0 ? { unwritten } : {}) }, what))
  }

  let clearing = setTimeout(clear, CLEAR_EVERY).unref()
  function clear(): void {
    let cleared = 0
    try {
      cleared = rows.clear(now() - FORGOTTEN_AFTER, CLEAR_AT_ONCE)
    } catch (error) {
      tell('sessions that ended could not be cleared away', error)
    }
    clearing = setTimeout(clear, cleared < CLEAR_AT_ONCE ? CLEAR_EVERY : SECOND / 10).unref()
  }

  return {
    lookUp(value) {
      try {
        return lookUp(value)
      } catch (error) {
        if (!isBusy(error)) throw error
        return whenFree(() => lookUp(value))
      }
    },

    read: key => whenFree(() => readOrNull(key)),

    start: (key, record, at, { replaces, atMost, lives }) =>
      write(() => {
        if (replaces !== null) rows.remove(replaces)
        rows.insert(records.toRow(key, record), at)
        if (atMost === undefined) return 0
        const beyond = beyondLimit(rows.allOf(record.username).flatMap(believed).filter(lives), atMost, key)
        for (const session of beyond) rows.revoke(session.key)
        return beyond.length
      }),

    replace: (old, key, next) =>
      write(() => {
        const seen = readOrNull(old)
        const record = seen === null ? null : next(seen)
        if (record === null) return null
        rows.remove(old)
        rows.insert(records.toRow(key, record), now())
        return record
      }),

    end: key => write(() => rows.revoke(key)),
    endAllOf: (username, except) => write(() => rows.revokeAllOf(username, except)),
    endAll: (before, lives) =>
      write(() => {
        let count = 0
        for (const row of rows.before(before)) count += believed(row).filter(lives).length
        rows.revokeAll(before)
        return count
      }),

    allOf: username => whenFree(() => rows.allOf(username).flatMap(believed)),
    some: (limit, passes) =>
      whenFree(() => {
        const some: SeenSession[] = []
        if (limit < 1) return some
        for (const row of rows.lately(now())) {
          some.push(...believed(row).filter(passes))
          if (some.length >= limit) break
        }
        return some
      }),
    withKeyPrefix: (prefix, limit) => whenFree(() => rows.withKeyPrefix(prefix, limit).flatMap(believed)),

    known: session => bySession.get(session),
    stamp(session, at, between) {
      const known = bySession.get(session)
      try {
        const moved = rows.stamp(session.key, at, between)
        if (moved && known !== undefined) known.seenAt = at
        else generation++
      } catch (error) {
        tell('the activity of a session could not be written', error)
      }
      if (known !== undefined) known.nextStamp = at + STAMP_AGAIN_AFTER
    },

    async noteSecret(fingerprint, at) {
      const noted = await write(() => {
        rows.noteSecret(fingerprint, at)
        return rows.secrets()
      })
      return new Map(
        noted.flatMap((row): [string, Milliseconds][] =>
          row.fingerprint === fingerprint ? [] : [[String(row.fingerprint), Number(row.seen_at)]],
        ),
      )
    },

    close: () => clearTimeout(clearing),
  }
}
