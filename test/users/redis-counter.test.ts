import { pino } from 'pino'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { DAY, MINUTE } from '../../src/clock.ts'
import { redis as redisKeys } from '../../src/config/redis.ts'
import { openRedis } from '../../src/storage/redis/open-redis.ts'
import type { Counted, Counter } from '../../src/users/counter.ts'
import { redisCounters } from '../../src/users/redis-counter.ts'
import { endsWithSuite } from '../support/process.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

const log = pino({ level: 'silent' })
const T = Date.UTC(2026, 10, 24, 13, 0, 0)
const limits = { max_retries: 3, find_time: 2 * MINUTE, ban_time: 5 * MINUTE }

let server: RedisServer | undefined
const suite = endsWithSuite()
let now = T

async function connect(name: 'people' | 'passcodes' = 'people', more: Partial<typeof limits> = {}): Promise<Counter> {
  server ??= await startRedis({ cleanup: suite })
  const clock = () => now
  const redis = await openRedis(redisKeys.parse({ host: '127.0.0.1', port: server.port }), { clock, log })
  onTestFinished(() => redis.close())
  return redisCounters(redis, clock)(name, { ...limits, ...more })
}

describe(redisCounters, () => {
  let here: Counter
  let there: Counter
  beforeEach(async () => {
    now = T
    here = await connect()
    there = await connect()
    await server?.ask('FLUSHALL')
  })
  const counted = async (counter: Counter, key = 'john'): Promise<Counted> => {
    const outcome = await counter.count(key)
    if ('ban' in outcome) throw new Error('banned')
    return outcome
  }
  const isBanned = async (counter: Counter, key = 'john') => (await counter.banned(key)) !== null

  it('bans with the last try that is allowed, for ban_time, in every process, and starts anew then', async () => {
    expect(await counted(here)).toMatchObject({ left: 2, bannedUntil: null })
    expect(await counted(there)).toMatchObject({ left: 1, bannedUntil: null })
    expect(await here.banned('john')).toBeNull()
    expect(await counted(here)).toMatchObject({ left: 0, bannedUntil: T + 5 * MINUTE })
    const ban = { began: T, until: T + 5 * MINUTE, by: 'regulation', reason: null }
    expect(await there.count('john')).toEqual({ ban })
    now = T + 5 * MINUTE - 1
    expect(await there.banned('john')).toEqual(ban)
    expect(await there.count('john')).toEqual({ ban })
    expect(await isBanned(here, 'ann')).toBe(false)
    now = T + 5 * MINUTE
    expect(await there.banned('john')).toBeNull()
    expect(await counted(there)).toMatchObject({ left: 2 })
  })

  it('starts anew after a ban also where find_time is longer than ban_time', async () => {
    const slow = await connect('people', { find_time: DAY })
    for (let i = 0; i < 3; i++) await counted(slow)
    now = T + 5 * MINUTE
    expect(await counted(slow)).toMatchObject({ left: 2 })
  })

  it('forgets tries after find_time, one by one', async () => {
    await counted(here)
    now = T + MINUTE
    await counted(here)
    now = T + 2 * MINUTE
    expect(await counted(here)).toMatchObject({ left: 1 })
  })

  it('row 95: of 50 at once in two processes, max_retries are counted; a success lifts what they brought', async () => {
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, at) => (at % 2 ? here : there).count('john')))
    const tries = outcomes.flatMap(one => ('ban' in one ? [] : [one]))
    expect(tries.map(({ left }) => left).toSorted()).toEqual([0, 1, 2])
    expect(new Set(tries.map(({ id }) => id)).size).toBe(3)
    await there.forget('john', Math.min(...tries.map(({ id }) => id)))
    expect(await isBanned(here)).toBe(false)
    expect(await counted(here)).toMatchObject({ left: 0, bannedUntil: T + 5 * MINUTE })
  })

  it('row 95: a success forgets what came before it, not what came after', async () => {
    const four = await connect('people', { max_retries: 4 })
    await counted(four)
    const second = await counted(four)
    await counted(four)
    await four.forget('john', second.id)
    expect(await counted(four)).toMatchObject({ left: 2 })
  })

  it('what was never evaluated is not counted, and its ban is none', async () => {
    await counted(here)
    await counted(here)
    const third = await counted(here)
    expect(third.bannedUntil).not.toBeNull()
    await there.takeBack('john', third.id)
    expect(await isBanned(here)).toBe(false)
    expect(await counted(here)).toMatchObject({ left: 0 })
    await here.takeBack('john', 4711)
    expect(await isBanned(here)).toBe(true)
  })

  it('an administrator’s ban stays until its end, whatever regulation takes back', async () => {
    const one = await counted(here)
    await here.ban('john', { until: null, reason: 'left the company' })
    const ban = { began: T, until: null, by: 'administrator', reason: 'left the company' }
    expect(await there.banned('john')).toEqual(ban)
    await there.forget('john', one.id)
    await there.takeBack('john', one.id)
    now = T + 10_000 * DAY
    expect(await there.count('john')).toEqual({ ban })
    await there.ban('john', { until: now + MINUTE, reason: null })
    expect(await here.banned('john')).toEqual({ began: now, until: now + MINUTE, by: 'administrator', reason: null })
    now += MINUTE
    expect(await here.banned('john')).toBeNull()
    expect(await counted(here)).toMatchObject({ left: 2 })
  })

  it('a lifted ban is over everywhere, and its tries are forgotten', async () => {
    for (let i = 0; i < 3; i++) await counted(here)
    expect(await there.lift('john')).toBe(true)
    expect(await here.banned('john')).toBeNull()
    expect(await there.lift('john')).toBe(false)
    expect(await counted(here)).toMatchObject({ left: 2 })
    await here.ban('ann', { until: null, reason: null })
    expect(await there.lift('ann')).toBe(true)
    expect(await here.banned('ann')).toBeNull()
  })

  it('lists the bans in force, the newest first, and no more than asked for', async () => {
    await here.ban('ann', { until: null, reason: 'r' })
    now = T + 1
    for (let i = 0; i < 3; i++) await counted(there)
    now = T + 2
    await here.ban('bob', { until: now + MINUTE, reason: null })
    await counted(here, 'carol')
    expect((await there.bans(10)).map(({ key, by, until }) => [key, by, until])).toEqual([
      ['bob', 'administrator', T + 2 + MINUTE],
      ['john', 'regulation', T + 1 + 5 * MINUTE],
      ['ann', 'administrator', null],
    ])
    expect((await there.bans(1)).map(({ key }) => key)).toEqual(['bob'])
    now += MINUTE
    expect((await there.bans(2)).map(({ key }) => key)).toEqual(['john', 'ann'])
    await there.lift('john')
    expect((await there.bans(10)).map(({ key }) => key)).toEqual(['ann'])
  })

  it('keeps counters, and names that hold what keys are made of, apart', async () => {
    const passcodes = await connect('passcodes')
    for (const key of ['a:b', 'a}{people}', '', 'Ällice', '*']) await here.ban(key, { until: null, reason: key })
    for (const key of ['a:b', 'a}{people}', '', 'Ällice', '*']) {
      expect(await there.banned(key)).toMatchObject({ until: null })
      expect(await passcodes.banned(key)).toBeNull()
    }
    expect(await isBanned(here, 'a')).toBe(false)
  })

  it('a clock that was set back makes neither a ban nor a try last for years', async () => {
    await counted(here)
    for (let i = 0; i < 3; i++) await counted(here, 'ann')
    now = T - 1_000 * DAY
    expect(await counted(here)).toMatchObject({ left: 1 })
    expect(await there.banned('ann')).toMatchObject({ until: now + 5 * MINUTE })
    expect(await there.count('ann')).toMatchObject({ ban: { until: now + 5 * MINUTE } })
    now += 5 * MINUTE
    expect(await there.banned('ann')).toBeNull()
  })

  it('what counts no more is cleared up: a flood of names does not fill Redis for ever', async () => {
    await counted(here)
    for (let i = 0; i < 3; i++) await counted(here, 'ann')
    await here.ban('bob', { until: null, reason: null })
    const life = async (key: string) => Number(await server?.ask('PTTL', `postern:counter:{people}:${key}`))
    expect(await life('john')).toBeLessThanOrEqual(3 * MINUTE)
    expect(await life('john')).toBeGreaterThan(2 * MINUTE)
    expect(await life('ann')).toBeGreaterThan(5 * MINUTE)
    expect(await life('bob')).toBe(-1)
  })

  it('row 102: rejects while Redis does not answer: neither banned nor free', async () => {
    const redis = await startRedis({ cleanup: onTestFinished })
    const clock = () => now
    const config = redisKeys.parse({ host: '127.0.0.1', port: redis.port, timeout: '200ms' })
    const connection = await openRedis(config, { clock, log })
    onTestFinished(() => connection.close())
    const counter = redisCounters(connection, clock)('people', limits)
    await counted(counter)
    redis.freeze()
    const down = { name: 'RedisDown' }
    await expect(counter.count('john')).rejects.toMatchObject(down)
    await expect(counter.banned('john')).rejects.toMatchObject(down)
    await expect(counter.forget('john', 1)).rejects.toMatchObject(down)
    await expect(counter.lift('john')).rejects.toMatchObject(down)
    await expect(counter.bans(1)).rejects.toMatchObject(down)
    redis.thaw()
  })
})
