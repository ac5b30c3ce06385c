import { describe, expect, it, onTestFinished } from 'vitest'
import { openRedis } from '../../../src/storage/redis/open-redis.ts'
import { freePort } from '../../support/process.ts'
import { startRedis } from '../../support/redis.ts'
import { at, everyKey, open, problem } from './opened.ts'

describe(openRedis, () => {
  it('carries commands, keeps their order, and puts its prefix before each key', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    expect(await redis.command('SET', 'a', 'ünïcode\n\0', 'PX', 60_000)).toBe('OK')
    expect(await redis.command('GET', 'a')).toBe('ünïcode\n\0')
    expect(await redis.command('GET', 'missing')).toBe(null)
    const order = await Promise.all(Array.from({ length: 500 }, () => redis.command('INCR', 'n')))
    expect(order).toEqual(order.map((_, index) => index + 1))
    expect((await server.ask('KEYS', '*')).split('\n').toSorted()).toEqual(['postern:a', 'postern:n', 'postern:probe'])
  })

  it('runs scripts by their hash, also after Redis has forgotten them', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    const add = redis.script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    expect(await add(['{n}'], [2])).toBe(2)
    await server.ask('SCRIPT', 'FLUSH')
    expect(await add(['{n}'], [3])).toBe(5)
    expect(await add(['{n}'], [3])).toBe(8)
    expect(await server.ask('INFO', 'commandstats')).toMatch(/cmdstat_evalsha:calls=3/)
  })

  it('tells a mistake of its own apart from trouble of Redis', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    await redis.command('SET', 'a', 1)
    await expect(redis.command('HGET', 'a', 'b')).rejects.toThrow('WRONGTYPE')
    await expect(redis.script("return redis.call('HGET', KEYS[1], 'b')")(['a'])).rejects.toThrow('WRONGTYPE')
    expect(redis.trouble).toBe(null)
  })

  it('finds keys by their beginning, taken literally, and gives them without the prefix', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server))
    const keys = ['s:*:1', 's:*:2', 's:x:3', 's:[a]', 't:1']
    for (const key of keys) await redis.command('SET', key, 1)
    await server.ask('SET', 's:*:of somebody else', '1')
    expect(await everyKey(redis, 's:')).toEqual(keys.filter(key => key.startsWith('s:')).toSorted())
    expect(await everyKey(redis, 's:*')).toEqual(['s:*:1', 's:*:2'])
    expect(await everyKey(redis, 's:[a')).toEqual(['s:[a]'])
  })

  it('speaks over a unix socket', async () => {
    const port = await freePort()
    const server = await startRedis({
      cleanup: onTestFinished,
      port,
      lines: [`unixsocket /tmp/postern-test-${port}.sock`],
    })
    const redis = await open({ host: `/tmp/postern-test-${server.port}.sock` })
    expect(await redis.command('SET', 'a', 1)).toBe('OK')
  })

  it.each([
    { what: 'is older than Redis 6', lines: ['rename-command HELLO ""'], keys: {}, says: 'unknown command' },
    { what: 'has fewer databases', lines: ['databases 2'], keys: { database_index: 2 }, says: 'DB index' },
  ])('does not open where Redis $what', async ({ lines, keys, says }) => {
    const server = await startRedis({ cleanup: onTestFinished, lines })
    const found = await problem(open(at(server, keys)))
    expect(found).toMatchObject({ reason: 'redis-config' })
    expect(found.message).toContain(says)
  })

  it('keeps to its database', async () => {
    const server = await startRedis({ cleanup: onTestFinished })
    const redis = await open(at(server, { database_index: 3 }))
    await redis.command('SET', 'a', 1)
    expect(await server.ask('-n', '3', 'GET', 'postern:a')).toBe('1')
    expect(await server.ask('GET', 'postern:a')).toBe('')
  })
})
