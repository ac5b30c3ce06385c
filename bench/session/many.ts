// What many live sessions cost: bytes, start, look-up (never seen by this process, and remembered), clean-up; in the SQLite file, or in a Redis
// that is started for it. Beside each look-up stands what the bare store needs for one such key, in the same rounds.
//   node bench/session/many.ts sqlite 100000
//   node bench/session/many.ts redis 1000000
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from '@redis/client'
import { pino } from 'pino'
import { redis as redisSchema } from '../../src/config/redis.ts'
import { configSchema } from '../../src/config/schema.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import { sessionRows } from '../../src/session/session-rows.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { openRedis } from '../../src/storage/redis/open-redis.ts'

const [store = 'sqlite', howMany = '100000'] = process.argv.slice(2)
const SESSIONS = Number(howMany)
const AT_ONCE = 200
const LOOK_UPS = 8_000
const ROUNDS = 5

const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
const log = pino({ level: 'silent' })
const config = configSchema.shape.session.parse({
  secret: 'the secret of this bench, and of no server',
  cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com', expiration: '1d', inactivity: '1d' }],
})
const domain = config.cookies[0]
assert(domain)
const path = join(folder, 'db.sqlite3')
const ahead = 0
const clock = () => Date.now() + ahead
const port = await new Promise<number>(resolve => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const address = server.address()
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
  })
})
const server =
  store === 'redis'
    ? spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
        stdio: 'ignore',
      })
    : undefined
process.on('exit', () => server?.kill('SIGKILL'))

const bare = createClient({ socket: { host: '127.0.0.1', port } })
bare.on('error', () => {})
if (server !== undefined) {
  await pause(500)
  await bare.connect()
}

