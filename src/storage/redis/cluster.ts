import { z } from 'zod'
import { type Milliseconds, SECOND } from '../../clock.ts'
import { askAny } from './ask.ts'
import { asFault, connectFault, replyCode, WrongServer } from './faults.ts'
import { type Access, type Address, type Link, openLink, type ServerFacts } from './link.ts'
import { type Argument, RedisDown, type Reply, type Watch, type Watcher } from './redis.ts'
import type { Servers } from './servers.ts'
import { SLOTS, slotOf } from './slots.ts'
import { type LiveWatch, openWatch } from './watch.ts'

const HEARTBEAT: Milliseconds = SECOND
/** Between two questions who has which slots: while all is well, and while it is not. */
const ASK_AGAIN_AFTER: Milliseconds = 5 * SECOND
const ASK_SOON_AGAIN_AFTER: Milliseconds = SECOND / 4

interface Node {
  readonly name: string
  readonly address: Address
  readonly link: Link
  /** Whether the first attempt to connect has ended. */
  tried: boolean
}

interface Cluster {
  readonly access: Access
  /** Some of its servers, which name the others. */
  readonly seeds: readonly Address[]
  readonly changed: (fault: RedisDown | null) => void
  /** There is a new connection to one of them, over which nothing has been sent yet. */
  readonly renewed: (has: (key: string) => boolean) => void
}

/**
 * The primaries of a Redis Cluster, one connection each. Which of them has a key is learned from whoever answers, again when one of them says that
 * a key has moved, when one is lost, and now and then.
 */
export function openCluster({ access, seeds, changed, renewed }: Cluster): Servers {
  const nodes = new Map<string, Node>()
  const watches = new Set<ReturnType<typeof watchAll>>()
  let owners: readonly (string | undefined)[] = []
  let known: readonly Address[] = seeds
  let unknown: RedisDown | null = new RedisDown('redis-down', 'not connected yet')
  let learning: Promise<void> | null = null
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function fault(): RedisDown | null {
    if (unknown !== null) return unknown
    for (const { link } of nodes.values()) if (link.fault !== null) return link.fault
    return null
  }

  /** Never rejects. One at a time: whoever asks meanwhile gets the same. */
  function learn(): Promise<void> {
    learning ??= learnOnce().finally(() => {
      learning = null
      clearTimeout(timer)
      if (!closed) timer = setTimeout(() => void learn(), fault() === null ? ASK_AGAIN_AFTER : ASK_SOON_AGAIN_AFTER)
    })
    return learning
  }

  async function learnOnce(): Promise<void> {
    try {
      const found = await askAny('server of a Cluster', known, access, {
        question: ['CLUSTER', 'SLOTS'],
        read: readSlots,
        wrong: /cluster support disabled/,
      })
      if (closed) return
      const covered = found.owners.filter(owner => owner !== undefined).length
      unknown = covered === SLOTS ? null : new RedisDown('redis-down', `${SLOTS - covered} slots have no server`)
      owners = found.owners
      known = [...found.all.values(), ...seeds]
      settle(new Map([...found.all].filter(([name]) => found.primaries.has(name))))
    } catch (error) {
      unknown = connectFault(error)
    }
    if (!closed && [...nodes.values()].every(({ tried }) => tried)) changed(fault())
  }

  function settle(primaries: ReadonlyMap<string, Address>): void {
    for (const [name, { link }] of nodes)
      if (!primaries.has(name)) {
        nodes.delete(name)
        link.close()
      }
    for (const [name, address] of primaries) if (!nodes.has(name)) nodes.set(name, join(name, address))
    for (const watch of watches) watch.settle()
  }

  function join(name: string, address: Address): Node {
    const link = openLink({
      access,
      where: () => address,
      inspect: refuseOthers,
      heartbeat: HEARTBEAT,
      changed(lost) {
        node.tried = true
        for (const watch of watches) watch.leave(name)
        if (lost === null) renewed(key => owners[slotOf(key)] === name)
        else void learn()
        if ([...nodes.values()].every(({ tried }) => tried)) changed(fault())
      },
    })
    const node: Node = { name, address, link, tried: false }
    return node
  }

  function ownerOf(key: string): Node {
    const owner = owners[slotOf(key)]
    const node = owner === undefined ? undefined : nodes.get(owner)
    if (node === undefined) throw unknown ?? new RedisDown('redis-down', 'no server has this key')
    return node
  }

  async function send(key: string, args: readonly Argument[]): Promise<Reply> {
    try {
      return await ownerOf(key).link.send(args)
    } catch (error) {
      const code = replyCode(error)
      if (code === 'ASK') return await sendOver(error, args)
      if (code === 'MOVED') {
        // It was not done. Whoever has it now is asked once.
        await learn()
        return await ownerOf(key).link.send(args).catch(refuseToWander)
      }
      if (error instanceof RedisDown) void learn()
      throw error
    }
  }

  /** While a slot moves, its new server answers for a key that the old one has no more. */
  async function sendOver(redirection: unknown, args: readonly Argument[]): Promise<Reply> {
    const name = redirection instanceof Error ? redirection.message.split(' ')[2] : undefined
    const node = name === undefined ? undefined : nodes.get(name)
    if (node === undefined) throw new RedisDown('redis-down', 'a key is moving to an unknown server', redirection)
    // Sent in one go, so that nothing comes between.
    const [, reply] = await Promise.all([node.link.send(['ASKING']), node.link.send(args)]).catch(refuseToWander)
    return reply
  }

  function watchAll(beginning: string, { changed, lost }: Watcher) {
    const parts = new Map<string, LiveWatch>()
    const settle = () => {
      for (const [name, watch] of parts)
        if (!nodes.has(name)) {
          parts.delete(name)
          watch.close()
          lost()
        }
      for (const { name, address, link } of nodes.values())
        if (!parts.has(name)) {
          const where = () => {
            if (link.fault !== null) throw link.fault
            return address
          }
          const write = (key: string) => link.send(['SET', key, 1, 'PX', SECOND])
          const fits = (key: string) => owners[slotOf(key)] === name
          parts.set(
            name,
            openWatch({ access, where, inspect: refuseOthers }, { beginning, write, fits }, { changed, lost }),
          )
        }
    }
    settle()
    return {
      settle,
      leave: (name: string) => parts.get(name)?.leave('its server is looked for'),
      isTrue: () => unknown === null && parts.size > 0 && [...parts.values()].every(watch => watch.isTrue()),
      close() {
        for (const watch of parts.values()) watch.close()
      },
    }
  }

  void learn()
  return {
    send,
    all: () => [...nodes.values()].map(({ link }) => link),
    watch(beginning, watcher): Watch {
      const watch = watchAll(beginning, watcher)
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
      return fault()
    },
    close() {
      closed = true
      clearTimeout(timer)
      for (const watch of watches) watch.close()
      for (const { link } of nodes.values()) link.close()
    },
  }
}

