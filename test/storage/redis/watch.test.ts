import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Redis, Watch } from '../../../src/storage/redis/redis.ts'
import { until } from '../../support/process.ts'
import { type RedisServer, startRedis } from '../../support/redis.ts'
import { at, healed, open } from './opened.ts'

function watching(redis: Redis, beginning: string): { watch: Watch; told: string[] } {
  const told: string[] = []
  const watch = redis.watch(beginning, { changed: key => told.push(key), lost: () => told.push('everything') })
  onTestFinished(() => watch.close())
  return { watch, told }
}

describe('a watch', () => {
  it('tells of keys that begin so, whoever changes them: written, deleted, expired, emptied; and of no other', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    const { watch, told } = watching(redis, 's:')
    await until(() => watch.isTrue(), 'it is true')
    expect(told).toEqual(['everything'])
    told.length = 0
    await server.ask('SET', 'postern:s:a', '1')
    await redis.command('SET', 's:b', 1, 'PX', 1)
    await redis.command('SET', 't:c', 1)
    await until(() => told.filter(key => key === 's:b').length >= 2, 'b is written and expires')
    await redis.command('DEL', 's:a')
    await until(() => told.filter(key => key === 's:a').length === 2, 'a is written and deleted')
    expect(new Set(told)).toEqual(new Set(['s:a', 's:b']))
    await server.ask('FLUSHALL')
    await until(() => told.includes('everything'), 'it is emptied')
  })

  it('is not true later than a second after Redis froze, and true again after it thawed', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server, { timeout: '5s' })) // nothing else notices within the second
    const { watch } = watching(redis, 's:')
    await until(() => watch.isTrue(), 'it is true')
    const frozenAt = performance.now()
    server.freeze()
    await until(() => performance.now() - frozenAt >= 1_000, 'a second is over')
    expect(watch.isTrue()).toBe(false)
    server.thaw()
    await until(() => watch.isTrue(), 'it is true again')
  })

  it('is not true any more once Redis is closed', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    const { watch } = watching(redis, 's:')
    await until(() => watch.isTrue(), 'it is true')
    await redis.close()
    expect(watch.isTrue()).toBe(false)
  })

  it('tells that everything may have changed when its connection breaks, before it is true again', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    const { watch, told } = watching(redis, 's:')
    await until(() => watch.isTrue(), 'it is true')
    told.length = 0
    await server.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(() => told.includes('everything'), 'it is told')
    expect(watch.isTrue()).toBe(false)
    await healed(redis)
    await until(() => watch.isTrue(), 'it is true again')
  })

  it('is never true on another server than the commands go to, as behind an address that moves', async () => {
    const [one, two] = [await startRedis({ cleanup: onTestFinished }), await startRedis({ cleanup: onTestFinished })]
    const address = await movingAddress(one)
    const redis = await open(at(address))
    address.moveTo(two)
    const { watch } = watching(redis, 's:')
    await until(() => address.connectionsTo(two) > 0, 'the watch is connected to the other one')
    // So many heartbeats are answered on the other one.
    const before = await pings(two)
    await until(async () => (await pings(two)) > before + 4, 'it is asked and answers')
    expect(watch.isTrue()).toBe(false)
    await redis.command('SET', 's:a', 1)
    expect(await one.ask('GET', 'postern:s:a')).toBe('1')
    await one.kill()
    await healed(redis)
    await until(() => watch.isTrue(), 'both are on the same')
  })
})

const pings = async (server: RedisServer) =>
  Number(/cmdstat_ping:calls=(\d+)/.exec(await server.ask('INFO', 'commandstats'))?.[1] ?? 0)

/** An address whose new connections can be sent to another server, while the old ones stay. */
async function movingAddress(first: RedisServer) {
  let target = first
  const counts = new Map<RedisServer, number>()
  const sockets = new Set<Socket>()
  const relay = createServer(near => {
    counts.set(target, (counts.get(target) ?? 0) + 1)
    const far = connect(target.port, '127.0.0.1')
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
    near.pipe(far)
    far.pipe(near)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
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
    moveTo: (server: RedisServer) => {
      target = server
    },
    connectionsTo: (server: RedisServer) => counts.get(server) ?? 0,
  }
}
