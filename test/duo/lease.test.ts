import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Push } from '../../src/duo/push.ts'
import { sealOf } from '../../src/duo/push-records.ts'
import { freeze, node, start, until } from '../support/process.ts'
import { type Opened, openHouse } from './house.ts'
import { outlast } from './outlast.ts'
import { facts, owner } from './people.ts'
import { fail, ok, scripted } from './scripted-duo.ts'

const alice = owner('alice')
const never = new AbortController().signal
/** What the log says of a push that was lost to another process. */
const letGo = 'another process follows it by now'
const kinds = (...duos: Opened[]) => duos.flatMap(duo => duo.events.map(({ event }) => event))

function database(file: string) {
  const open = new DatabaseSync(file, { timeout: 1_000 })
  onTestFinished(() => open.close())
  return open
}

/** The one push of the file, as Postern would have written it in this state. */
function rewrite(db: DatabaseSync, change: (push: Push) => Push): void {
  const row = db.prepare('select id, session_key, username, state from postern_pushes').get()
  if (row === undefined) throw new Error('no push')
  const of = { id: String(row.id), sessionKey: String(row.session_key), username: String(row.username) }
  const seal = sealOf('x'.repeat(20))
  const content = seal.open(of, String(row.state))
  db.prepare('update postern_pushes set state = ?').run(seal.close(of, { ...content, push: change(content.push) }))
}

