import type { FastifyBaseLogger } from 'fastify'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import { problems } from '../problems/problems.ts'
import type { FileMark } from '../storage/file-mark.ts'
import { type Copy, copyOf, MARK_EVERY, type Marks, nextMark, TOLERANCE } from '../storage/older-copy.ts'
import { RecordsDown } from '../storage/records-down.ts'
import { recordsMark } from '../storage/records-mark.ts'
import { type Redis, RedisDown } from '../storage/redis/redis.ts'
import { fileDown } from '../storage/sqlite-dialect.ts'
import type { Storage } from '../storage/storage.ts'
import type { Audit } from '../telemetry/audit.ts'
import { redisDoubt, redisMark } from './redis-mark.ts'

interface Parts {
  readonly storage: Pick<Storage, 'mark' | 'records' | 'health'>
  readonly redis: Redis | null
  readonly clock: Clock
  /** The same, steady. */
  readonly now: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
}

/** Ends the sessions whose password was accepted before. Returns how many lived. */
type EndAll = (before: Milliseconds) => Promise<number>

export interface OlderCopies {
  /** Throws while it is not known whether what is in the store can be believed. */
  requireOurs(): void
  /** Ends what an older copy has. Nothing may be served before it resolves. @throws when that cannot be done in the file, or the records do not answer */
  begin(endAll: EndAll): Promise<void>
  close(): Promise<void>
}

const LOOK_AGAIN_AFTER: Milliseconds = SECOND

/**
 * A copy of the store that was brought back (a backup, a snapshot, an old dump) has sessions that were ended since: all in it end. It is told by when the store
 * was last in use, which is noted in it and in a second place: docs/decisions/0014-older-copies.md.
 */
export function watchOlderCopies(parts: Parts): OlderCopies {
  const { storage, redis } = parts
  const file = storage.mark === null ? null : watchFile(storage.mark, parts)
  const inRedis = redis === null ? null : watchRedis(redis, parts)
  return {
    requireOurs: () => inRedis?.requireOurs(),
    async begin(endAll) {
      // Where sessions are in Redis the file may have records.
      await file?.begin(redis === null ? endAll : async () => 0)
      await inRedis?.begin(endAll)
    },
    async close() {
      await inRedis?.close()
      await file?.close()
    },
  }
}

type Watched = Omit<OlderCopies, 'requireOurs'>

function watchFile(mark: FileMark, { storage, clock, now, log, audit }: Parts): Watched {
  const next = nextMark(clock)
  const failing = toldOnce(log, error => fileDown(error, storage.health) !== null)
  let timer: NodeJS.Timeout | undefined
  let beside: Milliseconds = 0
  let endAll: EndAll = async () => 0

  async function end(copy: Noticed['copy'], marks: Marks, noticed: Milliseconds): Promise<void> {
    const count = await endAll(beginOfOurs(noticed, marks))
    const browsers = mark.holdsRecords ? await forgetBrowsers(storage) : 0
    tell({ copy, marks, store: mark.path, count, browsers }, log, audit)
  }
  /** SQLite itself writes a copy into an open file (`.restore`): it says less then than it said before. */
  async function endRestored(): Promise<void> {
    const noticed = now()
    const { store, beside } = mark.look()
    const marks = { store: mark.standing(), beside: Math.max(store ?? 0, beside ?? 0) }
    if (copyOf(marks) === 'older') await end('older', marks, noticed)
  }
  // Ahead of what an older copy knew from the first time on, also where the clock was set back.
  const move = () => mark.move(standing => next(Math.max(standing, beside)))
  let looked = Promise.resolve()
  /** One after the other: a disk that hangs is asked once, and the last has ended when this is closed. */
  const look = () => {
    looked = looked.then(() =>
      failing(async () => {
        await endRestored()
        await move()
      }),
    )
    return looked
  }
  return {
    async begin(ending) {
      endAll = ending
      const noticed = now()
      const marks = mark.look()
      const copy = copyOf(marks)
      beside = marks.beside ?? 0
      if (copy !== 'ours') await end(copy, marks, noticed)
      await failing(move)
      timer = setInterval(() => void look(), MARK_EVERY).unref()
    },
    async close() {
      clearInterval(timer)
      if (timer !== undefined) await look()
    },
  }
}

