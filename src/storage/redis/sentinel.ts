import { z } from 'zod'
import { connectFault } from './faults.ts'
import { type Access, type Address, clientFor, WrongServer, within } from './link.ts'
import { RedisDown } from './redis.ts'

interface Sentinels {
  readonly name: string
  readonly nodes: readonly Address[]
  /** Theirs, not that of the servers behind them. */
  readonly access: Access
}

/**
 * Where the primary is, as the Sentinel says that answers first. Whether it is one is told by itself, to whoever connects.
 * @throws {WrongServer} when they do not know this name; {RedisDown} when none answers
 */
export async function askSentinels({ name, nodes, access }: Sentinels): Promise<Address> {
  const failures: unknown[] = []
  const asked = nodes.map(async node => {
    try {
      return await askOne(name, node, access)
    } catch (error) {
      failures.push(error)
      throw error
    }
  })
  try {
    return await Promise.any(asked)
  } catch {
    const unknown = failures.find(error => error instanceof WrongServer)
    if (unknown !== undefined) throw unknown
    const faults = failures.map(connectFault)
    const worst = faults.find(({ reason }) => reason !== 'redis-down') ?? faults[0]
    throw new RedisDown(
      worst?.reason ?? 'redis-down',
      `no Sentinel answers: ${worst?.message ?? 'there is none'}`,
      worst,
    )
  }
}

const answer = z.tuple([z.string(), z.string().regex(/^\d+$/)]).nullable()

async function askOne(name: string, node: Address, access: Access): Promise<Address> {
  const client = clientFor(access, node)
  client.on('error', () => {}) // connect() and the command tell the same
  const ask = async () => {
    await client.connect()
    return answer.parse(await client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]))
  }
  try {
    const found = await within(access.timeout, ask())
    if (found === null)
      throw new WrongServer(`the Sentinels know no ${name}: see session.redis.high_availability.sentinel_name`)
    return { host: found[0], port: Number(found[1]) }
  } finally {
    client.destroy()
  }
}
