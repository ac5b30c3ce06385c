import { describe, expect, it } from 'vitest'
import { MINUTE } from '../../src/clock.ts'
import { redisDoubt } from '../../src/session/redis-mark.ts'
import { type Redis, RedisDown } from '../../src/storage/redis/redis.ts'
import { until } from '../support/process.ts'

const noon = Date.UTC(2026, 10, 29, 12)

/** A Redis whose answers wait until they are given. */
function doubting(known: number | null) {
  const state = { renewed: () => {}, ends: 0, failures: 0 }
  const questions: PromiseWithResolvers<number | null>[] = []
  const endings: PromiseWithResolvers<void>[] = []
  const redis: Redis = {
    command: () => Promise.reject(new Error('not asked')),
    script: () => () => Promise.reject(new Error('not asked')),
    async *scan() {},
    watch: () => ({ isTrue: () => false, close() {} }),
    onRenewed(_key, listener) {
      state.renewed = listener
    },
    trouble: null,
    async close() {},
  }
  const doubt = redisDoubt({
    redis,
    mark: {
      read() {
        const question = Promise.withResolvers<number | null>()
        questions.push(question)
        return question.promise
      },
      move: async () => null,
    },
    known: () => known,
    end() {
      state.ends += 1
      const ending = Promise.withResolvers<void>()
      endings.push(ending)
      return ending.promise
    },
    failed() {
      state.failures += 1
    },
    again: 5,
  })
  return Object.assign(state, {
    doubt,
    /** The question of this number, from 1, once it is asked. */
    async answer(number: number, answer: number | null | Error): Promise<void> {
      const question = await until(() => questions[number - 1], `question ${number}`)
      if (answer instanceof Error) question.reject(answer)
      else question.resolve(answer)
    },
    ended: () => endings.shift()?.resolve(),
  })
}

describe(redisDoubt, () => {
  it('row 163: believes nothing from a new connection on until the mark is seen, and in an older copy until all in it has ended', async () => {
    const redis = doubting(noon)
    expect(redis.doubt.requireOurs).toThrow(RedisDown)
    const first = redis.doubt.look()
    await redis.answer(1, noon - MINUTE)
    await first
    redis.doubt.requireOurs()

    redis.renewed()
    expect(redis.doubt.requireOurs).toThrow(RedisDown)
    await redis.answer(2, noon - 60 * MINUTE)
    await until(() => redis.ends === 1, 'it ends them')
    expect(redis.doubt.requireOurs).toThrow(RedisDown)
    redis.ended()
    await until(() => !redis.doubt.doubted, 'it is believed')
  })

  it('row 163: a look that a newer connection overtook says nothing, and one that failed is made again', async () => {
    const redis = doubting(noon)
    const first = redis.doubt.look()
    redis.renewed()
    await redis.answer(1, noon)
    await first
    expect(redis.doubt.requireOurs).toThrow(RedisDown)
    await redis.answer(2, new RedisDown('redis-down', 'broken'))
    await redis.answer(3, new Error('WRONGTYPE'))
    await redis.answer(4, new Error('WRONGTYPE'))
    expect(redis.doubt.requireOurs).toThrow(RedisDown)
    await redis.answer(5, noon)
    await until(() => !redis.doubt.doubted, 'it is believed')
    // Told once, not with each look.
    expect(redis.failures).toBe(1)
    redis.doubt.close()
  })
})
