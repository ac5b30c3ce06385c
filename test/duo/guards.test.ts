import { createServer } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { duoName, namesakes, normalised } from '../../src/duo/names.ts'
import { freePort, until } from '../support/process.ts'
import { ended, type House, type Opened, openHouse } from './house.ts'
import { facts, owner, push } from './people.ts'
import { certificate, fail, http, ok, scripted, scriptedDuo } from './scripted-duo.ts'

const alice = owner('alice')
const kinds = (duo: Opened) => duo.events.map(({ event }) => event)

const over = (duo: Opened, session = alice.sessionKey) => ended(duo, session)

const answer = (house: House, how: 'approve' | 'deny' | 'fraud') =>
  house.simulator.answer(house.simulator.pushes().at(-1)?.id ?? '', how)

describe('denials and fraud', () => {
  it('row 127: five denials pause longer each time, a fraud report locks; a restart changes nothing, and every process knows', async () => {
    const house = await openHouse()
    let duo = await house.open()
    for (const pause of [30, 60, 120, 240, 480].map(seconds => seconds * 1_000)) {
      expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
      answer(house, 'deny')
      await over(duo)
      await duo.close()
      duo = await house.open()
      const paused = { outcome: 'paused', until: house.now + pause, why: 'denied' }
      expect(await duo.start(owner('alice', 'new'), undefined, facts())).toEqual(paused)
      house.now += pause
    }
    await duo.start(alice, undefined, facts())
    answer(house, 'fraud')
    await until(() => duo.frauds.length > 0, 'it is told')
    expect(duo.events).toContainEqual(expect.objectContaining({ event: 'push.fraud' }))
    await duo.close()
    const locked = { outcome: 'paused', until: house.now + 3_600_000, why: 'fraud' }
    const again = [await house.open(), await house.open()]
    for (const one of again) expect(await one.start(alice, undefined, facts())).toEqual(locked)
    house.now += 3_600_000
    expect(await again[0]?.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
  })

  it('pauses and locks for as long as duo_api.guard says', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { guard: { first_pause: '5s', longest_pause: '8s', fraud_lock: '1d' } } })
    for (const pause of [5_000, 8_000]) {
      await duo.start(alice, undefined, facts())
      answer(house, 'deny')
      await over(duo)
      expect(await duo.pausedUntil('alice')).toBe(house.now + pause)
      house.now += pause
    }
    await duo.start(alice, undefined, facts())
    answer(house, 'fraud')
    await until(() => duo.frauds.length > 0, 'it is told')
    expect(await duo.pausedUntil('alice')).toBe(house.now + 86_400_000)
  })
})

