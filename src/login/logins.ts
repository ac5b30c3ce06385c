import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import { type Clock, DAY, HOUR, type Milliseconds, SECOND } from '../clock.ts'
import type { Unapproved } from '../duo/duo.ts'
import { Unavailable } from '../problems/unavailable.ts'
import type { SecondFactor } from '../session/session.ts'
import type { Tables } from '../storage/tables.ts'

/** What somebody did with a person's name. */
export interface LoginRecord {
  /** Undefined: nobody has the name that was typed. */
  readonly username: string | undefined
  readonly at: Milliseconds
  readonly ip: string | undefined
  /** `Firefox on Linux`. */
  readonly browser: string
  /** `banned`: refused without a look, after too many failures. `denied`, `fraud`, `timed-out`: how a push or a call ended that the phone did not approve. */
  readonly outcome: 'accepted' | 'refused' | 'banned' | Unapproved['how']
  readonly factor: 'password' | SecondFactor['how']
}

/** Tries that failed since somebody last signed in. */
export interface FailedTries {
  readonly count: number
  /** The sign-in before; null: none is known. */
  readonly since: Milliseconds | null
}

/**
 * What was done lately with each person's name, to be shown to that person: an aid to notice a stranger, never what a decision is made by.
 * For searches, limits and proofs there are the log and the counters.
 */
export interface Logins {
  /** Written a moment later, in the background; never throws, never waits. */
  note(login: LoginRecord): void
  /** The newest first. Rejects where the records do not answer. */
  latest(username: string, limit: number): Promise<readonly LoginRecord[]>
  /** @param by what a sign-in counts from: the password alone, or a second factor too  @param before the present sign-in */
  failedTries(username: string, by: 'password' | 'second-factor', before: Milliseconds): Promise<FailedTries>
  /** Those until now have been read. */
  failedTriesSeen(username: string): Promise<void>
  /** What was noted is written first. */
  close(): Promise<void>
}

const KEPT: Milliseconds = 90 * DAY
/** Of one person: so that no flood of failures pushes out what the owner did. */
const ACCEPTED_AT_MOST = 50
const REFUSED_AT_MOST = 100
const WRITTEN_EVERY: Milliseconds = SECOND
const WAITING_AT_MOST = 1000
const SWEPT_EVERY: Milliseconds = HOUR
const SWEPT_AT_ONCE = 500

/** Stands for every name that nobody has. */
const NOBODY = ''

const rowShape = z.object({
  username: z.string(),
  at: z.number(),
  ip: z.string().nullable(),
  browser: z.string(),
  outcome: z.enum(['accepted', 'refused', 'banned', 'denied', 'fraud', 'timed-out']),
  factor: z.enum(['password', 'push', 'phone', 'passcode', 'duo-allow', 'failmode']),
})

export function openLogins(records: Kysely<Tables>, clock: Clock, log: FastifyBaseLogger): Logins {
  let waiting: LoginRecord[] = []
  let writing: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let down = false
  let sweptAt: Milliseconds = 0
  let ids = 0

  /** Rises, so that what comes in one millisecond keeps its order. */
  const newId = () => `${String(ids++).padStart(12, '0')}-${randomUUID()}`

  /** Keeps the newest of one kind. */
  async function prune(username: string, accepted: boolean, atMost: number): Promise<void> {
    const beyond = records
      .selectFrom('postern_logins')
      .select('id')
      .where('username', '=', username)
      .where('outcome', accepted ? 'in' : 'not in', ['accepted', 'seen'])
      .orderBy('at', 'desc')
      .orderBy('id', 'desc')
      .limit(WAITING_AT_MOST)
      .offset(atMost)
    await records.deleteFrom('postern_logins').where('id', 'in', beyond).execute()
  }

  async function sweep(): Promise<void> {
    const now = clock()
    if (Math.abs(now - sweptAt) < SWEPT_EVERY) return
    sweptAt = now
    const old = records
      .selectFrom('postern_logins')
      .select('id')
      .where('at', '<', now - KEPT)
      .limit(SWEPT_AT_ONCE)
    await records.deleteFrom('postern_logins').where('id', 'in', old).execute()
  }

  /** One statement for all that were noted meanwhile, whatever their number: a flood of tries costs one write a second. */
  async function write(): Promise<void> {
    const logins = waiting
    waiting = []
    if (logins.length === 0) return
    try {
      await records
        .insertInto('postern_logins')
        .values(logins.map(login => ({ ...rowOf(login), id: newId() })))
        .execute()
      for (const username of new Set(logins.map(({ username }) => username ?? NOBODY))) {
        await prune(username, true, ACCEPTED_AT_MOST)
        await prune(username, false, REFUSED_AT_MOST)
      }
      await sweep()
      if (down) log.info('the last logins are written down again')
      down = false
    } catch (error) {
      // Records that do not answer are told of by themselves. Once: whoever signs in is not held up by it, and the log has each of these as an event of its own.
      if (error instanceof Unavailable) return
      if (!down) log.error({ err: error }, 'the last logins cannot be written down: people are not shown them')
      down = true
    }
  }

  function written(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    writing = writing.then(write)
    return writing
  }

  return {
    // Not at once, and for names that nobody has too: how long the next answer takes must not tell which names exist.
    note(login) {
      if (waiting.length >= WAITING_AT_MOST) return
      waiting.push(login)
      timer ??= setTimeout(() => void written(), WRITTEN_EVERY).unref()
    },

    async latest(username, limit) {
      await written()
      const rows = await records
        .selectFrom('postern_logins')
        .selectAll()
        .where('username', '=', username)
        .where('outcome', '!=', 'seen')
        .where('at', '>', clock() - KEPT)
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
      // What another version wrote is left out.
      return rows.flatMap(row => {
        const read = rowShape.safeParse(row).data
        return read === undefined ? [] : [{ ...read, ip: read.ip ?? undefined }]
      })
    },

    async failedTries(username, by, before) {
      await written()
      const mine = records.selectFrom('postern_logins').where('username', '=', username)
      const newest = async (rows: typeof mine): Promise<Milliseconds | null> => {
        const found = await rows.select('at').orderBy('at', 'desc').limit(1).executeTakeFirst()
        return found?.at ?? null
      }
      const signedIn = mine.where('outcome', '=', 'accepted').where('at', '<', before)
      const since = await newest(signedIn.where('factor', by === 'password' ? '=' : '!=', 'password'))
      const seen = await newest(mine.where('outcome', '=', 'seen'))
      const { count } = await mine
        .where('outcome', 'in', ['refused', 'banned'])
        .where('at', '>', Math.max(since ?? clock() - KEPT, seen ?? 0))
        .select(({ fn }) => fn.countAll<number | string>().as('count'))
        .executeTakeFirstOrThrow()
      return { count: Number(count), since }
    },

    async failedTriesSeen(username) {
      await written()
      await records
        .insertInto('postern_logins')
        .values({
          id: newId(),
          username,
          at: clock(),
          ip: null,
          browser: '',
          outcome: 'seen',
          factor: 'password',
        })
        .execute()
    },

    close: written,
  }
}

const rowOf = ({ username, ip, ...login }: LoginRecord): Omit<Tables['postern_logins'], 'id'> => ({
  ...login,
  username: username ?? NOBODY,
  ip: ip ?? null,
})
