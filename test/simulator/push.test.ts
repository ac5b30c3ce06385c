import { describe, expect, it } from 'vitest'
import { openNews } from '../../src/simulator/news.ts'
import { policySchema } from '../../src/simulator/policy.ts'
import { openTransactions } from '../../src/simulator/transactions.ts'
import { openAccount } from '../../src/simulator/users.ts'
import { until } from '../support/process.ts'
import { client, simulator, users } from './client.ts'

const MINUTE = 60_000

async function withPush(options: { deliver?: 'once' | 'again' } = {}) {
  let now = Date.now()
  const simulated = await simulator({ clock: () => now })
  simulated.setPolicy(options)
  const call = client(simulated)
  const send = { username: 'alice', factor: 'push', device: 'auto', async: '1', ipaddr: '192.0.2.7' }
  const { txid } = (await call('POST', '/auth/v2/auth', send)).json.response
  const id = simulated.pushes()[0]?.id ?? ''
  const poll = async () => {
    const sent = { signed: { date: new Date(now).toUTCString() } }
    const { json } = await call('GET', '/auth/v2/auth_status', { txid }, sent)
    return json.response?.status ?? json.message_detail
  }
  return { simulated, call, id, poll, move: (by: number) => (now += by) }
}

describe('auth_status', () => {
  it('delivers each state once, and holds a poll until there is another', async () => {
    const { simulated, id, poll } = await withPush()
    expect(await poll()).toBe('pushed')
    let answered = false
    const held = poll().finally(() => (answered = true))
    expect((await fetch(`${simulated.phoneUrl}/control/pushes`)).status).toBe(200) // the simulator had its turns
    expect(answered).toBe(false)
    simulated.answer(id, 'approve')
    expect(await held).toBe('allow')
    expect(await poll()).toBe('txid')
  })

  it('says when a push could not be delivered, which can be answered all the same', async () => {
    const simulated = await simulator()
    simulated.setUsers([{ username: 'alice', devices: [{ id: 'DPALICE', reachable: false }] }])
    const call = client(simulated)
    const send = { username: 'alice', factor: 'push', device: 'auto', async: '1' }
    const { txid } = (await call('POST', '/auth/v2/auth', send)).json.response
    const poll = async () => (await call('GET', '/auth/v2/auth_status', { txid })).json.response
    expect(await poll()).toMatchObject({ result: 'waiting', status: 'push_failed' })
    simulated.answer(simulated.pushes()[0]?.id ?? '', 'approve')
    expect(await poll()).toMatchObject({ result: 'allow' })
  })

  it('gives a state to one of two pollers: the second waits for the next', async () => {
    const { simulated, id, poll } = await withPush()
    const both = [poll(), poll()]
    expect(await Promise.race(both)).toBe('pushed')
    simulated.answer(id, 'deny')
    expect((await Promise.all(both)).sort()).toEqual(['deny', 'pushed'])
  })

  it('keeps a state for the next poll when its poller leaves', async () => {
    const account = openAccount(users, () => policySchema.parse({}), Date.now)
    const transactions = openTransactions({
      account,
      clock: Date.now,
      news: openNews(),
      deliver: () => 'once',
      trust: () => undefined,
    })
    const alice = account.byName('alice', 'none')
    const [device] = alice?.devices ?? []
    if (!alice || !device) throw new Error('no alice')
    const request = {
      type: 'Login',
      displayUsername: undefined,
      pushinfo: [],
      ipaddr: undefined,
      verification: undefined,
    }
    const { txid, pushId } = transactions.send(alice, device, 'push', request)
    const stays = new AbortController().signal
    await transactions.next(txid, stays)
    const leaving = new AbortController()
    const left = transactions.next(txid, leaving.signal)
    leaving.abort()
    expect(await left).toBe('left')
    transactions.answer(pushId, 'fraud')
    expect(await transactions.next(txid, stays)).toMatchObject({ result: 'deny', status: 'fraud' })
  })

  it('delivers a final answer again where it is told to', async () => {
    const { simulated, id, poll } = await withPush({ deliver: 'again' })
    simulated.answer(id, 'approve')
    expect([await poll(), await poll(), await poll()]).toEqual(['pushed', 'allow', 'allow'])
  })

  it('delivers it to all who wait, where it is told to deliver it again', async () => {
    const { simulated, id, poll } = await withPush({ deliver: 'again' })
    expect(await poll()).toBe('pushed')
    expect(simulated.isAsked(id)).toBe(false)
    const both = [poll(), poll()]
    await until(() => simulated.isAsked(id), 'it is asked')
    simulated.answer(id, 'approve')
    expect(await Promise.all(both)).toEqual(['allow', 'allow'])
  })

  it('loses the answer on a lost connection, as at Duo', async () => {
    const { simulated, id, poll } = await withPush()
    simulated.answer(id, 'approve')
    await poll()
    simulated.setScenario({ kind: 'lost', path: 'auth_status' })
    await expect(poll()).rejects.toThrow()
    expect(await poll()).toBe('txid')
  })

  it('knows a finished transaction for five minutes', async () => {
    const { simulated, id, poll, move } = await withPush()
    simulated.answer(id, 'approve')
    move(5 * MINUTE)
    expect(await poll()).toBe('txid')
  })
})

describe('the life of a push', () => {
  it('ends after sixty seconds, which a held poll learns at once when the clock is moved', async () => {
    const { simulated, id, poll, move } = await withPush()
    await poll()
    const held = poll()
    move(MINUTE)
    const before = performance.now()
    expect(await held).toBe('timeout')
    expect(performance.now() - before).toBeLessThan(2000)
    expect(simulated.answer(id, 'approve')).toBe(false)
    expect(simulated.pushes()[0]).toMatchObject({ state: 'timed-out', username: 'alice', ipaddr: '192.0.2.7' })
  })

  it('takes an answer until then, once', async () => {
    const { simulated, id, move } = await withPush()
    move(MINUTE - 1)
    expect([simulated.answer(id, 'approve'), simulated.answer(id, 'deny')]).toEqual([true, false])
    expect(simulated.pushes()[0]?.state).toBe('approved')
  })

  it('is noticed by clockMoved() too', async () => {
    const { simulated, move } = await withPush()
    move(MINUTE)
    simulated.clockMoved()
    expect(simulated.pushes()[0]?.state).toBe('timed-out')
  })

  it('survives a change of the users', async () => {
    const { simulated, id, poll } = await withPush()
    simulated.setUsers(users.slice(1))
    expect(simulated.answer(id, 'approve')).toBe(true)
    expect([await poll(), await poll()]).toEqual(['pushed', 'allow'])
  })
})
