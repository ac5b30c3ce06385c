import { describe, expect, it, onTestFinished } from 'vitest'
import { lineTo } from '../storage/redis/opened.ts'
import { until } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'
import { at, house, postern } from './redis-faults.ts'

describe('a gate whose Redis fails', () => {
  it('row 152: down at the start: serves what needs no session, and opens when Redis comes', async () => {
    const { redis, cookie } = await house()
    await redis.stop()
    const door = await postern(at(redis.port), onTestFinished)
    await door.isClosed(cookie, 'redis-down')
    await redis.again()
    await door.opens(cookie)
  })

  it('row 152: restarted: closed meanwhile, and whoever was signed in is in again', async () => {
    const { redis, door, cookie } = await house()
    await redis.stop()
    await door.closes(cookie)
    await door.isClosed(cookie, 'redis-down')
    await redis.again()
    await door.opens(cookie)
  })

  it('row 152: killed: the same', async () => {
    const { redis, door, cookie } = await house(['appendfsync always'])
    await redis.kill()
    await door.closes(cookie)
    await redis.again()
    await door.opens(cookie)
  })

  it('row 153: frozen: nothing is let in for longer than the documented second', async () => {
    const { redis, door, cookie } = await house()
    redis.freeze()
    const frozenAt = performance.now()
    let letIn = 0
    for (let answer = await door.gate('one', cookie); answer.status !== 503; answer = await door.gate('one', cookie))
      letIn = performance.now() - answer.after - frozenAt
    expect(letIn).toBeLessThan(1_050)
    await door.isClosed(cookie, 'redis-down')
    redis.thaw()
    await door.opens(cookie)
  })

  it('row 153: paused by its administrator (CLIENT PAUSE): closed, and open by itself', async () => {
    const { redis, door, cookie } = await house()
    await redis.ask('CLIENT', 'PAUSE', '2500', 'ALL')
    await door.closes(cookie)
    expect((await door.gate('one', cookie)).after).toBeLessThan(1_500)
    await door.opens(cookie)
  })

  it('row 153: slow (5 s for an answer): the deadline, then refused at once', async () => {
    const redis = await startRedis({ cleanup: onTestFinished })
    const line = await lineTo(redis)
    const door = await postern(at(line.port), onTestFinished)
    const cookie = await door.alice()
    line.slow(5_000)
    await door.closes(cookie)
    await door.isClosed(cookie, 'redis-down')
    line.slow(0)
    await door.opens(cookie)
  })

  it('row 154: made a replica (read-only): closed by name, and open when it is a primary again', async () => {
    const { redis, door, cookie } = await house()
    await redis.ask('REPLICAOF', '127.0.0.1', String((await startRedis({ cleanup: onTestFinished })).port))
    await until(async () => (await door.signIn()).status === 503, 'it is noticed')
    await door.closes(cookie)
    await door.isClosed(cookie, 'redis-read-only')
    await redis.ask('REPLICAOF', 'NO', 'ONE')
    // It has thrown its own data away and taken the other's: everybody signs in again.
    await until(async () => (await door.signIn()).status === 200, 'people can sign in')
    expect((await door.gate('one', cookie)).status).toBe(302)
  })
})
