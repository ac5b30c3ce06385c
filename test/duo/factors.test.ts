import { describe, expect, it } from 'vitest'
import type { RingingWay } from '../../src/duo/duo.ts'
import { until } from '../support/process.ts'
import { ended, type House, type Opened, openHouse } from './house.ts'
import { facts, owner, push } from './people.ts'

const erin = owner('erin')
const kinds = (...duos: Opened[]) => duos.flatMap(duo => duo.events.map(({ event }) => event))
const call: RingingWay = { kind: 'phone', device: 'DPERIN1' }

const ending = (duo: Opened, session = erin.sessionKey) => ended(duo, session)

const onPhone = (house: House) => house.simulator.pushes().at(-1)
const answer = (house: House, how: 'approve' | 'deny' | 'fraud' | 'pick-up', code?: string) =>
  house.simulator.answer(onPhone(house)?.id ?? '', how, code)

describe('a phone call', () => {
  it('rings, is picked up, wants a key, and raises as a call', async () => {
    const house = await openHouse()
    const duo = await house.open()
    const started = await duo.start(erin, call, facts())
    expect(started).toMatchObject({ outcome: 'started', push: { factor: 'phone', code: null } })
    expect(onPhone(house)).toMatchObject({ factor: 'phone', ipaddr: '192.0.2.7' })
    await until(async () => (await duo.newest(erin.sessionKey))?.said.startsWith('Dialing'), 'Duo says so')
    answer(house, 'pick-up')
    await until(async () => (await duo.newest(erin.sessionKey))?.said.startsWith('Answered'), 'Duo says so')
    expect(await duo.claim(erin.sessionKey)).toBeNull()
    answer(house, 'approve')
    expect(await ending(duo)).toMatchObject({ state: 'allowed', factor: 'phone' })
    expect(await duo.claim(erin.sessionKey)).toMatchObject({ how: 'phone', said: 'Success. Logging you in...' })
    expect(duo.events).toMatchObject([
      { event: 'push.sent', factor: 'phone', device: 'Erin’s phone' },
      { event: 'push.allowed', factor: 'phone' },
    ])
    expect((await duo.keptWay('erin'))?.way ?? null).toEqual(call)
  })

  it.each([
    ['deny', 'denied'],
    ['fraud', 'fraud'],
  ] as const)('that ends with %s raises nothing', async (how, state) => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(erin, call, facts())
    answer(house, how)
    expect(await ending(duo)).toMatchObject({ state })
    expect(await duo.claim(erin.sessionKey)).toBeNull()
  })

  it('in place of a push ends the push, as another device does', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(erin, push('DPERIN1'), facts())
    expect(await duo.start(erin, call, facts())).toMatchObject({ outcome: 'started', push: { factor: 'phone' } })
    expect(await duo.start(erin, call, facts())).toMatchObject({ outcome: 'joined' })
    expect(house.simulator.pushes().map(({ factor }) => factor)).toEqual(['push', 'phone'])
  })
})

