import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../support/process.ts'
import { startSentinels } from '../support/redis.ts'
import { postern } from './redis-faults.ts'

async function house() {
  const sentinels = await startSentinels({ cleanup: onTestFinished })
  const nodes = sentinels.ports.map(port => `{ host: 127.0.0.1, port: ${port} }`).join(', ')
  const keys = `high_availability: { sentinel_name: ${sentinels.name}, nodes: [${nodes}] }`
  const [first, second] = sentinels.servers
  const keysIn = async () => Number(await second?.ask('DBSIZE'))
  return {
    sentinels,
    first,
    second,
    keysIn,
    doors: [await postern(keys, onTestFinished), await postern(keys, onTestFinished)] as const,
  }
}

describe('gates whose Redis fails over', () => {
  it('row 154: the primary dies: closed until the Sentinels have another, then whoever was signed in is in again', async () => {
    const { first, doors, keysIn } = await house()
    const [door, other] = doors
    const cookie = await door.alice()
    expect((await other.gate('one', cookie)).status).toBe(200)
    await until(async () => (await keysIn()) > 2, 'it is replicated')
    await first?.kill()
    await door.closes(cookie)
    expect(await door.gate('one', cookie)).toMatchObject({ status: 503, location: undefined })
    expect((await door.gate('public', cookie)).status).toBe(200)
    await door.opens(cookie)
    await other.opens(cookie)
    for (const { lines } of doors)
      expect(lines().filter(({ level, reason }) => level === 'error' && reason?.startsWith('redis-'))).toHaveLength(1)
  }, 40_000)

  it('row 156: who signed out, as the last thing that the primary did before it died unreplicated, stays out on every Postern', async () => {
    const { first, second, doors, keysIn } = await house()
    const [door, other] = doors
    const leaver = await door.alice()
    const stayer = await door.alice()
    expect((await other.gate('one', leaver)).status).toBe(200)
    await until(async () => (await keysIn()) > 4, 'both sessions are replicated')
    second?.freeze()
    await first?.ask('CLIENT', 'KILL', 'TYPE', 'replica')
    expect((await door.signOut(leaver)).status).toBe(200)
    await first?.kill()
    second?.thaw()
    for (const { gate } of doors) {
      await until(async () => (await gate('one', stayer)).status === 200, 'whoever stayed is let in', 20_000)
      await until(async () => (await gate('one', leaver)).status === 302, 'whoever left is nobody', 3_000)
    }
    expect(await second?.ask('KEYS', 'postern:session-ended:*')).not.toBe('')
  }, 40_000)
})
