import { describe, expect, it } from 'vitest'
import { pythonJson } from '../../src/simulator/python-json.ts'
import { client, simulator } from './client.ts'

const preauth = '/auth/v2/preauth'
const auth = '/auth/v2/auth'
const failed = (code: number, detail: string) => ({
  code,
  message: code === 40001 ? 'Missing required request parameters' : 'Invalid request parameters',
  message_detail: detail,
  stat: 'FAIL',
})

describe('preauth', () => {
  it.each([
    ['alice', { result: 'auth', status_msg: 'Account is active' }],
    ['ALICE.Liddell', { result: 'auth' }],
    ['bypassed', { result: 'allow' }],
    ['disabled', { result: 'deny' }],
    ['locked', { result: 'deny' }],
    ['newcomer', { result: 'enroll', status_msg: 'Enroll an authentication device to proceed' }],
    ['nobody', { result: 'enroll' }],
  ])('says what %s may do', async (username, response) => {
    const reply = await client(await simulator())('POST', preauth, { username })
    expect(reply.json.response).toMatchObject(response)
  })

  it('writes a reply as Duo does: sorted keys, Python’s separators, ASCII, no charset', async () => {
    const reply = await client(await simulator())('POST', preauth, { username: 'callonly' })
    expect(reply.text).toBe(
      '{"response": {"devices": [{"capabilities": ["auto", "phone"], "device": "DPCALL00000000000001", "display_name": "iOS (XXX-XXX-0999)", "name": "", "number": "XXX-XXX-0999", "type": "phone"}], "result": "auth", "status_msg": "Account is active"}, "stat": "OK"}',
    )
    expect(reply.headers).toMatchObject({
      server: 'Duo/1.0',
      'content-type': 'application/json',
      'cache-control': 'no-store',
    })
    expect(pythonJson({ b: 'é\u007f😀\n', a: [1, true, null], c: undefined })).toBe(
      '{"a": [1, true, null], "b": "\\u00e9\\u007f\\ud83d\\ude00\\n"}',
    )
  })

  it('lists tablets without a number and tokens without capabilities', async () => {
    const reply = await client(await simulator())('POST', preauth, { username: 'bob' })
    const [, tablet, token] = reply.json.response.devices
    expect(tablet).toMatchObject({ number: '', display_name: 'iOS', capabilities: ['auto', 'push'] })
    expect(token).toEqual({ device: 'DHBOB000000000000003', name: '', type: 'token' })
  })

  it.each([
    ['allow', { result: 'allow', status_msg: 'Allowing unknown user' }],
    ['deny', { result: 'deny' }],
  ] as const)('follows the New User policy: %s', async (newUser, response) => {
    const simulated = await simulator()
    simulated.setPolicy({ newUser })
    const reply = await client(simulated)('POST', preauth, { username: 'nobody' })
    expect(reply.json.response).toMatchObject(response)
  })

  it.each([
    ['none', 'alice@corp.example', 'enroll'],
    ['none', 'CORP\\alice', 'enroll'],
    ['simple', 'alice@corp.example', 'auth'],
    ['simple', 'CORP\\Alice', 'auth'],
    ['simple', 'CORP\\nobody', 'enroll'],
  ] as const)('normalises names: %s, %s', async (usernameNormalization, username, result) => {
    const simulated = await simulator()
    simulated.setPolicy({ usernameNormalization })
    expect((await client(simulated)('POST', preauth, { username })).json.response.result).toBe(result)
  })

  it.each([
    [{}, failed(40001, 'username')],
    [{ username: '' }, failed(40001, 'username')],
    [{ username: 'alice', user_id: 'DU1' }, failed(40002, 'username')],
    [{ user_id: 'DUNOBODY' }, failed(40002, 'user_id')],
    [{ username: 'a'.repeat(1025) }, failed(40002, 'username')],
    [{ username: 'alice', ipaddr: '300.1.1.1' }, failed(40002, 'ipaddr')],
  ])('refuses %j', async (params, failure) => {
    const reply = await client(await simulator())('POST', preauth, params as Record<string, string>)
    expect([reply.status, reply.json]).toEqual([400, failure])
    expect(reply.headers['cache-control']).toBeUndefined()
  })
})