describe('a passcode', () => {
  it.each<[string, (house: House) => string]>([
    ['of Duo Mobile', house => house.simulator.passcode('DPERIN1')],
    ['of a token', house => house.simulator.passcode('DHERIN1')],
    ['that an administrator gave', () => '987654321'],
    ['typed with spaces', house => house.simulator.passcode('DPERIN1').replace(/^(...)/, ' $1 ')],
  ])('%s is accepted, and claimed once, by its session alone', async (_, passcodeOf) => {
    const house = await openHouse()
    const duo = await house.open()
    const code = passcodeOf(house)
    const accepted = await duo.passcode(erin, code, facts())
    expect(accepted).toMatchObject({ outcome: 'accepted', push: { state: 'allowed', factor: 'passcode', code: null } })
    expect(await duo.claim('another')).toBeNull()
    const claims = await Promise.all([1, 2, 3].map(() => duo.claim(erin.sessionKey)))
    expect(claims.filter(claim => claim !== null)).toMatchObject([{ how: 'passcode' }])
    expect(await duo.passcode(erin, code, facts())).toMatchObject({ outcome: 'wrong', triesLeft: 2 })
    expect(kinds(duo)).toEqual(['passcode.accepted', 'passcode.wrong'])
    expect((await duo.keptWay('erin'))?.way ?? null).toEqual({ kind: 'passcode' })
    expect(JSON.stringify([duo.events, duo.lines, accepted])).not.toContain(code.replaceAll(' ', ''))
  })

  it('ends the push that waits beside it, whose approval is of no use then', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(erin, push('DPERIN1'), facts())
    expect(await duo.passcode(erin, house.simulator.passcode('DPERIN1'), facts())).toMatchObject({
      outcome: 'accepted',
    })
    answer(house, 'approve')
    await until(() => kinds(duo).includes('push.late-approval'), 'the approval is told')
    expect(await duo.claim(erin.sessionKey)).toMatchObject({ how: 'passcode' })
    expect(await duo.claim(erin.sessionKey)).toBeNull()
  })

  it('that was not claimed is worth nothing after a logout, or five minutes', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.passcode(erin, house.simulator.passcode('DPERIN1'), facts())
    await duo.cancel(erin.sessionKey)
    expect(await duo.claim(erin.sessionKey)).toBeNull()
    await duo.passcode(erin, house.simulator.passcode('DPERIN1'), facts())
    house.now += 300_000
    expect(await duo.claim(erin.sessionKey)).toBeNull()
  })

  it.each([
    '',
    ' ',
    '123',
    '12 3',
    'x'.repeat(65),
    '1'.repeat(10_000),
    "1234' OR 1=1",
    '12\u000034',
    '\ud800123',
    '＃＃＃＃',
    'ä12345',
  ])('cannot be %j: Duo is not asked, and nothing is counted', async typed => {
    const house = await openHouse()
    const duo = await house.open()
    expect(await duo.passcode(erin, typed, facts())).toEqual({ outcome: 'malformed' })
    expect(kinds(duo)).toEqual([])
  })

  it('may end with a line that was pasted with it', async () => {
    const house = await openHouse()
    const duo = await house.open()
    expect(await duo.passcode(erin, '123456\n', facts())).toMatchObject({ outcome: 'wrong', triesLeft: 2 })
    expect(kinds(duo)).toEqual(['passcode.wrong'])
  })

  it('row 129: wrong ones count for the person, over new sessions and processes, and ban', async () => {
    const house = await openHouse()
    const [first, second] = [await house.open(), await house.open()]
    expect(await first.passcode(erin, '000000', facts())).toMatchObject({
      outcome: 'wrong',
      said: 'Incorrect passcode. Please try again.',
      triesLeft: 2,
    })
    expect(await second.passcode(owner('erin', 'new'), '000001', facts())).toMatchObject({ triesLeft: 1 })
    const until = house.now + 300_000
    expect(await first.passcode(owner('erin', 'newer'), '000002', facts())).toEqual({
      outcome: 'banned',
      until,
      whose: 'name',
      by: 'regulation',
    })
    // The right one is not even looked at; a push and a text message are none the less refused.
    for (const duo of [first, second]) {
      expect(await duo.passcode(erin, '987654321', facts())).toEqual({
        outcome: 'banned',
        until,
        whose: 'name',
        by: 'regulation',
      })
      expect(await duo.start(erin, push('DPERIN1'), facts())).toEqual({
        outcome: 'banned',
        until,
        whose: 'name',
        by: 'regulation',
      })
      expect(await duo.sms(erin, 'DPERIN1', facts())).toEqual({
        outcome: 'banned',
        until,
        whose: 'name',
        by: 'regulation',
      })
    }
    expect(house.simulator.pushes()).toEqual([])
    expect(kinds(first, second)).toEqual(['passcode.wrong', 'passcode.wrong', 'passcode.wrong'])
    house.now = until
    expect(await second.passcode(erin, '987654321', facts())).toMatchObject({ outcome: 'accepted' })
  })

  it('row 129: of 20 in parallel three reach Duo', async () => {
    const house = await openHouse()
    house.simulator.setPolicy({ failuresToLock: 4 })
    const both = [await house.open(), await house.open()]
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        both[index % 2]?.passcode(owner('erin', `s${index}`), String(index).padStart(6, '0'), facts()),
      ),
    )
    const count = (outcome: string) => outcomes.filter(one => one?.outcome === outcome).length
    expect([count('wrong'), count('banned')]).toEqual([2, 18])
    // Duo locks at the fourth: it never came.
    expect(await both[0]?.offer(erin, facts())).toMatchObject({ kind: 'choose' })
  })

  it('row 129: a right one forgets the wrong ones before it', async () => {
    const house = await openHouse()
    const duo = await house.open()
    for (let round = 0; round < 3; round += 1) {
      expect(await duo.passcode(erin, '000000', facts())).toMatchObject({ triesLeft: 2 })
      expect(await duo.passcode(erin, '000001', facts())).toMatchObject({ triesLeft: 1 })
      expect(await duo.passcode(erin, house.simulator.passcode('DHERIN1'), facts())).toMatchObject({
        outcome: 'accepted',
      })
    }
  })

  it('row 129: Duo’s own lock is told apart, and is not the ban', async () => {
    const house = await openHouse()
    house.simulator.setPolicy({ failuresToLock: 1 })
    const duo = await house.open()
    expect(await duo.passcode(erin, '000000', facts())).toMatchObject({ outcome: 'wrong' })
    const locked = { kind: 'deny', reason: 'duo-locked' }
    expect(await duo.passcode(erin, '987654321', facts())).toMatchObject({ outcome: 'offer', offer: locked })
  })

  it('row 119: is possible for the owner while somebody else’s push rings, and leaves that one to whoever sent it', async () => {
    const house = await openHouse()
    const [here, there] = [await house.open(), await house.open()]
    await there.start(owner('erin', 'thief'), push('DPERIN1'), facts({ ip: '198.51.100.1' }))
    expect(await here.start(erin, push('DPERIN1'), facts())).toMatchObject({ outcome: 'busy' })
    expect(await here.passcode(erin, '987654321', facts())).toMatchObject({ outcome: 'accepted' })
    expect(await there.claim('thief')).toBeNull()
    expect(await here.claim(erin.sessionKey)).toMatchObject({ how: 'passcode' })
    expect(await there.newest('thief')).toMatchObject({ state: 'waiting' })
    answer(house, 'deny')
    expect(await ending(there, 'thief')).toMatchObject({ state: 'denied' })
    expect(await there.claim('thief')).toBeNull()
  })

  it('is possible after a fraud report, when push and call are not', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(erin, push('DPERIN1'), facts())
    answer(house, 'fraud')
    await until(() => duo.frauds.length > 0, 'the fraud is told')
    const locked = { outcome: 'paused', until: house.now + 3_600_000, why: 'fraud' }
    expect(await duo.start(erin, push('DPERIN1'), facts())).toEqual(locked)
    expect(await duo.start(erin, call, facts())).toEqual(locked)
    // A message asks nothing of the person, and some have no other way to a passcode.
    expect(await duo.sms(erin, 'DPERIN1', facts())).toMatchObject({ outcome: 'sent' })
    expect(await duo.passcode(erin, '987654321', facts())).toMatchObject({ outcome: 'accepted' })
  })

  it('is not asked for where the configuration has none, or Duo lets nobody try', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { factors: ['push'] } })
    const refused = await duo.passcode(erin, '987654321', facts())
    expect(refused).toMatchObject({ outcome: 'offer', offer: { kind: 'choose', ways: [push('DPERIN1')] } })
    expect(await duo.passcode(owner('dave'), '123456', facts())).toMatchObject({ offer: { reason: 'duo-locked' } })
    expect(await duo.passcode(owner('carol'), '123456', facts())).toMatchObject({ offer: { kind: 'allow' } })
    expect(await duo.claim(erin.sessionKey)).toBeNull()
  })

  it('may be a bypass code of somebody whose phone is gone', async () => {
    const house = await openHouse()
    house.simulator.setUsers([{ username: 'erin', enrolled: true, passcode: null, bypassCodes: ['987654321'] }])
    const duo = await house.open()
    expect(await duo.offer(erin, facts())).toEqual({
      kind: 'no-device',
      reason: 'duo-no-device',
      device: null,
      passcode: true,
    })
    expect(await duo.passcode(erin, '987654321', facts())).toMatchObject({ outcome: 'accepted' })
  })
})

