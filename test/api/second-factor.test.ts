import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'
import { until } from '../support/process.ts'

interface Program {
  readonly postern: InProcess
  readonly simulator: Simulator
  /** Keeps cookies as a front end does. Every call has the headers that Authelia's front end sends. */
  ask(
    method: 'GET' | 'POST',
    url: string,
    body?: object,
  ): Promise<{ status: number; json: { status: string; data?: unknown } }>
  cookie(): string
  moveClock(milliseconds: number): void
}

async function openProgram(wishes: Pick<Parameters<typeof openPostern>[0] & {}, 'rules'> = {}): Promise<Program> {
  let ahead = 0
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers, clock: () => Date.now() + ahead })
  onTestFinished(() => simulator.close())
  const postern = await openPostern({ duo: simulator, ...wishes })
  return {
    postern,
    simulator,
    ...frontEnd(postern),
    moveClock(milliseconds) {
      ahead += milliseconds
      postern.now += milliseconds
      simulator.clockMoved()
    },
  }
}

function frontEnd({ app }: InProcess): Pick<Program, 'ask' | 'cookie'> {
  let cookie = ''
  return {
    cookie: () => cookie,
    async ask(method, url, body) {
      const answer = await app.inject({
        method,
        url,
        headers: {
          host: 'auth.postern.localhost',
          accept: 'application/json, text/plain, */*',
          ...(cookie === '' ? {} : { cookie }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
      })
      const [set] = answer.cookies
      if (set !== undefined) cookie = set.value === '' ? '' : `${set.name}=${set.value}`
      return { status: answer.statusCode, json: answer.json() }
    },
  }
}

const target = 'http://two.postern.localhost/x'
const login = (username: string) => ({
  keepMeLoggedIn: false,
  password,
  requestMethod: 'GET',
  targetURL: target,
  username,
})

const pending = (simulator: Simulator) =>
  until(() => simulator.pushes().find(({ state }) => state === 'pending'), 'a push is on the phone')

const levelOf = async ({ ask }: Pick<Program, 'ask'>) => {
  const { json } = await ask('GET', '/api/state')
  return (json.data as { authentication_level: number }).authentication_level
}

describe('a front end written for Authelia’s API', () => {
  it('logs a person with two devices in, call by call in the order in which it asks', async () => {
    const { ask, simulator } = await openProgram()
    expect((await ask('GET', '/api/state')).json).toMatchObject({ data: { authentication_level: 0 } })
    expect((await ask('POST', '/api/firstfactor', { ...login('bob'), password: 'wrong' })).status).toBe(401)
    expect((await ask('POST', '/api/firstfactor', login('bob'))).json).toEqual({ status: 'OK' })
    expect((await ask('GET', '/api/state')).json).toMatchObject({ data: { authentication_level: 1 } })
    expect((await ask('POST', '/api/user/info')).json.data).toMatchObject({ method: 'mobile_push', has_duo: false })
    expect((await ask('GET', '/api/configuration')).json.data).toMatchObject({ available_methods: ['mobile_push'] })
    expect((await ask('GET', '/api/secondfactor/duo')).json.data).toEqual({ result: 'auth' })
    expect((await ask('POST', '/api/secondfactor/duo', { targetURL: target })).json.data).toEqual({
      result: 'auth',
      devices: [
        { device: 'DPBOB000000000000001', display_name: 'Work phone', capabilities: ['push'] },
        { device: 'DPBOB000000000000002', display_name: 'Tablet', capabilities: ['push'] },
      ],
      ways: expect.arrayContaining([{ kind: 'phone', device: 'DPBOB000000000000001' }, { kind: 'passcode' }]),
    })
    expect(simulator.pushes()).toHaveLength(0)
    expect(
      (await ask('POST', '/api/secondfactor/duo_device', { device: 'DPBOB000000000000002', method: 'push' })).json,
    ).toEqual({ status: 'OK' })
    expect((await ask('POST', '/api/user/info')).json.data).toMatchObject({ has_duo: true })
    const waiting = ask('POST', '/api/secondfactor/duo', { targetURL: target })
    const push = await pending(simulator)
    expect(push.device.name).toBe('Tablet')
    simulator.answer(push.id, 'approve')
    expect((await waiting).json).toEqual({ status: 'OK', data: { redirect: target } })
    expect((await ask('GET', '/api/state')).json).toMatchObject({ data: { authentication_level: 2 } })
    expect((await ask('GET', '/api/secondfactor/duo')).json.data).toEqual({
      result: 'auth',
      preferred_device: 'DPBOB000000000000002',
      preferred_method: 'push',
    })
  })

  it('takes a passcode in an extra field, and says no more of a wrong one than of a wrong password', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    expect(await program.ask('POST', '/api/secondfactor/duo', { passcode: '000000' })).toEqual({
      status: 401,
      json: { status: 'KO', message: 'Authentication failed. Check your credentials.' },
    })
    expect((await program.ask('POST', '/api/secondfactor/duo', { passcode: 'x'.repeat(65) })).status).toBe(400)
    expect(await levelOf(program)).toBe(1)
    const passcode = program.simulator.passcode('DPALICE0000000000001')
    expect((await program.ask('POST', '/api/secondfactor/duo', { passcode, targetURL: target })).json).toEqual({
      status: 'OK',
      data: { redirect: target },
    })
    expect(await levelOf(program)).toBe(2)
    // Used up, and nothing is asked of whom nothing more is wanted.
    expect((await program.ask('POST', '/api/secondfactor/duo', { passcode })).json).toEqual({ status: 'OK' })
    expect(program.postern.events('passcode.accepted')).toHaveLength(1)
  })

  it('row 129: is told to wait once wrong passcodes have banned the person, in every session', async () => {
    const program = await openProgram()
    const other = frontEnd(program.postern)
    for (const { ask } of [program, other]) await ask('POST', '/api/firstfactor', login('alice'))
    const guesses = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        (i % 2 === 0 ? program : other).ask('POST', '/api/secondfactor/duo', { passcode: `00000${i}` }),
      ),
    )
    expect(guesses.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(3)
    expect(guesses.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(5)
    const passcode = program.simulator.passcode('DPALICE0000000000001')
    expect((await program.ask('POST', '/api/secondfactor/duo', { passcode })).status).toBe(429)
    expect((await program.ask('POST', '/api/secondfactor/duo', {})).status).toBe(429)
    expect(program.simulator.pushes()).toHaveLength(0)
    expect(await levelOf(program)).toBe(1)
  })

  it('can ask for a call, and for one device of several', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('bob'))
    const waiting = program.ask('POST', '/api/secondfactor/duo', { device: 'DPBOB000000000000001', method: 'phone' })
    const call = await pending(program.simulator)
    expect(call.device.name).toBe('Work phone')
    program.simulator.answer(call.id, 'pick-up')
    program.simulator.answer(call.id, 'approve')
    expect((await waiting).json).toEqual({ status: 'OK' })
    expect(await levelOf(program)).toBe(2)
  })

  it('is refused with half a choice, so that nothing rings that it did not name', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('bob'))
    for (const half of [{ device: 'DPBOB000000000000001' }, { method: 'phone' }])
      expect((await program.ask('POST', '/api/secondfactor/duo', half)).status).toBe(400)
    expect(program.simulator.pushes()).toEqual([])
  })

  it('is sent the push of the only device also when a passcode was used last', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const passcode = program.simulator.passcode('DPALICE0000000000001')
    await program.ask('POST', '/api/secondfactor/duo', { passcode })
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    program.simulator.answer((await pending(program.simulator)).id, 'approve')
    expect((await waiting).status).toBe(200)
  })

  it.each(['deny', 'fraud'] as const)('is told 401 when the phone says %s', async answer => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    program.simulator.answer((await pending(program.simulator)).id, answer)
    expect(await waiting).toEqual({
      status: 401,
      json: { status: 'KO', message: 'Authentication failed, please retry later.' },
    })
    expect(await levelOf(program)).toBe(answer === 'deny' ? 1 : 0)
  })

  it('is told 401 when nobody answers within a minute', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    await pending(program.simulator)
    program.moveClock(61_000)
    expect((await waiting).status).toBe(401)
    expect(await levelOf(program)).toBe(1)
  })

  it('is told enroll for somebody whom Duo does not know, deny for somebody who is disabled there, and raised at once for a bypass', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('nobody-in-duo'))
    expect((await program.ask('POST', '/api/secondfactor/duo', {})).json.data).toEqual({ result: 'enroll' })
    program.simulator.setUsers([{ username: 'nobody-in-duo', status: 'disabled' }])
    expect((await program.ask('POST', '/api/secondfactor/duo', {})).json.data).toEqual({ result: 'deny' })
    program.simulator.setUsers([{ username: 'nobody-in-duo', status: 'bypass' }])
    expect((await program.ask('POST', '/api/secondfactor/duo', { targetURL: target })).json.data).toEqual({
      redirect: target,
    })
    expect(program.postern.events('duo.bypass')).toHaveLength(1)
    expect(await levelOf(program)).toBe(2)
  })

  it('row 112: is not raised by a bypass for a site whose rule wants a factor', async () => {
    const rules = [{ domain: 'two.postern.localhost', policy: 'two_factor', factors: 'duo' }]
    const program = await openProgram({ rules })
    program.simulator.setUsers([{ username: 'alice', status: 'bypass' }])
    await program.ask('POST', '/api/firstfactor', login('alice'))
    expect((await program.ask('POST', '/api/secondfactor/duo', { targetURL: target })).status).toBe(401)
    expect(program.postern.events('level.refused')).toMatchObject([{ reason: 'duo-not-asked' }])
    expect(await levelOf(program)).toBe(1)
  })

  it('row 118: ten parallel calls send one push; row 123: one of them claims it, once', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const cookie = program.cookie()
    const calls = Array.from({ length: 10 }, () =>
      program.postern.app.inject({
        method: 'POST',
        url: '/api/secondfactor/duo',
        headers: { host: 'auth.postern.localhost', cookie },
      }),
    )
    const push = await pending(program.simulator)
    await until(
      async () =>
        (await program.postern.app.inject({ url: '/api/state', headers: { host: 'auth.postern.localhost', cookie } }))
          .statusCode === 200,
      'others run',
    )
    program.simulator.answer(push.id, 'approve')
    const answers = await Promise.all(calls)
    expect(program.simulator.pushes()).toHaveLength(1)
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1)
    expect(answers.filter(({ headers }) => headers['set-cookie'] !== undefined)).toHaveLength(1)
    expect(program.postern.events('level.raised')).toHaveLength(1)
  })

  it('row 119: a second login of the same person cannot send another push, and cannot claim the first one', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    const push = await pending(program.simulator)
    const attacker = frontEnd(program.postern)
    await attacker.ask('POST', '/api/firstfactor', login('alice'))
    expect((await attacker.ask('POST', '/api/secondfactor/duo', {})).status).toBe(429)
    program.simulator.answer(push.id, 'approve')
    expect((await waiting).status).toBe(200)
    expect(await levelOf(attacker)).toBe(1)
    expect(program.simulator.pushes()).toHaveLength(1)
  })

  it('row 120: a logout wins over an approval that comes after it', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const cookie = program.cookie()
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    const push = await pending(program.simulator)
    await program.postern.app.inject({
      method: 'POST',
      url: '/api/logout',
      headers: { host: 'auth.postern.localhost', cookie },
    })
    expect(program.postern.events('push.cancelled')).toHaveLength(1)
    program.simulator.answer(push.id, 'approve')
    expect((await waiting).status).toBe(401)
    expect(program.postern.events('level.raised')).toHaveLength(0)
  })

  it('row 126: whoever is banned while the phone rings is not raised', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    const push = await pending(program.simulator)
    const guesser = frontEnd(program.postern)
    for (let guess = 0; guess < 3; guess++) {
      await guesser.ask('POST', '/api/firstfactor', { ...login('alice'), password: `guess ${guess}` })
    }
    expect(program.postern.events('login.banned')).toHaveLength(1)
    program.simulator.answer(push.id, 'approve')
    expect((await waiting).status).toBe(401)
    expect(program.postern.events('level.raised')).toHaveLength(0)
    expect(program.postern.events('level.refused')).toHaveLength(1)
  })

  it('row 126: whoever is removed from the users file while the phone rings is not raised', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const cookie = program.cookie()
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    const push = await pending(program.simulator)
    const file = join(program.postern.setup.folder, 'users.yml')
    writeFileSync(file, readFileSync(file, 'utf8').replace('  alice:\n', '  alice:\n    disabled: true\n'))
    const state = () =>
      program.postern.app.inject({ url: '/api/state', headers: { host: 'auth.postern.localhost', cookie } })
    await until(async () => (await state()).json().data.authentication_level === 0, 'the change is seen')
    program.simulator.answer(push.id, 'approve')
    expect((await waiting).status).toBe(401)
    expect(program.postern.events('level.raised')).toHaveLength(0)
  })

  it.each([
    ['removed', (users: string) => users.replace('  alice:\n', '  somebody-else:\n')],
    [
      'given another password',
      (users: string) =>
        users.replace(
          /password: \S+/,
          'password: $argon2id$v=19$m=1024,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
        ),
    ],
  ])('row 126: whoever is %s while Duo is asked is not raised by a bypass either', async (_, change) => {
    const program = await openProgram()
    program.simulator.setUsers([{ username: 'alice', status: 'bypass' }])
    await program.ask('POST', '/api/firstfactor', login('alice'))
    program.simulator.setScenario({ kind: 'late', path: 'preauth', milliseconds: 1500, times: 1 })
    const cookie = program.cookie()
    const waiting = program.ask('POST', '/api/secondfactor/duo', {})
    const file = join(program.postern.setup.folder, 'users.yml')
    writeFileSync(file, change(readFileSync(file, 'utf8')))
    const state = () =>
      program.postern.app.inject({ url: '/api/state', headers: { host: 'auth.postern.localhost', cookie } })
    await until(async () => (await state()).json().data.authentication_level === 0, 'the change is seen')
    expect((await waiting).status).toBe(401)
    expect(program.postern.events('level.raised')).toHaveLength(0)
    expect(program.postern.events('duo.bypass')).toHaveLength(0)
  })

  it.each([
    { device: 'DPBOB000000000000001', method: 'push' },
    { device: 'auto', method: 'push' },
    { device: '../x', method: 'push' },
    { device: 'DPALICE0000000000001', method: 'sms' },
  ])('row 130: %j is none of what preauth lists with push', async choice => {
    const { ask } = await openProgram()
    await ask('POST', '/api/firstfactor', login('alice'))
    expect((await ask('POST', '/api/secondfactor/duo_device', choice)).json.status).toBe('KO')
    expect(
      (await ask('POST', '/api/secondfactor/duo_device', { device: 'x'.repeat(10_240), method: 'push' })).status,
    ).toBe(400)
    expect((await ask('GET', '/api/secondfactor/duo')).json.data).toEqual({ result: 'auth' })
  })

  it('row 122: no call names a transaction: another session sees and takes nothing', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', login('alice'))
    void program.ask('POST', '/api/secondfactor/duo', {})
    const push = await pending(program.simulator)
    const other = frontEnd(program.postern)
    await other.ask('POST', '/api/firstfactor', login('bob'))
    for (const id of [push.id, '1', 'x']) {
      const { json } = await other.ask('GET', `/api/transaction?after=0&txid=${id}&id=${id}`)
      expect(json).toMatchObject({ seq: 0, over: true, left: 0, said: '' })
    }
    program.simulator.answer(push.id, 'approve')
    expect(await levelOf(other)).toBe(1)
  })

  it('row 175: no cookie, password, key or transaction of all this stands in the log', async () => {
    const program = await openProgram()
    await program.ask('POST', '/api/firstfactor', { ...login('alice'), password: 'a-wrong-secret' })
    await program.ask('POST', '/api/firstfactor', login('alice'))
    const first = program.cookie()
    const waiting = program.ask('POST', '/api/secondfactor/duo', { targetURL: `${target}?token=query-secret` })
    program.simulator.answer((await pending(program.simulator)).id, 'approve')
    await waiting
    const text = program.postern.text()
    expect(text).toContain('level.raised')
    const values = [first, program.cookie()].flatMap(cookie => cookie.split('=')[1]?.split('.') ?? [])
    for (const secret of [...values, password, 'a-wrong-secret', duoKeys.secretKey, 'query-secret']) {
      expect(text).not.toContain(secret)
    }
    expect(text).not.toMatch(/"txid"/)
  })
})
