import { describe, expect, it } from 'vitest'
import { client, simulator } from './client.ts'

const MINUTE = 60_000
const announces = { client_supports_verified_push: '1' }

async function required(policy: object = {}) {
  let now = Date.now()
  const simulated = await simulator({ clock: () => now })
  simulated.setPolicy({ verifiedPush: 'required', ...policy })
  const call = client(simulated)
  const dated = () => ({ signed: { date: new Date(now).toUTCString() } })
  const post = async (name: string, params: Record<string, string>) =>
    (await call('POST', `/auth/v2/${name}`, { username: 'alice', ...params }, dated())).json
  return {
    simulated,
    move: (by: number) => (now += by),
    now: () => now,
    preauth: async (params: Record<string, string> = {}) => (await post('preauth', params)).response,
    send: (params: Record<string, string> = {}) =>
      post('auth', { factor: 'push', device: 'auto', async: '1', ...params }),
    status: async (txid: string) => (await call('GET', '/auth/v2/auth_status', { txid }, dated())).json.response,
    poll: async (txid: string) =>
      (await call('GET', '/auth/v2/auth_status', { txid }, dated())).json.response?.status as string,
    push: () => simulated.pushes().at(-1),
  }
}

describe('Verified Push', () => {
  it('is announced by preauth with a code, and approved only with it', async () => {
    const { simulated, preauth, send, poll, push, now } = await required()
    const { txid, verification_code, expiration, result } = await preauth(announces)
    expect([result, expiration]).toEqual(['auth', Math.floor((now() + MINUTE) / 1000)])
    expect(verification_code).toMatch(/^\d{3}$/)
    expect((await send({ txid })).response).toEqual({ txid })
    const { id = '', verificationCode } = push() ?? {}
    expect(verificationCode).toBe(verification_code)
    const wrong = verification_code === '000' ? '001' : '000'
    expect([simulated.answer(id, 'approve'), simulated.answer(id, 'approve', wrong)]).toEqual([false, false])
    expect(push()).toMatchObject({ state: 'pending', wrongCodes: 2 })
    expect(simulated.answer(id, 'approve', verification_code)).toBe(true)
    expect([await poll(txid), await poll(txid)]).toEqual(['pushed', 'allow'])
  })

  it('tells its code in the words of its first status, for clients that show nothing else', async () => {
    const { preauth, send, status } = await required()
    const { txid, verification_code } = await preauth(announces)
    await send({ txid })
    expect(await status(txid)).toEqual({
      result: 'waiting',
      status: 'pushed',
      status_msg: `Please enter verification code ${verification_code} into Duo Mobile...`,
    })
  })

  it('is denied by the third wrong code; without any code it can be denied or reported', async () => {
    const { simulated, preauth, send, poll, push } = await required()
    const sent = async () => {
      const { txid } = await preauth(announces)
      await send({ txid })
      return { txid, id: push()?.id ?? '' }
    }
    const guessed = await sent()
    for (const code of ['x', 'y', 'z']) expect(simulated.answer(guessed.id, 'approve', code)).toBe(false)
    expect([await poll(guessed.txid), await poll(guessed.txid)]).toEqual(['pushed', 'deny'])
    const reported = await sent()
    expect([simulated.answer(reported.id, 'fraud'), push()?.state]).toEqual([true, 'fraud'])
  })

  it.each([3, 4, 6])('has as many digits as the policy says: %i', async verificationDigits => {
    const { preauth } = await required({ verificationDigits })
    expect((await preauth(announces)).verification_code).toHaveLength(verificationDigits)
  })

  it('is sent once, within a minute, to whom it was announced, and by nothing but a push', async () => {
    const { preauth, send, move, simulated } = await required()
    const failure = { code: 40002, message_detail: 'txid' }
    const { txid } = await preauth(announces)
    expect(await send({ username: 'bob', txid })).toMatchObject(failure)
    expect((await send({ txid })).response).toEqual({ txid })
    expect(await send({ txid })).toMatchObject(failure)
    const late = await preauth(announces)
    move(MINUTE)
    expect(await send({ txid: late.txid })).toMatchObject(failure)
    expect(await send({ txid: 'f6d8a9f0-0000-4000-8000-000000000000' })).toMatchObject(failure)
    expect(simulated.pushes()).toHaveLength(1)
  })

  it('leaves a client that does not know it a plain push, or none, as told', async () => {
    const { simulated, preauth, send, push } = await required()
    expect(await preauth()).not.toHaveProperty('verification_code')
    expect((await send()).response).toHaveProperty('txid')
    expect(push()?.verificationCode).toBeUndefined()
    simulated.setPolicy({ withoutVerifiedPush: 'no-push' })
    expect((await preauth()).devices[0].capabilities).toEqual(['auto', 'phone', 'sms', 'mobile_otp'])
    expect(await send()).toMatchObject({ code: 40002, message_detail: 'no capable device' })
    await send({ factor: 'auto' })
    expect(push()?.factor).toBe('phone')
    expect((await preauth(announces)).devices[0].capabilities).toContain('push')
  })

  it('is not announced where the policy does not want it, or no device takes a push', async () => {
    const { simulated, preauth } = await required()
    expect(await preauth({ ...announces, username: 'callonly' })).not.toHaveProperty('txid')
    simulated.setPolicy({ verifiedPush: 'off' })
    expect(await preauth(announces)).not.toHaveProperty('txid')
  })

  it('is approved by phones that answer by themselves', async () => {
    const { preauth, send, poll } = await required({ answer: 'allow' })
    const { txid } = await preauth(announces)
    await send({ txid })
    expect([await poll(txid), await poll(txid)]).toEqual(['pushed', 'allow'])
  })
})