describe('a push whose process is gone', () => {
  it('row 125: is followed by another process once the lease is over, and approved there', async () => {
    const house = await openHouse()
    const [first, second] = [await house.open(), await house.open()]
    await first.start(alice, undefined, facts())
    await until(async () => (await second.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    const seq = (await second.newest(alice.sessionKey))?.seq ?? 0
    await first.crash()
    // Answered earlier, Duo's answer could still go to the one that is gone.
    await outlast(house, async () => ((await second.newest(alice.sessionKey))?.seq ?? 0) > seq, 'it was taken over')
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', 'approve')
    await until(async () => (await second.newest(alice.sessionKey))?.state === 'allowed', 'it is allowed')
    expect(await second.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
    expect(kinds(second)).toEqual(['push.allowed'])
  })

  it('row 125: whose answer was fetched and never written ends as failed, and is no longer in the way', async () => {
    const house = await openHouse()
    let deliver = () => {}
    let delivered = false
    const told = await scripted((_, socket, count) => {
      if (count === 1) return void socket.write(ok({ result: 'waiting', status: 'pushed', status_msg: 'Pushed.' }))
      if (delivered) return void socket.write(fail(40002, 'Invalid request parameters', 'txid'))
      deliver = () => {
        delivered = true
        socket.write(ok({ result: 'allow', status: 'allow', status_msg: 'Success.' }))
      }
    })
    const first = await house.open(told)
    await first.start(alice, undefined, facts())
    await until(() => told.polls() === 2, 'it waits for the phone')
    const db = database(house.file)
    db.exec('begin immediate') // nobody can write: the answer is heard, and stays unwritten
    deliver()
    await until(() => told.polls() === 2 && delivered, 'Duo has answered')
    await first.crash()
    db.exec('rollback')
    const second = await house.open(told)
    await outlast(house, async () => (await second.newest(alice.sessionKey))?.state === 'failed', 'it failed')
    expect(await second.claim(alice.sessionKey)).toBeNull()
    expect(kinds(first, second)).toEqual(['push.sent', 'push.failed'])
    expect(await second.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
  })

  it('row 125: that was killed between asking Duo and its answer ends as failed, with a pause', async () => {
    const house = await openHouse()
    const first = await house.open()
    await first.start(alice, undefined, facts())
    await first.crash()
    const db = database(house.file)
    // As it stands in the file while /auth is under way.
    db.exec('update postern_pushes set txid_hash = null')
    rewrite(db, push => ({ ...push, state: 'sending', upstream: { at: 'sending' } }))
    const second = await house.open()
    await outlast(house, async () => (await second.newest(alice.sessionKey))?.state === 'failed', 'it failed')
    expect(await second.start(alice, undefined, facts())).toMatchObject({ outcome: 'paused' })
    expect(kinds(second)).toEqual(['push.failed', 'push.held'])
  })

  it('row 125: what a late holder learns is refused, though it knows nothing of having lost the lease', async () => {
    const house = await openHouse()
    const [first, second] = [await house.open(), await house.open()]
    await first.start(alice, undefined, facts())
    await until(async () => (await first.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    const db = database(house.file)
    // The first one stood still for a minute, as it were: another has the lease now.
    db.exec(
      `update postern_pushes set lease_holder = 'run_another', version = version + 1, lease_until = ${house.now + 1e9}`,
    )
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', 'approve')
    await until(() => first.lines.some(line => line.includes(letGo)), 'the first has heard it')
    expect(house.simulator.pushes()[0]).toMatchObject({ state: 'approved' })
    expect(await second.newest(alice.sessionKey)).toMatchObject({ state: 'waiting' })
    expect(await first.claim(alice.sessionKey)).toBeNull()
    expect(kinds(first, second)).toEqual(['push.sent'])
  })

  it('row 125: a fraud report is acted on by whoever takes over when the first one died before it could', async () => {
    const house = await openHouse()
    const first = await house.open()
    await first.start(alice, undefined, facts())
    await first.crash()
    const db = database(house.file)
    rewrite(db, push => ({ ...push, state: 'fraud', endedAt: 1, upstream: { at: 'reporting' } }))
    db.exec('update postern_pushes set ended_at = 1, lease_until = 0')
    const second = await house.open()
    await until(() => second.frauds.length === 1, 'the fraud is told')
    await until(
      () => database(house.file).prepare('select lease_until from postern_pushes').get()?.lease_until === null,
      'it is over',
    )
    expect(second.frauds).toEqual(['alice'])
  })

  it('is given back at a restart, and goes on at once', async () => {
    const house = await openHouse()
    const first = await house.open()
    await first.start(alice, undefined, facts())
    await first.close()
    const second = await house.open()
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', 'approve')
    await until(async () => (await second.newest(alice.sessionKey))?.state === 'allowed', 'it is allowed')
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('that cannot be read is dropped: it lets nobody in, and stands in nobody’s way', async () => {
    const house = await openHouse()
    const first = await house.open()
    await first.start(alice, undefined, facts())
    await first.crash()
    database(house.file).exec(
      `update postern_pushes set lease_until = 0, state = json_set(state, '$.push.state', 'ALLOWED')`,
    )
    const second = await house.open()
    await until(() => database(house.file).prepare('select 1 from postern_pushes').get() === undefined, 'it is gone')
    expect(await second.claim(alice.sessionKey)).toBeNull()
    expect(await second.start(alice, undefined, facts())).toMatchObject({ outcome: 'started' })
  })

  it('row 125: a real process, killed with SIGKILL while the phone rings', async () => {
    const house = await openHouse({ now: Date.now() })
    const ticking = setInterval(() => {
      house.now += 100
    }, 100)
    onTestFinished(() => clearInterval(ticking))
    const survivor = await house.open()
    const args = [house.file, String(house.simulator.apiPort), house.caFile]
    const child = start(node, [join(import.meta.dirname, 'follow-elsewhere.ts'), ...args])
    await child.line(/^started$/m)
    const watching = survivor.change(alice.sessionKey, 0, 5_000, never)
    expect(await watching).toMatchObject({ state: 'waiting' })
    await until(async () => (await survivor.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    const seq = (await survivor.newest(alice.sessionKey))?.seq ?? 0
    expect(await child.stop('SIGKILL')).toBe('SIGKILL')
    await outlast(house, async () => ((await survivor.newest(alice.sessionKey))?.seq ?? 0) > seq, 'it was taken over')
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', 'approve')
    await until(async () => (await survivor.newest(alice.sessionKey))?.state === 'allowed', 'it is allowed')
    expect(await survivor.claim(alice.sessionKey)).toMatchObject({ how: 'push' })
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('row 125: a real process that stands still, loses its lease and hears the approval afterwards writes nothing', async () => {
    const house = await openHouse({ now: Date.now() })
    const survivor = await house.open()
    const args = [house.file, String(house.simulator.apiPort), house.caFile]
    const child = start(node, [join(import.meta.dirname, 'follow-elsewhere.ts'), ...args])
    await child.line(/^started$/m)
    await until(async () => (await survivor.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    const seq = (await survivor.newest(alice.sessionKey))?.seq ?? 0
    const pid = child.child.pid ?? 0
    freeze(pid)
    await outlast(house, async () => ((await survivor.newest(alice.sessionKey))?.seq ?? 0) > seq, 'it was taken over')
    // Of the two that ask, Duo answers the first: the one that stands still.
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', 'approve')
    process.kill(pid, 'SIGCONT')
    await child.line(new RegExp(letGo))
    expect(child.output()).not.toMatch(/push\.(allowed|failed|timed-out)/)
    house.now += 60_000
    // Timed out where the other one was asking already, failed where it was told that Duo knows the transaction no more.
    await until(async () => (await survivor.newest(alice.sessionKey))?.state !== 'waiting', 'it is over')
    expect((await survivor.newest(alice.sessionKey))?.state).toMatch(/^(timed-out|failed)$/)
    expect(await survivor.claim(alice.sessionKey)).toBeNull()
  })
})

describe('watching', () => {
  it('hears of a change in another process within 300 ms, and in its own at once', async () => {
    const house = await openHouse()
    const [first, second] = [await house.open(), await house.open()]
    await first.start(alice, undefined, facts())
    await until(async () => (await second.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    const seq = (await second.newest(alice.sessionKey))?.seq ?? 0
    const there = second
      .change(alice.sessionKey, seq, 5_000, never)
      .then(push => [push?.state, performance.now()] as const)
    const here = first
      .change(alice.sessionKey, seq, 5_000, never)
      .then(push => [push?.state, performance.now()] as const)
    await new Promise(resolve => setImmediate(resolve))
    await first.cancel(alice.sessionKey)
    const before = performance.now()
    const [[hereState, hereAt], [thereState, thereAt]] = await Promise.all([here, there])
    expect([hereState, thereState]).toEqual(['cancelled', 'cancelled'])
    // Loosely: the machine may be busy. It is one look each 250 ms.
    expect(hereAt - before).toBeLessThan(200)
    expect(thereAt - before).toBeLessThan(1_000)
  })

  it('row 134: however many watch, Duo is asked by one; who leaves is let go, and too many are answered early', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    await until(async () => (await duo.newest(alice.sessionKey))?.said !== '', 'Duo said something')
    const seq = (await duo.newest(alice.sessionKey))?.seq ?? 0
    const stop = new AbortController()
    let answered = 0
    const watching = Array.from({ length: 1_000 }, () =>
      duo.change(alice.sessionKey, seq, 60_000, stop.signal).then(() => {
        answered += 1
      }),
    )
    await until(() => answered === 980, 'twenty are left')
    stop.abort()
    await Promise.all(watching)
    expect(await duo.newest(alice.sessionKey)).toMatchObject({ state: 'waiting', seq })
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('answers at once when there is no push, when it is over, and when no time is left', async () => {
    const house = await openHouse()
    const duo = await house.open()
    expect(await duo.change(alice.sessionKey, 0, 60_000, never)).toBeNull()
    await duo.start(alice, undefined, facts())
    expect(await duo.change(alice.sessionKey, 1_000, 0, never)).toMatchObject({ state: 'waiting' })
    await duo.cancel(alice.sessionKey)
    expect(await duo.change(alice.sessionKey, 1_000, 60_000, never)).toMatchObject({ state: 'cancelled' })
  })

  it('ends with the server', async () => {
    const house = await openHouse()
    const duo = await house.open()
    await duo.start(alice, undefined, facts())
    const watching = duo.change(alice.sessionKey, 1_000, 60_000, never)
    await new Promise(resolve => setImmediate(resolve)) // it waits now
    await duo.close()
    expect(await watching).toMatchObject({ state: 'waiting' })
  })
})
