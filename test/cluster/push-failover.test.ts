import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { lines, visitor } from '../faults/visitor.ts'
import { duoKeys, setUp } from '../support/postern.ts'
import { type Cleanup, node, projectRoot, start, until } from '../support/process.ts'
import { startSentinels } from '../support/redis.ts'

/** A primary with a replica and three Sentinels, two Posterns, and alice, who is signed in and whose session the replica has. */
async function house({ onTestFinished: cleanup }: { onTestFinished: Cleanup }) {
  const sentinels = await startSentinels({ cleanup })
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
  cleanup(() => simulator.close())
  const nodes = sentinels.ports.map(port => `{ host: 127.0.0.1, port: ${port} }`).join(', ')
  const session = `redis: { high_availability: { sentinel_name: ${sentinels.name}, nodes: [${nodes}] } }`
  const postern = async () => {
    const setup = await setUp({ session, duo: simulator }, cleanup)
    const running = start(node, [join(projectRoot, 'dist/main.js'), 'serve', '--config', setup.configFile], { cleanup })
    await running.line(/"msg":"serving"/)
    return { ...running, port: setup.port }
  }
  const posterns = [await postern(), await postern()] as const
  const [first, second] = sentinels.servers
  if (first === undefined || second === undefined) throw new Error('two')

  /** Whether the replica has all that was written until now. */
  const isReplicated = async () => {
    const offset = async (of: typeof first, name: string) =>
      new RegExp(`${name}:(\\d+)`).exec(await of.ask('INFO', 'replication'))?.[1]
    const written = await offset(first, 'master_repl_offset')
    return Number(await offset(second, 'slave_repl_offset')) >= Number(written)
  }
  const alice = visitor(posterns[0].port)
  await alice.signIn()
  await until(isReplicated, 'the replica has the session')
  return {
    first,
    second,
    simulator,
    alice,
    isReplicated,
    /** The other Postern, and the same browser. */
    elsewhere() {
      const one = visitor(posterns[1].port)
      one.cookie = alice.cookie
      return one
    },
    /** Until nobody else may know of the push, the phone has it. */
    async ring(who = alice) {
      const before = simulator.pushes().length
      const held = who.api('/api/secondfactor/duo', {})
      held.catch(() => {})
      await until(() => simulator.pushes()[before]?.state === 'pending', 'the phone rings')
      await until(() => count(/"event":"push\.sent"/) === before + 1, 'it is written down')
      return { held, approve: () => simulator.answer(simulator.pushes()[before]?.id ?? '', 'approve') }
    },
    /** What is written from here on is lost with the primary. */
    async cutOff() {
      second.freeze()
      await first.ask('CLIENT', 'KILL', 'TYPE', 'replica')
    },
    isPromoted: () =>
      until(async () => (await second.ask('ROLE').catch(() => '')).startsWith('master'), 'it is promoted', 20_000),
    count,
  }

  function count(pattern: RegExp): number {
    return posterns.reduce((sum, { output }) => sum + lines(output(), pattern), 0)
  }
}

const allowed = /"event":"push\.allowed"/
const raised = /"event":"level\.raised"/

describe.concurrent('a push while Redis fails over', () => {
  it('row 154: the primary is killed while the phone rings: the same push lets the person in', async context => {
    const { first, alice, ring, isReplicated, isPromoted, simulator, count, elsewhere } = await house(context)
    const { held, approve } = await ring()
    await until(isReplicated, 'the replica has the push')
    await first.kill()
    await isPromoted()
    approve()
    expect(await held).toMatchObject({ status: 200 })
    expect(await alice.gate('two')).toMatchObject({ status: 200 })
    await until(async () => (await elsewhere().gate('two')).status === 200, 'the other Postern has found it')
    expect(simulator.pushes()).toHaveLength(1)
    expect([count(allowed), count(raised)]).toEqual([1, 1])
  }, 40_000)

  it('row 154: the primary stands still, and the phone says yes before there is another; awake again it changes nothing', async context => {
    const { first, alice, ring, isReplicated, isPromoted, simulator, count, elsewhere } = await house(context)
    const { held, approve } = await ring()
    await until(isReplicated, 'the replica has the push')
    first.freeze()
    approve()
    await isPromoted()
    expect(await held).toMatchObject({ status: 200 })
    first.thaw()
    for (const one of [alice, elsewhere()]) {
      await until(async () => (await one.gate('two')).status === 200, 'the person is in')
      await one.api('/api/secondfactor/duo', {})
    }
    expect(simulator.pushes()).toHaveLength(1)
    expect([count(allowed), count(raised)]).toEqual([1, 1])
  }, 40_000)

  it('row 156: the replica never had the push: its approval lets nobody in, the person is told, and the next one does', async context => {
    const { first, second, alice, ring, cutOff, isPromoted, count } = await house(context)
    await cutOff()
    const { held, approve } = await ring()
    await first.kill()
    second.thaw()
    await isPromoted()
    approve()
    expect([401, 503]).toContain((await held).status)
    await until(async () => (await alice.gate('one')).status === 200, 'the gate is open')
    expect(await alice.gate('two')).toMatchObject({ status: 401 })
    const next = await ring()
    next.approve()
    expect(await next.held).toMatchObject({ status: 200 })
    expect(await alice.gate('two')).toMatchObject({ status: 200 })
    expect([count(allowed), count(raised)]).toEqual([1, 1])
  }, 40_000)

  it('row 156: the replica never had the rise of the level: the approval is taken no second time, and a new sign-in is not held up', async context => {
    const { first, second, alice, ring, isReplicated, cutOff, isPromoted, count, elsewhere } = await house(context)
    const old = elsewhere()
    expect(await old.gate('one')).toMatchObject({ status: 200 })
    const { held, approve } = await ring()
    await until(isReplicated, 'the replica has the push')
    await cutOff()
    approve()
    expect(await held).toMatchObject({ status: 200 })
    await first.kill()
    second.thaw()
    await isPromoted()
    await until(async () => (await old.gate('one')).status === 401, 'what was replaced stays over', 20_000)
    expect((await old.api('/api/secondfactor/duo', {})).status).not.toBe(200)
    expect([count(allowed), count(raised)]).toEqual([1, 1])
    expect(await alice.gate('two')).not.toMatchObject({ status: 200 })
    await until(async () => (await alice.signIn()).status === 200, 'one can sign in')
    // Nobody follows the push from before: it is in the way until it was silent for as long as a lease.
    await until(() => count(/"event":"push\.failed"/) === 1, 'it is taken over', 20_000)
    const next = await ring()
    next.approve()
    expect(await next.held).toMatchObject({ status: 200 })
    expect(await alice.gate('two')).toMatchObject({ status: 200 })
  }, 60_000)
})
