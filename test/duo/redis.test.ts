import { expect, it, onTestFinished } from 'vitest'
import { endsWithSuite, until } from '../support/process.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Opened, openHouse } from './house.ts'
import { outlast } from './outlast.ts'
import { facts, owner } from './people.ts'

const suite = endsWithSuite()
let shared: RedisServer | undefined
async function emptyRedis() {
  shared ??= await startRedis({ cleanup: suite })
  await shared.ask('FLUSHALL')
  return shared
}

const alice = owner('alice')
const never = new AbortController().signal
const kinds = (...duos: Opened[]) => duos.flatMap(duo => duo.events.map(({ event }) => event))

/** Two Posterns with nothing in common but Redis: each has a file of its own. */
async function twoPosterns() {
  const house = await openHouse()
  const server = await emptyRedis()
  const open = (file: string) => house.open({ redis: server.port, file: `${house.file}-${file}` })
  const [first, second] = [await open('first'), await open('second')]
  const ring = async () => {
    await first.start(alice, undefined, facts())
    await until(async () => (await second.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    return (await second.newest(alice.sessionKey))?.seq ?? 0
  }
  const press = (button: 'approve' | 'deny' | 'fraud') =>
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', button)
  return { house, server, first, second, ring, press }
}

it('a push that was started on one Postern is followed, shown and claimed on another, once', async () => {
  const { house, first, second, ring, press } = await twoPosterns()
  await ring()
  expect(await second.start(alice, undefined, facts())).toMatchObject({ outcome: 'joined' })
  expect(await second.start(owner('alice', 'elsewhere'), undefined, facts())).toMatchObject({ outcome: 'busy' })
  press('approve')
  await until(async () => (await second.newest(alice.sessionKey))?.state === 'allowed', 'it is allowed')
  const claims = await Promise.all([first, second, first, second].map(duo => duo.claim(alice.sessionKey)))
  expect(claims.filter(claim => claim !== null)).toMatchObject([{ how: 'push' }])
  expect(house.simulator.pushes()).toHaveLength(1)
})

it('whoever waits on another Postern hears of a change when it is made', async () => {
  const { first, second, ring } = await twoPosterns()
  const seq = await ring()
  const watching = second
    .change(alice.sessionKey, seq, 5_000, never)
    .then(push => [push?.state, performance.now()] as const)
  await second.newest(alice.sessionKey) // answers come in order: it waits now
  await first.cancel(alice.sessionKey)
  const cancelledAt = performance.now()
  const [state, heardAt] = await watching
  expect(state).toBe('cancelled')
  // Told, not looked for: that would be up to a second.
  expect(heardAt - cancelledAt).toBeLessThan(700)
})

it('and within a second where the connection that tells it is gone', async () => {
  const { server, first, second, ring } = await twoPosterns()
  const seq = await ring()
  const watching = second.change(alice.sessionKey, seq, 5_000, never)
  await second.newest(alice.sessionKey) // answers come in order: it waits now
  await server.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until(
    () =>
      first.cancel(alice.sessionKey).then(
        () => true,
        () => false,
      ),
    'Redis is there again',
  )
  expect(await watching).toMatchObject({ state: 'cancelled' })
})

it('row 125: a push whose Postern is gone goes on at another', async () => {
  const { house, first, second, ring, press } = await twoPosterns()
  const seq = await ring()
  await first.crash()
  await outlast(house, async () => ((await second.newest(alice.sessionKey))?.seq ?? 0) > seq, 'it was taken over')
  press('approve')
  await until(async () => (await second.newest(alice.sessionKey))?.state === 'allowed', 'it is allowed')
  expect(await second.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
  expect(kinds(second)).toEqual(['push.allowed'])
})

it('rows 127, 131: a denial pauses, and a fraud report locks, at every Postern', async () => {
  const { house, second, ring, press } = await twoPosterns()
  await ring()
  press('deny')
  await until(async () => (await second.newest(alice.sessionKey))?.state === 'denied', 'it is denied')
  expect(await second.pausedUntil('alice')).toBe(house.now + 30_000)
  expect(await second.refusal('alice')).toMatchObject({ how: 'denied' })
  expect(await second.start(owner('alice', 'another'), undefined, facts())).toMatchObject({ outcome: 'paused' })
})

it('while Redis does not answer no push goes out; what Duo said meanwhile is written once it does', async () => {
  const { house, server, first, second, ring, press } = await twoPosterns()
  onTestFinished(() => server.thaw())
  await ring()
  server.freeze()
  await expect(first.start(owner('bob'), undefined, facts())).rejects.toThrow()
  await expect(second.claim(alice.sessionKey)).rejects.toThrow()
  press('approve')
  await until(() => house.simulator.pushes()[0]?.state === 'approved', 'it was approved')
  server.thaw()
  await until(
    () =>
      second.newest(alice.sessionKey).then(
        push => push?.state === 'allowed',
        () => false,
      ),
    'it is allowed',
  )
  expect(await second.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
  expect(house.simulator.pushes()).toHaveLength(1)
})

it('an approval that comes while Redis is restarted is not lost', async () => {
  const { house, server, first, second, ring, press } = await twoPosterns()
  await ring()
  await server.kill()
  press('approve')
  await until(() => house.simulator.pushes()[0]?.state === 'approved', 'it was approved')
  // Longer than a store may be busy: Duo will not say it again.
  await until(() => first.lines.filter(line => line.includes('waits for the store')).length > 5, 'it was tried often')
  await server.again()
  await until(
    () =>
      second.newest(alice.sessionKey).then(
        push => push?.state === 'allowed',
        () => false,
      ),
    'it is allowed',
  )
  expect(await second.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
  expect(first.lines.filter(line => /"level":(40|50)/.test(line) && line.includes('push'))).toEqual([])
})

it('what Redis lost (emptied, or a failover) lets nobody in, and stands in nobody’s way', async () => {
  const { server, first, second, ring, press } = await twoPosterns()
  await ring()
  await server.ask('FLUSHALL')
  press('approve')
  expect(await second.newest(alice.sessionKey)).toBeNull()
  expect(await first.claim(alice.sessionKey)).toBeNull()
  await until(async () => (await second.start(alice, undefined, facts())).outcome === 'started', 'another may be sent')
})