function watchRedis(redis: Redis, { storage, clock, now, log, audit }: Parts): OlderCopies {
  const next = nextMark(clock)
  const failing = toldOnce(log, error => error instanceof RedisDown || error instanceof RecordsDown)
  const mark = redisMark(redis)
  const beside = recordsMark(storage.records)
  let known: Milliseconds | null = null
  /** What Redis took last, and may still lose: a primary dies before it has replicated, a power cut takes the last second of its file. */
  let taken: Milliseconds | null = null
  let endAll: EndAll = async () => 0
  let timer: NodeJS.Timeout | undefined

  const doubt = redisDoubt({
    redis,
    mark,
    known: () => known,
    async end(store) {
      const marks = { store, beside: known }
      const count = await endAll(beginOfOurs(now(), marks))
      await mark.move(Math.max(next(store ?? 0), known ?? 0))
      tell({ copy: 'older', marks, store: 'Redis', count, browsers: 0 }, log, audit)
    },
    failed: error =>
      log.error({ err: error }, 'it cannot be seen whether Redis is an older copy: it is closed meanwhile'),
    again: LOOK_AGAIN_AFTER,
  })

  async function move(): Promise<void> {
    if (doubt.doubted) return
    const wanted = next(Math.max(taken ?? 0, known ?? 0))
    const before = await mark.move(wanted)
    // A minute later it is still there: the second place may know of it.
    if (taken !== null && before !== null && before >= taken) known = Math.max(known ?? 0, taken)
    taken = Math.max(wanted, before ?? 0)
    if (known !== null) await beside.move(known)
  }

  return {
    requireOurs: doubt.requireOurs,
    async begin(ending) {
      endAll = ending
      known = await beside.read()
      await doubt.look()
      await failing(move)
      timer = setInterval(() => void failing(move), MARK_EVERY).unref()
    },
    async close() {
      clearInterval(timer)
      doubt.close()
      if (timer !== undefined) await failing(move)
    },
  }
}

/**
 * Whatever began before is of the copy, also where the clock is behind of what it was then. What begins from here on, at another process that took the
 * copy first, is not.
 */
const beginOfOurs = (noticed: Milliseconds, { store, beside }: Marks): Milliseconds =>
  Math.max(noticed, beside ?? 0, (store ?? 0) + TOLERANCE)

/** They would pass Duo without a factor, also those that were forgotten since. */
async function forgetBrowsers({ records }: Pick<Storage, 'records'>): Promise<number> {
  const { numDeletedRows } = await records.deleteFrom('postern_remembered_browsers').executeTakeFirst()
  return Number(numDeletedRows)
}

interface Noticed {
  readonly copy: Exclude<Copy, 'ours'>
  readonly marks: Marks
  readonly store: string
  readonly count: number
  readonly browsers: number
}

function tell({ copy, marks, store, count, browsers }: Noticed, log: FastifyBaseLogger, audit: Audit): void {
  // A store without a mark that has nothing is a new one, or was emptied.
  if (marks.store === null && count === 0 && browsers === 0) return
  const reason = `store-${copy}` as const
  const { title, mend } = problems[reason]
  const at = (mark: Milliseconds | null) => (mark === null ? 'not known' : new Date(mark).toISOString())
  log.error(
    { reason, store, usedUntil: at(marks.store), shouldBe: at(marks.beside), sessions: count, browsers },
    `${title}. ${mend}`,
  )
  if (count > 0) audit('session.revoked', { count, reason: 'all', detail: title })
}

/**
 * Does what may fail, again and again, and tells when it begins to fail and when it works again. Nobody is refused by it: a mark that is behind is
 * never wrong.
 * @param isTold whether somebody else tells of it
 */
function toldOnce(
  log: FastifyBaseLogger,
  isTold: (error: unknown) => boolean,
): (work: () => Promise<void>) => Promise<void> {
  let failed = false
  return async work => {
    try {
      await work()
      if (failed) log.info('it is noted again when the store of sessions was in use last')
      failed = false
    } catch (error) {
      if (isTold(error)) return
      const { title, mend } = problems['store-mark']
      if (!failed) log.warn({ err: error, reason: 'store-mark' }, `${title}. ${mend}`)
      failed = true
    }
  }
}
