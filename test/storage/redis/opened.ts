import { connect, createServer, type Socket } from 'node:net'
import pino, { type Logger } from 'pino'
import { onTestFinished } from 'vitest'
import { redis as schema } from '../../../src/config/redis.ts'
import { openRedis } from '../../../src/storage/redis/open-redis.ts'
import { type Redis, RedisDown } from '../../../src/storage/redis/redis.ts'
import { StorageProblem } from '../../../src/storage/storage-problem.ts'
import { until } from '../../support/process.ts'
import type { RedisServer } from '../../support/redis.ts'

export interface Line {
  readonly level: number
  readonly reason?: string
  readonly msg: string
}

function recorder(): { log: Logger; lines: Line[] } {
  const lines: Line[] = []
  return { log: pino({ level: 'trace' }, { write: (line: string) => lines.push(JSON.parse(line)) }), lines }
}

/** With a deadline that a busy machine keeps, unless the test is about deadlines. */
export async function open(config: object): Promise<Redis & { lines: Line[] }> {
  const { log, lines } = recorder()
  const redis = await openRedis(schema.parse({ timeout: '3s', ...config }), { clock: Date.now, log })
  onTestFinished(() => redis.close())
  return Object.assign(redis, { lines })
}

export const at = ({ port }: { port: number }, more: object = {}) => ({ host: '127.0.0.1', port, ...more })

/** Why it could not be opened. */
export async function problem(work: Promise<unknown>): Promise<StorageProblem> {
  const error = await work.then(
    () => null,
    error => error,
  )
  if (!(error instanceof StorageProblem)) throw error ?? new Error('it was opened')
  return error
}

/** Why it failed, and after how many milliseconds. */
export async function failure(work: Promise<unknown>): Promise<{ reason: string; message: string; after: number }> {
  const begun = performance.now()
  const error = await work.then(
    () => null,
    error => error,
  )
  if (!(error instanceof RedisDown)) throw error ?? new Error('it did not fail')
  return { reason: error.reason, message: error.message, after: performance.now() - begun }
}

export async function everyKey(redis: Redis, beginning: string): Promise<string[]> {
  const keys = new Set<string>()
  for await (const some of redis.scan(beginning)) for (const key of some) keys.add(key)
  return [...keys].toSorted()
}

export const healed = (redis: Redis) =>
  until(
    () =>
      redis.command('GET', 'x').then(
        () => true,
        () => false,
      ),
    'it answers again',
  )

/** A line to a server that can be cut without either end noticing, or be slow. */
export async function lineTo(server: RedisServer) {
  let open = true
  let delay = 0
  let connections = 0
  const sockets = new Set<Socket>()
  const relay = createServer(near => {
    connections++
    const far = connect(server.port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    }
    near.on('data', bytes => open && far.write(bytes)).on('close', () => far.destroy())
    far.on('data', bytes => open && setTimeout(() => near.write(bytes), delay)).on('close', () => near.destroy())
  })
  await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    relay.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = relay.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    get connections() {
      return connections
    },
    cut: () => {
      open = false
    },
    mend: () => {
      open = true
    },
    slow: (milliseconds: number) => {
      delay = milliseconds
    },
  }
}
