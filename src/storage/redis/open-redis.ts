import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import { z } from 'zod'
import { type Clock, MINUTE, type Milliseconds } from '../../clock.ts'
import { certificatesIn } from '../../config/ca-files.ts'
import type { Config } from '../../config/schema.ts'
import { StorageProblem } from '../storage-problem.ts'
import { openCluster } from './cluster.ts'
import { replyCode, WrongServer } from './faults.ts'
import type { Access, Address } from './link.ts'
import { type Finding, lookAt, tryOut, warnOfEviction } from './look.ts'
import { openPrimary } from './primary.ts'
import { type Argument, type Redis, RedisDown, type Reply } from './redis.ts'
import { askSentinels } from './sentinel.ts'
import type { Servers } from './servers.ts'
import { hashTag } from './slots.ts'
import { openTrouble } from './trouble.ts'
import { isProof } from './watch.ts'

const PREFIX = 'postern:'

type RedisConfig = NonNullable<Config['session']['redis']>

/**
 * Connects, and goes on trying for as long as the process lives: Redis that is down is no reason not to serve what needs none.
 * @throws {StorageProblem} when waiting would not mend it: a wrong password, another kind of server, a certificate that does not verify
 */
export async function openRedis(
  config: RedisConfig,
  { clock, log }: { clock: Clock; log: FastifyBaseLogger },
): Promise<Redis> {
  const trouble = openTrouble(clock, log)
  const first = Promise.withResolvers<RedisDown | null>()
  const doneLately = recentCalls(clock)
  const listeners: { readonly key: string; readonly tell: () => void }[] = []
  const servers = openServers(config, {
    changed(fault) {
      trouble.connection(fault)
      first.resolve(fault)
    },
    renewed(has) {
      // Commands of one connection are carried out in order: whatever is asked from now on comes after these.
      for (const { key, args } of doneLately.all()) servers.send(key, args).catch(() => {})
      for (const { key, tell } of listeners) if (has(key)) tell()
    },
  })
  const close = async () => {
    trouble.close()
    servers.close()
  }
  const fault = (await first.promise) ?? (await look())
  const problem = fault === null ? null : asProblem(fault)
  if (problem !== null) {
    await close()
    throw problem
  }

  /** Whether it is there to be used. */
  async function look(): Promise<RedisDown | null> {
    try {
      await tryOut(servers, `${PREFIX}probe`)
      warnOfEviction(await lookAt(servers), log)
      return null
    } catch (error) {
      if (error instanceof RedisDown) return error
      throw error
    }
  }

  async function send(key: string, args: readonly Argument[]): Promise<Reply> {
    try {
      return await servers.send(key, args)
    } catch (error) {
      if (!(error instanceof RedisDown)) throw error
      if (servers.fault === null)
        trouble.command(error, () => servers.send(key, ['SET', `${PREFIX}probe:{${hashTag(key)}}`, 1, 'PX', 1000]))
      const { ref } = trouble.now ?? {}
      throw ref === undefined ? error : Object.assign(error, { ref })
    }
  }

  return {
    command: (name, key, ...args) => send(PREFIX + key, [name, PREFIX + key, ...args]),
    script(source, mode) {
      const sha = createHash('sha1').update(source).digest('hex')
      return async ([first, ...more], args = []) => {
        const key = PREFIX + first
        const keys = [key, ...more.map(other => PREFIX + other)]
        const rest = [keys.length, ...keys, ...args]
        const whole = ['EVAL', source, ...rest]
        const reply = await send(key, ['EVALSHA', sha, ...rest]).catch(error => {
          if (replyCode(error) !== 'NOSCRIPT') throw error
          return send(key, whole)
        })
        if (mode === 'again') doneLately.note({ key, args: whole })
        return reply
      }
    },
    async *scan(beginning) {
      const pattern = `${(PREFIX + beginning).replaceAll(/[\\*?[\]^-]/g, '\\$&')}*`
      for (const server of servers.all()) {
        let cursor = '0'
        do {
          const reply = scanReply.parse(await server.send(['SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000]))
          cursor = reply[0]
          const keys = reply[1].filter(key => !isProof(key)).map(key => key.slice(PREFIX.length))
          if (keys.length > 0) yield keys
        } while (cursor !== '0')
      }
    },
    watch: (beginning, { changed, lost }) =>
      servers.watch(PREFIX + beginning, { changed: key => changed(key.slice(PREFIX.length)), lost }),
    onRenewed: (key, tell) => void listeners.push({ key: PREFIX + key, tell }),
    get trouble() {
      return trouble.now
    },
    close,
  }
}

/** What is there, for `doctor`: what it says of itself (null: it may not), or why it cannot be used. Connects, writes a key that is gone after a second, and leaves. */
export async function lookAtRedis(config: RedisConfig): Promise<Finding | null | StorageProblem | RedisDown> {
  const first = Promise.withResolvers<RedisDown | null>()
  let servers: Servers | undefined
  try {
    servers = openServers(config, { changed: first.resolve, renewed: () => {} })
    const fault = await first.promise
    if (fault !== null) return asProblem(fault) ?? fault
    await tryOut(servers, `${PREFIX}probe`)
    return await lookAt(servers)
  } catch (error) {
    if (error instanceof RedisDown) return asProblem(error) ?? error
    if (error instanceof StorageProblem) return error
    throw error
  } finally {
    servers?.close()
  }
}

const scanReply = z.tuple([z.string(), z.array(z.string())])

function accessOf(config: RedisConfig): Access {
  const { username, password, timeout, database_index, tls } = config
  return { username, password, timeout, database: database_index, tls: tls === undefined ? null : tlsOf(tls) }
}

function tlsOf(tls: NonNullable<RedisConfig['tls']>): ConnectionOptions {
  const version = { 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' } as const
  return {
    ...(tls.server_name === undefined ? {} : { servername: tls.server_name }),
    minVersion: version[tls.minimum_version],
    maxVersion: version[tls.maximum_version],
    ...(tls.certificate_chain === undefined ? {} : { cert: tls.certificate_chain }),
    ...(tls.private_key === undefined ? {} : { key: tls.private_key }),
    ...(tls.ca_file === undefined ? {} : { ca: certificateOf(tls.ca_file) }),
  }
}

function certificateOf(path: string): string {
  let certificates: readonly string[]
  try {
    certificates = certificatesIn(readFileSync(path, 'latin1'))
  } catch (error) {
    throw new StorageProblem('redis-config', `session.redis.tls.ca_file: ${String(error)}`, error)
  }
  if (certificates.length === 0)
    throw new StorageProblem('redis-config', `session.redis.tls.ca_file: ${path} holds no certificate in PEM`)
  return certificates.join('\n')
}

interface Call {
  readonly key: string
  readonly args: readonly Argument[]
}

const CALLS_AT_MOST = 2_000
const REPEATED_FOR: Milliseconds = 10 * MINUTE

/** The newest calls that a new primary must hear of, oldest first. */
function recentCalls(clock: Clock): { note(call: Call): void; all(): readonly Call[] } {
  let calls: (Call & { at: Milliseconds })[] = []
  return {
    note(call) {
      calls.push({ ...call, at: clock() })
      if (calls.length >= 2 * CALLS_AT_MOST) calls = calls.slice(-CALLS_AT_MOST)
    },
    all: () => calls.slice(-CALLS_AT_MOST).filter(({ at }) => at > clock() - REPEATED_FOR),
  }
}

interface Told {
  readonly changed: (fault: RedisDown | null) => void
  readonly renewed: (has: (key: string) => boolean) => void
}

function openServers(config: RedisConfig, told: Told): Servers {
  const access = accessOf(config)
  const { high_availability: sentinels, cluster, host, port } = config
  const first = host === undefined ? [] : [{ host, port }]
  if (cluster !== undefined) return openCluster({ access, seeds: [...first, ...cluster.nodes], ...told })
  if (sentinels === undefined) {
    const address = addressOf(host, port)
    return openPrimary({ access, where: () => address, moves: false, ...told })
  }
  const { sentinel_name: name, sentinel_username: username, sentinel_password: password } = sentinels
  // As Authelia has it: host is one of them.
  const nodes = [...first, ...sentinels.nodes]
  const asked = { name, nodes, access: { ...access, username, password, database: 0 } }
  return openPrimary({ access, where: () => askSentinels(asked), moves: true, ...told })
}

const addressOf = (host = 'localhost', port: number): Address =>
  host.startsWith('/') ? { path: host } : { host, port }

/** What the administrator has to mend; null where it is enough to wait. */
function asProblem(fault: RedisDown): StorageProblem | null {
  if (fault.cause instanceof WrongServer) return new StorageProblem('redis-config', fault.message, fault)
  if (fault.reason === 'redis-denied' || fault.reason === 'redis-tls')
    return new StorageProblem(fault.reason, fault.message, fault)
  return null
}
