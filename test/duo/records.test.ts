import type { Kysely } from 'kysely'
import { pino } from 'pino'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { CLOCK_TOLERANCE, DAY, HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { redis as redisKeys } from '../../src/config/redis.ts'
import type { Asked } from '../../src/duo/asked.ts'
import { redisAsked } from '../../src/duo/asked-redis.ts'
import { sqlAsked } from '../../src/duo/asked-sql.ts'
import type { GuardLimits } from '../../src/duo/guard.ts'
import { newPush, type Push } from '../../src/duo/push.ts'
import { GIVEN_BACK, type PushRecord, type PushRecords, UnreadablePush } from '../../src/duo/push-records.ts'
import { BASE, redisPushRecords } from '../../src/duo/push-records-redis.ts'
import { sqlPushRecords } from '../../src/duo/push-records-sql.ts'
import { newestRefusal } from '../../src/duo/refusals.ts'
import { openRecords, openStorage } from '../../src/storage/open-storage.ts'
import { openRedis } from '../../src/storage/redis/open-redis.ts'
import type { Redis } from '../../src/storage/redis/redis.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'
import { type RedisServer, startCluster, startRedis } from '../support/redis.ts'
import { duoConfig, facts } from './people.ts'

const log = pino({ level: 'silent' })
const T = Date.UTC(2026, 10, 24, 13, 0, 0)
const LEASE = 10 * SECOND

/** As two processes have it: each with connections of its own. */
interface Opened {
  readonly records: PushRecords
  readonly asked: Asked
}
interface Store {
  now: number
  open(limits?: Partial<GuardLimits>, encryptionKey?: string): Promise<Opened>
  /** What stands in a record as its state. */
  state(id: string): Promise<string>
  /** Writes into the record what no Postern of today writes. */
  spoil(id: string, state: string): Promise<void>
  /** False: the store itself would not take it. */
  spoilVersion(id: string): Promise<boolean>
}

function sqlite(): Store {
  const path = `${temporaryFolder()}/postern.sqlite3`
  const connect = async () => {
    const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path } }, { log })
    onTestFinished(() => storage.close())
    return storage.records
  }
  return sqlStore(connect)
}

function sqlStore(connect: () => Promise<Kysely<Tables>>): Store {
  const store: Store = {
    now: T,
    async open(more, encryptionKey = 'x'.repeat(20)) {
      const limits = { ...duoConfig().guard, ...more }
      const db = await connect()
      return { records: sqlPushRecords(db, limits, encryptionKey), asked: sqlAsked(db, limits, () => store.now) }
    },
    async state(id) {
      const query = (await connect()).selectFrom('postern_pushes').select('state').where('id', '=', id)
      return (await query.executeTakeFirstOrThrow()).state
    },
    async spoil(id, state) {
      await (await connect()).updateTable('postern_pushes').set({ state }).where('id', '=', id).execute()
    },
    spoilVersion: async () => false,
  }
  return store
}

const suite = endsWithSuite()
let shared: PostgresServer | undefined

async function postgres(): Promise<Store> {
  shared ??= await startPostgres(suite)
  const config = await shared.database()
  const connect = async () => {
    const storage = await openRecords({ encryption_key: 'x'.repeat(20), postgres: config }, { log })
    onTestFinished(() => storage.close())
    return storage.records
  }
  return sqlStore(connect)
}

let server: RedisServer | undefined

async function redis(): Promise<Store> {
  server ??= await startRedis({ cleanup: suite, lines: ['appendonly no'] })
  await server.ask('FLUSHALL')
  return redisStore(server, { host: '127.0.0.1', port: server.port }, server.ask)
}

let nodes: readonly RedisServer[] | undefined

async function redisCluster(): Promise<Store> {
  nodes ??= (await startCluster({ cleanup: suite })).primaries
  await Promise.all(nodes.map(({ ask }) => ask('FLUSHALL')))
  const addresses = nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const [first] = nodes
  return redisStore(
    nodes,
    { cluster: { nodes: addresses } },
    (...args) => first?.ask('-c', ...args) ?? Promise.resolve(''),
  )
}

const connections = new Map<object, Promise<Redis>[]>()

