import fc from 'fast-check'
import { expect, it } from 'vitest'
import { until } from '../support/process.ts'
import { type House, type Opened, openHouse } from './house.ts'
import { facts, owner, push } from './people.ts'

const LONG = process.env.POSTERN_LONG === '1'
const sessions = ['own', 'other'] as const
type SessionName = (typeof sessions)[number]
const ownerOf = (session: SessionName) => owner('alice', session)

/** What ought to be: kept by what was done, never by what Postern says. */
interface Model {
  /** Of each session, the newest: the phone's push, and whether its approval may still be taken. */
  newest: Map<SessionName, { phone: string | null; takeable: boolean }>
  claims: number
}

interface Real {
  house: House
  processes: Opened[]
}

const duoOf = ({ processes }: Real, index: number) => {
  const duo = processes[index % processes.length]
  if (duo === undefined) throw new Error('no process')
  return duo
}
const stateOnPhone = ({ house }: Real, id: string | null) => house.simulator.pushes().find(one => one.id === id)?.state
const pending = ({ house }: Real) => house.simulator.pushes().filter(({ state }) => state === 'pending')

/** Waits until Postern has heard what the phone or the clock decided. */
async function settled(real: Real): Promise<void> {
  let looks = 0
  await until(async () => {
    // Whoever followed it may be gone: the others have to see it silent for as long as a lease lasts.
    if (looks++ > 20) real.house.now += 400
    for (const session of sessions) {
      const view = await duoOf(real, 0).newest(session)
      if (view === null || (view.state !== 'waiting' && view.state !== 'sending')) continue
      if (real.house.now >= view.deadline || pending(real).length === 0) return false
    }
    return true
  }, 'Postern has heard of it')
}

/** Its look at Duo at start is over: a clock that jumps by hours meanwhile would be taken for a wrong one. */
async function opened(house: House): Promise<Opened> {
  const duo = await house.open()
  await until(() => duo.lines.some(line => line.includes('takes these keys')), 'it has looked at Duo')
  return duo
}

type Step = fc.AsyncCommand<Model, Real>

const step = (name: string, run: Step['run']): Step => ({ check: () => true, run, toString: () => name })

const start = (session: SessionName, at: number) =>
  step(`start(${session}, ${at})`, async (model, real) => {
    const before = real.house.simulator.pushes().length
    const outcome = await duoOf(real, at).start(ownerOf(session), push('DPALICE1'), facts())
    const added = real.house.simulator.pushes().slice(before)
    // The phone rings when, and only when, Postern says that a push was sent.
    expect(added.length).toBe(outcome.outcome === 'started' ? 1 : 0)
    // One push in flight for the person: what another session sent is over by then.
    if (outcome.outcome === 'started')
      for (const [other, { phone, takeable }] of model.newest)
        if (other !== session && takeable) expect(stateOnPhone(real, phone)).not.toBe('pending')
    if (outcome.outcome === 'started') model.newest.set(session, { phone: added[0]?.id ?? null, takeable: true })
    if (outcome.outcome === 'joined') expect(model.newest.get(session)).toMatchObject({ takeable: true })
    if (outcome.outcome === 'busy') expect(outcome.until).toBeGreaterThan(real.house.now)
    if (outcome.outcome === 'paused') expect(outcome.until).toBeGreaterThan(real.house.now)
    expect(['started', 'joined', 'busy', 'paused', 'banned']).toContain(outcome.outcome)
  })

const answer = (how: 'approve' | 'deny' | 'fraud') =>
  step(how, async (_, real) => {
    const ringing = pending(real).at(-1)
    if (ringing === undefined) return
    real.house.simulator.answer(ringing.id, how)
    await settled(real)
  })

const cancel = (session: SessionName, at: number) =>
  step(`cancel(${session}, ${at})`, async (model, real) => {
    await duoOf(real, at).cancel(session)
    const newest = model.newest.get(session)
    if (newest !== undefined) newest.takeable = false
  })

