import { describe, expect, it, onTestFinished } from 'vitest'
import { freePort, until } from '../../support/process.ts'
import { startRedis } from '../../support/redis.ts'
import { at, failure, healed, lineTo, open } from './opened.ts'

describe('Redis that fails', () => {
  it('row 152: is down at the start: opens all the same, refuses at once, heals by itself; logged once each way', async () => {
    const port = await freePort()
    const redis = await open(at({ port }))
    expect(redis.trouble).toMatchObject({ reason: 'redis-down' })
    const many = await Promise.all(Array.from({ length: 1000 }, () => failure(redis.command('GET', 'a'))))
    expect(new Set(many.map(({ reason }) => reason))).toEqual(new Set(['redis-down']))
    expect(Math.max(...many.map(({ after }) => after))).toBeLessThan(500)
    await startRedis({ cleanup: onTestFinished, port })
    await healed(redis)
    expect(redis.trouble).toBe(null)
    await until(() => redis.lines.some(({ level }) => level === 30), 'it is told to work again')
    expect(redis.lines.map(({ level, reason }) => ({ level, reason }))).toEqual([
      { level: 50, reason: 'redis-down' },
      { level: 30, reason: 'redis-down' },
    ])
  })

  it('row 152: killed while commands are under way: each fails, none is sent again, and it heals with what it had kept', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    await redis.command('SET', 'kept', 1)
    const sent = Array.from({ length: 200 }, () => redis.command('INCR', 'n').catch((error: unknown) => error))
    await Promise.all([Promise.all(sent), server.kill()])
    expect((await failure(redis.command('GET', 'a'))).after).toBeLessThan(200)
    await server.again()
    await healed(redis)
    expect(await redis.command('GET', 'kept')).toBe('1')
    expect(Number(await redis.command('GET', 'n'))).toBeLessThanOrEqual(200)
  })

  it('row 153: frozen: the first commands wait for the deadline and no longer, later ones not at all; thawed, it heals', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server, { timeout: '300ms' }))
    server.freeze()
    const first = await failure(redis.command('GET', 'a'))
    expect(first).toMatchObject({ reason: 'redis-down', message: 'no answer within 300 ms' })
    expect(first.after).toBeLessThan(600)
    expect((await failure(redis.command('GET', 'a'))).after).toBeLessThan(50)
    server.thaw()
    await healed(redis)
    expect(redis.lines.filter(({ level }) => level === 50)).toHaveLength(1)
  })

  it('row 153: 10,000 are under way at most, whoever comes then is refused at once, and memory stays flat', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server, { timeout: '10s' }))
    server.freeze()
    const waiting = Array.from({ length: 10_000 }, () => failure(redis.command('GET', 'a')))
    const before = process.memoryUsage().heapUsed
    for (let round = 0; round < 20; round++)
      for (const { reason, after } of await Promise.all(
        Array.from({ length: 2_000 }, () => failure(redis.command('GET', 'a'))),
      )) {
        expect(reason).toBe('redis-down')
        expect(after).toBeLessThan(2_000)
      }
    expect((process.memoryUsage().heapUsed - before) / 1024 / 1024).toBeLessThan(60)
    await server.kill()
    expect(new Set((await Promise.all(waiting)).map(({ reason }) => reason))).toEqual(new Set(['redis-down']))
  }, 20_000)

  it('row 153: half open (what is sent goes nowhere): found by the heartbeat, though nobody asks', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const line = await lineTo(server)
    const redis = await open(at(line, { timeout: '300ms' }))
    expect(redis.trouble).toBe(null)
    line.cut()
    await until(() => redis.trouble !== null, 'the heartbeat finds it', 3_000)
    expect(redis.trouble).toMatchObject({ reason: 'redis-down' })
    line.mend()
    await healed(redis)
  })

  it('row 153: slow (5 s for each answer): closed, told once', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const line = await lineTo(server)
    const redis = await open(at(line, { timeout: '300ms' }))
    line.slow(5_000)
    expect((await failure(redis.command('GET', 'a'))).after).toBeLessThan(600)
    // Long enough for several attempts to connect.
    const tried = line.connections
    await until(() => line.connections > tried + 2, 'it is tried again')
    expect(redis.lines.filter(({ level }) => level === 50)).toHaveLength(1)
    expect((await failure(redis.command('GET', 'a'))).after).toBeLessThan(50)
  })

  it('row 154: loading its data: closed meanwhile, not served from half of it', async () => {
    const server = await startRedis({
      cleanup: onTestFinished,
      lines: ['enable-debug-command yes', 'key-load-delay 10000', 'loading-process-events-interval-bytes 1024'],
    })
    await server.ask('EVAL', "for n = 1, 250 do redis.call('SET', 'postern:' .. n, string.rep('x', 2000)) end", '0')
    await server.ask('BGREWRITEAOF')
    await until(
      async () => (await server.ask('INFO', 'persistence')).includes('aof_rewrite_in_progress:0'),
      'rewritten',
    )
    const redis = await open(at(server))
    await server.kill()
    await server.again()
    const refused = await until(async () => {
      const { reason, message } = await failure(redis.command('GET', 'x'))
      return /LOADING/.test(message) ? reason : undefined
    }, 'it is seen to load')
    expect(refused).toBe('redis-down')
    await healed(redis)
    expect(await redis.command('GET', '250')).toBe('x'.repeat(2000))
  })

  it('row 154: made a replica: closed, named, and open again once it is a primary', async () => {
    const [server, other] = [
      await startRedis({ cleanup: onTestFinished }),
      await startRedis({ cleanup: onTestFinished }),
    ]
    const line = await lineTo(server)
    const redis = await open(at(line))
    await server.ask('REPLICAOF', '127.0.0.1', String(other.port))
    await until(
      () =>
        redis.command('SET', 'a', 1).then(
          () => false,
          () => true,
        ),
      'it is refused',
    )
    await until(() => redis.trouble?.reason === 'redis-read-only', 'it is named')
    const tried = line.connections
    await until(async () => {
      // Not read from either: it may be behind.
      expect(await failure(redis.command('GET', 'a'))).toMatchObject({ reason: 'redis-read-only' })
      return line.connections > tried + 2
    }, 'it is tried again')
    await server.ask('REPLICAOF', 'NO', 'ONE')
    await healed(redis)
    expect(await redis.command('SET', 'a', 1)).toBe('OK')
  })

  it('row 155: full, with noeviction: reads go on, writes are refused by name, told once, and it heals by itself', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    await redis.command('SET', 'a', 'kept')
    await server.ask('CONFIG', 'SET', 'maxmemory', '1')
    const write = redis.script("return redis.call('SET', KEYS[1], ARGV[1])")
    for (let n = 0; n < 20; n++) {
      expect((await failure(redis.command('SET', 'b', n))).reason).toBe('redis-full')
      expect((await failure(write(['b'], [n]))).reason).toBe('redis-full')
    }
    expect(await redis.command('GET', 'a')).toBe('kept')
    expect(redis.trouble).toMatchObject({ reason: 'redis-full' })
    await server.ask('CONFIG', 'SET', 'maxmemory', '0')
    await until(() => redis.trouble === null, 'it is over')
    await until(() => redis.lines.some(({ level }) => level === 30), 'it is told to work again')
    expect(redis.lines.map(({ level, reason }) => ({ level, reason }))).toEqual([
      { level: 50, reason: 'redis-full' },
      { level: 30, reason: 'redis-full' },
    ])
  }, 20_000)

  it('row 155: whose disk is full (MISCONF): the same', async () => {
    const server = await startRedis({ cleanup: onTestFinished, lines: ['min-replicas-to-write 0'] })
    const redis = await open(at(server))
    await server.ask('CONFIG', 'SET', 'min-replicas-to-write', '1')
    expect(await failure(redis.command('SET', 'a', 1))).toMatchObject({ reason: 'redis-full' })
    expect(redis.trouble).toMatchObject({ reason: 'redis-full' })
  })

  it.each([
    { policy: 'allkeys-lru', warned: 1 },
    { policy: 'volatile-ttl', warned: 1 },
    { policy: 'noeviction', warned: 0 },
  ])('row 155: a start with maxmemory-policy $policy warns $warned times', async ({ policy, warned }) => {
    const server = await startRedis({ cleanup: onTestFinished, lines: [`maxmemory-policy ${policy}`] })
    const { lines } = await open(at(server))
    expect(lines.filter(({ reason, level }) => reason === 'redis-evicts' && level === 40)).toHaveLength(warned)
  })
})
