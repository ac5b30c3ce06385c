import { type Milliseconds, SECOND } from '../../clock.ts'
import { WrongServer } from './faults.ts'
import { type Access, type Address, openLink, type ServerFacts } from './link.ts'
import { RedisDown } from './redis.ts'
import type { Servers } from './servers.ts'
import { type LiveWatch, openWatch } from './watch.ts'

const HEARTBEAT: Milliseconds = SECOND
/** Between two questions whether the primary is still another's: one that nobody can reach any more may still take writes from here. */
const ASK_AGAIN_AFTER: Milliseconds = 5 * SECOND

interface Primary {
  readonly access: Access
  /** Asked before each connection. */
  readonly where: () => Address | Promise<Address>
  /** Whether the answer may change while the connection stands: Sentinels. */
  readonly moves: boolean
  readonly changed: (fault: RedisDown | null) => void
  /** There is a new connection, over which nothing has been sent yet. */
  readonly renewed: (has: (key: string) => boolean) => void
}

/** One server, or whichever of several is the primary at the moment. */
export function openPrimary({ access, where, moves, changed, renewed }: Primary): Servers {
  const watches = new Set<LiveWatch>()
  const link = openLink({
    access,
    where,
    inspect: refuseOthers,
    heartbeat: HEARTBEAT,
    changed(fault) {
      // A watch belongs to the server that the commands go to.
      for (const watch of watches) watch.leave('the primary is looked for')
      if (fault === null) renewed(() => true)
      changed(fault)
    },
  })
  const asking = moves ? setInterval(() => void leaveTheFormer(), ASK_AGAIN_AFTER) : undefined

  async function leaveTheFormer(): Promise<void> {
    const { address } = link
    try {
      const now = await where()
      if (link.address === address && JSON.stringify(now) !== JSON.stringify(address))
        link.leave('another server is the primary now')
    } catch {
      // No Sentinel answers: the connection goes on for as long as it is good.
    }
  }

  return {
    send: (_key, args) => link.send(args),
    all: () => [link],
    watch(beginning, watcher) {
      const there = () => {
        if (link.fault !== null || link.address === null)
          throw link.fault ?? new RedisDown('redis-down', 'not connected')
        return link.address
      }
      const write = (key: string) => link.send(['SET', key, 1, 'PX', SECOND])
      const watch = openWatch({ access, where: there, inspect: refuseOthers }, { beginning, write }, watcher)
      watches.add(watch)
      return {
        isTrue: watch.isTrue,
        close() {
          watches.delete(watch)
          watch.close()
        },
      }
    },
    get fault() {
      return link.fault
    },
    close() {
      clearInterval(asking)
      for (const watch of watches) watch.close()
      link.close()
    },
  }
}

function refuseOthers({ mode, role }: ServerFacts): void {
  if (mode === 'sentinel')
    throw new WrongServer('this is a Sentinel: give it under session.redis.high_availability.nodes')
  if (mode === 'cluster') throw new WrongServer('this is a Cluster: give it under session.redis.cluster.nodes')
  // A replica can be behind, and would show a session that has ended.
  if (role !== 'master') throw new RedisDown('redis-read-only', `its role is ${role}`)
}
