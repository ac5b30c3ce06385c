import { describe, expect, it } from 'vitest'
import type { PolicyInput } from '../../src/simulator/policy.ts'
import { isWithin } from '../../src/simulator/policy.ts'
import { client, simulator } from './client.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

async function under(policy: PolicyInput = {}) {
  let now = Date.now()
  const simulated = await simulator({ clock: () => now })
  simulated.setPolicy(policy)
  const call = client(simulated)
  const send = (name: string, params: Record<string, string>, ahead = 0) =>
    call('POST', `/auth/v2/${name}`, params, { signed: { date: new Date(now + ahead).toUTCString() } })
  return {
    simulated,
    send,
    move: (by: number) => (now += by),
    preauth: async (params: Record<string, string> = {}) =>
      (await send('preauth', { username: 'alice', ...params })).json.response,
    passcode: async (passcode: string, params: Record<string, string> = {}) =>
      (await send('auth', { username: 'alice', factor: 'passcode', passcode, ...params })).json.response,
  }
}

describe('a lockout', () => {
  it('comes after as many failures in a row as the policy says, and stays', async () => {
    const { passcode, preauth, move, simulated } = await under({ failuresToLock: 2 })
    await passcode('000000')
    expect((await passcode('000000')).status).toBe('deny')
    expect(await passcode('123456')).toMatchObject({ result: 'deny', status: 'locked_out' })
    expect(await preauth()).toMatchObject({ result: 'deny', status_msg: expect.stringContaining('locked out') })
    move(365 * DAY)
    expect((await preauth()).result).toBe('deny')
    simulated.setUsers([{ username: 'alice' }])
    expect((await passcode('123456')).result).toBe('allow')
  })

  it('counts denied and unanswered pushes, and is forgotten by an approval', async () => {
    const { send, preauth, move, simulated } = await under({ failuresToLock: 3 })
    const push = async (answer: 'approve' | 'deny' | 'timeout') => {
      await send('auth', { username: 'alice', factor: 'push', device: 'auto', async: '1' })
      if (answer === 'timeout') return move(MINUTE)
      return simulated.answer(simulated.pushes().at(-1)?.id ?? '', answer)
    }
    for (const answer of ['deny', 'timeout', 'approve', 'deny', 'timeout'] as const) await push(answer)
    expect((await preauth()).result).toBe('auth')
    await push('deny')
    expect((await preauth()).result).toBe('deny')
  })

  it('ends by itself where the policy says so, and only for whom failures locked', async () => {
    const { passcode, preauth, move } = await under({ failuresToLock: 1, autoUnlockMinutes: 5 })
    await passcode('000000')
    move(5 * MINUTE - 1)
    expect((await preauth()).result).toBe('deny')
    move(1)
    expect((await preauth()).result).toBe('auth')
    expect((await preauth({ username: 'locked' })).result).toBe('deny')
  })

  it('is not prolonged by what fails meanwhile', async () => {
    const { send, preauth, move, simulated } = await under({ failuresToLock: 1, autoUnlockMinutes: 5 })
    for (let i = 0; i < 2; i++) await send('auth', { username: 'alice', factor: 'push', device: 'auto', async: '1' })
    const [first, second] = simulated.pushes()
    simulated.answer(first?.id ?? '', 'deny')
    move(MINUTE / 2)
    simulated.answer(second?.id ?? '', 'deny')
    move(4.5 * MINUTE)
    expect((await preauth()).result).toBe('auth')
  })
})

describe('a remembered device', () => {
  const remembers = (more: object = {}) => under({ rememberedDevices: { days: 7, ...more } })
  const ipaddr = '192.0.2.7'

  it('gets a token with each approval, and needs no second factor for some days', async () => {
    const { passcode, preauth, move } = await remembers()
    const { trusted_device_token: token } = await passcode('123456', { ipaddr })
    expect(token).toMatch(/^[A-Za-z0-9+/=]+\|\d+\|[0-9a-f]{64}$/)
    const trusted = { trusted_device_token: token }
    expect((await preauth(trusted)).result).toBe('allow')
    move(7 * DAY - 1)
    expect((await preauth(trusted)).result).toBe('allow')
    move(1)
    expect((await preauth(trusted)).result).toBe('auth')
  })

  it('gets one by a push, in auth_status', async () => {
    const { simulated, send } = await remembers()
    const call = client(simulated)
    const { txid } = (await send('auth', { username: 'alice', factor: 'push', device: 'auto', async: '1' })).json
      .response
    simulated.answer(simulated.pushes()[0]?.id ?? '', 'approve')
    const poll = async () => (await call('GET', '/auth/v2/auth_status', { txid })).json.response
    expect(await poll()).not.toHaveProperty('trusted_device_token')
    expect(await poll()).toMatchObject({ result: 'allow', trusted_device_token: expect.any(String) })
  })

  it('is one of one user: a token of another, a changed one and garbage are ignored', async () => {
    const { passcode, preauth } = await remembers()
    const { trusted_device_token: token = '' } = await passcode('123456', { username: 'bob' })
    const [owner, time, mac] = token.split('|')
    const forged = Buffer.from('["alice",null]').toString('base64')
    for (const trusted of [token, `${forged}|${time}|${mac}`, `${owner}|9${time}|${mac}`, 'x', '||', `${token}0`])
      expect((await preauth({ trusted_device_token: trusted })).result, trusted).toBe('auth')
    expect((await preauth({ username: 'bob', trusted_device_token: token })).result).toBe('allow')
  })

  it('stays at one address where the policy says so', async () => {
    const { passcode, preauth } = await remembers({ sameAddress: true })
    const { trusted_device_token: here } = await passcode('123456', { ipaddr })
    const from = async (token: string, more: object) => (await preauth({ trusted_device_token: token, ...more })).result
    expect([await from(here, { ipaddr }), await from(here, { ipaddr: '192.0.2.8' }), await from(here, {})]).toEqual([
      'allow',
      'auth',
      'auth',
    ])
    const { trusted_device_token: nowhere } = await passcode('123456')
    expect(await from(nowhere, {})).toBe('auth')
  })

  it('is none without the policy, after a refusal, and for who is locked out', async () => {
    const { passcode, preauth, simulated } = await remembers()
    simulated.setPolicy({ failuresToLock: 1 })
    const { trusted_device_token: token } = await passcode('123456')
    expect(await passcode('000000')).not.toHaveProperty('trusted_device_token')
    expect((await preauth({ trusted_device_token: token })).result).toBe('deny')
    simulated.setUsers([{ username: 'alice', devices: [{ id: 'DPALICE' }] }])
    simulated.setPolicy({ rememberedDevices: null })
    expect((await preauth({ trusted_device_token: token })).result).toBe('auth')
    expect(await passcode('123456')).not.toHaveProperty('trusted_device_token')
  })
})

