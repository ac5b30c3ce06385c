import { type Logger, pino } from 'pino'
import { caFileProblems } from '../config/ca-files.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { problems } from '../problems/problems.ts'
import { Unavailable } from '../problems/unavailable.ts'
import { openSessions } from '../session/open-sessions.ts'
import type { Sessions } from '../session/session.ts'
import { openRecords, openStorage } from '../storage/open-storage.ts'
import { openRedis } from '../storage/redis/open-redis.ts'
import { StorageProblem } from '../storage/storage-problem.ts'
import { type Audit, createAudit } from '../telemetry/audit.ts'
import { createLog } from '../telemetry/log.ts'
import type { OpenCounter } from '../users/counter.ts'
import { redisCounters } from '../users/redis-counter.ts'
import { sqliteCounters } from '../users/sqlite-counter.ts'

/** What a running server keeps, open to a command beside it: what this changes holds there from the next request on. */
export interface Stores {
  readonly config: Config
  readonly sessions: Sessions
  readonly counters: OpenCounter
  /** To the server's log file, where there is one: standard output is the command's own. */
  readonly audit: Audit
  close(): Promise<void>
}

/**
 * The stores that the configuration names. Tells on standard error what is in the way; null then.
 * The storage file is made, or brought up to date, where the server would do that.
 */
async function openStores(file: string): Promise<Stores | null> {
  const config = await loadForStores(file)
  if (config === null) return null
  const clock = Date.now
  const closing: (() => Promise<void>)[] = []
  const close = async () => {
    for (const one of closing.toReversed()) await one()
  }
  try {
    const log = quietLog(config.log)
    const redis = config.session.redis === undefined ? null : await openRedis(config.session.redis, { clock, log })
    if (redis !== null) closing.push(() => redis.close())
    const storage = await (redis === null ? openStorage : openRecords)(config.storage, { log })
    closing.push(() => storage.close())
    const audit = createAudit(log)
    const sessions = await openSessions({ config: config.session, storage, redis, clock, log, audit })
    closing.push(() => sessions.close())
    const counters = redis === null ? sqliteCounters(storage, clock) : redisCounters(redis, clock)
    return { config, sessions, counters, audit, close }
  } catch (error) {
    await close()
    refused(whyNot(error))
    return null
  }
}

/** The configuration, where what it says of the stores can be used. Tells on standard error what is wrong; null then. */
export async function loadForStores(file: string): Promise<Config | null> {
  const loaded = await loadConfig(file, process.env)
  const problems = loaded.ok ? await caFileProblems(loaded.config, loaded.locate) : loaded.problems
  // Neither people nor Duo are asked by those who look into the stores.
  const inTheWay = loaded.ok ? problems.filter(({ key }) => /^(?:session|storage)\./.test(key)) : problems
  if (loaded.ok && inTheWay.length === 0) return loaded.config
  for (const problem of inTheWay) console.error(formatProblem(problem))
  refused(`${file} has errors.`)
  return null
}

function quietLog(config: Config['log']): Logger {
  return config.file_path === undefined ? pino({ level: 'silent' }) : createLog({ ...config, keep_stdout: false })
}

/** Does `work` with the stores, and closes them. Resolves with the exit code: 1 when they cannot be opened, or do not answer. */
export async function withStores(
  { config }: { readonly config: string },
  work: (stores: Stores) => Promise<number>,
): Promise<number> {
  const stores = await openStores(config)
  if (stores === null) return 1
  try {
    return await work(stores)
  } catch (error) {
    return refused(whyNot(error))
  } finally {
    await stores.close()
  }
}

/** Tells why on standard error. Returns the exit code. */
export function refused(why: string): number {
  console.error(`postern: ${why}`)
  return 1
}

/** What lies deepest is what can be mended: Redis that is down, not the sessions that cannot be read for it. */
function whyNot(error: unknown): string {
  if (error instanceof Unavailable && error.cause instanceof Unavailable) return whyNot(error.cause)
  const why = error instanceof Error ? error.message : String(error)
  if (error instanceof StorageProblem) return `${why}. ${error.mend}`
  return error instanceof Unavailable ? `${why}. ${problems[error.reason].mend}` : why
}