describe('budgets', () => {
  /** Sends a push and lets it time out. */
  async function unanswered(house: House, duo: Opened, who = alice, ip = '192.0.2.7') {
    const started = await duo.start(who, undefined, facts({ ip }))
    if (started.outcome === 'started') {
      await duo.cancel(who.sessionKey)
      // Nothing rings any more, and nobody denied: only the budget is left to say no.
      answer(house, 'approve')
      await until(() => kinds(duo).at(-1) === 'push.late-approval', 'it is told')
    }
    return started
  }

  it('row 128: 30 starts from 30 addresses in ten minutes: ten reach the phone, in whatever process', async () => {
    const house = await openHouse()
    const both = [await house.open(), await house.open()]
    const began = house.now
    const outcomes = []
    for (let round = 0; round < 30; round += 1) {
      const duo = both[round % 2]
      if (duo === undefined) throw new Error('none')
      outcomes.push(await unanswered(house, duo, owner('alice', `s${round}`), `198.51.100.${round + 1}`))
    }
    expect(outcomes.filter(({ outcome }) => outcome === 'started')).toHaveLength(10)
    expect(house.simulator.pushes()).toHaveLength(10)
    expect(outcomes.at(-1)).toEqual({ outcome: 'paused', until: began + 600_000, why: 'budget' })
    const held = both.flatMap(({ events }) => events.filter(({ event }) => event === 'push.held'))
    // Of twenty one line in each process: who asks on and on does not fill the log.
    expect(held.map(({ reason }) => reason)).toEqual(['budget', 'budget'])
    // Another person is not held back by it; and it survives a restart.
    expect(await both[0]?.start(owner('bob'), push('DPBOB1'), facts())).toMatchObject({ outcome: 'started' })
    const next = await house.open()
    expect(await next.start(alice, undefined, facts())).toMatchObject({ outcome: 'paused', why: 'budget' })
    house.now = began + 600_000
    expect(await next.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
  })

  it('row 128: one address, or one IPv6 network, asks for no more than its own', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { guard: { pushes_per_address: 2 } } })
    await unanswered(house, duo, alice, '2001:db8:1:2::1')
    await unanswered(house, duo, alice, '2001:db8:1:2:ffff::9')
    const bob = owner('bob')
    expect(await duo.start(bob, push('DPBOB1'), facts({ ip: '2001:db8:1:2:3::3' }))).toMatchObject({ why: 'budget' })
    expect(await duo.start(bob, push('DPBOB1'), facts({ ip: '2001:db8:1:3::3' }))).toMatchObject({ outcome: 'started' })
  })

  it('row 128: all together ask for no more than the whole', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { guard: { pushes_in_all: 1 } } })
    await unanswered(house, duo)
    const refused = await duo.start(owner('bob'), push('DPBOB1'), facts({ ip: '203.0.113.9' }))
    expect(refused).toMatchObject({ outcome: 'paused', why: 'budget' })
    expect(await duo.sms(owner('erin'), 'DPERIN1', facts())).toMatchObject({ outcome: 'paused', why: 'budget' })
  })

  it('an approval makes room again for the person', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { guard: { pushes_per_user: 2 } } })
    for (let round = 0; round < 5; round += 1) {
      expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
      answer(house, 'approve')
      await over(duo)
      await duo.claim(alice.sessionKey)
    }
  })

  it('what was asked for is cleared away after a day, where people only enter passcodes too', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.passcode(owner('erin'), '000000', facts())
    house.now += 86_400_001
    await duo.passcode(owner('erin'), '000001', facts())
    const database = new DatabaseSync(house.file, { timeout: 1_000 })
    onTestFinished(() => database.close())
    expect(database.prepare('select count(*) as rows from postern_factors_asked').get()).toEqual({ rows: 1 })
  })
})

describe('a start without a way, of somebody whose last way was a passcode', () => {
  it('rings where it asks for the only push, after one preauth; as the last way it rings nothing', async () => {
    const only = await scripted((_asked, socket) => void socket.write(ok({ result: 'waiting', status: 'pushed' })))
    const duo = await (await openHouse()).open({ port: only.port, ca: only.ca })
    expect(await duo.keepWay(alice, { kind: 'passcode' }, facts())).toBe(true)
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'offer', offer: { kind: 'choose' } })
    expect([only.preauths(), only.auths()]).toEqual([2, 0])
    expect(await duo.start(alice, 'only-push', facts())).toMatchObject({ outcome: 'started' })
    expect([only.preauths(), only.auths()]).toEqual([3, 1])
  })

  it('rings nothing where there are two', async () => {
    const duo = await (await openHouse()).open()
    expect(await duo.start(owner('bob'), 'only-push', facts())).toMatchObject({ outcome: 'offer' })
  })
})