describe('auth', () => {
  it.each([
    [{ username: 'nobody', factor: 'push', device: 'auto' }, failed(40002, 'username')],
    [{ username: 'alice' }, failed(40001, 'factor')],
    [{ username: 'alice', factor: 'voodoo', device: 'auto' }, failed(40002, 'factor')],
    [{ username: 'alice', factor: 'push' }, failed(40001, 'device')],
    [{ username: 'alice', factor: 'passcode' }, failed(40001, 'passcode')],
    [{ username: 'alice', factor: 'push', device: 'DPBOB000000000000001' }, failed(40002, 'device')],
    [{ username: 'callonly', factor: 'push', device: 'auto' }, failed(40002, 'no capable device')],
    [{ username: 'unactivated', factor: 'auto', device: 'auto' }, failed(40002, 'no capable device')],
    [{ username: 'newcomer', factor: 'push', device: 'auto' }, failed(40002, 'no capable device')],
    [{ username: 'alice', factor: 'push', device: 'auto', pushinfo: 'no pair' }, failed(40002, 'pushinfo')],
    [{ username: 'alice', factor: 'push', device: 'auto', pushinfo: '=x' }, failed(40002, 'pushinfo')],
  ])('refuses %j, and no phone rings', async (params, failure) => {
    const simulated = await simulator()
    const reply = await client(simulated)('POST', auth, { ...params, async: '1' } as Record<string, string>)
    expect([reply.status, reply.json]).toEqual([400, failure])
    expect(simulated.pushes()).toEqual([])
  })

  it.each([
    ['bypassed', { result: 'allow', status: 'bypass' }],
    ['disabled', { result: 'deny', status: 'deny' }],
    ['locked', { result: 'deny', status: 'locked_out' }],
  ])('rings no phone of the user who is %s', async (username, response) => {
    const simulated = await simulator()
    const reply = await client(simulated)('POST', auth, { username, factor: 'auto', device: 'auto' })
    expect(reply.json.response).toMatchObject(response)
    expect(simulated.pushes()).toEqual([])
  })

  it('takes the known passcode, and locks the user after ten wrong ones in a row', async () => {
    const call = client(await simulator())
    const tried = async (passcode: string) =>
      (await call('POST', auth, { username: 'alice', factor: 'passcode', passcode })).json.response.status
    for (let i = 0; i < 9; i++) expect(await tried('000000')).toBe('deny')
    expect(await tried('123456')).toBe('allow') // forgets the nine
    for (let i = 0; i < 10; i++) expect(await tried('000000')).toBe('deny')
    expect(await tried('123456')).toBe('locked_out')
    expect((await call('POST', preauth, { username: 'alice' })).json.response.result).toBe('deny')
  })

  it('sends an SMS, which lets nobody in', async () => {
    const reply = await client(await simulator())('POST', auth, { username: 'alice', factor: 'sms', device: 'auto' })
    expect(reply.json.response).toEqual({ result: 'deny', status: 'sent', status_msg: 'New SMS passcodes sent.' })
  })

  it('calls where a push is not possible, and tells each step of it', async () => {
    const simulated = await simulator()
    const call = client(simulated)
    const { txid } = (await call('POST', auth, { username: 'callonly', factor: 'auto', device: 'auto', async: '1' }))
      .json.response
    const poll = async () => (await call('GET', '/auth/v2/auth_status', { txid })).json.response
    expect(await poll()).toEqual({ result: 'waiting', status: 'calling', status_msg: 'Dialing XXX-XXX-0999...' })
    simulated.answer(simulated.pushes()[0]?.id ?? '', 'approve')
    expect([(await poll()).status, (await poll()).status]).toEqual(['answered', 'allow'])
  })

  it.each([
    ['allow', 'allow'],
    ['deny', 'deny'],
  ] as const)('is answered by the phone itself when told so: %s', async (answer, result) => {
    const simulated = await simulator({ answer })
    const call = client(simulated)
    const push = { username: 'alice', factor: 'push', device: 'auto' }
    expect((await call('POST', auth, push)).json.response.result).toBe(result)
    const { txid } = (await call('POST', auth, { ...push, async: 'true' })).json.response
    const poll = async () => (await call('GET', '/auth/v2/auth_status', { txid })).json.response.result
    expect([await poll(), await poll()]).toEqual(['waiting', result])
    expect(simulated.pushes()).toHaveLength(2)
  })
})

describe('row 138: a parameter beyond all measure', () => {
  const long = '<'.repeat(20_480)
  it.each([
    ['preauth', 'trusted_device_token', {}],
    ['auth', 'passcode', { factor: 'passcode' }],
    ['auth', 'prompt', { factor: 'prompt' }],
    ['auth', 'txid', { factor: 'push', device: 'auto' }],
    ['auth', 'device', { factor: 'push' }],
    ['enroll_status', 'activation_code', { user_id: 'DU1' }],
  ])('of %s is 40002: %s', async (endpoint, name, params) => {
    const simulated = await simulator()
    const reply = await client(simulated)('POST', `/auth/v2/${endpoint}`, {
      username: 'alice',
      ...params,
      [name]: long,
    })
    expect([reply.status, reply.json]).toEqual([400, failed(40002, name)])
    expect(simulated.pushes()).toEqual([])
  })
})

describe('the rest', () => {
  it('has a logo only when told so', async () => {
    const simulated = await simulator()
    const call = client(simulated)
    expect((await call('GET', '/auth/v2/logo')).text).toBe(
      '{"code": 40002, "message": "Logo not found", "stat": "FAIL"}',
    )
    simulated.setPolicy({ logo: true })
    const reply = await call('GET', '/auth/v2/logo')
    expect([reply.headers['content-type'], reply.text.slice(1, 4)]).toEqual(['image/png', 'PNG'])
  })

  it('enrols a name once, for a while', async () => {
    let now = Date.now()
    const simulated = await simulator({ clock: () => now })
    const call = client(simulated)
    const { activation_code, user_id, expiration } = (
      await call('POST', '/auth/v2/enroll', { username: 'carol', valid_secs: '60' })
    ).json.response
    expect(user_id).toMatch(/^DU[0-9A-F]{18}$/)
    expect(expiration).toBe(Math.floor(now / 1000) + 60)
    const again = await call('POST', '/auth/v2/enroll', { username: 'Carol' })
    expect(again.json).toEqual(failed(40002, 'username already exists'))
    const status = async (user: string) =>
      (await call('POST', '/auth/v2/enroll_status', { user_id: user, activation_code })).json.response
    expect([await status(user_id), await status('DUOTHER')]).toEqual(['waiting', 'invalid'])
    now += 61_000
    expect(await status(user_id)).toBe('invalid')
  })
})