describe('text messages with passcodes', () => {
  it('bring in where passcodes are no way of their own', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { factors: ['push', 'sms'] } })
    expect(await duo.sms(erin, 'DPERIN1', facts())).toMatchObject({ outcome: 'sent' })
    const [code = ''] = house.simulator.messages('DPERIN1')[0]?.passcodes ?? []
    expect(await duo.passcode(erin, code, facts())).toMatchObject({ outcome: 'accepted' })
  })

  it('are sent, say how the next one begins, and bring in once', async () => {
    const house = await openHouse()
    const duo = await house.open()
    const sent = await duo.sms(erin, 'DPERIN1', facts())
    const [code = ''] = house.simulator.messages('DPERIN1')[0]?.passcodes ?? []
    expect(sent).toEqual({ outcome: 'sent', said: 'New SMS passcodes sent.', nextCode: code.charAt(0) })
    expect(await duo.claim(erin.sessionKey)).toBeNull()
    expect(await duo.passcode(erin, code, facts())).toMatchObject({ outcome: 'accepted' })
    expect(await duo.claim(erin.sessionKey)).toMatchObject({ how: 'passcode' })
    expect(kinds(duo)).toEqual(['sms.sent', 'passcode.accepted'])
    // Next time the messages are what is offered first.
    expect((await duo.keptWay('erin'))?.way ?? null).toEqual({ kind: 'sms', device: 'DPERIN1' })
  })

  it('go out once a minute at most, in all processes', async () => {
    const house = await openHouse()
    const [first, second] = [await house.open(), await house.open()]
    await first.sms(erin, 'DPERIN1', facts())
    expect(await second.sms(owner('erin', 'new'), 'DPERIN1', facts())).toEqual({
      outcome: 'cool-down',
      until: house.now + 60_000,
    })
    expect(house.simulator.messages('DPERIN1')).toHaveLength(1)
    house.now += 60_000
    expect(await second.sms(erin, 'DPERIN1', facts())).toMatchObject({ outcome: 'sent' })
  })

  it.each(['DHERIN1', 'DPALICE1', 'auto', '', 'x'.repeat(10_000), 'a\u0000b'])('cannot go to %j', async device => {
    const house = await openHouse()
    const duo = await house.open()
    expect(await duo.sms(erin, device, facts())).toEqual({ outcome: 'unknown-device' })
    expect(await duo.sms(owner('alice'), 'DPALICE1', facts())).toEqual({ outcome: 'unknown-device' })
  })
})