/** Two connections serve all tests, as of two processes: each would cost a second where the machine is busy. */
function connectionsTo(address: object, key: object): Promise<Redis>[] {
  const known = connections.get(key)
  if (known !== undefined) return known
  const config = redisKeys.parse({ ...address, timeout: '10s' })
  const opened = [1, 2].map(() => openRedis(config, { clock: Date.now, log }))
  for (const one of opened) suite(async () => (await one).close())
  connections.set(key, opened)
  return opened
}

function redisStore(key: object, address: object, ask: RedisServer['ask']): Store {
  let next = 0
  const store: Store = {
    now: T,
    async open(more, encryptionKey = 'x'.repeat(20)) {
      const limits = { ...duoConfig().guard, ...more }
      const clock = () => store.now
      const redis = await connectionsTo(address, key)[next++ % 2]
      if (redis === undefined) throw new Error('two')
      return { records: redisPushRecords(redis, limits, encryptionKey), asked: redisAsked(redis, limits, clock) }
    },
    state: id => ask('HGET', `postern:${BASE}:record:${id}`, 'state'),
    async spoil(id, state) {
      await ask('HSET', `postern:${BASE}:record:${id}`, 'state', state)
    },
    spoilVersion: async id => (await ask('HSET', `postern:${BASE}:record:${id}`, 'version', '1.5')) === '0',
  }
  return store
}

const device = { id: 'DP1', name: 'Phone' }
const about = (push: Push, more: { username?: string; sessionKey?: string; startedAt?: number } = {}) => ({
  sessionKey: 'session-of-alice',
  username: 'alice',
  push,
  factor: 'push' as const,
  code: { kind: 'matching' as const, digits: '042' },
  device,
  facts: facts(),
  startedAt: T,
  ...more,
})
const ringing = (txid: string): Push => ({
  ...newPush(T),
  state: 'waiting',
  upstream: { at: 'ringing', txid, until: T + MINUTE, misses: 0, trouble: null },
})
const ended = (state: Push['state'], endedAt = T): Push => ({
  ...newPush(T),
  state,
  upstream: { at: 'over' },
  endedAt,
})
const lease = (holder: string, until = T + LEASE) => ({ holder, until })
function there(record: PushRecord | 'taken' | undefined): PushRecord {
  if (record === undefined || record === 'taken') throw new Error(`no record: ${record}`)
  return record
}
const byAnybody = { by: 'anybody' as const, notes: [], now: T }