describe('the failmode', () => {
  const safe = { config: { failmode: 'safe' } }
  const unavailable = { kind: 'unavailable' }

  it('row 110: nothing listens where Duo’s name leads: closed unless it is safe, then at preauth alone, loudly', async () => {
    const house = await openHouse()
    const port = await freePort()
    const secure = await house.open({ port })
    expect(await secure.offer(alice, facts())).toMatchObject(unavailable)
    expect(secure.passingSince).toBeNull()

    const open = await house.open({ port, ...safe })
    expect(await open.offer(alice, facts())).toMatchObject({ kind: 'failmode', trouble: { reason: 'duo-unreachable' } })
    expect(open.passingSince).toBe(house.now)
    expect(open.lines.join('')).toContain('a password alone opens what wants two factors')
    expect(await open.start(alice, undefined, facts())).toMatchObject({ outcome: 'offer', offer: { kind: 'failmode' } })
    expect(await open.passcode(alice, '123456', facts())).toMatchObject({
      outcome: 'offer',
      offer: { kind: 'failmode' },
    })
    expect(await open.claim(alice.sessionKey)).toBeNull()
    const shouts = () => open.lines.filter(line => line.includes('a password alone opens')).length
    expect(shouts()).toBe(1)
    house.now += 60_000
    await open.offer(owner('bob'), facts())
    expect(shouts()).toBe(2)
    // Since it began, not since it was last said.
    expect(open.passingSince).toBe(house.now - 60_000)
  })

  it.each<[string, string, object]>([
    ['HTTP 500', http(500, '{}'), { kind: 'failmode' }],
    ['HTML', http(200, '<html>', { 'Content-Type': 'text/html' }), { kind: 'failmode' }],
    ['half an answer', http(200, '{"stat":"OK","resp'), { kind: 'failmode' }],
    ['nothing of Duo’s', http(200, '{"stat":"OK","response":{"result":"maybe"}}'), { kind: 'failmode' }],
    ['row 109: 40101', fail(40101, 'Missing request credentials'), { kind: 'misconfigured' }],
    ['row 109: 40102', fail(40102, 'Invalid integration key in request credentials'), { reason: 'duo-ikey' }],
    ['row 109: 40103', fail(40103, 'Invalid signature in request credentials'), { reason: 'duo-signature' }],
    ['row 109: 40104', fail(40104, 'Missing request timestamp'), { kind: 'misconfigured' }],
    ['row 109: 40105', fail(40105, 'Bad request timestamp'), { reason: 'duo-clock' }],
    [
      'row 109: 40301',
      fail(40301, 'Access forbidden', 'Wrong integration type for this API.'),
      { reason: 'duo-application' },
    ],
    ['row 109: 40301', fail(40301, 'Client is deprecated and no longer supported'), { reason: 'duo-client-too-old' }],
    ['40401', fail(40401, 'Resource not found'), { kind: 'misconfigured' }],
    ['an unknown user', fail(40002, 'Invalid request parameters', 'username'), { kind: 'no-device' }],
    [
      '429',
      http(429, '{"stat":"FAIL","code":42901}', { 'Retry-After': '60' }),
      { kind: 'unavailable', reason: 'duo-throttled' },
    ],
  ])('%s with failmode safe', async (_, response, expected) => {
    const wrong = await scriptedDuo((_asked, socket) => void socket.write(response))
    const duo = await (await openHouse()).open({ port: wrong.port, ca: wrong.certificate.ca, ...safe })
    expect(await duo.offer(alice, facts())).toMatchObject(expected)
  })

  it.each<[string, Parameters<typeof certificate>[0]]>([
    ['of another authority', undefined],
    ['for another name', { names: ['duo.example.org'] }],
    ['that has expired', { notAfterDate: new Date(Date.now() - 1_000) }],
    ['that is self-signed', { selfSigned: true }],
    ['of a client', { forClients: true }],
  ])('row 110: whoever answers in Duo’s place with a certificate %s opens nothing, however often', async (_, wrong) => {
    const given = await certificate(wrong)
    const impostor = await scriptedDuo((_asked, socket) => void socket.write(http(500, '')), given)
    const ca = wrong === undefined ? (await certificate()).ca : given.ca
    const duo = await (await openHouse()).open({ port: impostor.port, ca, ...safe })
    // Beyond what opens the breaker: its own answer must not open the door either.
    for (let tries = 0; tries < 7; tries += 1)
      expect(await duo.offer(alice, facts())).toMatchObject({ kind: 'unavailable', reason: 'duo-tls' })
    expect(duo.passingSince).toBeNull()
    expect(impostor.asked).toEqual([])
  })

  it('row 110: it is over when somebody else answers in Duo’s place: the health page says so', async () => {
    const house = await openHouse()
    const port = await freePort()
    const duo = await house.open({ port, ...safe })
    expect(await duo.offer(alice, facts())).toMatchObject({ kind: 'failmode' })
    const impostor = createServer(socket => void socket.end(http(200, ok({ result: 'allow' }))).on('error', () => {}))
    onTestFinished(() => void impostor.close())
    await new Promise<void>(resolve => impostor.listen(port, '127.0.0.1', resolve))
    expect(await duo.offer(owner('bob'), facts())).toMatchObject({ kind: 'unavailable', reason: 'duo-tls' })
    expect(duo.passingSince).toBeNull()
  })

  it('row 110: never after a factor was asked for: not after a push, nor after a wrong passcode', async () => {
    const house = await openHouse()
    const duo = await house.open(safe)
    await duo.start(alice, undefined, facts())
    await duo.cancel(alice.sessionKey)
    await duo.passcode(owner('erin'), '000000', facts())
    house.simulator.setScenario({ kind: 'server-error', path: 'preauth', times: 10 })
    expect(await duo.offer(alice, facts())).toMatchObject(unavailable)
    expect(await duo.offer(owner('erin'), facts())).toMatchObject(unavailable)
    expect(await duo.offer(owner('bob'), facts())).toMatchObject({ kind: 'failmode' })
  })

  it('row 110: a lost answer to the push itself lets nobody in', async () => {
    const house = await openHouse()
    const duo = await house.open(safe)
    house.simulator.setScenario({ kind: 'lost', path: 'auth' })
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started', push: { state: 'failed' } })
    expect(await duo.claim(alice.sessionKey)).toBeNull()
    house.simulator.setScenario({ kind: 'server-error', path: 'auth', times: 2 })
    const refused = await duo.passcode(owner('erin'), '987654321', facts())
    expect(refused).toMatchObject({ outcome: 'offer', offer: { kind: 'unavailable', reason: 'duo-server-error' } })
    expect(await duo.claim('erin-session')).toBeNull()
  })

  it('is over with Duo’s next answer, and is nothing for whom a denial or a fraud report holds back', async () => {
    const house = await openHouse()
    const duo = await house.open(safe)
    await duo.start(alice, undefined, facts())
    answer(house, 'fraud')
    await until(() => duo.frauds.length > 0, 'it is told')
    house.simulator.setScenario({ kind: 'server-error', path: 'preauth', times: 2 })
    expect(await duo.offer(owner('alice', 'new'), facts())).toMatchObject(unavailable)
    expect(await duo.offer(owner('bob'), facts())).toMatchObject({ kind: 'failmode' })
    expect(duo.passingSince).toBe(house.now)
    expect(await duo.offer(owner('bob'), facts())).toMatchObject({ kind: 'choose' })
    expect(duo.passingSince).toBeNull()
  })
})

