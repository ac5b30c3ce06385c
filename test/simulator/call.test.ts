import { describe, expect, it } from 'vitest'
import { client, simulator } from './client.ts'

const MINUTE = 60_000

/** A call that rings. The statuses are what a client's polls get. */
async function withCall() {
  let now = Date.now()
  const simulated = await simulator({ clock: () => now })
  const call = client(simulated)
  const ring = { username: 'alice', factor: 'phone', device: 'auto', async: '1' }
  const { txid } = (await call('POST', '/auth/v2/auth', ring)).json.response
  const { id = '' } = simulated.pushes()[0] ?? {}
  return {
    simulated,
    answer: (answer: Parameters<typeof simulated.answer>[1]) => simulated.answer(id, answer),
    state: () => simulated.pushes()[0]?.state,
    move: (by: number) => (now += by),
    async poll() {
      const sent = { signed: { date: new Date(now).toUTCString() } }
      return (await call('GET', '/auth/v2/auth_status', { txid }, sent)).json.response
    },
  }
}

const dialing = { result: 'waiting', status: 'calling', status_msg: 'Dialing XXX-XXX-0100...' }
const answered = { result: 'waiting', status: 'answered', status_msg: "Answered. Press '#' on your phone to log in." }
const noKeypress = { result: 'deny', status: 'deny', status_msg: 'No keypress detected. Please try again.' }

describe('a phone call', () => {
  it('is answered, and lets in when the key is pressed', async () => {
    const { answer, poll, state } = await withCall()
    expect(await poll()).toEqual(dialing)
    expect([answer('pick-up'), answer('pick-up'), state()]).toEqual([true, false, 'pending'])
    expect(await poll()).toEqual(answered)
    expect(answer('approve')).toBe(true)
    expect(await poll()).toMatchObject({ result: 'allow', status: 'allow' })
  })

  it('is answered by the key press itself when nobody picked it up before', async () => {
    const { answer, poll } = await withCall()
    answer('approve')
    expect([await poll(), await poll(), (await poll()).result]).toEqual([dialing, answered, 'allow'])
  })

  it.each([[[]], [['pick-up']]] as const)('lets nobody in when it is hung up (after %j)', async before => {
    const { answer, poll, state } = await withCall()
    for (const step of before) answer(step)
    answer('deny')
    const statuses = before.length === 0 ? [dialing, noKeypress] : [dialing, answered, noKeypress]
    for (const status of statuses) expect(await poll()).toEqual(status)
    expect(state()).toBe('denied')
  })

  it('can be reported', async () => {
    const { answer, poll } = await withCall()
    answer('pick-up')
    answer('fraud')
    expect([(await poll()).status, (await poll()).status, (await poll()).status]).toEqual([
      'calling',
      'answered',
      'fraud',
    ])
  })

  it('ends after a minute: nobody picked up, or no key was pressed', async () => {
    const unheard = await withCall()
    await unheard.poll()
    unheard.move(MINUTE)
    expect(await unheard.poll()).toEqual({ result: 'deny', status: 'timeout', status_msg: 'Login timed out.' })
    const silent = await withCall()
    silent.answer('pick-up')
    await silent.poll()
    await silent.poll()
    silent.move(MINUTE)
    expect(await silent.poll()).toEqual(noKeypress)
    expect([silent.answer('approve'), silent.state()]).toEqual([false, 'timed-out'])
  })

  it('is all that can be picked up', async () => {
    const simulated = await simulator()
    await client(simulated)('POST', '/auth/v2/auth', { username: 'alice', factor: 'push', device: 'auto', async: '1' })
    expect(simulated.answer(simulated.pushes()[0]?.id ?? '', 'pick-up')).toBe(false)
  })
})
