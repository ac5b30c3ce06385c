import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { duoKeys, password, setUp, startPostern } from '../support/postern.ts'
import { until } from '../support/process.ts'
import { visitor } from './visitor.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const MINUTE = 60_000

/** Postern's clock jumps; Duo's goes on as it should. */
async function withPush() {
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
  onTestFinished(() => simulator.close())
  const setup = await setUp({ duo: simulator })
  const postern = await startPostern(setup)
  const alice = visitor(setup.port)
  await alice.signIn()
  const held = alice.api('/api/secondfactor/duo', {})
  held.catch(() => {})
  await until(() => simulator.pushes()[0]?.state === 'pending', 'the phone rings')
  const answer = (how: 'approve' | 'deny') => simulator.answer(simulator.pushes().at(-1)?.id ?? '', how)
  return { simulator, setup, postern, alice, held, answer }
}

describe('a clock that jumps while a push waits', () => {
  it('row 161: two hours of sleep: nothing that was begun before lets anybody in, and the log says so', async () => {
    const { simulator, postern, alice, held, answer } = await withPush()
    await postern.moveClock(2 * HOUR)
    answer('approve')
    expect(await held).toMatchObject({ status: 401 })
    for (const site of ['one', 'two']) expect(await alice.gate(site)).toMatchObject({ status: 401 })
    await postern.line(/set forward, or the machine slept/)
    await alice.signIn()
    const again = alice.api('/api/secondfactor/duo', {})
    await until(() => simulator.pushes().at(-1)?.state === 'pending', 'the phone rings again')
    answer('approve')
    expect(await again).toMatchObject({ status: 200 })
  })

  it('row 161: killed, and started anew with a clock that is an hour back: the lease that it left lasts no hour', async () => {
    const { simulator, setup, postern, alice, answer } = await withPush()
    await postern.line(/"event":"push\.sent"/)
    await postern.stop('SIGKILL')
    const anew = await startPostern(setup, { ahead: -HOUR })
    await alice.signIn()
    // Another session has it.
    expect(await alice.api('/api/secondfactor/duo', {})).toMatchObject({ status: 429 })
    await until(async () => {
      await anew.moveClock(250)
      return /"event":"push\.timed-out"/.test(anew.output())
    }, 'the push from before is over')
    const next = alice.api('/api/secondfactor/duo', {})
    await until(() => simulator.pushes().length === 2, 'the phone rings again')
    answer('approve')
    expect(await next).toMatchObject({ status: 200 })
    expect(await alice.gate('two')).toMatchObject({ status: 200 })
  })

  it('row 161: a day ahead: the push is over, and its approval is worth nothing, also once the clock is right again', async () => {
    const { simulator, postern, alice, held, answer } = await withPush()
    await postern.moveClock(DAY)
    expect(await held).toMatchObject({ status: 401 })
    answer('approve')
    expect(await alice.gate('two')).toMatchObject({ status: 401 })
    await postern.moveClock(-DAY)
    expect(await alice.gate('two')).toMatchObject({ status: 401 })
    // Nobody is left stuck by it.
    await alice.signIn()
    expect(await alice.gate('one')).toMatchObject({ status: 200 })
    const again = alice.api('/api/secondfactor/duo', {})
    await until(() => simulator.pushes().at(-1)?.state === 'pending', 'the phone rings again')
    answer('approve')
    expect(await again).toMatchObject({ status: 200 })
  })

  it('row 161: an hour back: the person signs in by it, or Duo ends it after its minute; nobody waits for an hour', async () => {
    const { simulator, postern, alice, held, answer } = await withPush()
    await postern.moveClock(-HOUR)
    answer('approve')
    const first = await held
    expect([200, 401]).toContain(first.status)
    if (first.status !== 200) await alice.signIn()
    const again = alice.api('/api/secondfactor/duo', {})
    await until(
      async () => simulator.pushes().at(-1)?.state === 'pending' || (await alice.gate('two')).status === 200,
      'the phone rings again, or the person is in',
    )
    if (simulator.pushes().at(-1)?.state === 'pending') answer('approve')
    expect((await again).status).toBe(200)
    expect(await alice.gate('two')).toMatchObject({ status: 200 })
  })
})

describe('a clock that jumps while somebody is banned', () => {
  it('row 161: an hour back and right again: the ban is not over early, and it ends', async () => {
    const setup = await setUp()
    const postern = await startPostern(setup)
    const [thief, alice] = [visitor(setup.port), visitor(setup.port)]
    for (let time = 0; time < 3; time += 1) await thief.signIn('alice', 'wrong')
    const refused = async () => expect((await alice.signIn('alice', password)).status).not.toBe(200)
    await refused()
    await postern.moveClock(-HOUR)
    await refused()
    await postern.moveClock(HOUR)
    await refused()
    await postern.moveClock(6 * MINUTE)
    expect(await alice.signIn()).toMatchObject({ status: 200 })
  })
})
