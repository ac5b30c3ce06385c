import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Cleanup, freePort, freeze, requiredProgram, start, temporaryFolder, until } from './process.ts'

const server = requiredProgram('redis-server', 'apt-get install redis-server')
const cli = requiredProgram('redis-cli', 'apt-get install redis-tools')
const run = promisify(execFile)

export interface RedisServer {
  readonly port: number
  readonly folder: string
  /** What it answers to a command, as redis-cli prints it. */
  ask(...args: readonly string[]): Promise<string>
  /** Frozen: connections stay open, and nothing answers. */
  freeze(): void
  thaw(): void
  /** Without saving. */
  kill(): Promise<void>
  stop(): Promise<void>
  /** The same again, on the same port, with what it has saved. */
  again(): Promise<void>
}

interface Wishes {
  readonly cleanup: Cleanup
  /** Lines of redis.conf. */
  readonly lines?: readonly string[]
  /** What redis-cli needs to get in. */
  readonly cliArguments?: readonly string[]
  readonly sentinel?: boolean
  readonly port?: number
}

/** A real one, with a folder of its own, which keeps its data in an append-only file. */
export async function startRedis(wishes: Wishes): Promise<RedisServer> {
  const { cleanup, lines = [], cliArguments = [], sentinel = false } = wishes
  const folder = temporaryFolder(cleanup)
  const port = wishes.port ?? (await freePort())
  const file = join(folder, 'redis.conf')
  // Never synchronised, but written before each answer. With `everysec`, which is the default, what was answered while a busy disk synchronises
  // is not written yet, and a SIGKILL takes it back.
  const append = ['appendonly yes', 'appendfsync no']
  const own = sentinel ? [] : ['save ""', ...append, 'repl-diskless-sync-delay 0', 'shutdown-timeout 0']
  const listens = lines.some(line => line.startsWith('tls-port ')) ? [] : [`port ${port}`]
  writeFileSync(file, ['bind 127.0.0.1', ...listens, `dir ${folder}`, ...own, ...lines, ''].join('\n'))
  const launch = () => start(server, [file, ...(sentinel ? ['--sentinel'] : [])], { cleanup })
  let running = launch()
  const signal = (name: NodeJS.Signals) => {
    if (running.child.pid !== undefined && running.child.exitCode === null) running.child.kill(name)
  }
  cleanup(() => signal('SIGCONT'))
  const ask = async (...args: readonly string[]) => {
    const { stdout } = await run(cli, ['-p', String(port), ...cliArguments, ...args])
    return stdout.trim()
  }
  const up = () =>
    until(async () => {
      if (running.child.exitCode !== null) throw new Error(`redis-server ended:\n${running.output()}`)
      return /PONG|LOADING/.test(await ask('PING').catch(() => ''))
    }, `redis-server on ${port}`)
  await up()
  return {
    port,
    folder,
    ask,
    freeze: () => freeze(running.child.pid),
    thaw: () => signal('SIGCONT'),
    async kill() {
      await running.stop('SIGKILL')
    },
    async stop() {
      await running.stop()
    },
    async again() {
      running = launch()
      await up()
    },
  }
}

export interface Sentinels {
  readonly name: string
  readonly ports: readonly number[]
  /** The first is the primary in the beginning. */
  readonly servers: readonly RedisServer[]
  /** Where it is now, as they agree. */
  primary(): Promise<RedisServer>
  /** Resolves when another one is the primary. */
  failOver(): Promise<void>
}

