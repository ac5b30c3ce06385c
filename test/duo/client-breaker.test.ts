import { pino } from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { duoClient } from '../../src/duo/client.ts'
import { freePort } from '../support/process.ts'
import { aPush, clientOf, fail, http, keys, ok, type Script, scriptedDuo, silent } from './scripted-duo.ts'

const never = new AbortController().signal
const alice = { username: 'alice' }
const down: Script = (_, socket) => void socket.write(http(503, '{}'))

/** Down until `up()`; `pings`: but for its ping. */
async function failing(broken: Script = down, { pings = false } = {}) {
  let isUp = false
  const duo = await scriptedDuo((asked, socket, count) => {
    if (!isUp && !(pings && asked.path.endsWith('/ping'))) return broken(asked, socket, count)
    if (asked.path.endsWith('/ping') || asked.path.endsWith('/check'))
      return void socket.write(ok({ time: Math.round(Date.now() / 1000) }))
    return void socket.write(ok(asked.path.endsWith('/auth') ? { txid: 'tx-1' } : { result: 'deny' }))
  })
  return {
    duo,
    up: () => {
      isUp = true
    },
    paths: () => duo.asked.map(({ path }) => path.replace('/auth/v2/', '')),
  }
}

async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let round = 0; round < count; round += 1) await work()
}

describe('while Duo is down', () => {
  it('after five failures and a ping that fails too, calls fail at once with the last failure, and nothing is sent', async () => {
    const { duo, paths } = await failing()
    const client = clientOf(duo)
    await times(6, () => client.preauth(alice))
    expect(paths()).toEqual([...Array.from({ length: 5 }, () => 'preauth'), 'ping'])
    const outage = { kind: 'unavailable', reason: 'duo-server-error', sent: false }
    expect(await client.preauth(alice)).toMatchObject({ ok: false, failure: outage })
    expect(await client.auth(aPush)).toMatchObject({ ok: false, failure: outage })
    expect(await client.ping()).toMatchObject({ ok: false, failure: outage })
    expect(duo.asked).toHaveLength(6)
  })

  it('what fails for one person alone stops nobody: a ping that is answered keeps calls going', async () => {
    const { duo, paths } = await failing(down, { pings: true })
    const client = clientOf(duo)
    await times(20, () => client.preauth(alice))
    expect(paths().filter(path => path === 'preauth')).toHaveLength(20)
  })

  it('a call that would wait for its deadline waits no more', async () => {
    const { duo } = await failing(() => {})
    const client = clientOf(duo, { deadline: () => 60 })
    await times(6, () => client.check())
    const before = performance.now()
    expect(await client.check()).toMatchObject({ failure: { reason: 'duo-timeout', sent: false } })
    expect(performance.now() - before).toBeLessThan(30)
  })

  it('a ping asks whether it is there again, before anything that matters; then the call goes', async () => {
    const { duo, up, paths } = await failing()
    const client = clientOf(duo, { breakerPause: 0 })
    await times(5, () => client.preauth(alice))
    expect(await client.auth(aPush)).toMatchObject({ ok: false, failure: { sent: false } })
    expect(await client.auth(aPush)).toMatchObject({ ok: false, failure: { sent: false } })
    expect(paths().slice(5)).toEqual(['ping', 'ping'])
    up()
    expect(await client.auth(aPush)).toMatchObject({ ok: true, value: { txid: 'tx-1' } })
    expect(await client.preauth(alice)).toMatchObject({ ok: true })
    expect(paths().slice(7)).toEqual(['ping', 'auth', 'preauth'])
  })

  it('one ping asks for all who come meanwhile', async () => {
    const { duo, paths } = await failing()
    const client = clientOf(duo, { breakerPause: 0 })
    await times(6, () => client.preauth(alice))
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.preauth(alice)))
    expect(answers.every(answer => !answer.ok)).toBe(true)
    expect(paths().slice(5)).toEqual(['ping', 'ping'])
  })

  it('a clock that is set back does not prolong the pause', async () => {
    const { duo, up } = await failing()
    const client = clientOf(duo, { breakerPause: 0 })
    await times(6, () => client.preauth(alice))
    up()
    vi.setSystemTime(Date.now() - 86_400_000)
    try {
      expect(await client.preauth(alice)).toMatchObject({ ok: true })
    } finally {
      vi.useRealTimers()
    }
  })

  it('a push that rings is listened to all the same', async () => {
    const { duo, up } = await failing()
    const client = clientOf(duo)
    await times(6, () => client.preauth(alice))
    up()
    expect(await client.authStatus('tx-1', never)).toMatchObject({ ok: true, value: { result: 'deny' } })
    expect(await client.preauth(alice)).toMatchObject({ ok: false })
  })

  it('the log says it once at each change, and names the cause', async () => {
    const lines: { level: number; msg: string; reason?: string }[] = []
    const log = pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) })
    const { duo, up } = await failing()
    const client = clientOf(duo, { breakerPause: 0, log })
    await times(8, () => client.preauth(alice))
    expect(lines).toMatchObject([{ level: 40, reason: 'duo-server-error' }])
    up()
    await times(3, () => client.preauth(alice))
    expect(lines).toHaveLength(2)
    expect(lines[1]?.msg).toBe('Duo answers again')
  })
})

