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
    // Whoever followed it may be gone: the clock has to reach the end of the lease.
    if (looks++ > 50) real.house.now += 200
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

class Start implements Step {
  readonly session: SessionName
  readonly at: number
  constructor(session: SessionName, at: number) {
    this.session = session
    this.at = at
  }
  check = () => true
  async run(model: Model, real: Real) {
    const before = real.house.simulator.pushes().length
    const outcome = await duoOf(real, this.at).start(ownerOf(this.session), push('DPALICE1'), facts())
    const added = real.house.simulator.pushes().slice(before)
    // The phone rings when, and only when, Postern says that a push was sent.
    expect(added.length).toBe(outcome.outcome === 'started' ? 1 : 0)
    // One push in flight for the person: what another session sent is over by then.
    if (outcome.outcome === 'started')
      for (const [session, { phone, takeable }] of model.newest)
        if (session !== this.session && takeable) expect(stateOnPhone(real, phone)).not.toBe('pending')
    if (outcome.outcome === 'started') model.newest.set(this.session, { phone: added[0]?.id ?? null, takeable: true })
    if (outcome.outcome === 'joined') expect(model.newest.get(this.session)).toMatchObject({ takeable: true })
    if (outcome.outcome === 'busy') expect(outcome.until).toBeGreaterThan(real.house.now)
    if (outcome.outcome === 'paused') expect(outcome.until).toBeGreaterThan(real.house.now)
    expect(['started', 'joined', 'busy', 'paused', 'banned']).toContain(outcome.outcome)
  }
  toString = () => `start(${this.session}, ${this.at})`
}

class Answer implements Step {
  readonly how: 'approve' | 'deny' | 'fraud'
  constructor(how: 'approve' | 'deny' | 'fraud') {
    this.how = how
  }
  check = () => true
  async run(_: Model, real: Real) {
    const ringing = pending(real).at(-1)
    if (ringing === undefined) return
    real.house.simulator.answer(ringing.id, this.how)
    await settled(real)
  }
  toString = () => this.how
}

class Cancel implements Step {
  readonly session: SessionName
  readonly at: number
  constructor(session: SessionName, at: number) {
    this.session = session
    this.at = at
  }
  check = () => true
  async run(model: Model, real: Real) {
    await duoOf(real, this.at).cancel(this.session)
    const newest = model.newest.get(this.session)
    if (newest !== undefined) newest.takeable = false
  }
  toString = () => `cancel(${this.session}, ${this.at})`
}

class Claim implements Step {
  readonly session: SessionName
  readonly at: number
  constructor(session: SessionName, at: number) {
    this.session = session
    this.at = at
  }
  check = () => true
  async run(model: Model, real: Real) {
    const claims = await Promise.all([0, 1].map(index => duoOf(real, this.at + index).claim(this.session)))
    const got = claims.filter(claim => claim !== null)
    expect(got.length).toBeLessThanOrEqual(1)
    if (got.length === 0) return
    const newest = model.newest.get(this.session)
    // Only an approval on the phone, of this session's newest push, that was neither cancelled nor taken before.
    expect(newest).toMatchObject({ takeable: true })
    if (newest?.phone !== null) expect(stateOnPhone(real, newest?.phone ?? null)).toBe('approved')
    if (newest !== undefined) newest.takeable = false
    model.claims += 1
  }
  toString = () => `claim(${this.session}, ${this.at})`
}

class Passcode implements Step {
  readonly session: SessionName
  readonly code: string
  constructor(session: SessionName, code: string) {
    this.session = session
    this.code = code
  }
  check = () => true
  async run(model: Model, real: Real) {
    const outcome = await duoOf(real, 0).passcode(ownerOf(this.session), this.code, facts())
    if (outcome.outcome === 'accepted') {
      expect(this.code).toBe('123456')
      model.newest.set(this.session, { phone: null, takeable: true })
    } else expect(['wrong', 'banned']).toContain(outcome.outcome)
  }
  toString = () => `passcode(${this.session}, ${this.code})`
}

class Pass implements Step {
  readonly seconds: number
  constructor(seconds: number) {
    this.seconds = seconds
  }
  check = () => true
  async run(_: Model, real: Real) {
    real.house.now += this.seconds * 1_000
    real.house.simulator.clockMoved()
    await settled(real)
  }
  toString = () => `${this.seconds} s`
}

class Restart implements Step {
  readonly at: number
  readonly crash: boolean
  constructor(at: number, crash: boolean) {
    this.at = at
    this.crash = crash
  }
  check = () => true
  async run(_: Model, real: Real) {
    const index = this.at % real.processes.length
    const duo = duoOf(real, index)
    await (this.crash ? duo.crash() : duo.close())
    real.processes[index] = await opened(real.house)
  }
  toString = () => `${this.crash ? 'crash' : 'restart'}(${this.at})`
}

const session = fc.constantFrom<SessionName[]>('own', 'own', 'other')
const at = fc.nat(1)
const start = fc.tuple(session, at).map(([name, index]) => new Start(name, index))
const claim = fc.tuple(session, at).map(([name, index]) => new Claim(name, index))
const answer = fc
  .constantFrom<('approve' | 'deny' | 'fraud')[]>('approve', 'approve', 'approve', 'approve', 'deny', 'fraud')
  .map(how => new Answer(how))
const steps = [
  ...[start, start, start, answer, answer, claim, claim, claim],
  fc.tuple(session, at).map(([name, index]) => new Cancel(name, index)),
  fc.tuple(session, fc.constantFrom('123456', '000000')).map(([name, code]) => new Passcode(name, code)),
  fc.constantFrom(1, 5, 31, 70, 301).map(seconds => new Pass(seconds)),
  fc.tuple(at, fc.boolean()).map(([index, crash]) => new Restart(index, crash)),
]

it(
  'whatever two sessions, a phone, a clock and two processes do: only an approval of the newest push is claimed, once, and nobody is left stuck',
  async () => {
    let claims = 0
    await fc.assert(
      fc.asyncProperty(fc.commands(steps, { maxCommands: LONG ? 60 : 25, size: 'max' }), async commands => {
        const house = await openHouse()
        const real: Real = { house, processes: [await opened(house), await opened(house)] }
        const model: Model = { newest: new Map(), claims: 0 }
        await fc.asyncModelRun(() => ({ model, real }), commands)
        claims += model.claims
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
    expect(claims).toBeGreaterThan(LONG ? 50 : 2)
  },
  LONG ? 1_800_000 : 120_000,
)
