import type { ConnectionOptions } from 'node:tls'
import { type BasicClientSideCache, createClient } from '@redis/client'
import { z } from 'zod'
import { type Milliseconds, SECOND } from '../../clock.ts'
import { asFault, connectFault, replyCode } from './faults.ts'
import { type Argument, RedisDown, type Reply } from './redis.ts'

export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** How to present oneself to each server of one kind. */
export interface Access {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** Null: no TLS. */
  readonly tls: ConnectionOptions | null
  /** For an answer, and for a connection to be ready. */
  readonly timeout: Milliseconds
}

export interface Link {
  /** @throws {RedisDown}; an error reply that is none of Redis' troubles comes as it is */
  send(args: readonly Argument[]): Promise<Reply>
  /** Why it is not up; null: it is. */
  readonly fault: RedisDown | null
  /** Of the server that it is connected to, or was last. */
  readonly address: Address | null
  /** Leaves the server, and asks anew where to go. What is under way fails. */
  leave(why: string): void
  close(): void
}

export interface LinkOptions {
  readonly access: Access
  /** Asked before each attempt, so that a name or a Sentinel can answer otherwise than before. */
  readonly where: () => Address | Promise<Address>
  /** Throws {WrongServer} what must not be talked to. */
  readonly inspect?: (server: ServerFacts) => void
  readonly heartbeat: Milliseconds
  /** A heartbeat was answered that was sent then, by `performance.now()`. */
  readonly heard?: (sentAt: Milliseconds) => void
  /** Told of each change, and of each attempt that failed. */
  readonly changed: (fault: RedisDown | null) => void
  readonly tracking?: BasicClientSideCache
}

const facts = z.object({ version: z.string(), mode: z.string(), role: z.string().default('') })
/** As HELLO tells: `standalone`, `sentinel` or `cluster`; `master`, `replica` or, of a Sentinel, nothing. */
export type ServerFacts = z.infer<typeof facts>

const WAITING_AT_MOST = 10_000
const FIRST_PAUSE: Milliseconds = 50
const LONGEST_PAUSE: Milliseconds = 2 * SECOND
/** So long it has to stay up before a next failure counts as a first one. */
const STEADY_AFTER: Milliseconds = 5 * SECOND

type Client = ReturnType<typeof clientFor>

/** One connection that heals by itself. What is under way when it breaks fails; nothing is queued for a later one, and nothing is sent twice. */
export function openLink(options: LinkOptions): Link {
  const { access, where, changed, heartbeat } = options
  let client: Client | null = null
  let address: Address | null = null
  let fault: RedisDown | null = new RedisDown('redis-down', 'not connected yet')
  let closed = false
  let failures = 0
  let upSince: Milliseconds = 0
  let waiting = 0
  let retry: NodeJS.Timeout | undefined
  let beat: NodeJS.Timeout | undefined

  async function connect(): Promise<void> {
    let fresh: Client | null = null
    try {
      const next = await within(access.timeout, where())
      fresh = clientFor(access, next, options.tracking)
      const own = fresh
      // Without a listener an error would end the process. Before it is up, connect() tells the same.
      own.on('error', error => broken(own, error))
      own.on('end', () => broken(own, new Error('the connection was closed')))
      await within(access.timeout, ready(own))
      if (closed) return own.destroy()
      client = own
      address = next
      fault = null
      upSince = performance.now()
      changed(null)
      schedule(0)
    } catch (error) {
      fresh?.destroy()
      if (!closed) failed(error)
    }
  }

  async function ready(own: Client): Promise<void> {
    await own.connect()
    const server = facts.parse(await own.sendCommand(['HELLO', '3']))
    options.inspect?.(server)
    await own.sendCommand(['PING']) // refused while it loads its data
  }

  function broken(own: Client, error: unknown): void {
    if (own !== client) return
    client = null
    clearTimeout(beat)
    if (performance.now() - upSince > STEADY_AFTER) failures = 0
    // First the state: whoever is told that a command failed finds the link down.
    failed(error)
    own.destroy()
  }

  function failed(error: unknown): void {
    fault = connectFault(error)
    failures++
    const pause = Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
    if (!closed) retry = setTimeout(() => void connect(), pause / 2 + (Math.random() * pause) / 2)
    changed(fault)
  }

  function schedule(after: Milliseconds): void {
    beat = setTimeout(() => void pulse(), after)
  }

  async function pulse(): Promise<void> {
    const own = client
    const sentAt = performance.now()
    try {
      await send(['PING'])
      if (own === client) options.heard?.(sentAt)
    } catch (error) {
      // The first word is Redis' own: it loads its data, or has lost its primary. Nothing is served from it then.
      if (own !== null) broken(own, error)
    }
    if (own !== null && own === client) schedule(heartbeat)
  }

  function send(args: readonly Argument[]): Promise<Reply> {
    const own = client
    if (own === null) return Promise.reject(fault ?? new RedisDown('redis-down', 'closed'))
    if (waiting >= WAITING_AT_MOST) return Promise.reject(new RedisDown('redis-down', `${waiting} commands wait`))
    waiting++
    return new Promise((resolve, reject) => {
      let answered = false
      const done = () => {
        answered = true
        waiting--
        clearTimeout(deadline)
      }
      const late = () => {
        if (!answered) broken(own, new RedisDown('redis-down', `no answer within ${access.timeout} ms`))
      }
      // Whoever held this process up is not Redis: what lies in the socket is read first.
      const deadline = setTimeout(() => setImmediate(late), access.timeout)
      own.sendCommand(args.map(String)).then(
        reply => {
          done()
          resolve(reply)
        },
        error => {
          done()
          const why = asFault(error)
          // Another server may be the primary by now.
          if (replyCode(error) === 'READONLY') broken(own, why)
          reject(own !== client && replyCode(error) === undefined ? (fault ?? why) : why)
        },
      )
    })
  }

  void connect()
  return {
    send,
    get fault() {
      return fault
    },
    get address() {
      return address
    },
    leave(why) {
      if (client !== null) broken(client, new RedisDown('redis-down', why))
    },
    close() {
      closed = true
      clearTimeout(retry)
      clearTimeout(beat)
      fault = new RedisDown('redis-down', 'closed')
      const own = client
      client = null
      own?.destroy()
    },
  }
}

/** A client of node-redis for one connection: it neither queues nor reconnects. */
export function clientFor(access: Access, address: Address, tracking?: BasicClientSideCache) {
  return createClient({
    RESP: 3,
    ...(access.username === undefined ? {} : { username: access.username }),
    ...(access.password === undefined ? {} : { password: access.password }),
    database: access.database,
    name: 'postern',
    disableClientInfo: true, // a command more that an ACL would have to allow
    maintNotifications: 'disabled',
    disableOfflineQueue: true,
    ...(tracking === undefined ? {} : { clientSideCache: tracking }),
    socket: {
      ...(access.tls === null ? {} : { ...access.tls, tls: true as const }),
      ...address,
      connectTimeout: access.timeout,
      reconnectStrategy: false, // a new client for each attempt: this one's state is never taken over
    },
  })
}

/** @throws {RedisDown} when the time is over; the work is not stopped */
export async function within<T>(timeout: Milliseconds, work: T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RedisDown('redis-down', `not ready within ${timeout} ms`)), timeout)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