describe('what opens the breaker', () => {
  it.each<[string, Script]>([
    ['HTML', (_, socket) => void socket.write(http(200, '<html>', { 'Content-Type': 'text/html' }))],
    ['an answer without what it must have', (_, socket) => void socket.write(ok({ result: 'ALLOW' }))],
    ['a closed connection', (_, socket) => void socket.destroy()],
    ['silence', () => {}],
    ['HTTP 500', (_, socket) => void socket.write(http(500, ''))],
  ])('is %s', async (_, script) => {
    const { duo } = await failing(script)
    const client = clientOf(duo, { deadline: () => 60 })
    await times(6, () => client.preauth(alice))
    const asked = duo.asked.length
    expect(await client.preauth(alice)).toMatchObject({ failure: { kind: 'unavailable', sent: false } })
    expect(duo.asked).toHaveLength(asked)
  })

  it.each<[string, Script]>([
    ['a wrong key', (_, socket) => void socket.write(fail(40103, 'Invalid signature in request credentials'))],
    ['an unknown integration key', (_, socket) => void socket.write(fail(40102, 'Invalid integration key'))],
    ['a user that Duo does not know', (_, socket) => void socket.write(fail(40002, 'Invalid', 'username'))],
    ['an application of another type', (_, socket) => void socket.write(fail(40301, 'Access forbidden'))],
    ['too many requests', (_, socket) => void socket.write(http(429, '', { 'Retry-After': '60' }))],
  ])('is never %s', async (_, script) => {
    const { duo } = await failing(script)
    const client = clientOf(duo)
    await times(12, () => client.preauth(alice))
    expect(duo.asked).toHaveLength(12)
  })

  it('is never somebody who stopped waiting, nor a parameter that cannot be signed', async () => {
    const { duo } = await failing(() => {})
    const client = clientOf(duo, { deadline: () => 60_000 })
    const gone = AbortSignal.abort()
    await times(8, () => client.authStatus('tx', gone))
    await times(8, () => client.preauth({ username: 'a\u0000' }))
    const waiting = client.preauth(alice)
    await vi.waitFor(() => expect(duo.asked.some(({ path }) => path.endsWith('preauth'))).toBe(true))
    await client.close()
    expect((await waiting).ok).toBe(false)
  })

  it('is never failures with successes between them', async () => {
    let asked = 0
    const duo = await scriptedDuo(
      (_, socket) => void socket.write(++asked % 4 === 0 ? ok({ result: 'deny' }) : http(500, '')),
    )
    const client = clientOf(duo)
    await times(16, () => client.preauth(alice))
    expect(duo.asked).toHaveLength(16)
  })
})

describe('a connection that was refused', () => {
  it('is tried once more, also for a push: nothing was sent', async () => {
    const pauses: number[] = []
    const port = await freePort()
    const client = duoClient({
      config: { ...keys, hostname: `127.0.0.1:${port}` },
      clock: Date.now,
      log: silent,
      pause: async duration => pauses.push(duration),
    })
    expect(await client.auth(aPush)).toMatchObject({ failure: { reason: 'duo-unreachable', sent: false } })
    expect(pauses).toEqual([200])
    await client.close()
  })

  it.each([
    ['auth', 1],
    ['authSync', 1],
    ['preauth', 2],
    ['check', 2],
  ] as const)('after the request went, %s goes %i times in all', async (name, tries) => {
    const duo = await scriptedDuo((_, socket) => void socket.destroy())
    const client = clientOf(duo)
    const asking = {
      auth: () => client.auth(aPush),
      authSync: () => client.authSync({ username: 'alice', factor: 'passcode', passcode: '123456' }),
      preauth: () => client.preauth(alice),
      check: () => client.check(),
    }
    expect(await asking[name]()).toMatchObject({ ok: false, failure: { sent: true } })
    expect(duo.asked).toHaveLength(tries)
  })
})

it.each(['preauth', 'check', 'ping'] as const)('duo_api.timeout bounds %s', async name => {
  const duo = await scriptedDuo(() => {})
  const config = { ...keys, hostname: `localhost:${duo.port}`, timeout: 1_000 }
  const parts = { config, clock: Date.now, log: silent, rootCertificates: duo.certificate.ca }
  const client = duoClient(parts)
  const before = performance.now()
  const answer = await (name === 'preauth' ? client.preauth(alice) : client[name]())
  expect(answer).toMatchObject({ ok: false, failure: { reason: 'duo-timeout' } })
  expect(performance.now() - before).toBeGreaterThan(990)
  expect(performance.now() - before).toBeLessThan(3_000)
  await client.close()
})

it('each try is dated and signed afresh', async () => {
  let now = Date.UTC(2026, 10, 24, 12, 0, 0)
  const duo = await scriptedDuo((_, socket, count) => {
    now += 7_000
    socket.write(count < 3 ? http(429, '', { 'Retry-After': '1' }) : ok({ result: 'deny' }))
  })
  await clientOf(duo, { clock: () => now }).preauth(alice)
  expect(new Set(duo.asked.map(({ headers }) => headers.date)).size).toBe(3)
  expect(new Set(duo.asked.map(({ headers }) => headers.authorization)).size).toBe(3)
})
