import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../../support/process.ts'
import { startSentinels } from '../../support/redis.ts'
import { failure, open, problem } from './opened.ts'

describe('Redis behind Sentinels', () => {
  it('row 154: the primary is found, followed in a failover, and nothing that was kept by both is lost', async () => {
    const sentinels = await startSentinels({ cleanup: onTestFinished })
    const redis = await open({
      high_availability: {
        sentinel_name: sentinels.name,
        nodes: sentinels.ports.map(port => ({ host: '127.0.0.1', port })),
      },
    })
    const changes: string[] = []
    const watch = redis.watch('a', { changed: key => changes.push(key), lost: () => changes.push('everything') })
    onTestFinished(() => watch.close())
    await until(() => watch.isTrue(), 'the watch is true')
    await redis.command('SET', 'a', 'kept')
    const [first, second] = sentinels.servers
    await until(async () => (await second?.ask('GET', 'postern:a')) === 'kept', 'it is replicated')
    changes.length = 0
    await sentinels.failOver()
    expect((await sentinels.primary()).port).toBe(second?.port)
    // Until the old primary hears of it, it takes writes that will be lost: see decision 8.
    await until(async () => {
      await redis.command('SET', 'b', 1).catch(() => {})
      return (await second?.ask('GET', 'postern:b')) === '1'
    }, 'it writes to the new primary')
    expect(await redis.command('GET', 'a')).toBe('kept')
    expect(changes).toContain('everything')
    await until(() => watch.isTrue(), 'the watch has followed')
    await redis.command('DEL', 'a')
    await until(() => changes.includes('a'), 'changes on the new primary are told')
    expect(first?.port).not.toBe(second?.port)
  }, 30_000)

  it('row 154: the primary dies: closed until another is chosen, then open by itself; told once', async () => {
    const sentinels = await startSentinels({ cleanup: onTestFinished })
    const redis = await open({
      host: '127.0.0.1',
      port: sentinels.ports[0], // as in Authelia, host is one of them
      high_availability: { sentinel_name: sentinels.name, nodes: [{ host: '127.0.0.1', port: 1 }] },
    })
    await redis.command('SET', 'a', 1)
    await sentinels.servers[0]?.kill()
    expect((await failure(redis.command('GET', 'a'))).reason).toBe('redis-down')
    await until(
      () =>
        redis.command('SET', 'a', 2).then(
          () => true,
          () => false,
        ),
      'it writes again',
      20_000,
    )
    expect(await sentinels.servers[1]?.ask('GET', 'postern:a')).toBe('2')
    expect(redis.lines.filter(({ level }) => level === 50)).toHaveLength(1)
  }, 30_000)

  it('says when they know no such name, when they refuse, and when it is a Sentinel that was given as the server', async () => {
    const sentinels = await startSentinels({
      cleanup: onTestFinished,
      lines: ['user postern on >theirs ~* &* +@all'],
    })
    const nodes = sentinels.ports.map(port => ({ host: '127.0.0.1', port }))
    const unknown = await problem(open({ high_availability: { sentinel_name: 'other', nodes } }))
    expect(unknown).toMatchObject({ reason: 'redis-config' })
    expect(unknown.message).toContain('know no other')
    const refused = await problem(
      open({
        high_availability: { sentinel_name: sentinels.name, sentinel_username: 'x', sentinel_password: 'y', nodes },
      }),
    )
    expect(refused.reason).toBe('redis-denied')
    const admitted = await open({
      high_availability: {
        sentinel_name: sentinels.name,
        sentinel_username: 'postern',
        sentinel_password: 'theirs',
        nodes,
      },
    })
    expect(await admitted.command('SET', 'a', 1)).toBe('OK')
    const direct = await problem(open({ host: '127.0.0.1', port: sentinels.ports[0] }))
    expect(direct.message).toContain('this is a Sentinel')
  }, 30_000)
})
