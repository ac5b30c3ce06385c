import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../../support/process.ts'
import { startSentinels } from '../../support/redis.ts'
import { open } from './opened.ts'

describe('a primary that is lost before it has replicated', () => {
  it('row 156: what was taken away over `again` scripts and acknowledged is taken away from the new primary too, before anything is read', async () => {
    const sentinels = await startSentinels({ cleanup: onTestFinished })
    const redis = await open({
      high_availability: {
        sentinel_name: sentinels.name,
        nodes: sentinels.ports.map(port => ({ host: '127.0.0.1', port })),
      },
    })
    const [first, second] = sentinels.servers
    const remove = redis.script("return redis.call('DEL', KEYS[1])", 'again')
    const once = redis.script("return redis.call('DEL', KEYS[1])")
    for (const key of ['ended', 'lost', 'kept']) await redis.command('SET', key, 'a session')
    await until(async () => (await second?.ask('GET', 'postern:kept')) === 'a session', 'it is replicated')
    // The replica hears nothing any more, and is thawed only when the primary is gone.
    second?.freeze()
    await first?.ask('CLIENT', 'KILL', 'TYPE', 'replica')
    expect(await remove(['ended'])).toBe(1)
    expect(await once(['lost'])).toBe(1)
    await first?.kill()
    second?.thaw()
    const answers = await until(
      () => Promise.all(['ended', 'lost', 'kept'].map(key => redis.command('GET', key))).catch(() => undefined),
      'the new primary answers',
      20_000,
    )
    expect(answers).toEqual([null, 'a session', 'a session'])
  }, 30_000)
})