describe('what preauth allows or asks', () => {
  it('row 112: a pass is a pass of this moment: asked again each time, and no approval of anything', async () => {
    const house = await openHouse()
    const duo = await house.open()
    const stranger = owner('stranger')
    house.simulator.setPolicy({ newUser: 'allow' })
    expect(await duo.offer(stranger, facts())).toEqual({ kind: 'allow', said: 'Allowing unknown user' })
    expect(await duo.start(stranger, undefined, facts())).toMatchObject({ outcome: 'offer', offer: { kind: 'allow' } })
    expect(await duo.claim(stranger.sessionKey)).toBeNull()
    house.simulator.setPolicy({ newUser: 'deny' })
    expect(await duo.offer(stranger, facts())).toMatchObject({ kind: 'deny' })
    house.simulator.setPolicy({ networks: { allow: ['192.0.2.0/24'], deny: [] } })
    expect(await duo.offer(alice, facts({ ip: '192.0.2.7' }))).toMatchObject({ kind: 'allow' })
    expect(await duo.offer(alice, facts({ ip: '198.51.100.7' }))).toMatchObject({ kind: 'choose' })
    expect(await duo.offer(alice, facts({ ip: undefined }))).toMatchObject({ kind: 'choose' })
  })

  it('row 112: who is in bypass when the phone is to ring passes as that, not as a push', async () => {
    const bypass = ok({ result: 'allow', status: 'bypass', status_msg: 'Success. Logging you in...' })
    const { port, ca } = await scripted((_, socket) => void socket.write(bypass))
    const duo = await (await openHouse()).open({ port, ca })
    await duo.start(alice, undefined, facts())
    expect(await over(duo)).toMatchObject({ state: 'allowed' })
    expect(await duo.claim(alice.sessionKey)).toMatchObject({ how: 'duo-allow' })
  })

  it('row 113: a link to enrol comes only where it is switched on, and opens nothing by itself', async () => {
    const house = await openHouse()
    const [off, on] = [await house.open(), await house.open({ config: { enable_self_enrollment: true } })]
    const dormant = owner('dormant')
    expect(await off.offer(dormant, facts())).toMatchObject({ kind: 'enroll', portalUrl: null })
    const offer = await on.offer(dormant, facts())
    const code = offer.kind === 'enroll' ? (new URL(offer.portalUrl ?? '').searchParams.get('code') ?? '') : ''
    expect(code).not.toBe('')
    expect(await on.claim(dormant.sessionKey)).toBeNull()
    house.simulator.activate(code)
    // Enrolled now: that is a device to ask, not a proof.
    expect(await on.offer(dormant, facts())).toMatchObject({ kind: 'choose' })
    expect(await on.claim(dormant.sessionKey)).toBeNull()
    await on.start(dormant, undefined, facts())
    answer(house, 'approve')
    await over(on, dormant.sessionKey)
    expect(await on.claim(dormant.sessionKey)).toMatchObject({ how: 'push' })
  })
})

