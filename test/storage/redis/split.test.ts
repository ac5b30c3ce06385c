import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../../support/process.ts'
import { type RedisServer, startSentinels } from '../../support/redis.ts'
import { failure, open } from './opened.ts'

/** Nobody gets in any more but who is in, and the Sentinels and the replica are put out. */
async function isolate(primary: RedisServer): Promise<void> {
  await primary.ask('CONFIG', 'SET', 'requirepass', 'nobody knows')
  const admin = ['-a', 'nobody knows', '--no-auth-warning']
  await primary.ask(...admin, 'CLIENT', 'KILL', 'TYPE', 'replica')
  const clients = (await primary.ask(...admin, 'CLIENT', 'LIST'))
    .split('\n')
    .filter(line => line.includes('name=sentinel'))
  await primary.ask(...admin, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
  for (const client of clients)
    await primary.ask(...admin, 'CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(client)?.[1] ?? '').catch(() => {})
}

describe('a primary that another has replaced', () => {
  it('row 154: a primary that was replaced while it was frozen is left, though it takes writes when it thaws', async () => {
    const sentinels = await startSentinels({ cleanup: onTestFinished })
    const redis = await open({
      timeout: '1s',
      high_availability: {
        sentinel_name: sentinels.name,
        nodes: sentinels.ports.map(port => ({ host: '127.0.0.1', port })),
      },
    })
    const [first, second] = sentinels.servers
    first?.freeze()
    expect((await failure(redis.command('SET', 'a', 1))).reason).toBe('redis-down')
    await until(async () => (await sentinels.primary()) === second, 'another is chosen')
    await until(
      () =>
        redis.command('SET', 'b', 1).then(
          () => true,
          () => false,
        ),
      'it writes to the new one',
      20_000,
    )
    first?.thaw()
    expect(await second?.ask('GET', 'postern:b')).toBe('1')
  }, 30_000)

  it('row 154: is left, though the connection to it is good and it takes writes: only the Sentinels know', async () => {
    const sentinels = await startSentinels({ cleanup: onTestFinished })
    const redis = await open({
      timeout: '5s',
      high_availability: {
        sentinel_name: sentinels.name,
        nodes: sentinels.ports.map(port => ({ host: '127.0.0.1', port })),
      },
    })
    const [first, second] = sentinels.servers
    if (first === undefined) throw new Error('no primary')
    const watch = redis.watch('a', { changed: () => {}, lost: () => {} })
    onTestFinished(() => watch.close())
    await until(() => watch.isTrue(), 'the watch is true')
    await isolate(first)
    await until(async () => (await sentinels.primary()) === second, 'another is chosen')
    await until(async () => {
      await redis.command('SET', 'b', 1).catch(() => {})
      return (await second?.ask('GET', 'postern:b')) === '1'
    }, 'it writes to the new one')
    await until(() => watch.isTrue(), 'the watch has followed')
  }, 30_000)
})
