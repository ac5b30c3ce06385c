// A Postern of its own for soak.test.ts, as far as sessions and pushes go: it does what its parent asks over IPC, and its clock is moved so.
import { pino } from 'pino'
import { redis as redisKeys } from '../../src/config/redis.ts'
import { configSchema } from '../../src/config/schema.ts'
import { openDuo } from '../../src/duo/open-duo.ts'
import { Unavailable } from '../../src/problems/unavailable.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import type { Session } from '../../src/session/session.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { openRedis } from '../../src/storage/redis/open-redis.ts'
import { duoConfig, facts, push, unregulated } from './people.ts'

export type FromParent =
  | { readonly id: number; readonly call: keyof Calls; readonly args: readonly unknown[] }
  | { readonly ahead: number }
  /** Whoever waited for this call is gone. */
  | { readonly gone: number }
export type ToParent =
  | { readonly ready: true }
  | { readonly id: number; readonly value?: unknown }
  /** `unavailable`: a store did not answer in time; a browser is told 503. */
  | { readonly id: number; readonly error: string; readonly unavailable: boolean }
export type Calls = typeof calls

const [file = '', port = '', caFile = '', begun = '0', redisPort = ''] = process.argv.slice(2)
let ahead = Number(begun)
const clock = () => Date.now() + ahead
const log = pino({ level: 'silent' })
const audit = () => {}
const config = configSchema.shape.session.parse({
  secret: 'the secret of these tests, and of no server',
  cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
})
const [domain] = config.cookies
if (domain === undefined) throw new Error('no domain')
const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path: file } }, { log })
const redis =
  redisPort === ''
    ? null
    : await openRedis(redisKeys.parse({ host: '127.0.0.1', port: Number(redisPort) }), { clock, log })
const sessions = await openSessions({ config, storage, redis, clock, log, audit })
const guard = {
  first_pause: '1s',
  longest_pause: '2s',
  fraud_lock: '2s',
  pushes_per_user: 10_000,
  pushes_per_address: 100_000,
  pushes_in_all: 1_000_000,
}
const duo = await openDuo({
  config: duoConfig({ hostname: `localhost:${port}`, ca_file: caFile, guard }),
  application: 'Postern',
  encryptionKey: 'x'.repeat(20),
  people: unregulated,
  storage,
  redis,
  clock,
  log,
  audit,
})
duo.onFraud(async username => void (await sessions.endAllOf(username)))
const waiting = new Map<number, AbortController>()

const calls = {
  /** @param mark stays in the session, whatever becomes of it */
  async signIn(_id: number, username: string, mark: string): Promise<Session> {
    const login = { username, credential: mark, remember: false, browser: mark, ip: undefined }
    return (await sessions.start(domain, login, null)).session
  },
  start: async (_id: number, username: string, key: string, device: string) =>
    (
      await duo.start(
        { sessionKey: key, username, displayName: username, email: undefined },
        push(device),
        facts({ browser: key, at: clock() }),
      )
    ).outcome,
  state: async (_id: number, key: string) => (await duo.newest(key))?.state ?? null,
  async watch(id: number, key: string, within: number): Promise<void> {
    const gone = new AbortController()
    waiting.set(id, gone)
    await duo.change(key, 0, within, gone.signal)
    waiting.delete(id)
  },
  cancel: (_id: number, key: string) => duo.cancel(key),
  /** As the portal does it: whether this session is at level 2 now. */
  async claim(_id: number, session: Session): Promise<boolean> {
    const claimed = await duo.claim(session.key)
    if (claimed === null) return false
    return (await sessions.raise(session, { how: 'push', at: clock(), said: '' })) !== 'ended'
  },
  /** What was given as `credential`, of all sessions at level 2. */
  async level2(_id: number): Promise<string[]> {
    const all = await sessions.listAll(100_000)
    return all.flatMap(({ session }) => (session.level === 2 ? [session.credential] : []))
  },
  async signOut(_id: number, session: Session): Promise<void> {
    await duo.cancel(session.key)
    await sessions.end(session)
  },
}

const send = (message: ToParent) => void (process.connected && process.send?.(message))

async function answer({ id, call, args }: Extract<FromParent, { call: unknown }>): Promise<void> {
  try {
    // What the parent sends is typed there, by the same table.
    const asked = calls[call] as (id: number, ...args: readonly unknown[]) => Promise<unknown>
    send({ id, value: await asked(id, ...args) })
  } catch (error) {
    send({ id, error: String(error), unavailable: error instanceof Unavailable })
  }
}

const underway = new Set<Promise<void>>()

process.on('message', (message: FromParent) => {
  if ('ahead' in message) ahead = message.ahead
  else if ('gone' in message) waiting.get(message.gone)?.abort()
  else {
    const answering = answer(message)
    underway.add(answering)
    void answering.then(() => underway.delete(answering))
  }
})
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', async () => {
  // As the server does: held answers are ended, the others are finished.
  for (const held of waiting.values()) held.abort()
  await Promise.all(underway)
  await duo.close()
  await sessions.close()
  await redis?.close()
  await storage.close()
  process.exit(0)
})
send({ ready: true })