describe('names for Duo', () => {
  it.each<[string, string, string | undefined, string | null]>([
    ['{username}', 'alice', undefined, 'alice'],
    ['{username}@example.com', 'alice', undefined, 'alice@example.com'],
    ['{email}', 'alice', 'a@example.com', 'a@example.com'],
    ['CORP\\{username}', 'alice', undefined, 'CORP\\alice'],
    ['{username}', '{email}', 'a@example.com', '{email}'],
    ['{email}', 'alice', undefined, null],
    ['{email}', 'alice', '', null],
    ['{username}', ' ', undefined, null],
    ['{username}', 'CORP\\', undefined, null],
    ['{username}', '@example.com', undefined, null],
    ['{username}', 'a|b', undefined, null],
    ['{username}', 'a\u0000b', undefined, null],
    ['{username}', '\ud800', undefined, null],
    ['{username}', 'x'.repeat(300), undefined, null],
  ])('row 132: %j makes of %j and %j %j', (template, username, email, expected) => {
    expect(duoName(template, { username, email })).toBe(expected)
  })

  it.each([
    ['DOM\\a', 'a'],
    ['a@x', 'a'],
    ['DOM\\A@x.y', 'a'],
    ['a', 'a'],
  ])('row 132: Duo may take %j for %j', (name, expected) => {
    expect(normalised(name)).toBe(expected)
  })

  const people = [
    { username: 'a@x', email: 'one@example.com' },
    { username: 'a@y', email: 'two@example.com' },
    { username: 'CORP\\A', email: undefined },
    { username: 'b', email: 'one@example.com' },
    { username: 'c', email: undefined },
  ]

  it('row 132: who would be one user in Duo is named', () => {
    expect(namesakes('{username}', people)).toEqual([{ duo: 'a', usernames: ['a@x', 'a@y', 'CORP\\A'] }])
    expect(namesakes('{email}', people)).toEqual([{ duo: 'one', usernames: ['a@x', 'b'] }])
  })

  it('row 132: nobody of them is asked about, and nobody without a name', async () => {
    const house = await openHouse()
    house.simulator.setUsers([{ username: 'a', devices: [{ id: 'DPA1', capabilities: ['push'] }] }])
    house.simulator.setPolicy({ usernameNormalization: 'simple' })
    const duo = await house.open({ everybody: people })
    for (const username of ['a@x', 'a@y', 'CORP\\A']) {
      const refused = { kind: 'no-device', reason: 'duo-name-shared', passcode: false }
      expect(await duo.offer(owner(username), facts())).toMatchObject(refused)
      expect(await duo.start(owner(username), push('DPA1'), facts())).toMatchObject({
        outcome: 'offer',
        offer: refused,
      })
      expect(await duo.passcode(owner(username), '123456', facts())).toMatchObject({ outcome: 'offer', offer: refused })
    }
    const told = duo.lines.filter(line => line.includes('duo-name-shared'))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('a@y')
    const byMail = await house.open({ everybody: people, config: { username: '{email}' } })
    expect(await byMail.offer({ ...owner('c'), email: undefined }, facts())).toMatchObject({ reason: 'duo-name-empty' })
    expect(house.simulator.pushes()).toEqual([])
  })

  it('are what Duo is asked for, in every call', async () => {
    const house = await openHouse()
    const duo = await house.open({ config: { username: '{email}' } })
    house.simulator.setUsers([
      { username: 'alice@example.com', devices: [{ id: 'DPA1', capabilities: ['push', 'sms'] }] },
    ])
    expect(await duo.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
    expect(house.simulator.pushes()).toMatchObject([{ username: 'alice@example.com' }])
    expect(await duo.sms(alice, 'DPA1', facts())).toMatchObject({ outcome: 'sent' })
    expect(await duo.passcode(alice, '123456', facts())).toMatchObject({ outcome: 'accepted' })
  })
})