const claim = (session: SessionName, at: number) =>
  step(`claim(${session}, ${at})`, async (model, real) => {
    const claims = await Promise.all([0, 1].map(index => duoOf(real, at + index).claim(session)))
    const got = claims.filter(one => one !== null)
    expect(got.length).toBeLessThanOrEqual(1)
    if (got.length === 0) return
    const newest = model.newest.get(session)
    // Only an approval on the phone, of this session's newest push, that was neither cancelled nor taken before.
    expect(newest).toMatchObject({ takeable: true })
    if (newest?.phone !== null) expect(stateOnPhone(real, newest?.phone ?? null)).toBe('approved')
    if (newest !== undefined) newest.takeable = false
    model.claims += 1
  })

const passcode = (session: SessionName, code: string) =>
  step(`passcode(${session}, ${code})`, async (model, real) => {
    const outcome = await duoOf(real, 0).passcode(ownerOf(session), code, facts())
    if (outcome.outcome === 'accepted') {
      expect(code).toBe('123456')
      model.newest.set(session, { phone: null, takeable: true })
    } else expect(['wrong', 'banned']).toContain(outcome.outcome)
  })

const pass = (seconds: number) =>
  step(`${seconds} s`, async (_, real) => {
    real.house.now += seconds * 1_000
    real.house.simulator.clockMoved()
    await settled(real)
  })

const restart = (at: number, crash: boolean) =>
  step(`${crash ? 'crash' : 'restart'}(${at})`, async (_, real) => {
    const index = at % real.processes.length
    const duo = duoOf(real, index)
    await (crash ? duo.crash() : duo.close())
    real.processes[index] = await opened(real.house)
  })

const session = fc.constantFrom<SessionName[]>('own', 'own', 'other')
const at = fc.nat(1)
const starts = fc.tuple(session, at).map(args => start(...args))
const claims = fc.tuple(session, at).map(args => claim(...args))
const answers = fc
  .constantFrom<('approve' | 'deny' | 'fraud')[]>('approve', 'approve', 'approve', 'approve', 'deny', 'fraud')
  .map(answer)
const steps = [
  ...[starts, starts, starts, answers, answers, claims, claims, claims],
  fc.tuple(session, at).map(args => cancel(...args)),
  fc.tuple(session, fc.constantFrom('123456', '000000')).map(args => passcode(...args)),
  fc.constantFrom(1, 5, 31, 70, 301).map(pass),
  fc.tuple(at, fc.boolean()).map(args => restart(...args)),
]

it(
  'whatever two sessions, a phone, a clock and two processes do: only an approval of the newest push is claimed, once, and nobody is left stuck',
  async () => {
    let claimed = 0
    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: LONG ? 60 : 25, size: 'max' }), async commands => {
        const house = await openHouse()
        const real: Real = { house, processes: [await opened(house), await opened(house)] }
        const model: Model = { newest: new Map(), claims: 0 }
        await fc.asyncModelRun(() => ({ model, real }), commands)
        claimed += model.claims
        // Two hours later all pauses, locks and bans are over.
        house.now += 7_200_000
        house.simulator.clockMoved()
        await settled(real)
        house.simulator.setPolicy({ answer: 'allow' })
        const duo = duoOf(real, 0)
        const last = owner('alice', 'last')
        await until(
          async () => (await duo.start(last, push('DPALICE1'), facts())).outcome === 'started',
          'a push goes out',
        )
        await until(async () => (await duo.newest('last'))?.state !== 'waiting', `it is over\n${duo.lines.join('')}`)
        const view = await duo.newest('last')
        expect(view, duo.lines.join('')).toMatchObject({ state: 'allowed' })
        expect(await duo.claim('last')).toMatchObject({ how: 'push' })
        for (const one of real.processes) await one.close()
        await house.simulator.close()
      }),
      { numRuns: LONG ? 200 : 12, endOnFailure: true, ...(LONG ? {} : { seed: 20261124 }) },
    )
    // The walk has been somewhere.
    expect(claimed).toBeGreaterThan(LONG ? 50 : 2)
  },
  LONG ? 1_800_000 : 120_000,
)
