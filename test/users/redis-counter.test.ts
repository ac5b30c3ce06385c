import { pino } from 'pino'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { MINUTE } from '../../src/clock.ts'
import { redis as redisKeys } from '../../src/config/redis.ts'
import { openRedis } from '../../src/storage/redis/open-redis.ts'
import { redisCounters } from '../../src/users/redis-counter.ts'
import { endsWithSuite } from '../support/process.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { counterSuite } from './counter-suite.ts'
import { movableClock } from './parts.ts'

const log = pino({ level: 'silent' })
const limits = { max_retries: 3, find_time: 2 * MINUTE, ban_time: 5 * MINUTE }

const suite = endsWithSuite()
let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ cleanup: suite })
})

async function connect(port: number, clock: Clock) {
  const redis = await openRedis(redisKeys.parse({ host: '127.0.0.1', port, timeout: '300ms' }), { clock, log })
  onTestFinished(() => redis.close())
  return redisCounters(redis, clock)
}

counterSuite('a counter over Redis', async () => {
  await server.ask('FLUSHALL')
  onTestFinished(() => server.thaw())
  return { open: clock => connect(server.port, clock), fail: () => server.freeze() }
})

describe(redisCounters, () => {
  it('row 169: what counts no more is cleared up by Redis: a flood of names does not fill it for ever', async () => {
    await server.ask('FLUSHALL')
    const clock = movableClock()
    const counter = (await connect(server.port, clock.read))('people', limits)
    await counter.count('john')
    for (let round = 0; round < 3; round++) await counter.count('ann')
    await counter.ban('bob', { until: null, reason: null })
    const life = async (key: string) => Number(await server.ask('PTTL', `postern:counter:{people}:${key}`))
    expect(await life('john')).toBeGreaterThan(2 * MINUTE)
    expect(await life('john')).toBeLessThanOrEqual(3 * MINUTE)
    expect(await life('ann')).toBeGreaterThan(5 * MINUTE)
    expect(await life('bob')).toBe(-1)
  })

  it('row 169: nor do the lists of bans grow with every name that was ever guessed at', async () => {
    await server.ask('FLUSHALL')
    const clock = movableClock()
    const counter = (await connect(server.port, clock.read))('people', { ...limits, max_retries: 1 })
    await counter.ban('forever', { until: null, reason: null })
    await counter.ban('long', { until: clock.read() + 60 * MINUTE, reason: null })
    await counter.ban('lifted', { until: clock.read() + 60 * MINUTE, reason: null })
    await counter.lift('lifted')
    for (let at = 0; at < 100; at++) await counter.count(`guess-${at}`)
    clock.move(5 * MINUTE)
    // Each ban clears away more than it adds.
    for (let at = 0; at < 10; at++) await counter.count(`later-${at}`)
    expect(await server.ask('ZCARD', 'postern:counter:{people}')).toBe('12')
    expect(await server.ask('ZCARD', 'postern:counter:{people}|ends')).toBe('11')
    const listed = (await counter.bans(100)).map(({ key }) => key)
    expect(listed).toHaveLength(12)
    expect(listed.slice(-2).toSorted()).toEqual(['forever', 'long'])
  })

  it('drops from the list what is over, wherever it stands, and no ban that is in force', async () => {
    await server.ask('FLUSHALL')
    const clock = movableClock()
    const counter = (await connect(server.port, clock.read))('people', limits)
    for (let at = 0; at < 250; at++) {
      await counter.ban(`person-${at}`, { until: at % 50 === 0 ? null : clock.read() + MINUTE, reason: null })
      clock.move(1)
    }
    clock.move(MINUTE)
    const forever = ['person-200', 'person-150', 'person-100', 'person-50', 'person-0']
    expect((await counter.bans(10)).map(({ key }) => key)).toEqual(forever)
    expect(await server.ask('ZCARD', 'postern:counter:{people}')).toBe('5')
  })
})
