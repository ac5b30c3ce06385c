import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { slotOf } from '../../../src/storage/redis/slots.ts'
import { endsWithSuite, until } from '../../support/process.ts'
import { type Cluster, startCluster, startRedis } from '../../support/redis.ts'
import { everyKey, failure, open, problem } from './opened.ts'

const nodesOf = ({ primaries }: Cluster) => ({
  cluster: { nodes: primaries.map(({ port }) => ({ host: '127.0.0.1', port })) },
})
const keys = Array.from({ length: 60 }, (_, index) => `k:{${index}}`)

const cleanup = endsWithSuite()
let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster({ cleanup })
})

describe(slotOf, () => {
  it('is that of Redis, whatever the key', async () => {
    for (const key of ['', 'a', 'postern:x', 'ünïcode', '{a}b', 'x{a}b', 'x{}b', 'x{a', 'x}a{b}', 'x{{a}}', 'x{a}{b}'])
      expect(`${key} ${slotOf(key)}`).toBe(`${key} ${await cluster.primaries[0]?.ask('CLUSTER', 'KEYSLOT', key)}`)
  })
})

describe('a Redis Cluster', () => {
  it('keeps each key where it belongs, runs scripts there, finds all keys, and tells of changes on every server', async () => {
    const [first] = cluster.primaries
    const redis = await open({ host: '127.0.0.1', port: first?.port, cluster: {} })
    const changed = new Set<string>()
    const watch = redis.watch('k:', { changed: key => changed.add(key), lost: () => {} })
    onTestFinished(() => watch.close())
    await until(() => watch.isTrue(), 'the watch is true')
    await Promise.all(keys.map(key => redis.command('SET', key, key)))
    const get = redis.script("return redis.call('GET', KEYS[1]) .. redis.call('GET', KEYS[2])")
    for (const key of keys) expect(await get([key, key])).toBe(key + key)
    for (const server of cluster.primaries) expect(Number(await server.ask('DBSIZE'))).toBeGreaterThan(5)
    expect(await everyKey(redis, 'k:')).toEqual(keys.toSorted())
    await until(() => changed.size === keys.length, 'each change is told')
    expect(redis.lines).toEqual([])
  })

  it('row 163: a new connection is told to whoever asked for a key of that server, and to nobody else', async () => {
    const redis = await open(nodesOf(cluster))
    const told: string[] = []
    for (const key of keys) redis.onRenewed(key, () => void told.push(key))
    await cluster.primaries[0]?.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(() => told.length > 0, 'it is connected again')
    expect(told).toEqual(keys.filter(key => slotOf(`postern:${key}`) <= 5460))
  })

  it('row 154: a slot that moves, and one that has moved: no command is lost', async () => {
    const redis = await open(nodesOf(cluster))
    const key = keys.find(key => slotOf(`postern:${key}`) > 10_922) ?? ''
    // So often that it is not learned by chance.
    for (const [index, to] of cluster.primaries.entries()) {
      await redis.command('SET', key, `kept ${index}`)
      await cluster.moveSlot(slotOf(`postern:${key}`), to, async () => {
        expect(await redis.command('GET', key)).toBe(`kept ${index}`)
        expect(await redis.command('SET', key, `moved ${index}`)).toBe('OK')
      })
      expect(await redis.command('GET', key)).toBe(`moved ${index}`)
      expect(await to.ask('GET', `postern:${key}`)).toBe(`moved ${index}`)
    }
    expect(redis.trouble).toBe(null)
  })

  it('row 154: a primary dies: what it had is closed until its replica takes over, the rest goes on; told once', async () => {
    const cluster = await startCluster({ cleanup: onTestFinished, replicas: true })
    const redis = await open(nodesOf(cluster))
    const watch = redis.watch('k:', { changed: () => {}, lost: () => {} })
    onTestFinished(() => watch.close())
    await Promise.all(keys.map(key => redis.command('SET', key, 'kept')))
    for (const [index, replica] of cluster.replicas.entries())
      await until(
        async () => (await replica.ask('DBSIZE')) === (await cluster.primaries[index]?.ask('DBSIZE')),
        'replicated',
      )
    await until(() => watch.isTrue(), 'the watch is true')
    await cluster.primaries[0]?.kill()
    const lost = keys.find(key => slotOf(`postern:${key}`) <= 5460) ?? ''
    const other = keys.find(key => slotOf(`postern:${key}`) > 5460) ?? ''
    expect((await failure(redis.command('GET', lost))).reason).toBe('redis-down')
    expect(watch.isTrue()).toBe(false)
    expect(redis.trouble).toMatchObject({ reason: 'redis-down' })
    const answers = new Set<unknown>()
    await until(
      async () => {
        answers.add(await redis.command('GET', other).catch((error: unknown) => String(error)))
        return await redis.command('SET', lost, 'again').then(
          () => true,
          () => false,
        )
      },
      'the replica has taken over',
      20_000,
    )
    expect(answers).toContain('kept')
    for (const key of keys) expect(await redis.command('GET', key)).toBe(key === lost ? 'again' : 'kept')
    await until(() => watch.isTrue() && redis.trouble === null, 'all is well again')
    expect(redis.lines.filter(({ level }) => level === 50)).toHaveLength(1)
  }, 40_000)

  it('row 154: CLUSTERDOWN, since slots have no server: closed by name, and open again', async () => {
    const redis = await open(nodesOf(cluster))
    const [, second] = cluster.primaries
    await second?.ask('CLUSTER', 'DELSLOTSRANGE', '5461', '10922')
    const theirs = keys.filter(key => slotOf(`postern:${key}`) > 5460 && slotOf(`postern:${key}`) <= 10_922)
    for (const key of theirs) expect((await failure(redis.command('GET', key))).reason).toBe('redis-down')
    expect(redis.trouble).toMatchObject({ reason: 'redis-down' })
    await second?.ask('CLUSTER', 'ADDSLOTSRANGE', '5461', '10922')
    await until(
      () =>
        redis.command('SET', theirs[0] ?? '', 1).then(
          () => redis.trouble === null,
          () => false,
        ),
      'it is whole again',
    )
  }, 20_000)

  it('does not open where it is no Cluster, or where a Cluster is given as one server', async () => {
    const single = await startRedis({ cleanup: onTestFinished })
    const wrong = await problem(open({ cluster: { nodes: [{ host: '127.0.0.1', port: single.port }] } }))
    expect(wrong).toMatchObject({ reason: 'redis-config' })
    const direct = await problem(open({ host: '127.0.0.1', port: cluster.primaries[0]?.port }))
    expect(direct.message).toContain('this is a Cluster')
  })
})
