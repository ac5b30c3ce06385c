import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { node, projectRoot, start, temporaryFolder, until } from '../support/process.ts'
import { keys, simulator } from './client.ts'

const scripts = join(import.meta.dirname, 'clients')

/** Clients that Duo publishes and this project did not write. */
const clients: Record<string, { command: () => string[]; version: RegExp }> = {
  'Python’s from Debian (v2 with SHA-1)': {
    command: () => [python('/usr/bin/python3', 'apt-get install python3-duo-client'), join(scripts, 'python.py')],
    version: /^4\./,
  },
  'Python’s from PyPI (v5)': {
    command: () => [
      python(
        join(projectRoot, '.venv/bin/python3'),
        'python3 -m venv .venv && .venv/bin/pip install "duo-client>=5,<6"',
      ),
      join(scripts, 'python.py'),
    ],
    version: /^5\./,
  },
  'the npm package’s (v2 with SHA-512)': { command: () => [node, join(scripts, 'node.mjs')], version: /signature 2/ },
  'the npm package’s (v5)': { command: () => [node, join(scripts, 'node.mjs')], version: /signature 5/ },
}

/** A Python that has the client. Missing, it fails the test with what to install; it never passes silently. */
function python(path: string, install: string): string {
  const found = spawnSync(path, ['-c', 'import duo_client'])
  if (found.status !== 0) throw new Error(`This test needs ${path} with duo_client. Install it: ${install}`)
  return path
}

async function drive(name: string, simulated: Simulator, wrong: Partial<typeof keys> = {}) {
  const entry = clients[name]
  if (!entry) throw new Error(name)
  const [command = '', ...args] = entry.command()
  const ca = join(temporaryFolder(), 'ca.pem')
  writeFileSync(ca, simulated.ca)
  const { integrationKey, secretKey } = { ...keys, ...wrong }
  const signature = name.includes('v5') ? '5' : '2'
  const running = start(command, [...args, integrationKey, secretKey, String(simulated.apiPort), ca, signature])
  let lines = 0
  const nextLine = async () => {
    const wanted = ++lines
    const [, line = ''] = await running.line(new RegExp(`^(?:.*\\n){${wanted - 1}}(.*)\\n`))
    return JSON.parse(line)
  }
  expect((await nextLine()).version).toMatch(entry.version)
  /** @param raw past the client's own names for the parameters */
  return async (call: string, params: Record<string, unknown> = {}, raw = false) => {
    running.child.stdin?.write(`${JSON.stringify({ name: call, params, raw })}\n`)
    return nextLine()
  }
}

/** The push that rings, as soon as it does. */
const ringing = (simulated: Simulator) =>
  until(() => simulated.pushes().find(({ state }) => state === 'pending'), 'a push on the phone')

