import type { FastifyBaseLogger } from 'fastify'
import { z } from 'zod'
import { problems } from '../../problems/problems.ts'
import { replyCode } from './faults.ts'
import type { Servers } from './servers.ts'

/** Writes and reads by a script, as sessions do. @throws {RedisDown} */
export async function tryOut(servers: Servers, key: string): Promise<void> {
  await servers.send(key, [
    'EVAL',
    "redis.call('SET', KEYS[1], 1, 'PX', 1000) return redis.call('GET', KEYS[1])",
    1,
    key,
  ])
}

export interface Finding {
  readonly version: string
  /** `noeviction` is the one that keeps sessions, bans and pushes. */
  readonly evictionPolicy: string
}

/** What each server says of itself; null where its permissions do not allow it. @throws {RedisDown} */
export async function lookAt(servers: Servers): Promise<Finding | null> {
  const found: Finding[] = []
  try {
    for (const server of servers.all()) {
      const info = z.string().parse(await server.send(['INFO']))
      const line = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'unknown'
      found.push({ version: line('redis_version'), evictionPolicy: line('maxmemory_policy') })
    }
  } catch (error) {
    if (replyCode(error) === 'NOPERM' || (error instanceof Error && replyCode(error.cause) === 'NOPERM')) return null
    throw error
  }
  return found.find(({ evictionPolicy }) => evictionPolicy !== 'noeviction') ?? found[0] ?? null
}

export function warnOfEviction(finding: Finding | null, log: FastifyBaseLogger): void {
  const { title, mend } = problems['redis-evicts']
  if (finding === null) log.info('Redis does not let Postern see its maxmemory-policy, which should be noeviction')
  else if (finding.evictionPolicy !== 'noeviction')
    log.warn({ reason: 'redis-evicts', policy: finding.evictionPolicy }, `${title}. ${mend}`)
}