/** A primary with a replica, and three Sentinels that notice within half a second. */
export async function startSentinels({
  cleanup,
  lines = [],
}: {
  cleanup: Cleanup
  lines?: readonly string[]
}): Promise<Sentinels> {
  const name = 'mymaster'
  const first = await startRedis({ cleanup })
  const second = await startRedis({ cleanup, lines: [`replicaof 127.0.0.1 ${first.port}`] })
  const servers = [first, second]
  await until(async () => (await second.ask('INFO', 'replication')).includes('master_link_status:up'), 'it replicates')
  const watching = [
    `sentinel monitor ${name} 127.0.0.1 ${first.port} 2`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 3000`,
    ...lines,
  ]
  const launched = [1, 2, 3].map(() => startRedis({ cleanup, sentinel: true, lines: watching }))
  const sentinels = await Promise.all(launched)
  const [one] = sentinels
  if (one === undefined) throw new Error('no Sentinel')
  const facts = async (of: RedisServer) => await of.ask('SENTINEL', 'MASTER', name)
  for (const sentinel of sentinels)
    await until(
      async () => /num-slaves\n1\nnum-other-sentinels\n2/.test(await facts(sentinel)),
      'the Sentinels know each other and the replica',
    )
  const where = async (of: RedisServer) =>
    Number((await of.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)).split('\n')[1])
  const agreed = async () => {
    const ports = await Promise.all(sentinels.map(where))
    const server = servers.find(({ port }) => port === ports[0])
    return new Set(ports).size === 1 ? server : undefined
  }
  const primary = () => until(agreed, 'they agree')
  return {
    name,
    ports: sentinels.map(({ port }) => port),
    servers,
    primary,
    async failOver() {
      const before = await primary()
      await until(async () => (await one.ask('SENTINEL', 'FAILOVER', name)) === 'OK', 'the failover begins')
      await until(async () => ((await agreed()) ?? before) !== before, 'another is the primary')
    },
  }
}

export interface Cluster {
  readonly primaries: readonly RedisServer[]
  /** The replica of each. */
  readonly replicas: readonly RedisServer[]
  /** Moves one slot from whoever has it to another primary; in between, `halfway` runs. */
  moveSlot(slot: number, to: RedisServer, halfway?: () => Promise<void>): Promise<void>
}

/** Three primaries that share the slots; each with a replica if wished. */
export async function startCluster({
  cleanup,
  replicas: wanted = false,
}: {
  cleanup: Cleanup
  replicas?: boolean
}): Promise<Cluster> {
  const launch = async () => {
    // Its bus is usually 10,000 above, which may be no port.
    const lines = [
      'cluster-enabled yes',
      `cluster-port ${await freePort()}`,
      'cluster-node-timeout 1000',
      'cluster-replica-validity-factor 0',
    ]
    return { server: await startRedis({ cleanup, lines }), bus: Number(lines[1]?.split(' ')[1]) }
  }
  const all = await Promise.all(Array.from({ length: wanted ? 6 : 3 }, launch))
  const servers = all.map(({ server }) => server)
  const primaries = servers.slice(0, 3)
  const replicas = servers.slice(3)
  const [first] = all
  if (first === undefined) throw new Error('no server')
  const ranges = ['0 5460', '5461 10922', '10923 16383']
  for (const [index, server] of primaries.entries())
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', ...(ranges[index]?.split(' ') ?? []))
  for (const [index, server] of servers.entries()) await server.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
  for (const { server, bus } of all.slice(1))
    await first.server.ask('CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(bus))
  const info = (server: RedisServer) => server.ask('CLUSTER', 'INFO')
  for (const server of servers)
    await until(
      async () => (await info(server)).includes(`cluster_known_nodes:${servers.length}`),
      'they know each other',
    )
  const ids = new Map<RedisServer, string>()
  for (const server of servers) ids.set(server, await server.ask('CLUSTER', 'MYID'))
  const id = (server: RedisServer) => ids.get(server) ?? ''
  for (const [index, replica] of replicas.entries()) {
    const primary = primaries[index]
    if (primary !== undefined)
      await until(async () => (await replica.ask('CLUSTER', 'REPLICATE', id(primary))) === 'OK', 'it replicates')
  }
  for (const server of servers)
    await until(async () => (await info(server)).includes('cluster_state:ok'), 'the Cluster is whole')
  for (const replica of replicas)
    await until(async () => (await replica.ask('INFO', 'replication')).includes('master_link_status:up'), 'replicated')
  return {
    primaries,
    replicas,
    async moveSlot(slot, to, halfway) {
      const from = await until(async () => {
        for (const server of primaries)
          if (
            (await server.ask('CLUSTER', 'NODES')).split('\n').some(line => line.includes('myself') && owns(line, slot))
          )
            return server
        return undefined
      }, 'somebody has it')
      await to.ask('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', id(from))
      await from.ask('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', id(to))
      for (const key of (await from.ask('CLUSTER', 'GETKEYSINSLOT', String(slot), '1000')).split('\n').filter(Boolean))
        await from.ask('MIGRATE', '127.0.0.1', String(to.port), key, '0', '1000')
      await halfway?.()
      for (const server of [to, from]) await server.ask('CLUSTER', 'SETSLOT', String(slot), 'NODE', id(to))
    },
  }
}

/** A line of CLUSTER NODES ends with the slots: `0-5460 7000`. */
function owns(line: string, slot: number): boolean {
  return line
    .split(' ')
    .slice(8)
    .some(range => {
      const [first, last = first] = range.split('-').map(Number)
      return first !== undefined && last !== undefined && first <= slot && slot <= last
    })
}
