import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import type { Clock, Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { inTransaction } from '../storage/transaction.ts'

/** One try, counted already. One of its two ends may be called, or none: then it counts as failed. */
export interface CountedTry {
  /** After this one; null where regulation is off. */
  readonly triesLeft: number | null
  /** The end of the ban that this try brings when it fails; null when it brings none. */
  readonly bannedUntil: Milliseconds | null
  /** It was right: the tries up to this one are forgotten, and a ban that this one brought is lifted. */
  succeeded(): void
  /** It was never evaluated: this one is not counted. */
  givenBack(): void
}

/** One try at a password. Its tries are those of the name as typed. */
export interface Try extends CountedTry {
  /** False: the person is banned under another spelling of the name. The password must not be evaluated, and nothing may show it. */
  readonly mayBeEvaluated: boolean
}

export interface Regulation {
  /** Until when this person is banned: after wrong passwords, under whatever spelling, or wrong passcodes; null when they are not. */
  bannedUntil(person: string): Milliseconds | null
  /**
   * Counts a try at a passcode before it is made, apart from the passwords: a right password, which a new session takes, forgets none.
   * Its ban does not keep the person from signing in, only from proving more.
   * @throws when the database does not answer; nothing is counted then
   */
  beginPasscode(person: string): CountedTry | { readonly bannedUntil: Milliseconds }
  /**
   * Counts a try before the password is looked at, so that parallel tries cannot pass the limit, and a crash while hashing gives none back.
   * @param names `typed`: what was entered, which is what the visitor may see counted; `person`: whose it is, if anybody's
   * @throws when the database does not answer; nothing is counted then
   */
  begin(names: { typed: string; person: string | undefined }): Try | { readonly bannedUntil: Milliseconds }
}

// docs/decisions/0002-counters.md says why rate-limiter-flexible does not do this.

const SWEEP_AT_ONCE = 20
const ROWS_AT_MOST = 100_000

const unregulated: Try = {
  mayBeEvaluated: true,
  triesLeft: null,
  bannedUntil: null,
  succeeded() {},
  givenBack() {},
}

/** Authelia's `regulation` of users: after `max_retries` failures within `find_time` a ban of `ban_time`. Kept in the database; time is the clock's. */
export function openRegulation(
  database: DatabaseSync,
  { modes, max_retries, find_time, ban_time }: Config['regulation'],
  clock: Clock,
  rowsAtMost: number = ROWS_AT_MOST,
): Regulation {
  if (max_retries === 0 || modes.length === 0)
    return { begin: () => unregulated, beginPasscode: () => unregulated, bannedUntil: () => null }
  const limits = { max_retries, find_time, ban_time, rowsAtMost }
  const typedNames = openCounter(database, 'postern_login_tries_typed', limits)
  const people = openCounter(database, 'postern_login_tries_person', limits)
  const passcodes = openCounter(database, 'postern_passcode_tries', limits)

  const transaction = <T>(work: () => T): T => inTransaction(database, work)

  return {
    bannedUntil(person) {
      const now = clock()
      const until = Math.max(people.banned(person, now) ?? 0, passcodes.banned(person, now) ?? 0)
      return until === 0 ? null : until
    },
    beginPasscode: person =>
      transaction(() => {
        const now = clock()
        passcodes.sweep(now)
        const banned = passcodes.banned(person, now)
        if (banned !== undefined) return { bannedUntil: banned }
        const { id, left, bannedUntil } = passcodes.count(person, now)
        return {
          triesLeft: left,
          bannedUntil,
          succeeded: () => transaction(() => passcodes.forget(person, id, clock())),
          givenBack: () => transaction(() => passcodes.takeBack(person, id, clock())),
        }
      }),
    begin: names =>
      transaction(() => {
        const now = clock()
        // Hashed: of one length, and a password that was typed into the wrong field does not stand here to be read.
        const typed = createHash('sha256').update(names.typed).digest('base64url')
        const { person } = names
        typedNames.sweep(now)
        people.sweep(now)
        const banned = typedNames.banned(typed, now)
        if (banned !== undefined) return { bannedUntil: banned }
        const visible = typedNames.count(typed, now)
        const hidden =
          person === undefined || people.banned(person, now) !== undefined ? undefined : people.count(person, now)
        const end = (how: 'forget' | 'takeBack') =>
          transaction(() => {
            typedNames[how](typed, visible.id, clock())
            if (person !== undefined && hidden) people[how](person, hidden.id, clock())
          })
        return {
          mayBeEvaluated: person === undefined || hidden !== undefined,
          triesLeft: visible.left,
          bannedUntil: visible.bannedUntil,
          succeeded: () => end('forget'),
          givenBack: () => end('takeBack'),
        }
      }),
  }
}

interface Limits {
  readonly max_retries: number
  readonly find_time: Milliseconds
  readonly ban_time: Milliseconds
  readonly rowsAtMost: number
}

/** Tries and bans by key, in two tables. All calls belong into a transaction. */
function openCounter(database: DatabaseSync, table: string, { max_retries, find_time, ban_time, rowsAtMost }: Limits) {
  // AUTOINCREMENT: ids rise for ever, so that "up to this one" and "all but the newest" can be said by id.
  database.exec(`
    CREATE TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS ${table}_key ON ${table} (key, id);
    CREATE TABLE IF NOT EXISTS ${table}_bans (
      id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, began INTEGER NOT NULL, until INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS ${table}_bans_until ON ${table}_bans (until);
  `)
  const sql = {
    add: database.prepare(`INSERT INTO ${table} (key, at) VALUES (?, ?) RETURNING id`),
    // A clock that was set back must not make a try last for years.
    backFromFuture: database.prepare(`UPDATE ${table} SET at = :now WHERE key = :key AND at > :now`),
    countSince: database.prepare(`SELECT count(*) AS tries FROM ${table} WHERE key = ? AND at > ?`),
    forgetUpTo: database.prepare(`DELETE FROM ${table} WHERE key = ? AND id <= ?`),
    forgetAll: database.prepare(`DELETE FROM ${table} WHERE key = ?`),
    forgetOne: database.prepare(`DELETE FROM ${table} WHERE id = ?`),
    ban: database.prepare(
      `INSERT INTO ${table}_bans (key, began, until) VALUES (:key, :now, :until)
       ON CONFLICT (key) DO UPDATE SET began = :now, until = :until`,
    ),
    banOf: database.prepare(`SELECT began, until FROM ${table}_bans WHERE key = ?`),
    lift: database.prepare(`DELETE FROM ${table}_bans WHERE key = ?`),
    oldTries: database.prepare(
      `DELETE FROM ${table} WHERE id IN (
         SELECT id FROM (SELECT id, at FROM ${table} ORDER BY id LIMIT ${SWEEP_AT_ONCE})
         WHERE at <= :expired OR id <= (SELECT max(id) FROM ${table}) - :kept)`,
    ),
    oldBans: database.prepare(
      `SELECT key FROM (SELECT key FROM ${table}_bans WHERE until <= :now ORDER BY until LIMIT ${SWEEP_AT_ONCE})
       UNION SELECT key FROM (SELECT key, id FROM ${table}_bans ORDER BY id LIMIT ${SWEEP_AT_ONCE})
       WHERE id <= (SELECT max(id) FROM ${table}_bans) - :kept`,
    ),
  }
  /** What came before the end of a ban was paid for by it. */
  const lift = (key: string) => {
    sql.lift.run(key)
    sql.forgetAll.run(key)
  }
  const triesOf = (key: string, now: Milliseconds) => Number(sql.countSince.get(key, now - find_time)?.tries)
  /** Without some tries the limit may not be reached any more: then the ban that they brought is none. */
  const reconsider = (key: string, now: Milliseconds) => {
    if (triesOf(key, now) < max_retries) sql.lift.run(key)
  }

  return {
    banned(key: string, now: Milliseconds): Milliseconds | undefined {
      const row = sql.banOf.get(key)
      if (!row) return undefined
      const until = Number(row.until)
      if (until <= now) {
        lift(key)
        return undefined
      }
      if (Number(row.began) <= now) return until
      sql.ban.run({ key, now, until: now + ban_time })
      return now + ban_time
    },
    count(key: string, now: Milliseconds) {
      sql.backFromFuture.run({ key, now })
      const id = Number(sql.add.get(key, now)?.id)
      const left = max_retries - triesOf(key, now)
      const bannedUntil = left > 0 ? null : now + ban_time
      // Written now, not when it fails: the next one must find it.
      if (bannedUntil !== null) sql.ban.run({ key, now, until: bannedUntil })
      return { id, left: Math.max(0, left), bannedUntil }
    },
    forget(key: string, upTo: number, now: Milliseconds): void {
      sql.forgetUpTo.run(key, upTo)
      reconsider(key, now)
    },
    takeBack(key: string, id: number, now: Milliseconds): void {
      sql.forgetOne.run(id)
      reconsider(key, now)
    },
    /** A few at a time: each try clears more than it adds, and none waits for a large clearing. */
    sweep(now: Milliseconds): void {
      for (const { key } of sql.oldBans.all({ now, kept: rowsAtMost })) lift(String(key))
      sql.oldTries.run({ expired: now - find_time, kept: rowsAtMost })
    },
  }
}
