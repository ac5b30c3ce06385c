// What `sessions.find` costs, beside two things that any session library does on each request: @fastify/cookie's parsing of the same
// header, and checking the signature of the same value. Rounds are interleaved in one run; the median of each is compared.
//   node bench/session/find.ts
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastifyCookie from '@fastify/cookie'
import Fastify from 'fastify'
import { configSchema } from '../../src/config/schema.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import { openStorage } from '../../src/storage/open-storage.ts'

const ROUNDS = 14
const FINDS_A_ROUND = 10_000
const FINDS_A_TURN = 10
const SESSIONS = 1_000

const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
const app = Fastify({ logger: false })
await app.register(fastifyCookie)
await app.ready()
const secret = 'the secret of this bench, and of no server'
const config = configSchema.shape.session.parse({
  secret,
  cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
})
const [domain] = config.cookies
assert(domain)
const storage = await openStorage(
  { encryption_key: 'k'.repeat(20), local: { path: join(folder, 'db.sqlite3') } },
  { log: app.log },
)
const sessions = await openSessions({ config, storage, redis: null, clock: Date.now, log: app.log, audit: () => {} })
const signer = new fastifyCookie.Signer(secret)

const visits = await Promise.all(
  Array.from({ length: SESSIONS }, async (_, n) => {
    const { cookie, session } = await sessions.start(
      domain,
      { username: `user${n}`, credential: 'c', remember: false, browser: 'Firefox on Linux', ip: '192.0.2.7' },
      null,
    )
    const header = `theme=dark; ${cookie.name}=${cookie.value}; _ga=GA1.2.1234567890.1234567890`
    // The headers that a proxy's subrequest brings.
    const raw = Object.entries({
      Host: 'auth.example.com',
      'X-Original-URL': 'https://one.example.com/some/path?query=1',
      'X-Original-Method': 'GET',
      'X-Forwarded-For': '203.0.113.7',
      'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'Accept-Language': 'en-GB,en;q=0.5',
      'Accept-Encoding': 'gzip, deflate, br',
      Cookie: header,
    }).flat()
    return { header, raw, name: cookie.name, value: cookie.value, username: session.username }
  }),
)

// Who answers wrongly is not timed.
for (const { raw, header, name, value, username } of visits) {
  const found = await sessions.find(raw, domain)
  assert(found.state === 'live' && found.session.username === username)
  assert(app.parseCookie(header)[name] !== undefined && signer.unsign(value).valid)
}

type Visit = (typeof visits)[number]
const contenders: Record<string, (visit: Visit) => unknown> = {
  'find, remembered': ({ raw }) => sessions.find(raw, domain),
  'find, after a write elsewhere': ({ raw }) => sessions.find(raw, domain),
  '@fastify/cookie: parse': ({ header }) => app.parseCookie(header),
  '@fastify/cookie: unsign': ({ value }) => signer.unsign(value),
}
const times: Record<string, number[]> = {}
const nextTurn = () => new Promise<void>(resolve => setImmediate(resolve))
let sink: unknown
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, ask] of Object.entries(contenders)) {
    const writes = name.includes('write')
    let time = 0
    for (let n = 0; n < FINDS_A_ROUND; n += FINDS_A_TURN) {
      if (writes) storage.counters.exec('PRAGMA user_version = 0')
      await nextTurn() // a find in the next turn of the event loop asks data_version again, as under a server
      const begin = performance.now()
      for (let i = 0; i < FINDS_A_TURN; i++) sink = ask(visits[(n * 7 + i) % SESSIONS] as Visit)
      time += performance.now() - begin
    }
    if (round > 3) times[name] = [...(times[name] ?? []), time / FINDS_A_ROUND]
  }
}
assert(sink)

const median = (list: number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN
const unsign = median(times['@fastify/cookie: unsign'] ?? [])
for (const [name, list] of Object.entries(times)) {
  const time = median(list)
  console.log(`${name.padEnd(32)} ${(time * 1000).toFixed(2).padStart(7)} µs   ${(time / unsign).toFixed(2)} × unsign`)
}
await sessions.close()
await storage.close()
await app.close()
rmSync(folder, { recursive: true })
