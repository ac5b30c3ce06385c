import { describe, expect, it } from 'vitest'
import { createEvenTime } from '../../src/users/even-time.ts'
import { createPool, hashesAtOnce, type Place, PoolClosed } from '../../src/users/pool.ts'

function place(admitted: Place | { retryAfterSeconds: number }): Place {
  if ('retryAfterSeconds' in admitted) throw new Error('full')
  return admitted
}

describe(createPool, () => {
  it('runs so many at once, the rest in their order, and refuses what is over the queue', async () => {
    const pool = createPool({ concurrency: 2, queue: 3 }, () => 0)
    const order: number[] = []
    let running = 0
    let most = 0
    const places = Array.from({ length: 5 }, () => place(pool.admit()))
    expect(pool.admit()).toEqual({ retryAfterSeconds: 1 })
    await Promise.all(
      places.map((one, i) =>
        one.run(async () => {
          order.push(i)
          most = Math.max(most, ++running)
          await new Promise(resolve => setImmediate(resolve))
          running--
        }),
      ),
    )
    expect(order).toEqual([0, 1, 2, 3, 4])
    expect(most).toBe(2)
    expect(pool.admit()).toHaveProperty('run')
  })

  it('frees the place of a task that fails, and of one that leaves', async () => {
    const pool = createPool({ concurrency: 1, queue: 0 }, () => 0)
    await expect(place(pool.admit()).run(() => Promise.reject(new Error('no memory')))).rejects.toThrow('no memory')
    const second = place(pool.admit())
    second.leave()
    second.leave()
    expect(await place(pool.admit()).run(async () => 'ran')).toBe('ran')
    expect(pool.admit()).toHaveProperty('run')
    expect(pool.admit()).toHaveProperty('retryAfterSeconds')
  })

  it('tells how long to stay away from how long tasks take', async () => {
    let now = 0
    const pool = createPool({ concurrency: 1, queue: 9 }, () => now)
    for (let i = 0; i < 50; i++)
      await place(pool.admit()).run(async () => {
        now += 2000
      })
    for (let i = 0; i < 10; i++) pool.admit()
    expect(pool.admit()).toEqual({ retryAfterSeconds: 20 })
  })

  it('refuses what waits when it closes', async () => {
    const pool = createPool({ concurrency: 1, queue: 1 }, () => 0)
    let finish = () => {}
    const first = place(pool.admit()).run(() => new Promise<string>(resolve => (finish = () => resolve('done'))))
    const second = place(pool.admit()).run(async () => 'never')
    pool.close()
    await expect(second).rejects.toBeInstanceOf(PoolClosed)
    finish()
    expect(await first).toBe('done')
  })
})

describe(hashesAtOnce, () => {
  it('leaves a core for the event loop, and two of libuv’s four threads', () => {
    expect([1, 2, 3, 4, 64].map(hashesAtOnce)).toEqual([1, 1, 2, 2, 2])
  })
})

describe(createEvenTime, () => {
  function timed() {
    let now = 0
    const even = createEvenTime({
      now: () => now,
      async wait(span) {
        now += span
      },
    })
    /** When an answer leaves that was ready after so long. */
    const leaves = async (ready: number) => {
      const began = now
      now += ready
      await even.until(began)
      return now - began
    }
    return { ...even, leaves }
  }

  it('lets answers of all costs leave at one time, over the slowest of them', async () => {
    const { learn, leaves } = timed()
    learn('bcrypt', 300)
    learn('argon2id', 90)
    const times = [await leaves(0), await leaves(90), await leaves(300), await leaves(350)]
    expect(new Set(times)).toEqual(new Set([375]))
  })

  it('lets what is later leave at a multiple, not by how much it is later', async () => {
    const { learn, leaves } = timed()
    learn('bcrypt', 400)
    expect(await leaves(501)).toBe(1000)
    expect(await leaves(999)).toBe(1000)
  })

  it('forgets a slow moment by and by, and a cost that is gone at once', async () => {
    const { learn, leaves, keep } = timed()
    learn('bcrypt', 4000)
    for (let i = 0; i < 200; i++) learn('bcrypt', 300)
    expect(await leaves(0)).toBe(375)
    learn('bcrypt', 3_600_000) // the machine slept
    expect(await leaves(0)).toBe(6250)
    for (let i = 0; i < 50; i++) learn('bcrypt', 300)
    learn('scrypt', 1000)
    expect(await leaves(0)).toBe(1250)
    keep(new Set(['bcrypt']))
    expect(await leaves(0)).toBe(375)
  })

  it('lets a slow moment of one cost be forgotten by verifications of another: the step must not tell which is tried', async () => {
    for (const [slow, tried] of [
      ['argon2id', 'bcrypt'],
      ['bcrypt', 'argon2id'],
      ['bcrypt', 'bcrypt'],
    ] as const) {
      const usual = { bcrypt: 300, argon2id: 100 }
      const { learn, leaves } = timed()
      learn('bcrypt', usual.bcrypt)
      learn('argon2id', usual.argon2id)
      learn(slow, usual[slow] * 10)
      const seen = []
      for (let i = 0; i < 30; i++) {
        learn(tried, usual[tried])
        seen.push(Math.round(await leaves(0)))
      }
      expect(seen[0]).toBe(3375)
      expect(seen.at(-1)).toBe(375)
    }
  })
})
