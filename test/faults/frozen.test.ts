import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { duoKeys, setUp, startPostern } from '../support/postern.ts'
import { freeze, until } from '../support/process.ts'
import { beside } from './two.ts'
import { lines, visitor } from './visitor.ts'

/** Two processes on one file, and a push that the first of them sent and follows. */
async function twoAndAPush() {
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
  onTestFinished(() => simulator.close())
  const setup = await setUp({ duo: simulator })
  const there = await beside(setup)
  const first = await startPostern(setup)
  const second = await startPostern(there)
  // However the test ends, a frozen process takes no other signal but the one that nobody can refuse.
  onTestFinished(() => void first.child.kill('SIGCONT'))
  const alice = visitor(setup.port)
  await alice.signIn()
  const old = alice.cookie
  const held = alice.api('/api/secondfactor/duo', {})
  held.catch(() => {})
  await until(() => simulator.pushes()[0]?.state === 'pending', 'the phone rings')
  await first.line(/"event":"push\.sent"/) // until then nobody else may know of it
  const elsewhere = visitor(there.port)
  elsewhere.cookie = old
  const database = new DatabaseSync(join(setup.folder, 'postern.sqlite3'), { timeout: 200 })
  onTestFinished(() => database.close())
  // From then on what Duo gives goes to it.
  await until(() => simulator.isAsked(simulator.pushes()[0]?.id ?? ''), 'Duo is asked')
  /** Not in the middle of a write: SQLite's lock would be frozen with it, and nobody could write at all. */
  async function freezeOutsideOfWrites(): Promise<void> {
    for (;;) {
      freeze(first.child.pid)
      try {
        database.exec('BEGIN IMMEDIATE; ROLLBACK')
        return
      } catch {
        first.child.kill('SIGCONT')
        await pause(20)
      }
    }
  }
  /** Moves the clock of the second on, step by step, until it has seen for as long as a lease lasts that nobody renews it. */
  async function takeOver(): Promise<void> {
    const holder = () => database.prepare('select lease_holder from postern_pushes').get()?.lease_holder
    const before = holder()
    await until(async () => {
      await second.moveClock(250)
      return holder() !== before
    }, 'the second takes it over')
  }
  const isOver = () => database.prepare('select ended_at from postern_pushes').get()?.ended_at !== null
  return { simulator, first, second, alice, elsewhere, old, held, freezeOutsideOfWrites, takeOver, isOver }
}

const allowed = (output: string) => lines(output, /"event":"push\.allowed"/)

describe('a process that is frozen while it holds the lease of a push', () => {
  it('row 125: another one takes the push over and lets the person in; the first, awake again, changes nothing of it', async () => {
    const { simulator, first, second, alice, elsewhere, old, held, freezeOutsideOfWrites, takeOver } =
      await twoAndAPush()
    simulator.setPolicy({ deliver: 'again' }) // what Duo gave to a connection that nobody reads is lost else: the next test
    await freezeOutsideOfWrites()
    await takeOver()
    const claimed = elsewhere.api('/api/secondfactor/duo', {})
    simulator.answer(simulator.pushes()[0]?.id ?? '', 'approve')
    expect(await claimed).toMatchObject({ status: 200 })
    expect(await elsewhere.gate('two')).toMatchObject({ status: 200 })

    first.child.kill('SIGCONT')
    expect(await held).toMatchObject({ status: 401 })
    expect(simulator.pushes()).toHaveLength(1)
    expect(allowed(first.output()) + allowed(second.output())).toBe(1)
    // The session that the push belonged to is gone in both; the raised one lives in both.
    alice.cookie = old
    expect(await alice.gate('one')).toMatchObject({ status: 401 })
    alice.cookie = elsewhere.cookie
    expect(await alice.gate('two')).toMatchObject({ status: 200 })
    expect(await elsewhere.gate('two')).toMatchObject({ status: 200 })
  })

  it('row 125: an answer that Duo gave to the frozen one is lost: that push lets nobody in, and the next one does', async () => {
    const { simulator, second, elsewhere, freezeOutsideOfWrites, takeOver, isOver } = await twoAndAPush()
    await freezeOutsideOfWrites()
    simulator.answer(simulator.pushes()[0]?.id ?? '', 'approve')
    await takeOver()
    // Duo's minute and what it is listened to after it.
    await second.moveClock(75_000)
    await until(isOver, 'the first push is over')
    expect(await elsewhere.gate('two')).toMatchObject({ status: 401 })
    const next = elsewhere.api('/api/secondfactor/duo', {})
    await until(() => simulator.pushes()[1]?.state === 'pending', 'the phone rings again')
    simulator.answer(simulator.pushes()[1]?.id ?? '', 'approve')
    expect(await next).toMatchObject({ status: 200 })
    expect(await elsewhere.gate('two')).toMatchObject({ status: 200 })
  })

  it('row 125: what was revoked meanwhile is not let in by it when it wakes', async () => {
    const { first, alice, elsewhere, old, held, freezeOutsideOfWrites, takeOver } = await twoAndAPush()
    expect(await alice.gate('one')).toMatchObject({ status: 200 })
    await freezeOutsideOfWrites()
    await takeOver()
    expect(await elsewhere.api('/api/logout', {})).toMatchObject({ status: 200 })
    first.child.kill('SIGCONT')
    alice.cookie = old
    expect(await alice.gate('one')).toMatchObject({ status: 401 })
    expect(await held).toMatchObject({ status: 401 })
  })
})