/** All that a server opens for its sessions. */
async function open(timeout = '1s') {
  const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path } }, { log })
  const redis =
    server === undefined
      ? null
      : await openRedis(redisSchema.parse({ host: '127.0.0.1', port, timeout }), { clock, log })
  const sessions = await openSessions({ config, storage, redis, clock, log, audit: () => {} })
  return {
    storage,
    sessions,
    async close() {
      await sessions.close()
      await redis?.close()
      await storage.close()
    },
  }
}
const nextTurn = () => new Promise<void>(resolve => setImmediate(resolve))
const median = (list: readonly number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN
async function bytes(): Promise<number> {
  if (server !== undefined) return Number(/used_memory:(\d+)/.exec(await bare.info('memory'))?.[1])
  const database = new DatabaseSync(path)
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
  return statSync(path).size
}
async function started(): Promise<number> {
  const times = []
  for (let n = 0; n < ROUNDS; n++) {
    const begin = performance.now()
    const house = await open()
    times.push(performance.now() - begin)
    await house.close()
  }
  return median(times)
}

await (await open()).close() // tables
const empty = { bytes: await bytes(), start: await started() }

// Filled as people sign in; only that each is written to the disk at once is left out.
const filling = await open('10s')
filling.storage.sessions.exec('PRAGMA synchronous = OFF')
const cookies: string[] = []
const keys: string[] = []
const begun = performance.now()
await Promise.all(
  Array.from({ length: AT_ONCE }, async (_, lane) => {
    for (let n = lane; n < SESSIONS; n += AT_ONCE) {
      const login = { username: `user${n}`, credential: 'c'.repeat(43), remember: false }
      const { cookie, session } = await filling.sessions.start(
        domain,
        { ...login, browser: 'Firefox on Linux', ip: '192.0.2.7' },
        null,
      )
      cookies[n] = `${cookie.name}=${cookie.value}`
      keys[n] = session.key
    }
  }),
)
const filled = (performance.now() - begun) / 1000
await filling.close()
const full = { bytes: await bytes(), start: await started() }

const house = await open()
const reader =
  server === undefined ? new DatabaseSync(path).prepare('SELECT * FROM postern_sessions WHERE key = ?') : null
const get = async (key: string): Promise<unknown> =>
  reader === null ? bare.get(`postern:session:{${key}}`) : reader.get(key)
const find = async (n: number): Promise<void> => {
  const found = await house.sessions.find(['Cookie', cookies[n] ?? ''], domain)
  assert(found.state === 'live' && found.session.username === `user${n}`)
}
assert((await get(keys[7] ?? '')) !== null)
let next = 0
/** Ones that nobody has asked for in this process. */
const unseen = () => {
  next = (next + 7_919) % SESSIONS
  return next
}
async function timed(ask: (n: number) => Promise<unknown>, which: () => number): Promise<number> {
  const of = Array.from({ length: LOOK_UPS / ROUNDS }, which)
  const begin = performance.now()
  for (const [index, n] of of.entries()) {
    if (index % 10 === 0) await nextTurn()
    await ask(n)
  }
  return ((performance.now() - begin) * 1_000) / of.length
}
const times: Record<string, number[]> = {}
for (let round = 0; round < ROUNDS; round++) {
  const note = async (name: string, ask: (n: number) => Promise<unknown>, which: () => number) => {
    times[name] = [...(times[name] ?? []), await timed(ask, which)]
  }
  await note(store === 'redis' ? 'bare: redis GET' : 'bare: node:sqlite get', n => get(keys[n] ?? ''), unseen)
  await note('find, never seen here', find, unseen)
  let last = 0
  await note('find, remembered', find, () => {
    last = (last + 1) % 1_000
    return last
  })
}

console.log(`${SESSIONS} sessions in ${store}, signed in at ${Math.round(SESSIONS / filled)} a second`)
console.log(`bytes of each: ${Math.round((full.bytes - empty.bytes) / SESSIONS)}`)
console.log(`start: ${full.start.toFixed(0)} ms; with none: ${empty.start.toFixed(0)} ms`)
for (const [name, list] of Object.entries(times))
  console.log(`${name.padEnd(24)} ${median(list).toFixed(1).padStart(7)} µs`)

// Later, all of them are over.
if (server === undefined) {
  const rows = sessionRows(house.storage.sessions)
  const batches = createHistogram()
  const later = clock() + 3 * 86_400_000
  for (let n = 0; n < 300; n++) {
    const begin = performance.now()
    rows.clear(later, 100)
    batches.record(Math.max(1, Math.round((performance.now() - begin) * 1_000)))
    await nextTurn()
  }
  const ms = (nanoseconds: number) => (nanoseconds / 1_000).toFixed(1)
  console.log(
    `clean-up, a batch of 100: ${ms(batches.percentile(50))} ms, 99 % within ${ms(batches.percentile(99))} ms, at most ${ms(batches.max)} ms; all of them takes ${Math.round(SESSIONS / 100 / 10)} s`,
  )
} else {
  // Redis forgets by itself. What a Postern has of it are messages, for all that it has read.
  const delay = monitorEventLoopDelay({ resolution: 1 })
  for (let n = 0; n < 20_000; n += 100) await Promise.all(Array.from({ length: 100 }, (_, index) => find(n + index)))
  delay.enable()
  const cpu = process.threadCpuUsage()
  const scanned = performance.now()
  for (let n = 0; n < 20_000; n += 500) {
    const some = keys.slice(n, n + 500)
    for (const key of some) void bare.pExpire(`postern:session:{${key}}`, 1)
    await pause(20)
  }
  await pause(1_000)
  const { user, system } = process.threadCpuUsage(cpu)
  console.log(
    `20,000 that expire within ${((performance.now() - scanned) / 1000).toFixed(1)} s: ${((user + system) / 1000).toFixed(0)} ms of this process, asking for it included; the event loop held ${(delay.percentile(99) / 1e6).toFixed(1)} ms at 99 %`,
  )
}
await house.close()
if (bare.isOpen) bare.destroy()
server?.kill('SIGKILL')
rmSync(folder, { recursive: true, force: true })
