import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MINUTE } from '../../src/clock.ts'
import { cookieValuesSignedWith } from '../../src/session/cookie.ts'
import { recordsTaggedWith } from '../../src/session/record.ts'
import { redisStore } from '../../src/session/redis-store.ts'
import { sqliteStore } from '../../src/session/sqlite-store.ts'
import { RedisDown } from '../../src/storage/redis/redis.ts'
import { createAudit } from '../../src/telemetry/audit.ts'
import { startRedis } from '../support/redis.ts'
import { type House, openHouse, secret } from './house.ts'

/** The store beneath, as whoever notices an older copy uses it. */
function storeOf({ storage, redis, now }: House, requireOurs = () => {}) {
  const log = pino({ level: 'silent' })
  const parts = {
    values: cookieValuesSignedWith(secret),
    records: recordsTaggedWith(secret),
    log,
    audit: createAudit(log),
  }
  const clock = () => now
  const store =
    redis === null
      ? sqliteStore({ ...parts, file: storage, now: clock })
      : redisStore({ ...parts, redis, clock, now: clock, isInactive: () => false, requireOurs })
  onTestFinished(() => store.close())
  return store
}

describe.each(['SQLite', 'Redis'])('all sessions in %s', kind => {
  it('row 163: that began before a moment end at once, the later ones do not; those that were over are not counted', async () => {
    const server = kind === 'Redis' ? await startRedis({ cleanup: onTestFinished }) : undefined
    const house = await openHouse({ server })
    const { sessions, com } = house
    const login = (username: string) =>
      sessions.start(
        com,
        { username, credential: 'c', remember: true, browser: 'Firefox on Linux', ip: undefined },
        null,
      )
    const old = [await login('alice'), await login('alice'), await login('bob')]
    house.now += MINUTE
    const moment = house.now
    const young = await login('alice')
    const over = old[2]?.session.key
    expect(await storeOf(house).endAll(moment, ({ session }) => session.key !== over)).toBe(2)
    for (const { session } of old) expect(await sessions.lives(session.key)).toBe(false)
    expect(await sessions.lives(young.session.key)).toBe(true)
    expect(await sessions.endAll()).toBe(1)
    expect(await sessions.listAll(10)).toEqual([])
  })
})

describe(redisStore, () => {
  it('row 163: believes nothing that it reads while it is not known whether this Redis is an older copy', async () => {
    const house = await openHouse({ server: await startRedis({ cleanup: onTestFinished }) })
    const { session, cookie } = await house.sessions.start(
      house.com,
      { username: 'alice', credential: 'c', remember: true, browser: 'Firefox on Linux', ip: undefined },
      null,
    )
    let doubted = true
    const store = storeOf(house, () => {
      if (doubted) throw new RedisDown('redis-down', 'looked at')
    })
    await expect(store.lookUp(cookie.value)).rejects.toThrow(RedisDown)
    await expect(store.read(session.key)).rejects.toThrow(RedisDown)
    await expect(store.allOf('alice')).rejects.toThrow(RedisDown)
    doubted = false
    expect(await store.lookUp(cookie.value)).toMatchObject({ session: { username: 'alice' } })
    expect(await store.allOf('alice')).toHaveLength(1)
  })
})
