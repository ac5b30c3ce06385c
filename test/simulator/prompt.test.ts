import { describe, expect, it } from 'vitest'
import type { PolicyInput } from '../../src/simulator/policy.ts'
import { client, simulator } from './client.ts'

/** What duo_unix does: shows the text, and sends back what the chosen number stands for, or what was typed. */
async function duoUnix(policy: PolicyInput = {}) {
  const simulated = await simulator()
  simulated.setPolicy(policy)
  const call = client(simulated)
  const post = async (name: string, params: Record<string, string>) =>
    (await call('POST', `/auth/v2/${name}`, params)).json
  return {
    simulated,
    preauth: async (username: string, more: Record<string, string> = {}) =>
      (await post('preauth', { username, text_prompt: '1', failmode: 'closed', ...more })).response,
    choose: (username: string, prompt: string, more: Record<string, string> = {}) =>
      post('auth', { username, factor: 'prompt', prompt, async: '1', ...more }),
  }
}

describe('the text prompt', () => {
  it('lists pushes, calls and texts, and names each', async () => {
    const { preauth } = await duoUnix()
    const { prompt } = await preauth('alice')
    expect(prompt.text).toBe(
      [
        'Duo two-factor login for alice',
        '',
        'Enter a passcode or select one of the following options:',
        '',
        ' 1. Duo Push to XXX-XXX-0100',
        ' 2. Phone call to XXX-XXX-0100',
        ' 3. SMS passcodes to XXX-XXX-0100',
        '',
        'Passcode or option (1-3): ',
      ].join('\n'),
    )
    expect(prompt.factors).toEqual({ '1': 'push1', '2': 'phone1', '3': 'smsrefresh1', default: 'push1' })
  })

  it('counts the devices of a factor, and calls one without a number by its name', async () => {
    const { preauth } = await duoUnix()
    const { prompt } = await preauth('bob')
    expect(prompt.text).toContain(' 1. Duo Push to XXX-XXX-0123\n 2. Duo Push to Tablet (iOS)\n')
    expect(prompt.factors).toEqual({ '1': 'push1', '2': 'push2', default: 'push1' })
  })

  it('tells with what the next SMS passcode starts', async () => {
    const { preauth, choose } = await duoUnix()
    await choose('alice', 'smsrefresh1')
    expect((await preauth('alice')).prompt.text).toContain('XXX-XXX-0100 (next code starts with: 1)')
  })

  it('offers a verified push to a client that shows its code, which then sends the transaction', async () => {
    const { preauth, choose, simulated } = await duoUnix({ verifiedPush: 'required' })
    const { prompt, txid, verification_code } = await preauth('alice', { client_supports_verified_push: '1' })
    expect(prompt.factors['1']).toBe('verified_push1')
    expect((await choose('alice', 'verified_push1', { txid })).response).toEqual({ txid })
    expect(simulated.pushes()[0]?.verificationCode).toBe(verification_code)
  })

  it('asks for a passcode only where no device can be asked', async () => {
    const { preauth } = await duoUnix()
    expect((await preauth('unactivated')).prompt).toEqual({
      text: 'Duo two-factor login for unactivated\n\nEnter a passcode: ',
      factors: {},
    })
  })

  it('tells where to enrol; without text_prompt there is none', async () => {
    const { preauth } = await duoUnix()
    const { prompt, enroll_portal_url } = await preauth('newcomer')
    expect(prompt).toEqual({ text: `Please enroll at ${enroll_portal_url}` })
    expect(await preauth('alice', { text_prompt: '0' })).not.toHaveProperty('prompt')
  })
})

describe('factor=prompt', () => {
  it.each([
    ['alice', 'push1', { factor: 'push', device: { id: 'DPALICE0000000000001' } }],
    ['alice', 'push', { factor: 'push' }],
    ['alice', 'phone1', { factor: 'phone' }],
    ['bob', 'push2', { factor: 'push', device: { name: 'Tablet' } }],
  ])('of %s: %s rings the phone that was meant', async (username, prompt, push) => {
    const { choose, simulated } = await duoUnix()
    expect((await choose(username, prompt)).response).toHaveProperty('txid')
    expect(simulated.pushes()).toMatchObject([push])
  })

  it('takes a passcode', async () => {
    const { choose, simulated } = await duoUnix()
    const reply = await choose('alice', simulated.passcode('DPALICE0000000000001'), { async: '0' })
    expect(reply.response).toMatchObject({ result: 'allow' })
  })

  it.each([
    ['alice', 'push2'],
    ['alice', 'push0'],
    ['bob', 'phone1'],
    ['alice', '1'],
    ['alice', 'voodoo1'],
    ['alice', 'push-1'],
    ['alice', 'push99999'],
    ['alice', '000000'],
  ])(
    'of %s: %s is no entry of the list, so it is a wrong passcode, and the person may try again',
    async (username, prompt) => {
      const { choose, simulated } = await duoUnix()
      const reply = await choose(username, prompt, { async: '0' })
      expect(reply.response).toMatchObject({ result: 'deny', status_msg: 'Incorrect passcode. Please try again.' })
      expect(simulated.pushes()).toEqual([])
    },
  )

  it('needs a choice', async () => {
    const { choose } = await duoUnix()
    expect(await choose('alice', '')).toMatchObject({ code: 40001, message_detail: 'prompt' })
  })
})
