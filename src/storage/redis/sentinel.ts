import { z } from 'zod'
import { askAny } from './ask.ts'
import { WrongServer } from './faults.ts'
import type { Access, Address } from './link.ts'

interface Sentinels {
  readonly name: string
  readonly nodes: readonly Address[]
  /** Theirs, not that of the servers behind them. */
  readonly access: Access
}

const answer = z.tuple([z.string(), z.string().regex(/^\d+$/)]).nullable()

/**
 * Where the primary is, as the Sentinel says that answers first. Whether it is one is told by itself, to whoever connects.
 * @throws {WrongServer} when they do not know this name; {RedisDown} when none answers
 */
export function askSentinels({ name, nodes, access }: Sentinels): Promise<Address> {
  return askAny('Sentinel', nodes, access, {
    question: ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name],
    read(reply) {
      const found = answer.parse(reply)
      if (found === null)
        throw new WrongServer(`the Sentinels know no ${name}: see session.redis.high_availability.sentinel_name`)
      return { host: found[0], port: Number(found[1]) }
    },
  })
}
