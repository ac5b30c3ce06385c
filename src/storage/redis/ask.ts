import { connectFault, WrongServer } from './faults.ts'
import { type Access, type Address, clientFor, within } from './link.ts'
import { RedisDown, type Reply } from './redis.ts'

interface Question<T> {
  readonly question: readonly string[]
  readonly read: (reply: Reply, node: Address) => T
  /** What a server of another kind answers. */
  readonly wrong?: RegExp
}

/**
 * What the first of these says that answers, over a connection for this question alone.
 * @param what they are, in words
 * @throws {WrongServer} when one is there and is another kind of server; {RedisDown} when none answers
 */
export async function askAny<T>(
  what: string,
  nodes: readonly Address[],
  access: Access,
  { question, read, wrong }: Question<T>,
): Promise<T> {
  const failures: unknown[] = []
  const asked = nodes.map(async node => {
    try {
      return read(await askOne(node, access, question), node)
    } catch (error) {
      const other = error instanceof Error && wrong?.test(error.message)
      failures.push(other ? new WrongServer(`this is no ${what} (${error.message})`) : error)
      throw error
    }
  })
  try {
    return await Promise.any(asked)
  } catch {
    const wrong = failures.find(error => error instanceof WrongServer)
    if (wrong !== undefined) throw wrong
    const faults = failures.map(connectFault)
    const worst = faults.find(({ reason }) => reason !== 'redis-down') ?? faults[0]
    throw new RedisDown(
      worst?.reason ?? 'redis-down',
      `no ${what} answers: ${worst?.message ?? 'there is none'}`,
      worst,
    )
  }
}

async function askOne(node: Address, access: Access, question: readonly string[]): Promise<Reply> {
  const client = clientFor(access, node)
  client.on('error', () => {}) // connect() and the command tell the same
  try {
    const answer = client.connect().then(() => client.sendCommand([...question]))
    return await within(access.timeout, answer)
  } finally {
    client.destroy()
  }
}
