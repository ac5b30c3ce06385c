import { describe, expect, it } from 'vitest'
import { until } from '../support/process.ts'
import { ended, type House, type Opened, openHouse } from './house.ts'
import { facts, owner, push } from './people.ts'
import { ok, scripted } from './scripted-duo.ts'

const alice = owner('alice')
const kinds = (duo: Opened) => duo.events.map(({ event }) => event)

const ending = (duo: Opened, session = alice.sessionKey) => ended(duo, session)

function answer(house: House, how: 'approve' | 'deny' | 'fraud', index = -1) {
  const push = house.simulator.pushes().at(index)
  expect(house.simulator.answer(push?.id ?? '', how)).toBe(true)
}

describe('one push', () => {
  it('rings on the phone with its details, is approved, and is claimed', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await until(() => duo.simulated, 'the simulator is known')
    const started = await duo.start(alice, undefined, facts())
    expect(started).toMatchObject({ outcome: 'started', push: { state: 'waiting', device: { id: 'DPALICE1' } } })
    expect(JSON.stringify(started)).not.toContain('txid')
    await until(async () => (await duo.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    expect((await duo.newest(alice.sessionKey))?.said).toBe('Pushed a login request to your device...')
    const [onPhone] = house.simulator.pushes()
    expect(onPhone).toMatchObject({ username: 'alice', displayUsername: 'alice Example', ipaddr: '192.0.2.7' })
    expect(onPhone?.pushinfo).toEqual([
      ['Application', 'Postern'],
      ['Site', 'one.example.com'],
      ['Page', '/'],
      ['From', '192.0.2.7'],
      ['Browser', 'Firefox on Linux'],
      ['Time', '2026-11-24 13:00 UTC'],
    ])
    expect(await duo.claim(alice.sessionKey)).toBeNull()
    answer(house, 'approve')
    expect(await ending(duo)).toMatchObject({ state: 'allowed', said: 'Success. Logging you in...' })
    expect(await duo.claim('somebody-else')).toBeNull()
    expect(await duo.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
    expect(await duo.claim(alice.sessionKey)).toBeNull()
    expect(await duo.newest(alice.sessionKey)).toMatchObject({ state: 'claimed' })
    expect(kinds(duo)).toEqual(['push.sent', 'push.allowed'])
    expect(duo.events[0]).toMatchObject({ host: 'one.example.com', device: 'Alice’s phone', ip: '192.0.2.7' })
    expect(duo.lines.join('')).not.toContain('deadbeef')
  })

  it.each([
    ['deny', 'denied'],
    ['fraud', 'fraud'],
  ] as const)('is not claimed after %s', async (how, state) => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    answer(house, how)
    expect(await ending(duo)).toMatchObject({ state })
    expect(await duo.claim(alice.sessionKey)).toBeNull()
    expect(kinds(duo)).toEqual(['push.sent', `push.${state}`])
    expect(duo.frauds).toEqual(how === 'fraud' ? ['alice'] : [])
  })

  it('ends by the clock, wherever that was moved; and another one may go out at once', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    house.now += 60_000
    expect(await ending(duo)).toMatchObject({ state: 'timed-out' })
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
  })

  it('row 117: waiting at once for ever is asked for about once a second, and an allow after the deadline is none', async () => {
    const house = await openHouse()
    let result = 'waiting'
    const told = await scripted((_, socket) => void socket.write(ok({ result })))
    const duo = await house.open(told)
    await duo.start(alice, undefined, facts())
    const before = performance.now()
    await until(() => told.polls() >= 4, 'four polls')
    expect(performance.now() - before).toBeGreaterThan(1_500)
    expect(told.polls()).toBe(4)
    house.now += 59_999
    expect(await duo.newest(alice.sessionKey)).toMatchObject({ state: 'waiting' })
    house.now += 1
    result = 'allow'
    expect(await ending(duo)).toMatchObject({ state: 'timed-out' })
    await until(() => kinds(duo).includes('push.late-approval'), 'the late approval is told')
    expect(await duo.claim(alice.sessionKey)).toBeNull()
  })

  it('row 116: a txid that belongs to another push is tied to no second one', async () => {
    const house = await openHouse()
    const duo = await house.open(await scripted(() => {}))
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ push: { state: 'waiting' } })
    const second = await duo.start(owner('bob'), undefined, facts())
    expect(second).toMatchObject({ outcome: 'started', push: { state: 'failed' } })
    expect(await duo.newest(alice.sessionKey)).toMatchObject({ state: 'waiting' })
    expect(duo.events.at(-1)).toMatchObject({ event: 'push.failed', reason: 'duo-malformed' })
    // Not even when the first one is over.
    await duo.cancel(alice.sessionKey)
    expect(await duo.start(owner('carol'), undefined, facts())).toMatchObject({ push: { state: 'failed' } })
  })

  it('row 108, row 116: /auth without an answer is a failed push and a pause, and Duo is not asked again', async () => {
    const house = await openHouse()
    const told = await scripted(
      () => {},
      (_, socket) => void socket.destroy(),
    )
    const duo = await house.open(told)
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started', push: { state: 'failed' } })
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'paused', until: house.now + 30_000 })
    expect(told.auths()).toBe(1)
  })
})

