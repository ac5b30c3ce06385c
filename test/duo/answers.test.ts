import { describe, expect, it } from 'vitest'
import type { RingingWay } from '../../src/duo/duo.ts'
import type { AuditEvent } from '../../src/telemetry/audit.ts'
import { ended, type House, type Opened, openHouse } from './house.ts'
import { facts, owner } from './people.ts'
import { fail, http, ok, scriptedDuo } from './scripted-duo.ts'

const alice = owner('alice')
const kinds = (duo: Opened) => duo.events.map(({ event }) => event)

const over = (duo: Opened, session = alice.sessionKey) => ended(duo, session)

const device = { device: 'DP1', type: 'phone', name: 'Phone', capabilities: ['push', 'phone', 'sms', 'mobile_otp'] }
const said = (result: string, status: string) => ({ result, status, status_msg: `Duo says ${status}` })

/** A Duo that lists one phone for anybody and answers its factor as it is told: at once, or by `auth_status`. */
async function duoThat(auth: string, authStatus?: string): Promise<{ house: House; duo: Opened }> {
  const script = await scriptedDuo((asked, socket) => {
    const { path } = asked
    if (path.endsWith('/preauth')) return void socket.write(ok({ result: 'auth', devices: [device] }))
    if (path.endsWith('/auth_status')) return void socket.write(authStatus ?? ok({ result: 'waiting' }))
    if (path.endsWith('/auth')) return void (auth === 'cut' ? socket.destroy() : socket.write(auth))
    return void socket.write(ok({ time: 1_795_525_200 }))
  })
  const house = await openHouse()
  return { house, duo: await house.open({ port: script.port, ca: script.certificate.ca }) }
}

const ringing: RingingWay['kind'][] = ['push', 'phone']

/** Whatever a factor is, nothing but `allow` may be claimed. */
const answers: [
  result: string,
  status: string,
  state: string,
  event: AuditEvent,
  pauses: boolean,
  how: string | null,
][] = [
  ['allow', 'allow', 'allowed', 'push.allowed', false, 'asked'],
  ['allow', 'bypass', 'allowed', 'push.allowed', false, 'duo-allow'],
  ['allow', 'deny', 'allowed', 'push.allowed', false, 'asked'],
  ['deny', 'deny', 'denied', 'push.denied', true, null],
  ['deny', 'allow', 'denied', 'push.denied', true, null],
  ['deny', 'something of tomorrow', 'denied', 'push.denied', true, null],
  ['deny', 'fraud', 'fraud', 'push.fraud', true, null],
  ['deny', 'timeout', 'timed-out', 'push.timed-out', false, null],
  ['deny', 'locked_out', 'failed', 'duo.locked-out', false, null],
]

describe.each(ringing)('%s', kind => {
  it.each(answers)('answered %s with status %s is %s', async (result, status, state, event, pauses, how) => {
    const { duo } = await duoThat(ok({ txid: 'tx-1' }), ok(said(result, status)))
    await duo.start(alice, { kind, device: 'DP1' }, facts())
    const view = await over(duo)
    expect(view).toMatchObject({ state, factor: kind, said: `Duo says ${status}` })
    expect(view.reason).toBe(status === 'locked_out' ? 'duo-locked' : null)
    expect(kinds(duo)).toContain(event)
    expect(duo.events.find(one => one.event === event)).toMatchObject({ factor: kind, device: 'Phone' })
    expect((await duo.pausedUntil('alice')) !== null).toBe(pauses)
    const claimed = await duo.claim(alice.sessionKey)
    expect(claimed?.how ?? null).toBe(how === 'asked' ? kind : how)
  })

  it.each([
    ['a result that only looks like allow', ok(said('Allow', 'allow'))],
    ['no result', ok({ status: 'allow', status_msg: 'Success. Logging you in...' })],
    ['an allow that is a FAIL', http(200, '{"stat":"FAIL","response":{"result":"allow"}}')],
    ['an allow with HTTP 400', http(400, '{"stat":"OK","response":{"result":"allow"}}')],
    ['another user’s transaction', fail(40002, 'Invalid request parameters', 'txid')],
    ['wrong keys', fail(40103, 'Invalid signature in request credentials')],
  ])('answered with %s raises nothing', async (_, answer) => {
    const { duo, house } = await duoThat(ok({ txid: 'tx-1' }), answer)
    await duo.start(alice, { kind, device: 'DP1' }, facts())
    const closing = over(duo)
    house.now += 60_000
    expect(['failed', 'timed-out']).toContain((await closing).state)
    expect(await duo.claim(alice.sessionKey)).toBeNull()
  })
})

