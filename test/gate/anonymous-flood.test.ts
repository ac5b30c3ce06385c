import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { type InProcess, openPostern } from '../support/in-process.ts'

const LONG = process.env.POSTERN_LONG === '1'
const REQUESTS = LONG ? 1_000_000 : 6_000
// In one stream; beyond 8 that wait for an answer the connection is cut.
const AT_ONCE = 8
const SEED = Number(process.env.SEED ?? randomBytes(4).readUInt32BE())

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

interface Random {
  of<T>(choices: readonly [T, ...T[]]): T
  text(length: number): string
}

/** Random from a seed, so that a failure can be repeated: SEED=… */
function random(seed: number): Random {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    of: <T>(choices: readonly [T, ...T[]]): T => choices[Math.floor(next() * choices.length)] ?? choices[0],
    text: (length: number) => createHash('sha256').update(String(next())).digest('base64url').slice(0, length),
  }
}

/** Anything that nobody is known by, at every endpoint. */
function anonymousRequest({ of, text }: Random): string {
  const cookie = of<() => string>([
    () => '',
    () => `Cookie: authelia_session=${text(43)}.${text(43).replaceAll(/[-_]/g, '+')}\r\n`,
    () => `Cookie: authelia_session=${text(20)}; ${text(8)}=${text(8)}\r\n`,
    () => `Cookie: ${text(8)}=${text(30)}\r\n`,
  ])()
  const host = of<() => string>([
    () => `${text(12).replaceAll('_', 'u').replace(/^-|-$/g, 'x')}.postern.localhost`,
    () => `${text(10)}.example.net`,
    () => 'one.postern.localhost',
  ])()
  const method = of([
    'GET',
    'POST',
    'HEAD',
    'DELETE',
    text(6)
      .toUpperCase()
      .replaceAll(/[^A-Z]/g, 'X'),
    text(5),
  ])
  const path = `/${text(10)}?${text(4)}=${text(6)}`
  const authorization = of(['', '', `Authorization: ${text(6)} ${text(12)}\r\n`])
  const from = `X-Forwarded-For: ${of([`203.0.113.${Math.abs(text(1).charCodeAt(0))}`, text(7)])}\r\n`
  const rest = `${cookie}${authorization}${from}Accept: ${of(['text/html', '*/*', text(5)])}\r\n\r\n`
  const forwarded = `X-Forwarded-Proto: https\r\nX-Forwarded-Host: ${host}\r\nX-Forwarded-URI: ${path}\r\nX-Forwarded-Method: ${method}\r\n`
  return of([
    `GET /api/authz/auth-request HTTP/1.1\r\nHost: p\r\nX-Original-URL: https://${host}${path}\r\nX-Original-Method: ${method}\r\n${rest}`,
    `GET /api/authz/forward-auth HTTP/1.1\r\nHost: p\r\n${forwarded}${rest}`,
    `GET /api/authz/ext-authz/${path} HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Proto: https\r\n${rest}`,
    `GET /api/verify?rd=http://auth.postern.localhost HTTP/1.1\r\nHost: p\r\n${forwarded}${rest}`,
  ])
}

/** Sends them in one stream and counts the answers by status. */
function send(port: number, requests: readonly string[]): Promise<Map<number, number>> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let text = ''
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => {
      const statuses = new Map<number, number>()
      for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g))
        statuses.set(Number(status), (statuses.get(Number(status)) ?? 0) + 1)
      expect(text).not.toMatch(/set-cookie:/i)
      resolve(statuses)
    })
    socket.write(requests.join('').replace(/\r\n\r\n$/, '\r\nConnection: close\r\n\r\n'), 'latin1')
  })
}

async function flood(postern: InProcess, rng: Random, count: number): Promise<Map<number, number>> {
  const all = new Map<number, number>()
  for (let sent = 0; sent < count; sent += AT_ONCE) {
    const requests = Array.from({ length: AT_ONCE }, () => anonymousRequest(rng))
    for (const [status, times] of await send(postern.setup.port, requests))
      all.set(status, (all.get(status) ?? 0) + times)
  }
  return all
}

function heap(): number {
  gc()
  return process.memoryUsage().heapUsed
}

describe('nobody', () => {
  it(`row 169: ${REQUESTS} anonymous requests leave no session, no write, no label and no memory behind (SEED=${SEED})`, {
    timeout: LONG ? 3_600_000 : 60_000,
  }, async () => {
    const postern = await openPostern({
      rules: [
        { domain: 'one.postern.localhost', policy: 'one_factor' },
        { domain: '*.postern.localhost', policy: 'two_factor' },
      ],
    })
    const rng = random(SEED)
    const database = new DatabaseSync(join(postern.setup.folder, 'postern.sqlite3'), { readOnly: true })
    const version = () => database.prepare('PRAGMA data_version').get()?.data_version
    await flood(postern, rng, REQUESTS / 4) // what is kept once, is kept now
    const [versionBefore, heapBefore] = [version(), heap()]

    const statuses = await flood(postern, rng, REQUESTS)

    expect([...statuses.keys()].toSorted()).toEqual([302, 303, 400, 401])
    expect([...statuses.values()].reduce((sum, times) => sum + times, 0)).toBe(REQUESTS)
    expect(version()).toBe(versionBefore)
    for (const table of ['postern_sessions', 'postern_session_activity', 'postern_login_tries_typed'])
      expect(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()).toEqual({ rows: 0 })
    database.close()
    expect(heap() - heapBefore).toBeLessThan(8 * 1024 * 1024)
    // A minute of the server's clock: one line for each of a bounded number of kinds.
    expect(postern.text().split('\n').length).toBeLessThan(200)
  })
})