describe('the networks', () => {
  const networks = { allow: ['192.0.2.0/24', '2001:db8::/32'], deny: ['192.0.2.66', '198.51.100.0/24'] }

  it.each([
    ['192.0.2.7', 'allow'],
    ['2001:db8::1', 'allow'],
    ['::ffff:192.0.2.7', 'allow'],
    ['192.0.2.66', 'deny'],
    ['198.51.100.9', 'deny'],
    ['203.0.113.1', 'auth'],
    [undefined, 'auth'],
  ])('decide by the address that the client sends: %s is %s', async (ipaddr, result) => {
    const { preauth } = await under({ networks })
    expect((await preauth(ipaddr === undefined ? {} : { ipaddr })).result).toBe(result)
  })

  it('decide at auth too, and no phone rings', async () => {
    const { send, simulated } = await under({ networks })
    const from = async (ipaddr: string) =>
      (await send('auth', { username: 'alice', factor: 'push', device: 'auto', ipaddr })).json.response.result
    expect([await from('192.0.2.7'), await from('192.0.2.66'), simulated.pushes()]).toEqual(['allow', 'deny', []])
  })

  it('let in nobody who is disabled, locked out or has no device yet, and stop who is in bypass', async () => {
    const { preauth } = await under({ networks })
    const result = async (username: string, ipaddr: string) => (await preauth({ username, ipaddr })).result
    expect(await result('disabled', '192.0.2.7')).toBe('deny')
    expect(await result('locked', '192.0.2.7')).toBe('deny')
    expect(await result('newcomer', '192.0.2.7')).toBe('enroll')
    expect(await result('bypassed', '192.0.2.66')).toBe('deny')
    expect(await result('nobody', '192.0.2.66')).toBe('deny')
  })

  it.each(['192.0.2.0/33', 'example.com', '192.0.2', ''])('are refused when one is none: %s', async network => {
    const { simulated } = await under()
    expect(() => simulated.setPolicy({ networks: { deny: [network] } })).toThrow()
  })
})

describe(isWithin, () => {
  it('says no without an address or networks', () => {
    expect([isWithin(undefined, ['0.0.0.0/0']), isWithin('192.0.2.7', [])]).toEqual([false, false])
  })
})

describe('the rate limit', () => {
  const tooMany = { code: 42901, message: 'Too Many Requests', stat: 'FAIL' }

  it('answers 429 to the auths of one user beyond so many in a minute', async () => {
    const { passcode, send, move } = await under({ rateLimit: { authsPerMinute: 2 } })
    await passcode('123456')
    await passcode('123456')
    const refused = await send('auth', { username: 'alice', factor: 'passcode', passcode: '123456' })
    expect([refused.status, refused.json, refused.headers['retry-after']]).toEqual([429, tooMany, undefined])
    expect((await passcode('123456', { username: 'bob' })).result).toBe('allow')
    move(MINUTE)
    expect((await passcode('123456')).result).toBe('allow')
  })

  it('names the time to wait where it is told to', async () => {
    const { send } = await under({ rateLimit: { authsPerMinute: 0, retryAfter: 7 } })
    const refused = await send('auth', { username: 'alice', factor: 'push', device: 'auto' })
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '7'])
  })
})

describe('Duo’s clock', () => {
  it('may be ahead: its ping tells, and it judges dates by it', async () => {
    const { simulated, send } = await under({ clockAheadSeconds: 3600 })
    const call = client(simulated)
    const { time } = (await call('GET', '/auth/v2/ping')).json.response
    expect(Math.abs(time - Date.now() / 1000 - 3600)).toBeLessThan(5)
    expect((await send('preauth', { username: 'alice' })).json.code).toBe(40105)
    expect((await send('preauth', { username: 'alice' }, 3_600_000)).json.stat).toBe('OK')
  })
})

describe('row 139: a policy', () => {
  it.each([
    { clockAheadSeconds: 1e9 },
    { smsBatch: 11 },
    { verificationDigits: 7 },
    { rateLimit: { authsPerMinute: -1 } },
    { rememberedDevices: { days: 0 } },
    { failuresToLock: 0 },
    { networks: { allow: Array.from({ length: 101 }, () => '192.0.2.1') } },
    { newUser: 'perhaps' },
    { unknown: true },
  ])('beyond its bounds is 400, and the old one stays: %j', async change => {
    const { simulated, preauth } = await under({ newUser: 'deny' })
    const reply = await fetch(`${simulated.phoneUrl}/control/policy`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(change),
    })
    expect(reply.status).toBe(400)
    expect((await preauth({ username: 'nobody' })).result).toBe('deny')
  })
})
