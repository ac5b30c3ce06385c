import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { StoreDown } from '../../src/session/session.ts'
import { RedisDown } from '../../src/storage/redis/redis.ts'
import { outages } from '../../src/telemetry/outages.ts'

function at() {
  const lines: Record<string, unknown>[] = []
  const state = { now: 1_000_000, lines }
  const log = pino({ base: null, timestamp: false }, { write: line => lines.push(JSON.parse(line)) })
  return Object.assign(state, { refuse: outages(log, () => state.now) })
}
const told = (ref: string) => Object.assign(new RedisDown('redis-down', 'gone'), { ref })

describe(outages, () => {
  it('writes nothing of what is told already, gives its reference, and counts once a minute', () => {
    const log = at()
    for (let nth = 0; nth < 100; nth++)
      expect(log.refuse(new StoreDown('x', { cause: told('A') }))).toEqual({ ref: 'A', reason: 'redis-down' })
    expect(log.lines).toEqual([])
    for (let minute = 1; minute <= 2; minute++) {
      log.now += 60_000
      for (let nth = 0; nth < 50; nth++) log.refuse(told('A'))
    }
    expect(log.lines).toEqual([
      { level: 40, ref: 'A', reason: 'redis-down', count: 101, msg: expect.stringContaining('still refused') },
      { level: 40, ref: 'A', reason: 'redis-down', count: 50, msg: expect.stringContaining('still refused') },
    ])
    // The next one is another.
    expect(log.refuse(told('B')).ref).toBe('B')
    expect(log.lines).toHaveLength(2)
  })

  it('tells of the others itself, once, and again after a minute in which nobody was refused', () => {
    const log = at()
    const first = log.refuse(new StoreDown('closed'))
    log.now += 59_000
    expect(log.refuse(new StoreDown('closed'))).toEqual(first)
    expect(log.lines).toMatchObject([{ level: 50, ...first, err: { message: 'closed' } }])
    log.now += 60_000
    const second = log.refuse(new StoreDown('closed'))
    expect(second.ref).not.toBe(first.ref)
    expect(log.lines).toMatchObject([{ level: 50 }, { level: 50, ...second }])
  })

  it('goes on when the clock is set back', () => {
    const log = at()
    log.refuse(told('A'))
    log.now -= 3_600_000
    log.refuse(told('A'))
    expect(log.lines).toMatchObject([{ level: 40, count: 2 }])
  })
})
