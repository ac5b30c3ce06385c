import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { aPush, clientOf, fail, http, ok, type Script, scriptedDuo } from './scripted-duo.ts'

const DUO_NOW = 1_795_525_200

/** Refuses what is dated more than five minutes wrong, as Duo does. Its ping needs no date. */
const strict: Script = ({ path, headers }, socket) => {
  if (path.endsWith('/ping')) return void socket.write(ok({ time: DUO_NOW }))
  const off = Math.abs(Date.parse(headers.date ?? '') / 1000 - DUO_NOW)
  if (off > 300) return void socket.write(fail(40105, 'Bad request timestamp'))
  if (path.endsWith('/check')) return void socket.write(ok({ time: DUO_NOW }))
  return void socket.write(ok(path.endsWith('/auth') ? { txid: 'tx-1' } : { result: 'deny' }))
}

async function withClock(offsetSeconds: number, script: Script = strict) {
  const lines: { level: number; msg: string; reason?: string; clockOffsetSeconds?: number }[] = []
  const log = pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) })
  const duo = await scriptedDuo(script)
  const machine = { offsetSeconds }
  const client = clientOf(duo, { clock: () => (DUO_NOW + machine.offsetSeconds) * 1000, log })
  return { duo, client, lines, machine, paths: () => duo.asked.map(({ path }) => path.replace('/auth/v2/', '')) }
}

describe('a clock that is wrong', () => {
  it.each([600, -600, 86_400, -31_536_000])('by %i s is worked around at the first refusal', async offset => {
    const { client, paths } = await withClock(offset)
    expect(await client.preauth({ username: 'alice' })).toMatchObject({ ok: true })
    expect(paths()).toEqual(['preauth', 'ping', 'preauth'])
    expect(await client.auth(aPush)).toMatchObject({ ok: true })
    expect(paths().slice(3)).toEqual(['auth'])
    expect(client.clockOffsetSeconds).toBe(offset)
  })

  it('is worked around for all who come at once', async () => {
    const { client } = await withClock(600)
    const calls = [...Array.from({ length: 8 }, () => client.preauth({ username: 'alice' })), client.check()]
    for (const answer of await Promise.all(calls)) expect(answer).toMatchObject({ ok: true })
    const late = await withClock(600)
    const early = late.client.preauth({ username: 'alice' })
    await late.client.ping()
    expect(await early).toMatchObject({ ok: true })
  })

  it('is worked around before the first refusal once ping was asked, as at start', async () => {
    const { client, paths } = await withClock(3600)
    await client.ping()
    expect(await client.check()).toMatchObject({ ok: true })
    expect(paths()).toEqual(['ping', 'check'])
  })

  it('is named in the log once, with the seconds and what to do', async () => {
    const { client, lines } = await withClock(-420)
    for (let round = 0; round < 5; round += 1) await client.preauth({ username: 'alice' })
    await client.ping()
    expect(lines).toMatchObject([{ level: 40, reason: 'clock-off', clockOffsetSeconds: -420 }])
    expect(lines[0]?.msg).toContain('time synchronisation')
  })

  it('and is then put right is learnt anew', async () => {
    const { client, lines, machine } = await withClock(4000)
    await client.ping()
    machine.offsetSeconds = 0
    expect(await client.preauth({ username: 'alice' })).toMatchObject({ ok: true })
    expect(client.clockOffsetSeconds).toBe(0)
    expect(lines.map(({ msg }) => msg).at(-1)).toContain('agrees with Duo’s again')
  })

  it('by less than Duo minds changes no date and no log', async () => {
    const { client, duo, lines } = await withClock(20)
    await client.ping()
    await client.preauth({ username: 'alice' })
    expect(duo.asked[1]?.headers.date).toBe(new Date((DUO_NOW + 20) * 1000).toUTCString())
    expect(lines).toEqual([])
  })

  it('does not make a push go twice: the next one is dated right', async () => {
    const { client, paths } = await withClock(900)
    expect(await client.auth(aPush)).toMatchObject({
      ok: false,
      failure: { kind: 'misconfigured', reason: 'duo-clock' },
    })
    expect(paths()).toEqual(['auth', 'ping'])
    expect(await client.auth(aPush)).toMatchObject({ ok: true })
  })

  it('is the reason only where the correction did not help', async () => {
    const always: Script = ({ path }, socket) =>
      void socket.write(path.endsWith('/ping') ? ok({ time: DUO_NOW }) : fail(40105, 'Bad request timestamp'))
    const { client, paths } = await withClock(900, always)
    const failure = { kind: 'misconfigured', reason: 'duo-clock', clockOffsetSeconds: 900 }
    expect(await client.preauth({ username: 'alice' })).toMatchObject({ ok: false, failure })
    expect(paths()).toEqual(['preauth', 'ping', 'preauth'])
  })

  it('is not learnt from a Duo whose ping is no answer', async () => {
    const { client } = await withClock(
      900,
      ({ path }, socket) =>
        void socket.write(path.endsWith('/ping') ? http(502, '') : fail(40105, 'Bad request timestamp')),
    )
    expect(await client.preauth({ username: 'alice' })).toMatchObject({ failure: { reason: 'duo-clock' } })
    expect(client.clockOffsetSeconds).toBeUndefined()
  })
})