function refuseToWander(error: unknown): never {
  const code = replyCode(error)
  throw code === 'MOVED' || code === 'ASK' ? new RedisDown('redis-down', 'a key is moving', error) : asFault(error)
}

const member = z.tuple([z.string().nullable(), z.int(), z.string()]).rest(z.unknown())
const slotsReply = z.array(z.tuple([z.int(), z.int(), member]).rest(member))

interface Slots {
  /** Of each slot, by name: `10.0.0.1:6379`. */
  readonly owners: readonly (string | undefined)[]
  readonly primaries: ReadonlySet<string>
  readonly all: ReadonlyMap<string, Address>
}

function readSlots(reply: Reply, asked: Address): Slots {
  const owners = new Array<string | undefined>(SLOTS).fill(undefined)
  const all = new Map<string, Address>()
  // Whoever does not know its own address leaves it out.
  const own = 'host' in asked ? asked.host : 'localhost'
  const enter = ([host, port]: z.infer<typeof member>) => {
    const address = { host: host || own, port }
    const name = `${address.host}:${port}`
    all.set(name, address)
    return name
  }
  for (const [first, last, primary, ...replicas] of slotsReply.parse(reply)) {
    owners.fill(enter(primary), first, last + 1)
    for (const replica of replicas) enter(replica)
  }
  return { owners, all, primaries: new Set(owners.filter(owner => owner !== undefined)) }
}

function refuseOthers({ mode, role }: ServerFacts): void {
  if (mode !== 'cluster') throw new WrongServer(`this is no server of a Cluster (${mode})`)
  if (role !== 'master') throw new RedisDown('redis-read-only', `its role is ${role}`)
}
