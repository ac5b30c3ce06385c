import type { Milliseconds } from '../../clock.ts'
import { SECOND } from '../../clock.ts'
import { type Access, type Address, openLink, type ServerFacts, WrongServer } from './link.ts'
import { RedisDown } from './redis.ts'
import type { Servers } from './servers.ts'
import { openWatch } from './watch.ts'

export const HEARTBEAT: Milliseconds = SECOND

/** One server, or whichever of several is the primary at the moment: `where` is asked before each connection. */
export function openPrimary(
  access: Access,
  where: () => Address | Promise<Address>,
  changed: (fault: RedisDown | null) => void,
): Servers {
  const common = { access, where, inspect: refuseOthers }
  const link = openLink({ ...common, heartbeat: HEARTBEAT, changed })
  return {
    send: (_key, args) => link.send(args),
    all: () => [link],
    watch: (beginning, watcher) => openWatch(common, beginning, watcher),
    get fault() {
      return link.fault
    },
    close: link.close,
  }
}

function refuseOthers({ mode, role }: ServerFacts): void {
  if (mode === 'sentinel')
    throw new WrongServer('this is a Sentinel: give it under session.redis.high_availability.nodes')
  if (mode === 'cluster') throw new WrongServer('this is a Cluster: give it under session.redis.cluster.nodes')
  // A replica can be behind, and would show a session that has ended.
  if (role !== 'master') throw new RedisDown('redis-read-only', `its role is ${role}`)
}
