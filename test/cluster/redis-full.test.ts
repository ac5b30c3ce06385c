import { describe, expect, it } from 'vitest'
import { until } from '../support/process.ts'
import { house } from './redis-faults.ts'

describe('a gate whose Redis is full', () => {
  it('row 155: noeviction: who is signed in stays in and can sign out, nobody signs in, and it says so; then it heals', async () => {
    const { redis, door, cookie } = await house()
    const other = await door.alice()
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1')
    for (let round = 0; round < 20; round++) expect((await door.signIn()).status).toBe(503)
    expect((await door.gate('one', cookie)).status).toBe(200)
    expect((await door.gate('public')).status).toBe(200)
    expect(JSON.parse((await door.health()).body).notices).toEqual(['redis-full'])
    const told = door.lines().filter(({ level, event }) => level === 'error' && event === undefined)
    expect(told.map(({ reason }) => reason)).toEqual(['redis-full'])
    expect((await door.signOut(other)).status).toBe(200)
    expect((await door.gate('one', other)).status).toBe(302)
    await redis.ask('CONFIG', 'SET', 'maxmemory', '0')
    await door.opens(cookie)
  })

  it('row 155: evicting: whose session was thrown away is anonymous, and the start has warned', async () => {
    const { redis, door, cookie } = await house(['maxmemory-policy allkeys-lru'])
    expect(door.lines().some(({ level, reason }) => level === 'warn' && reason === 'redis-evicts')).toBe(true)
    expect((await door.gate('one', cookie)).status).toBe(200)
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1')
    await redis.ask('SET', 'of-somebody-else', 'x').catch(() => {})
    await until(async () => (await door.gate('one', cookie)).status === 302, 'the session is gone')
  })

  it('row 155: emptied (FLUSHALL): everybody is anonymous at once', async () => {
    const { redis, door, cookie } = await house()
    await redis.ask('FLUSHALL')
    await until(async () => (await door.gate('one', cookie)).status === 302, 'the session is gone', 500)
    expect((await door.signIn()).status).toBe(200)
  })
})
