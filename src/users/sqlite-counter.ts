import type { Clock, Milliseconds } from '../clock.ts'
import { whenFree } from '../storage/busy.ts'
import { fileDown } from '../storage/sqlite-dialect.ts'
import type { Storage } from '../storage/storage.ts'
import { inTransaction } from '../storage/transaction.ts'
import type { Ban, Counter, CounterName, Limits, OpenCounter } from './counter.ts'

// docs/decisions/0002-counters.md says why rate-limiter-flexible does not do this.

const SWEEP_AT_ONCE = 20
const ROWS_AT_MOST = 100_000

const tables: Record<CounterName, string> = {
  'typed-names': 'postern_login_tries_typed',
  people: 'postern_login_tries_person',
  passcodes: 'postern_passcode_tries',
  addresses: 'postern_address_tries',
}

/**
 * Counters in the tables of this machine, one row a try and one a ban.
 * @param rowsAtMost of each table: who tries ever new names does not fill the disk
 */
export function sqliteCounters(file: File, clock: Clock, rowsAtMost: number = ROWS_AT_MOST): OpenCounter {
  return (name, limits) => openCounter(file, tables[name], limits, clock, rowsAtMost)
}

type File = Pick<Storage, 'counters' | 'health'>

function openCounter(
  { counters: database, health }: File,
  table: string,
  { max_retries, find_time, ban_time }: Limits,
  clock: Clock,
  rowsAtMost: number,
): Counter {
  const sql = {
    add: database.prepare(`INSERT INTO ${table} (key, at) VALUES (?, ?) RETURNING id`),
    // A clock that was set back must not make a try last for years.
    backFromFuture: database.prepare(`UPDATE ${table} SET at = :now WHERE key = :key AND at > :now`),
    countSince: database.prepare(`SELECT count(*) AS tries FROM ${table} WHERE key = ? AND at > ?`),
    forgetUpTo: database.prepare(`DELETE FROM ${table} WHERE key = ? AND id <= ?`),
    forgetAll: database.prepare(`DELETE FROM ${table} WHERE key = ?`),
    forgetOne: database.prepare(`DELETE FROM ${table} WHERE id = ?`),
    ban: database.prepare(
      `INSERT INTO ${table}_bans (key, began, until, source, reason) VALUES (:key, :began, :until, :by, :reason)
       ON CONFLICT (key) DO UPDATE SET began = :began, until = :until, source = :by, reason = :reason`,
    ),
    banOf: database.prepare(`SELECT began, until, source, reason FROM ${table}_bans WHERE key = ?`),
    bans: database.prepare(
      `SELECT key, began, until, source, reason FROM ${table}_bans WHERE until IS NULL OR until > ? ORDER BY began DESC, id DESC LIMIT ?`,
    ),
    lift: database.prepare(`DELETE FROM ${table}_bans WHERE key = ?`),
    liftRegulation: database.prepare(`DELETE FROM ${table}_bans WHERE key = ? AND source = 'regulation'`),
    oldTries: database.prepare(
      `DELETE FROM ${table} WHERE id IN (
         SELECT id FROM (SELECT id, at FROM ${table} ORDER BY id LIMIT ${SWEEP_AT_ONCE})
         WHERE at <= :expired OR id <= (SELECT max(id) FROM ${table}) - :kept)`,
    ),
    oldBans: database.prepare(
      `SELECT key FROM (SELECT key FROM ${table}_bans WHERE until <= :now ORDER BY until LIMIT ${SWEEP_AT_ONCE})
       UNION SELECT key FROM (
         SELECT key, id FROM ${table}_bans WHERE source = 'regulation' ORDER BY id LIMIT ${SWEEP_AT_ONCE})
       WHERE id <= (SELECT max(id) FROM ${table}_bans) - :kept`,
    ),
  }
  const refuse = (error: unknown): never => {
    throw fileDown(error, health) ?? error
  }
  /**
   * One transaction. A try is not worth waiting for the disk, which holds up the event loop: a power cut may take it, the end of the process
   * does not. A ban, and its lifting, is written through.
   */
  const step = async <T>(
    work: (now: Milliseconds) => T,
    isOfTriesOnly?: (now: Milliseconds) => boolean,
  ): Promise<T> => {
    const done = await whenFree(() => {
      const now = clock()
      database.exec(`PRAGMA synchronous = ${isOfTriesOnly?.(now) ? 'NORMAL' : 'FULL'}`)
      return inTransaction(database, () => work(now))
    }).catch(refuse)
    health.worked(true)
    return done
  }

  /** What came before the end of a ban was paid for by it. */
  const clear = (key: string) => {
    sql.lift.run(key)
    sql.forgetAll.run(key)
  }
  const write = (key: string, { began, until, by, reason }: Ban) => sql.ban.run({ key, began, until, by, reason })
  /** Null for one whose end has come, swept or not. */
  const inForce = (key: string, now: Milliseconds): Ban | null => {
    const row = sql.banOf.get(key)
    const ban = row && banFrom(row)
    return ban === undefined || (ban.until !== null && ban.until <= now) ? null : ban
  }
  /** The clock was set back since. Regulation's ban must not last for years by that; what an administrator said is a date. */
  const isFromFuture = ({ by, began }: Ban, now: Milliseconds) => by === 'regulation' && began > now
  const renewed = (key: string, now: Milliseconds): Ban | null => {
    const ban = inForce(key, now)
    if (ban === null || !isFromFuture(ban, now)) return ban
    const anew = { ...ban, began: now, until: now + ban_time }
    write(key, anew)
    return anew
  }
  const triesOf = (key: string, now: Milliseconds) => Number(sql.countSince.get(key, now - find_time)?.tries)
  /** Without some tries the limit may not be reached any more: then the ban that they brought is none. */
  const reconsider = (key: string, now: Milliseconds) => {
    if (triesOf(key, now) < max_retries) sql.liftRegulation.run(key)
  }
  const hasNoBan = (key: string) => sql.banOf.get(key) === undefined
  /** A few at a time: each try clears more than it adds, and none waits for a large clearing. */
  const sweep = (now: Milliseconds) => {
    for (const { key } of sql.oldBans.all({ now, kept: rowsAtMost })) clear(String(key))
    sql.oldTries.run({ expired: now - find_time, kept: rowsAtMost })
  }

  return {
    banned(key) {
      try {
        const now = clock()
        const ban = inForce(key, now)
        return ban === null || !isFromFuture(ban, now) ? ban : step(later => renewed(key, later))
      } catch (error) {
        return refuse(error)
      }
    },
    count: key =>
      step(
        now => {
          sweep(now)
          const ban = renewed(key, now)
          if (ban !== null) return { ban }
          if (sql.banOf.get(key)) clear(key) // its end has come, and the sweep not to it
          sql.backFromFuture.run({ key, now })
          const id = Number(sql.add.get(key, now)?.id)
          const left = max_retries - triesOf(key, now)
          const bannedUntil = left > 0 ? null : now + ban_time
          // Written now, not when it fails: the next one must find it.
          if (bannedUntil !== null) write(key, { began: now, until: bannedUntil, by: 'regulation', reason: null })
          return { id, left: Math.max(0, left), bannedUntil }
        },
        now => triesOf(key, now) + 1 < max_retries,
      ),
    forget: (key, upTo) =>
      step(
        now => {
          sql.forgetUpTo.run(key, upTo)
          reconsider(key, now)
        },
        () => hasNoBan(key),
      ),
    takeBack: (key, id) =>
      step(
        now => {
          sql.forgetOne.run(id)
          reconsider(key, now)
        },
        () => hasNoBan(key),
      ),
    bans: limit =>
      whenFree(() => sql.bans.all(clock(), limit).map(row => ({ key: String(row.key), ...banFrom(row) }))).catch(
        refuse,
      ),
    ban: (key, { until, reason }) => step(now => void write(key, { began: now, until, by: 'administrator', reason })),
    lift: key =>
      step(now => {
        const lifted = inForce(key, now) !== null
        clear(key)
        return lifted
      }),
  }
}

function banFrom({ began, until, source, reason }: Record<string, unknown>): Ban {
  return {
    began: Number(began),
    until: until === null ? null : Number(until),
    by: source === 'administrator' ? 'administrator' : 'regulation',
    reason: reason === null ? null : String(reason),
  }
}