describe('passcode', () => {
  it.each([
    ['allow', 'allow', 'accepted', 'passcode.accepted', 'passcode'],
    ['allow', 'bypass', 'accepted', 'passcode.accepted', 'duo-allow'],
    ['deny', 'deny', 'wrong', 'passcode.wrong', null],
    ['deny', 'allow', 'wrong', 'passcode.wrong', null],
    ['deny', 'timeout', 'wrong', 'passcode.wrong', null],
    ['deny', 'something of tomorrow', 'wrong', 'passcode.wrong', null],
    ['deny', 'locked_out', 'locked', 'duo.locked-out', null],
  ])('answered %s with status %s is %s', async (result, status, outcome, event, how) => {
    const { duo } = await duoThat(ok(said(result, status)))
    expect(await duo.passcode(alice, '123456', facts())).toMatchObject({ outcome })
    expect(kinds(duo)).toEqual([event])
    expect((await duo.claim(alice.sessionKey))?.how ?? null).toBe(how)
  })
})

describe('sms', () => {
  it.each([
    ['deny', 'sent', 'sent', 'sms.sent'],
    ['deny', 'deny', 'refused', 'sms.failed'],
    ['deny', 'locked_out', 'refused', 'duo.locked-out'],
    ['allow', 'allow', 'refused', 'sms.failed'],
    ['allow', 'bypass', 'refused', 'sms.failed'],
  ])('answered %s with status %s is %s, and raises nothing', async (result, status, outcome, event) => {
    const { duo } = await duoThat(ok(said(result, status)))
    expect(await duo.sms(alice, 'DP1', facts())).toMatchObject({ outcome })
    expect(kinds(duo)).toEqual([event])
    expect(await duo.claim(alice.sessionKey)).toBeNull()
  })
})

/** What goes wrong when a factor is asked for: how each is told, and whether Duo may have heard it: then a try at a passcode stays counted. */
const failures: [what: string, answer: string, reason: string, counted: boolean][] = [
  ['a connection that ends', 'cut', 'duo-unreachable', true],
  ['HTTP 500', http(500, '{}'), 'duo-server-error', true],
  ['HTML', http(502, '<html>', { 'Content-Type': 'text/html' }), 'duo-server-error', true],
  ['half of the body', http(200, '{"stat":"OK","resp'), 'duo-malformed', true],
  ['no txid and no result', ok({}), 'duo-malformed', true],
  ['429', http(429, '{"stat":"FAIL","code":42901}'), 'duo-throttled', false],
  ['a wrong secret key', fail(40103, 'Invalid signature in request credentials'), 'duo-signature', false],
  ['an unknown integration key', fail(40102, 'Invalid integration key'), 'duo-ikey', false],
  [
    'another type of application',
    fail(40301, 'Access forbidden', 'Wrong integration type for this API.'),
    'duo-application',
    false,
  ],
  ['a user whom Duo knows no more', fail(40002, 'Invalid request parameters', 'username'), 'duo-no-user', false],
  ['no capable device', fail(40002, 'Invalid request parameters', 'no capable device'), 'duo-no-device', false],
  ['a device that is gone', fail(40002, 'Invalid request parameters', 'device'), 'duo-refused', false],
]

describe.each(failures)('%s', (_, answer, reason, counted) => {
  it.each(ringing)('in place of an answer to a %s raises nothing, and is told', async kind => {
    const { duo } = await duoThat(answer)
    const started = await duo.start(alice, { kind, device: 'DP1' }, facts())
    expect(started).toMatchObject({ outcome: 'started', push: { state: 'failed', reason, factor: kind } })
    expect(duo.events).toMatchObject([{ event: 'push.failed', reason, factor: kind }])
    // Where the phone may ring all the same, nothing rings beside it.
    expect((await duo.pausedUntil('alice')) !== null).toBe(counted)
    expect(await duo.claim(alice.sessionKey)).toBeNull()
  })

  it('in place of an answer to a passcode raises nothing, and is told', async () => {
    const { duo } = await duoThat(answer)
    const outcomes = []
    for (let round = 0; round < 4; round += 1) outcomes.push(await duo.passcode(alice, '123456', facts()))
    expect(outcomes[0]).toMatchObject({ outcome: 'offer', offer: { reason } })
    expect(duo.events[0]).toMatchObject({ event: 'passcode.failed', reason })
    // Whoever may have been answered is counted; whoever was not even looked at is not.
    expect(outcomes[3]?.outcome).toBe(counted ? 'banned' : 'offer')
    expect(await duo.claim(alice.sessionKey)).toBeNull()
  })

  it('in place of an answer to a text message is told', async () => {
    const { duo } = await duoThat(answer)
    expect(await duo.sms(alice, 'DP1', facts())).toMatchObject({ outcome: 'offer', offer: { reason } })
    expect(duo.events).toMatchObject([{ event: 'sms.failed', reason }])
  })
})