describe('the code of a Verified Push', () => {
  it('is Duo’s, is shown, and must be typed on the phone', async () => {
    const house = await openHouse()
    house.simulator.setPolicy({ verifiedPush: 'required', withoutVerifiedPush: 'no-push' })
    const duo = await house.open()
    const started = await duo.start(erin, push('DPERIN1'), facts())
    const code = onPhone(house)?.verificationCode ?? ''
    expect(code).toMatch(/^\d{3}$/)
    expect(started).toMatchObject({ push: { code: { kind: 'verified', digits: code } } })
    expect(JSON.stringify(started)).not.toContain('txid')
    expect(answer(house, 'approve', code === '000' ? '001' : '000')).toBe(false)
    expect(answer(house, 'approve', code)).toBe(true)
    expect(await ending(duo)).toMatchObject({ state: 'allowed' })
    expect(await duo.claim(erin.sessionKey)).toMatchObject({ how: 'push' })
    // Details hold no code: the phone must not show what is to be typed.
    expect(onPhone(house)?.pushinfo.map(([name]) => name)).not.toContain('Code in the browser')
  })

  it('is not asked for where it is switched off', async () => {
    const house = await openHouse()
    house.simulator.setPolicy({ verifiedPush: 'required', withoutVerifiedPush: 'no-push' })
    const duo = await house.open({ config: { verified_push: false } })
    const offer = await duo.offer(erin, facts())
    expect(offer.kind === 'choose' && offer.ways.map(({ kind }) => kind)).toEqual(['phone', 'sms', 'passcode'])
    house.simulator.setPolicy({ withoutVerifiedPush: 'push' })
    expect(await duo.start(erin, push('DPERIN1'), facts())).toMatchObject({ push: { code: null } })
  })

  it('is none of a call', async () => {
    const house = await openHouse()
    house.simulator.setPolicy({ verifiedPush: 'required' })
    const duo = await house.open({ config: { matching_code: true } })
    expect(await duo.start(erin, call, facts())).toMatchObject({ push: { factor: 'phone', code: null } })
  })
})