describe.each([
  { name: 'SQLite', openStore: sqlite },
  { name: 'PostgreSQL', openStore: postgres },
  { name: 'Redis', openStore: redis },
  { name: 'a Redis Cluster', openStore: redisCluster },
])('the records of pushes in $name', ({ openStore }) => {
  let store: Store
  let records: PushRecords
  let elsewhere: PushRecords
  beforeEach(async () => {
    store = await openStore()
    records = (await store.open()).records
    elsewhere = (await store.open()).records
  })
  const insert = async (push = newPush(T), more: Parameters<typeof about>[1] = {}, holder = 'run_mine') =>
    there(await records.insert(about(push, more), push.endedAt === null ? lease(holder) : null))

  it('give back what was put in, to any process', async () => {
    const record = await insert()
    expect(record).toMatchObject({ ...about(newPush(T)), version: 1, holder: 'run_mine', leaseUntil: T + LEASE })
    expect(await elsewhere.read(record.id)).toEqual(record)
    expect(await elsewhere.newest('session-of-alice')).toEqual(record)
    expect(await elsewhere.inFlight('alice')).toEqual(record)
    const written = there(await records.write(record, ringing('txid-1'), byAnybody))
    expect(written).toMatchObject({ push: ringing('txid-1'), version: 2, holder: 'run_mine', leaseUntil: T + LEASE })
    expect(await elsewhere.read(record.id)).toEqual(written)
  })

  it('know nothing of what was never there', async () => {
    expect(await records.read('push_of_nobody')).toBeUndefined()
    expect(await records.newest('no session')).toBeUndefined()
    expect(await records.inFlight('nobody')).toBeUndefined()
    expect(await records.stillRinging('nobody')).toEqual([])
    expect(await records.endedAfter('nobody', 0)).toEqual([])
    expect(await records.leases()).toEqual([])
    expect(await records.guardOf('nobody', T)).toEqual({ denials: 0, notBefore: 0, lockedUntil: 0 })
    expect(await records.refusalsSeenAt('nobody')).toBe(0)
    await records.discard('push_of_nobody')
    await records.release('push_of_nobody', 'run_mine')
    expect(await records.renew('push_of_nobody', 'run_mine', T)).toBe(false)
  })

  it('have one push in flight a person, whatever the session; another person’s is none of theirs', async () => {
    const mine = await insert()
    expect(await elsewhere.insert(about(newPush(T), { sessionKey: 'another' }), lease('run_other'))).toBeUndefined()
    await insert(newPush(T), { username: 'bob', sessionKey: 'session-of-bob' })
    there(await records.write(mine, ended('cancelled'), byAnybody))
    expect(await records.inFlight('alice')).toBeUndefined()
    const next = there(await elsewhere.insert(about(newPush(T), { sessionKey: 'another' }), lease('run_other')))
    expect(await records.inFlight('alice')).toEqual(next)
    expect(await records.newest('session-of-alice')).toMatchObject({ id: mine.id })
  })

  it('of two processes that insert at once, let one', async () => {
    for (let round = 0; round < 20; round += 1) {
      const username = `person-${round}`
      const both = await Promise.all(
        [records, elsewhere, records, elsewhere].map((one, at) =>
          one.insert(about(newPush(T), { username, sessionKey: `${username}-${at}` }), lease('run_mine')),
        ),
      )
      expect(both.filter(record => record !== undefined)).toHaveLength(1)
    }
  })

  it('row 125: refuse a write by a version that was passed, and one by who has the lease no more; its notes with it', async () => {
    const record = await insert()
    const [mine, other] = [lease('run_mine', T + 2 * LEASE), lease('run_other', T + 2 * LEASE)]
    const change = { notes: ['denied' as const], now: T }
    expect(await records.write(record, ended('denied'), { ...change, by: other })).toBeUndefined()
    expect(await records.write({ ...record, version: 7 }, ended('denied'), { ...change, by: mine })).toBeUndefined()
    expect(await records.guardOf('alice', T)).toMatchObject({ denials: 0 })
    expect(
      await elsewhere.takeOver({ ...record, leaseUntil: T + LEASE - 1 }, lease('run_other', T + 3 * LEASE)),
    ).toBeUndefined()
    const taken = there(await elsewhere.takeOver(record, lease('run_other', T + 3 * LEASE)))
    expect(taken).toMatchObject({ holder: 'run_other', leaseUntil: T + 3 * LEASE, version: 2 })
    expect(await records.write(record, ended('denied'), { ...change, by: mine })).toBeUndefined()
    expect(await records.write(taken, ended('denied'), { ...change, by: mine })).toBeUndefined()
    expect(await records.renew(record.id, 'run_mine', T + 9 * LEASE)).toBe(false)
    await records.release(record.id, 'run_mine')
    expect(await records.read(record.id)).toEqual(taken)
    const over = there(await elsewhere.write(taken, ended('denied'), { ...change, by: other }))
    expect(over).toMatchObject({ push: { state: 'denied' }, holder: null, leaseUntil: null, version: 3 })
    expect(await records.guardOf('alice', T)).toEqual({ denials: 1, notBefore: T + 30 * SECOND, lockedUntil: 0 })
  })

  it('row 125: of two processes that take a lease over at once, let one; of two writes of one version, one', async () => {
    for (let round = 0; round < 20; round += 1) {
      const username = `person-${round}`
      const record = await insert(newPush(T), { username, sessionKey: username })
      const took = await Promise.all([
        records.takeOver(record, lease('run_one', T + 2 * LEASE)),
        elsewhere.takeOver(record, lease('run_two', T + 2 * LEASE)),
      ])
      const [taken, ...more] = took.flatMap(one => one ?? [])
      expect(more).toEqual([])
      const wrote = await Promise.all([
        records.write(there(taken), ended('cancelled'), { by: 'anybody', notes: ['denied'], now: T }),
        elsewhere.write(there(taken), ended('cancelled'), { by: 'anybody', notes: ['denied'], now: T }),
      ])
      expect(wrote.filter(one => one !== undefined)).toHaveLength(1)
      expect(await records.guardOf(username, T)).toMatchObject({ denials: 1 })
    }
  })

  it('count every note of a person whose pushes end at once in several processes', async () => {
    const first = await insert(newPush(T), { sessionKey: 'a' })
    const one = there(await records.write(first, { ...ringing('txid-1'), state: 'cancelled', endedAt: T }, byAnybody))
    const two = await insert(newPush(T), { sessionKey: 'b' })
    await Promise.all([
      records.write(one, ended('cancelled'), { by: 'anybody', notes: ['denied'], now: T }),
      elsewhere.write(two, ended('denied'), { by: 'anybody', notes: ['denied', 'fraud'], now: T }),
    ])
    const { fraud_lock } = duoConfig().guard
    expect(await records.guardOf('alice', T)).toEqual({
      denials: 2,
      notBefore: T + MINUTE,
      lockedUntil: T + fraud_lock,
    })
  })

  it('list the lease of each push that is followed, as it was renewed or given back last', async () => {
    const record = await insert()
    const listed = (until: number) => [{ id: record.id, until }]
    expect(await elsewhere.leases()).toEqual(listed(T + LEASE))
    expect(await records.renew(record.id, 'run_mine', T + 2 * LEASE)).toBe(true)
    expect(await elsewhere.leases()).toEqual(listed(T + 2 * LEASE))
    await records.release(record.id, 'run_mine')
    expect(await elsewhere.leases()).toEqual(listed(GIVEN_BACK))
    const seen = there(await elsewhere.read(record.id))
    const taken = there(await elsewhere.takeOver(seen, lease('run_other')))
    expect(await elsewhere.leases()).toEqual(listed(T + LEASE))
    await insert(newPush(T), { username: 'bob', sessionKey: 'session-of-bob' }, 'run_earlier')
    await records.write(taken, ended('timed-out'), { ...byAnybody, by: lease('run_other') })
    expect(await elsewhere.leases()).toMatchObject([{ until: T + LEASE }])
  })

  it('row 161: a lease that was renewed since it was seen is not taken, wherever the clocks of the two stand', async () => {
    const record = await insert(newPush(T), {}, 'run_mine')
    await records.renew(record.id, 'run_mine', T - HOUR)
    expect(await elsewhere.takeOver(record, lease('run_other', T + HOUR))).toBeUndefined()
    const now = there(await elsewhere.read(record.id))
    expect(await elsewhere.takeOver(now, lease('run_other', T + HOUR))).toMatchObject({ holder: 'run_other' })
  })

  it('row 161: a pause of before the clock was set back counts from now, once; a lock is never over early for an hour', async () => {
    const { longest_pause, fraud_lock } = duoConfig().guard
    const record = await insert()
    await records.write(record, ended('fraud'), { by: 'anybody', notes: ['denied', 'fraud'], now: T })
    const guard = { denials: 1, notBefore: T + 30 * SECOND, lockedUntil: T + fraud_lock }
    expect(await elsewhere.guardOf('alice', T + MINUTE)).toEqual(guard)
    const anHourBack = { ...guard, notBefore: T - HOUR + longest_pause }
    expect(await elsewhere.guardOf('alice', T - HOUR)).toEqual(anHourBack)
    expect(await records.guardOf('alice', T - HOUR + MINUTE)).toEqual(anHourBack)
    const twoDays = T - 2 * DAY
    const allAnew = { denials: 1, notBefore: twoDays + longest_pause, lockedUntil: twoDays + fraud_lock }
    expect(await elsewhere.guardOf('alice', twoDays)).toEqual(allAnew)
    expect(await records.guardOf('alice', T)).toEqual(allAnew)
  })

  it('a holder’s write renews its lease; a person’s leaves it as it is', async () => {
    const record = await insert()
    const by = lease('run_mine', T + 2 * LEASE)
    const kept = there(await records.write(record, ringing('txid-1'), { ...byAnybody, by }))
    expect(kept).toMatchObject({ holder: 'run_mine', leaseUntil: T + 2 * LEASE })
    const cancelled = { ...ringing('txid-1'), state: 'cancelled' as const, endedAt: T }
    expect(await elsewhere.write(kept, cancelled, byAnybody)).toMatchObject({
      holder: 'run_mine',
      leaseUntil: T + 2 * LEASE,
    })
    expect(await records.stillRinging('alice')).toMatchObject([{ id: record.id, push: cancelled }])
    expect(await records.leases()).toEqual([{ id: record.id, until: T + 2 * LEASE }])
    await records.write(there(await records.read(record.id)), ended('cancelled'), byAnybody)
    expect(await records.stillRinging('alice')).toEqual([])
  })

  it('the newest of a session is the one that came last, also when the clock stands still or goes back', async () => {
    await insert(ended('denied'))
    const second = await insert(ended('allowed'))
    expect(await elsewhere.newest('session-of-alice')).toEqual(second)
    const claimed = there(await records.write(second, ended('claimed'), byAnybody))
    const third = await insert(ended('cancelled', T - HOUR), { startedAt: T - HOUR })
    expect(await elsewhere.newest('session-of-alice')).toEqual(third)
    await insert(ended('allowed'), { sessionKey: 'another' })
    expect(await elsewhere.newest('session-of-alice')).toEqual(third)
    // Each higher than all before: whoever waits past one is woken by the next.
    expect(second.version).toBeGreaterThan(1)
    expect(third.version).toBeGreaterThan(claimed.version)
  })

  it('no txid belongs to two pushes, also when both come at once', async () => {
    const mine = await insert()
    const bobs = await insert(newPush(T), { username: 'bob', sessionKey: 'session-of-bob' })
    const outcomes = await Promise.all([
      records.write(mine, ringing('txid-1'), byAnybody),
      elsewhere.write(bobs, ringing('txid-1'), { ...byAnybody, notes: ['denied'] }),
    ])
    expect(outcomes.filter(one => one === 'taken')).toHaveLength(1)
    const loser = outcomes[0] === 'taken' ? mine : bobs
    expect(await records.read(loser.id)).toEqual(loser)
    if (loser === bobs) expect(await records.guardOf('bob', T)).toMatchObject({ denials: 0 })
    // Its own it may write again and again.
    const winner = there(outcomes[0] === 'taken' ? outcomes[1] : outcomes[0])
    expect(await records.write(winner, ringing('txid-1'), byAnybody)).toMatchObject({ version: winner.version + 1 })
  })

  it('tell what ended after a time, the newest first, and what was refused until it is seen', async () => {
    await insert(ended('denied', T + 1))
    await insert(ended('allowed', T + 3))
    await insert(ended('fraud', T + 2), { sessionKey: 'another' })
    await insert(ended('denied', T + 9), { username: 'bob', sessionKey: 'session-of-bob' })
    const endsAfter = async (time: number) =>
      (await elsewhere.endedAfter('alice', time)).map(({ push }) => push.endedAt)
    expect(await endsAfter(0)).toEqual([T + 3, T + 2, T + 1])
    expect(await endsAfter(T + 1)).toEqual([T + 3, T + 2])
    expect(await endsAfter(T + 3)).toEqual([])
    expect(await newestRefusal(elsewhere, 'alice', T + 3)).toMatchObject({ how: 'fraud', at: T + 2 })
  })

  it('what was refused is told no more once it was seen, in any process', async () => {
    const record = await insert()
    await records.write(record, ended('denied', T + 1), { by: 'anybody', notes: ['denied'], now: T + 1 })
    expect(await newestRefusal(elsewhere, 'alice', T + 3)).toMatchObject({ how: 'denied' })
    await elsewhere.markRefusalsSeen('alice', T + 2)
    expect(await records.refusalsSeenAt('alice')).toBe(T + 2)
    expect(await newestRefusal(records, 'alice', T + 3)).toBeNull()
    // Nor does seeing it forget what it cost.
    expect(await records.guardOf('alice', T)).toMatchObject({ denials: 1 })
  })

  it('what was refused is told though it was marked as seen by a clock that was ahead', async () => {
    const record = await insert()
    await records.write(record, ended('denied', T + 1), { by: 'anybody', notes: ['denied'], now: T + 1 })
    await records.markRefusalsSeen('alice', T + HOUR)
    expect(await newestRefusal(elsewhere, 'alice', T + 2)).toMatchObject({ how: 'denied', at: T + 1 })
    // The clocks of two processes need not agree to the second.
    expect(await newestRefusal(elsewhere, 'alice', T + HOUR - CLOCK_TOLERANCE)).toBeNull()
    await elsewhere.markRefusalsSeen('alice', T + 2)
    expect(await newestRefusal(records, 'alice', T + 2)).toBeNull()
  })

  it.each(['{"push":{"state":"ALLOWED"}}', 'no JSON', ''])(
    'what cannot be read (%s) lets nobody in, and stands in nobody’s way once it is dropped',
    async state => {
      const record = await insert()
      await store.spoil(record.id, state)
      await expect(elsewhere.read(record.id)).rejects.toThrow(UnreadablePush)
      await expect(elsewhere.newest('session-of-alice')).rejects.toThrow(UnreadablePush)
      await expect(elsewhere.inFlight('alice')).rejects.toThrow(UnreadablePush)
      expect(await elsewhere.leases()).toMatchObject([{ id: record.id }])
      await elsewhere.discard(record.id)
      expect(await records.leases()).toEqual([])
      expect(await records.newest('session-of-alice')).toBeUndefined()
      expect(await records.write(record, ended('allowed'), byAnybody)).toBeUndefined()
      expect(await records.takeOver(record, lease('run_other', T + 2 * LEASE))).toBeUndefined()
      await insert()
    },
  )

  it('a field of a record that is not as Postern writes it makes all of it unreadable', async () => {
    const record = await insert()
    if (!(await store.spoilVersion(record.id))) return // its column is a number
    await expect(elsewhere.newest('session-of-alice')).rejects.toThrow(UnreadablePush)
    await elsewhere.discard(record.id)
    await insert()
  })

  it('whoever can write to the store, and does not know storage.encryption_key, approves nothing', async () => {
    const mine = await insert()
    const approved = await insert(ended('allowed'), { username: 'mallory', sessionKey: 'session-of-mallory' })
    const before = await store.state(mine.id)
    const altered = before.replace('"state":"sending"', '"state":"allowed"')
    expect(altered).not.toBe(before)
    for (const state of [altered, await store.state(approved.id), altered.replace(/,"tag":"[^"]*"/, '')]) {
      await store.spoil(mine.id, state)
      await expect(elsewhere.newest('session-of-alice')).rejects.toThrow(UnreadablePush)
    }
    await store.spoil(mine.id, before)
    expect(await elsewhere.newest('session-of-alice')).toEqual(mine)
  })

  it('a record of a key from before is nothing once it is over, and breaks no page', async () => {
    const { records: renewed } = await store.open({}, 'y'.repeat(20))
    await insert(ended('denied'))
    expect(await renewed.newest('session-of-alice')).toBeUndefined()
    expect(await renewed.endedAfter('alice', 0)).toEqual([])
    expect(there(await renewed.insert(about(newPush(T)), lease('run_mine'))).version).toBe(2)
    await expect(records.inFlight('alice')).rejects.toThrow(UnreadablePush)
  })

  it('names that hold what keys are made of are names', async () => {
    const names = ['a:b', 'a}{push}', 'al*ce', 'Ällice', ' ', 'record']
    for (const username of names) await insert(newPush(T), { username, sessionKey: username })
    for (const username of names) expect(await records.inFlight(username)).toMatchObject({ username })
  })

  describe('what was asked of a person', () => {
    const who = (username: string, ip = '192.0.2.1') => ({ username, sessionKey: `session-of-${username}`, ip })
    const limits = { pushes_per_user: 3, pushes_per_address: 4, pushes_in_all: 6, find_time: 10 * MINUTE }

    it('row 128: is counted by person, address and in all, over all processes; the oldest decides until when', async () => {
      const [here, there] = [(await store.open(limits)).asked, (await store.open(limits)).asked]
      for (const [at, one] of [here, there, here].entries()) {
        store.now = T + at
        expect(await one.take(who('alice'), at === 1 ? 'phone' : 'push')).toBeNull()
      }
      const paused = { outcome: 'paused', why: 'budget' }
      expect(await there.take(who('alice', '198.51.100.1'), 'push')).toEqual({ ...paused, until: T + 10 * MINUTE })
      expect(await there.take(who('bob'), 'push')).toBeNull()
      expect(await here.take(who('carol'), 'push')).toEqual({ ...paused, until: T + 10 * MINUTE })
      expect(await here.take(who('carol', '2001:db8::1'), 'push')).toBeNull()
      expect(await here.take(who('carol', '2001:db8::2'), 'push')).toBeNull()
      expect(await there.take(who('dave', '198.51.100.9'), 'push')).toEqual({ ...paused, until: T + 10 * MINUTE })
      store.now = T + 10 * MINUTE
      expect(await there.take(who('alice'), 'push')).toBeNull()
    })

    it('row 128: of many that ask at once in several processes, no more than the limit get through', async () => {
      const opened = await Promise.all([store.open(limits), store.open(limits)])
      const asked = await Promise.all(
        Array.from({ length: 20 }, (_, at) => opened[at % 2]?.asked.take(who('alice', `192.0.2.${at}`), 'push')),
      )
      expect(asked.filter(refused => refused === null)).toHaveLength(3)
    })

    it('is theirs again after an approval; address and total keep their count', async () => {
      const { asked, records } = await store.open(limits)
      for (let at = 0; at < 3; at += 1) await asked.take(who('alice'), 'push')
      const record = there(await records.insert(about(newPush(T)), lease('run_mine')))
      await records.write(record, ended('allowed'), { by: 'anybody', notes: ['allowed'], now: T })
      expect(await asked.take(who('alice'), 'push')).toBeNull()
      expect(await asked.take(who('alice'), 'push')).toMatchObject({ why: 'budget' })
    })

    it('a text message comes once a minute, also after an approval', async () => {
      const [here, there] = [(await store.open()).asked, (await store.open()).asked]
      expect(await here.take(who('alice'), 'sms')).toBeNull()
      expect(await there.take(who('alice'), 'sms')).toEqual({ outcome: 'cool-down', until: T + MINUTE })
      expect(await there.take(who('bob'), 'sms')).toBeNull()
      expect(await there.take(who('alice'), 'push')).toBeNull()
      store.now = T + MINUTE
      expect(await there.take(who('alice'), 'sms')).toBeNull()
    })

    it('does not count for years what was asked before the clock was set back', async () => {
      const { asked } = await store.open(limits)
      for (let at = 0; at < 3; at += 1) expect(await asked.take(who('alice'), at === 0 ? 'sms' : 'push')).toBeNull()
      expect(await asked.take(who('alice'), 'push')).not.toBeNull()
      store.now = T - DAY
      expect(await asked.take(who('alice'), 'push')).toBeNull()
      expect(await asked.take(who('alice'), 'sms')).toBeNull()
    })

    it('is known of a session, for a passcode too', async () => {
      const [here, there] = [(await store.open()).asked, (await store.open()).asked]
      expect(await here.everIn('session-of-alice')).toBe(false)
      await here.note(who('alice'))
      await here.take(who('bob'), 'push')
      expect(await there.everIn('session-of-alice')).toBe(true)
      expect(await there.everIn('session-of-bob')).toBe(true)
      expect(await there.everIn('session-of-carol')).toBe(false)
      // Nor does it cost anything of what may reach a phone.
      const few = (await store.open({ ...limits, pushes_per_user: 1 })).asked
      expect(await few.take(who('alice'), 'push')).toBeNull()
    })
  })
})

it('a lookup in Redis that was made to lead to one’s own approval leads nowhere', async () => {
  const store = await redis()
  const { records } = await store.open()
  const mine = there(await records.insert(about(newPush(T)), lease('run_mine')))
  const approved = about(ended('allowed'), { username: 'mallory', sessionKey: 'session-of-mallory' })
  const theirs = there(await records.insert(approved, null))
  const lead = (id: string) => server?.ask('HSET', `postern:${BASE}:session:session-of-alice`, 'id', id)
  await lead(theirs.id)
  expect(await records.newest('session-of-alice')).toBeUndefined()
  expect(await records.newest('session-of-mallory')).toEqual(theirs)
  await lead(mine.id)
  expect(await records.newest('session-of-alice')).toEqual(mine)
})