describe('one push a person', () => {
  it('row 118: of ten starts at once one reaches Duo, and the others join it; so does a reload', async () => {
    const house = await openHouse()
    const duo = await house.open()
    const starts = await Promise.all(Array.from({ length: 10 }, () => duo.start(alice, undefined, facts())))
    const outcomes = starts.map(({ outcome }) => outcome)
    expect(outcomes.filter(outcome => outcome === 'started')).toHaveLength(1)
    expect(outcomes.filter(outcome => outcome === 'joined')).toHaveLength(9)
    expect(new Set(starts.map(start => 'push' in start && start.push.id)).size).toBe(1)
    expect(await duo.start(alice, push('DPALICE1'), facts())).toMatchObject({ outcome: 'joined' })
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('row 118: and Duo is asked once, too: those that come at once wait for the first', async () => {
    const house = await openHouse()
    const told = await scripted(() => {})
    const duo = await house.open(told)
    await Promise.all(Array.from({ length: 10 }, () => duo.start(alice, undefined, facts())))
    expect([told.preauths(), told.auths()]).toEqual([1, 1])
  })

  it('row 118: nor do ten starts in two processes send more', async () => {
    const house = await openHouse()
    const both = [await house.open(), await house.open()]
    const starts = await Promise.all(
      Array.from({ length: 10 }, (_, index) => both[index % 2]?.start(alice, undefined, facts())),
    )
    expect(starts.map(start => start?.outcome).filter(outcome => outcome === 'started')).toHaveLength(1)
    expect(starts.every(start => start?.outcome === 'started' || start?.outcome === 'joined')).toBe(true)
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('row 118: an approval that nobody claimed yet is joined, too', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    answer(house, 'approve')
    await ending(duo)
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'joined', push: { state: 'allowed' } })
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('row 119: a second session is told that a push waits, not from where; it cannot claim or cancel it, and the phone shows from where', async () => {
    const house = await openHouse()
    const [here, there] = [await house.open(), await house.open()]
    await here.start(alice, undefined, facts({ ip: '192.0.2.7' }))
    for (const duo of [here, there]) {
      const busy = await duo.start(owner('alice', 'thief'), undefined, facts({ ip: '198.51.100.1' }))
      expect(busy).toEqual({ outcome: 'busy', until: house.now + 60_000 })
      await duo.cancel('thief')
      expect(await duo.newest('thief')).toBeNull()
    }
    expect(house.simulator.pushes()[0]?.pushinfo).toContainEqual(['From', '192.0.2.7'])
    answer(house, 'approve')
    expect(await ending(here)).toMatchObject({ state: 'allowed' })
    expect(await here.claim('thief')).toBeNull()
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('row 120: cancelled or logged out while it rings, an approval raises nothing and is told', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    await duo.cancel(alice.sessionKey)
    expect(await duo.newest(alice.sessionKey)).toMatchObject({ state: 'cancelled' })
    answer(house, 'approve')
    await until(() => kinds(duo).includes('push.late-approval'), 'the late approval is told')
    expect(await duo.claim(alice.sessionKey)).toBeNull()
    expect(kinds(duo)).toEqual(['push.sent', 'push.cancelled', 'push.late-approval'])
  })

  it('row 120: a fraud report after a cancel locks all the same', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    await duo.cancel(alice.sessionKey)
    answer(house, 'fraud')
    await until(() => duo.frauds.length > 0, 'the fraud is told')
    expect(await duo.start(alice, undefined, facts())).toEqual({
      outcome: 'paused',
      until: house.now + 3_600_000,
      why: 'fraud',
    })
  })

  it('row 121: another device ends the first push: only the newest counts', async () => {
    const house = await openHouse()
    const duo = await house.open()
    const bob = owner('bob')
    await duo.start(bob, push('DPBOB1'), facts())
    expect(await duo.start(bob, push('DPBOB2'), facts())).toMatchObject({
      outcome: 'started',
      push: { device: { id: 'DPBOB2' } },
    })
    expect(house.simulator.pushes()).toHaveLength(2)
    answer(house, 'approve', 0)
    await until(() => kinds(duo).includes('push.late-approval'), 'the first approval is told')
    expect(await duo.claim(bob.sessionKey)).toBeNull()
    expect(await duo.newest(bob.sessionKey)).toMatchObject({ state: 'waiting', device: { id: 'DPBOB2' } })
    answer(house, 'approve', 1)
    await ending(duo, bob.sessionKey)
    expect(await duo.claim(bob.sessionKey)).toMatchObject({ how: 'push' })
  })

  it('cannot be cancelled again and again to make a phone ring: three that still ring are the limit', async () => {
    const house = await openHouse()
    const duo = await house.open()
    for (let round = 0; round < 3; round += 1) {
      expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
      await duo.cancel(alice.sessionKey)
    }
    expect(await duo.start(alice, undefined, facts())).toEqual({
      outcome: 'paused',
      until: house.now + 70_000,
      why: 'denied',
    })
    expect(house.simulator.pushes()).toHaveLength(3)
  })

  it('row 122: nobody can name another session’s push: it is found by the session alone', async () => {
    const house = await openHouse()
    const duo = await house.open()
    const started = await duo.start(alice, undefined, facts())
    const id = 'push' in started ? started.push.id : ''
    for (const guess of [id, 'alice', '', `${alice.sessionKey} `, '%', alice.sessionKey.toUpperCase()]) {
      expect(await duo.newest(guess)).toBeNull()
      expect(await duo.claim(guess)).toBeNull()
      await duo.cancel(guess)
    }
    expect(await duo.newest(alice.sessionKey)).toMatchObject({ state: 'waiting' })
  })

  it('row 123: of 20 parallel claims in two processes one gets it', async () => {
    const house = await openHouse()
    const both = [await house.open(), await house.open()]
    await both[0]?.start(alice, undefined, facts())
    answer(house, 'approve')
    await until(async () => (await both[1]?.newest(alice.sessionKey))?.state === 'allowed', 'it is allowed')
    const claims = await Promise.all(Array.from({ length: 20 }, (_, index) => both[index % 2]?.claim(alice.sessionKey)))
    expect(claims.filter(claim => claim?.how === 'push')).toHaveLength(1)
    expect(both.flatMap(duo => kinds(duo as Opened))).toEqual(['push.sent', 'push.allowed'])
  })

  it('row 124: after a claim whose answer was lost the person sends another push; the taken approval is of no use again', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    answer(house, 'approve')
    await ending(duo)
    expect(await duo.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
    expect(await duo.claim(alice.sessionKey)).toBeNull()
  })

  it('row 126: a session that ended while it rang gets nothing, and its approval is of no use to the next one', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    answer(house, 'approve')
    await ending(duo)
    await duo.cancel(alice.sessionKey)
    expect(await duo.claim(alice.sessionKey)).toBeNull()
    expect(await duo.claim('the-next-session')).toBeNull()
    expect(kinds(duo)).toEqual(['push.sent', 'push.allowed', 'push.cancelled'])
  })
})

describe('the guard', () => {
  it('pauses longer after each denial, through a restart and in every process', async () => {
    const house = await openHouse()
    let duo = await house.open()
    for (const pause of [30_000, 60_000, 120_000]) {
      expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
      answer(house, 'deny')
      await ending(duo)
      await duo.close()
      duo = await house.open()
      expect(await duo.start(alice, undefined, facts())).toEqual({
        outcome: 'paused',
        until: house.now + pause,
        why: 'denied',
      })
      house.now += pause
    }
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
  })
})