describe('the code to compare', () => {
  it('is three digits, the same on the page and on the phone, first of all', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { matching_code: true } })
    const started = await duo.start(erin, push('DPERIN1'), facts())
    const [first] = onPhone(house)?.pushinfo ?? []
    expect(first).toEqual(['Code in the browser', expect.stringMatching(/^\d{3}$/)])
    expect(started).toMatchObject({ push: { code: { kind: 'matching', digits: first?.[1] } } })
  })

  it('gives way to Duo’s own', async () => {
    const house = await openHouse()
    house.simulator.setPolicy({ verifiedPush: 'required' })
    const duo = await house.open({ config: { matching_code: true } })
    expect(await duo.start(erin, push('DPERIN1'), facts())).toMatchObject({ push: { code: { kind: 'verified' } } })
  })
})

describe('the way that was used last', () => {
  it('is the one next time, for a call too', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(erin, call, facts())
    await duo.cancel(erin.sessionKey)
    expect(await duo.offer(erin, facts())).toMatchObject({ preferred: call, forgotten: null })
    expect(await duo.start(erin, undefined, facts())).toMatchObject({ outcome: 'started', push: { factor: 'phone' } })
  })

  it('of a device that is gone is forgotten with a word, once, and nothing rings in its place unasked', async () => {
    const house = await openHouse()
    const duo = await house.open()
    const bob = owner('bob')
    expect(await duo.keepWay(bob, push('DPBOB2'), facts())).toBe(true)
    house.simulator.setUsers([{ username: 'bob', devices: [{ id: 'DPBOB1', name: 'Work', capabilities: ['push'] }] }])
    const told = await duo.start(bob, undefined, facts())
    expect(told).toMatchObject({ outcome: 'offer', offer: { forgotten: 'Private', preferred: push('DPBOB1') } })
    expect(house.simulator.pushes()).toEqual([])
    expect(await duo.offer(bob, facts())).toMatchObject({ forgotten: null })
    expect(await duo.start(bob, undefined, facts())).toMatchObject({ outcome: 'started' })
  })

  it('does not ring when it is a passcode', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.passcode(erin, '987654321', facts())
    await duo.claim(erin.sessionKey)
    expect(await duo.start(erin, undefined, facts())).toMatchObject({
      outcome: 'offer',
      offer: { preferred: { kind: 'passcode' } },
    })
  })

  it('cannot be one that Duo does not offer', async () => {
    const house = await openHouse()
    const duo = await house.open()
    expect(await duo.keepWay(owner('alice'), { kind: 'phone', device: 'DPALICE1' }, facts())).toBe(false)
    expect(await duo.start(owner('alice'), { kind: 'phone', device: 'DPALICE1' }, facts())).toEqual({
      outcome: 'unknown-device',
    })
  })
})