describe.each(Object.keys(clients))('%s', name => {
  it('pings and checks its keys', async () => {
    const call = await drive(name, await simulator())
    const now = Date.now() / 1000
    expect((await call('ping')).response.time).toBeCloseTo(now, -1)
    expect((await call('check')).response.time).toBeCloseTo(now, -1)
  })

  it('asks preauth and finds the phone', async () => {
    const call = await drive(name, await simulator())
    expect((await call('preauth', { username: 'ALICE.liddell', ipaddr: '192.0.2.7' })).response).toMatchObject({
      result: 'auth',
      devices: [{ device: 'DPALICE0000000000001', number: 'XXX-XXX-0100' }],
    })
    expect((await call('preauth', { username: 'nobody (at) all!*~' })).response).toMatchObject({ result: 'enroll' })
  })

  it.each([
    ['approve', 'allow', 'allow'],
    ['deny', 'deny', 'deny'],
    ['fraud', 'deny', 'fraud'],
  ] as const)('sends a push and polls it to %s', async (answer, result, status) => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    const pushinfo = 'Site=one.example.com%2F&Browser=Firefox%20%26%20friends%20%C3%A9'
    const push = { username: 'alice', factor: 'push', device: 'auto', type: 'Log-in', pushinfo, async: true }
    const params = name.startsWith('Python') ? { ...push, async_txn: true, async: undefined } : push
    const { txid } = (await call('auth', params)).response
    expect((await call('auth_status', { txid })).response).toMatchObject(
      // Python's client turns the state into booleans of its own.
      name.startsWith('Python') ? { waiting: true, status: 'pushed' } : { result: 'waiting', status: 'pushed' },
    )
    const last = call('auth_status', { txid })
    const { id, pushinfo: shown } = await ringing(simulated)
    expect(shown).toEqual([
      ['Site', 'one.example.com/'],
      ['Browser', 'Firefox & friends é'],
    ])
    simulated.answer(id, answer)
    expect((await last).response).toMatchObject(
      name.startsWith('Python') ? { waiting: false, success: result === 'allow', status } : { result, status },
    )
    expect((await call('auth_status', { txid })).error).toMatchObject({ code: 40002, message_detail: 'txid' })
    expect(simulated.pushes()).toHaveLength(1)
  })

  it.each([
    ['approve', 'allow'],
    ['deny', 'deny'],
  ] as const)('waits for the phone in one synchronous call: %s', async (answer, result) => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    const reply = call('auth', { username: 'bob', factor: 'push', device: 'DPBOB000000000000002' })
    const { id, device } = await ringing(simulated)
    expect(device.name).toBe('Tablet')
    simulated.answer(id, answer)
    expect((await reply).response).toMatchObject({ result, status: result })
  })

  it('is told apart by wrong keys', async () => {
    const simulated = await simulator()
    const wrongSecret = await drive(name, simulated, { secretKey: 'aVerySecretKeyOfFortyCharactersForTests2' })
    expect((await wrongSecret('ping')).response).toHaveProperty('time')
    expect((await wrongSecret('check')).error).toMatchObject({ code: 40103, stat: 'FAIL' })
    const unknown = await drive(name, simulated, { integrationKey: 'DIPOSTERNTEST0000002' })
    expect((await unknown('preauth', { username: 'alice' })).error).toMatchObject({ code: 40102 })
  })

  /** An asynchronous auth, in the client's own way. Python's turns the states into booleans of its own. */
  function asynchronous(call: Awaited<ReturnType<typeof drive>>) {
    const python = name.startsWith('Python')
    return {
      begin: async (params: Record<string, unknown>): Promise<string> =>
        (await call('auth', { username: 'alice', ...params, ...(python ? { async_txn: true } : { async: true }) }))
          .response.txid,
      poll: async (txid: string) => {
        const { response } = await call('auth_status', { txid })
        if (!python) return response
        return { ...response, result: response.waiting ? 'waiting' : response.success ? 'allow' : 'deny' }
      },
    }
  }

  it('logs in by passcode: of the app, a token, a text message, and a bypass code, each once', async () => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    const tried = async (passcode: string, username = 'alice') =>
      (await call('auth', { username, factor: 'passcode', passcode })).response.result
    const twice = async (passcode: string, username?: string) => [
      await tried(passcode, username),
      await tried(passcode, username),
    ]
    expect(await twice(simulated.passcode('DPALICE0000000000001'))).toEqual(['allow', 'deny'])
    expect(await twice(simulated.passcode('DHBOB000000000000003'), 'bob')).toEqual(['allow', 'deny'])
    expect((await call('auth', { username: 'alice', factor: 'sms', device: 'auto' })).response).toMatchObject({
      result: 'deny',
      status: 'sent',
    })
    const devices = async () => (await call('preauth', { username: 'alice' })).response.devices
    expect(await devices()).toMatchObject([{ sms_nextcode: '1' }])
    expect(await twice(simulated.messages('DPALICE0000000000001')[0]?.passcodes[0] ?? '')).toEqual(['allow', 'deny'])
    expect(await devices()).toMatchObject([{ sms_nextcode: '2' }])
    simulated.setUsers([{ username: 'carol', bypassCodes: ['987654321'] }])
    expect(await twice('987654321', 'carol')).toEqual(['allow', 'deny'])
  })

  it('logs in by a passcode without waiting', async () => {
    const simulated = await simulator()
    const { begin, poll } = asynchronous(await drive(name, simulated))
    const right = await begin({ factor: 'passcode', passcode: simulated.passcode('DPALICE0000000000001') })
    expect(await poll(right)).toMatchObject({ result: 'allow', status: 'allow' })
    const wrong = await begin({ factor: 'passcode', passcode: '000000' })
    expect(await poll(wrong)).toMatchObject({ status_msg: 'Incorrect passcode. Please try again.', result: 'deny' })
  })

  it('logs in by a call, and learns each step of it', async () => {
    const simulated = await simulator()
    const { begin, poll } = asynchronous(await drive(name, simulated))
    const txid = await begin({ factor: 'phone', device: 'auto' })
    expect(await poll(txid)).toMatchObject({ result: 'waiting', status: 'calling' })
    simulated.answer((await ringing(simulated)).id, 'pick-up')
    expect(await poll(txid)).toMatchObject({ result: 'waiting', status: 'answered' })
    simulated.answer((await ringing(simulated)).id, 'approve')
    expect(await poll(txid)).toMatchObject({ result: 'allow', status: 'allow' })
    const hungUp = await begin({ factor: 'phone', device: 'auto' })
    simulated.answer((await ringing(simulated)).id, 'deny')
    await poll(hungUp)
    expect(await poll(hungUp)).toMatchObject({ result: 'deny', status_msg: 'No keypress detected. Please try again.' })
  })

  it('leaves the factor to Duo, for a user whom it names by id', async () => {
    const simulated = await simulator({ answer: 'allow' })
    const call = await drive(name, simulated)
    const { user_id } = (await call('enroll', { username: 'carol' })).response
    expect((await call('preauth', { user_id })).response.result).toBe('enroll')
    expect((await call('auth', { username: 'alice', factor: 'auto', device: 'auto' })).response.result).toBe('allow')
    expect((await call('auth', { username: 'callonly', factor: 'auto', device: 'auto' })).response.result).toBe('allow')
    expect(simulated.pushes().map(({ factor }) => factor)).toEqual(['push', 'phone'])
    const nobody = await call('auth', { user_id: 'DUNOBODY', factor: 'auto', device: 'auto' })
    expect(nobody.error).toMatchObject({ code: 40002, message_detail: 'user_id' })
  })

  it('sends a verified push', async () => {
    const simulated = await simulator()
    simulated.setPolicy({ verifiedPush: 'required' })
    const call = await drive(name, simulated)
    const announced = { username: 'alice', client_supports_verified_push: '1' }
    const { txid, verification_code } = (await call('preauth', announced, true)).response
    const push = { username: 'alice', factor: 'push', device: 'auto', txid }
    const reply = call('auth', push, true)
    const { id } = await ringing(simulated)
    expect([simulated.answer(id, 'approve'), simulated.answer(id, 'approve', verification_code)]).toEqual([false, true])
    expect((await reply).response).toMatchObject({ result: 'allow' })
    expect((await call('auth', push, true)).error).toMatchObject({ code: 40002, message_detail: 'txid' })
  })

  it('is remembered', async () => {
    const simulated = await simulator({ answer: 'allow' })
    simulated.setPolicy({ rememberedDevices: { days: 1 } })
    const call = await drive(name, simulated)
    const { begin, poll } = asynchronous(call)
    const txid = await begin({ factor: 'push', device: 'auto' })
    expect(await poll(txid)).not.toHaveProperty('trusted_device_token')
    const { trusted_device_token } = await poll(txid)
    expect((await call('preauth', { username: 'alice', trusted_device_token })).response.result).toBe('allow')
    expect((await call('preauth', { username: 'bob', trusted_device_token })).response.result).toBe('auth')
  })

  it('learns that a user is locked out, in bypass, disabled, or in a network that is denied', async () => {
    const simulated = await simulator()
    simulated.setPolicy({ failuresToLock: 1, networks: { deny: ['198.51.100.0/24'] } })
    const call = await drive(name, simulated)
    const passcode = async (username: string, more: object = {}) =>
      (await call('auth', { username, factor: 'passcode', passcode: '000000', ...more })).response.status
    expect([await passcode('alice'), await passcode('alice')]).toEqual(['deny', 'locked_out'])
    expect(await passcode('bypassed')).toBe('bypass')
    expect((await call('preauth', { username: 'disabled' })).response.result).toBe('deny')
    expect((await call('preauth', { username: 'bob', ipaddr: '198.51.100.7' })).response.result).toBe('deny')
  })

  it('waits when it is told that it asks too often, and goes on', async () => {
    const simulated = await simulator()
    simulated.setScenario({ kind: 'throttled', path: 'preauth' })
    const call = await drive(name, simulated)
    expect((await call('preauth', { username: 'alice' })).response.result).toBe('auth')
  })

  it('fetches the logo, and learns that there is none', async () => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    expect((await call('logo')).error).toMatchObject({ code: 40002, message: 'Logo not found' })
    simulated.setPolicy({ logo: true })
    expect((await call('logo')).response).toBe('PNG')
  })

  it('enrols somebody with bypass codes, who then has a phone', async () => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    const enrolled = (await call('enroll', { username: 'carol', valid_secs: 600, bypass_codes: 2 })).response
    const { activation_code, user_id, bypass_codes } = enrolled
    expect(bypass_codes).toHaveLength(2)
    const byCode = { username: 'carol', factor: 'passcode', passcode: bypass_codes[0] }
    expect((await call('auth', byCode)).response.result).toBe('allow')
    const status = async (code: string) => (await call('enroll_status', { user_id, activation_code: code })).response
    expect([await status(activation_code), await status('duo://00-00')]).toEqual(['waiting', 'invalid'])
    expect(simulated.activate(activation_code)).toBeDefined()
    expect(await status(activation_code)).toBe('success')
    expect((await call('preauth', { username: 'carol' })).response.result).toBe('auth')
    const again = await call('enroll', { username: 'carol' })
    expect(again.error).toMatchObject({ code: 40002, message_detail: 'username already exists' })
  })
})
