import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'
import { post, signedIn, signIn } from './client.ts'

const byAddress = 'regulation: { modes: [ip], max_retries: 3 }\n'
const names = ['alice', 'bob', 'nobody', 'somebody', 'anybody', 'who']

describe('row 94: guesses are counted by the real address, without a cookie', () => {
  it('whatever a client writes into X-Forwarded-For itself', async () => {
    const postern = await openPostern({ more: byAddress })
    for (const [i, name] of names.entries())
      await signIn(postern, name, 'wrong', `10.1.${i}.${i}, 192.0.2.${i}, 203.0.113.7`)
    expect((await signIn(postern, 'alice', password, '192.0.2.77, 203.0.113.7')).status).toBe(401)
    expect(postern.events('login.failed')).toHaveLength(2)
    const banned = postern.events('login.banned')
    expect(banned).toHaveLength(5) // the last one is alice's, with the right password
    expect(new Set(banned.map(({ ip }) => ip))).toEqual(new Set(['203.0.113.7']))
    // Everybody else goes on.
    await signedIn(postern, 'alice', '203.0.113.8')
  })

  it('over rotating addresses of one IPv6 network of 64 bits', async () => {
    const postern = await openPostern({ more: byAddress })
    for (const [i, name] of names.entries()) await signIn(postern, name, 'wrong', `2001:db8:1:2:${i}:${i}::${i}`)
    expect((await signIn(postern, 'alice', password, '2001:db8:1:2::abcd')).status).toBe(401)
    await signedIn(postern, 'alice', '2001:db8:1:3::abcd')
  })

  it('of the peer, where the peer is no proxy', async () => {
    const postern = await openPostern({ more: byAddress, trustedProxies: ['192.0.2.0/24'] })
    for (const [i, name] of names.entries()) await signIn(postern, name, 'wrong', `198.51.100.${i}`)
    expect((await signIn(postern, 'alice', password, '198.51.100.99')).status).toBe(401)
    expect(postern.events('login.banned')[0]).toMatchObject({ ip: '127.0.0.1' })
  })

  it('and by the name, from however many addresses', async () => {
    const postern = await openPostern({ more: 'regulation: { modes: [user, ip], max_retries: 3 }\n' })
    for (let i = 0; i < 6; i++) await signIn(postern, 'alice', 'wrong', `203.0.113.${i}`)
    expect((await signIn(postern, 'alice', password, '203.0.113.200')).status).toBe(401)
    await signedIn(postern, 'bob', '203.0.113.200')
  })
})

describe('an administrator’s ban', () => {
  it('that comes while the password is looked at ends the session that begins by it', async () => {
    const postern = await openPostern()
    const file = new DatabaseSync(join(postern.setup.folder, 'postern.sqlite3'))
    onTestFinished(() => file.close())
    const rows = (table: string) => file.prepare(`SELECT * FROM ${table}`).all().length
    // The try is counted before its password is looked at; with this the ban comes right after it was.
    file.exec(`CREATE TRIGGER ban_comes AFTER INSERT ON postern_login_tries_person BEGIN
      INSERT INTO postern_login_tries_person_bans (key, began, until, source) VALUES (new.key, ${postern.now}, NULL, 'administrator');
    END`)
    const answer = await signIn(postern, 'alice', password)
    expect(answer.status).toBe(401)
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(postern.events('login.banned')).toMatchObject([{ username: 'alice' }])
    expect(rows('postern_sessions')).toBe(0)
    file.exec('DROP TRIGGER ban_comes; DELETE FROM postern_login_tries_person_bans')
    expect((await signIn(postern, 'alice', password)).status).toBe(200)
  })
})

describe('server.endpoints.rate_limits', () => {
  const aMinute = (requests: number) => `{ buckets: [{ period: 1m, requests: ${requests} }] }`

  it('first_factor: 429 with when to come back, before the password is looked at, for that address alone', async () => {
    const postern = await openPostern({
      rateLimits: '{ first_factor: { enable: true, buckets: [{ period: 1m, requests: 2 }] } }',
      more: 'regulation: { max_retries: 1 }\n',
    })
    for (const name of ['bob', 'who']) expect((await signIn(postern, name, 'wrong')).status).toBe(401)
    const limited = await signIn(postern, 'alice', 'wrong')
    expect(limited).toMatchObject({ status: 429, json: { status: 'KO', message: 'Too Many Requests' } })
    expect(Date.parse(String(limited.headers['retry-after'])) - postern.now).toBeCloseTo(60_000, -4)
    expect(postern.events('limit.exceeded')).toMatchObject([{ reason: 'first_factor', ip: '203.0.113.7' }])
    await signedIn(postern, 'alice', '203.0.113.8') // it was not counted as a failure
    postern.now += 60_000
    await signedIn(postern)
  })

  it('second_factor_duo: nothing rings for what is too much, and no passcode is tried', async () => {
    const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
    onTestFinished(() => simulator.close())
    const postern = await openPostern({ duo: simulator, rateLimits: `{ second_factor_duo: ${aMinute(2)} }` })
    const cookie = await signedIn(postern)
    const other = await signedIn(postern, 'bob', '203.0.113.8')
    const guess = (passcode: string, more: { from?: string; cookie: string } = { cookie }) =>
      post(postern, '/api/secondfactor/duo', { passcode }, more)
    expect((await guess('000000')).status).toBe(401)
    expect((await guess('000001')).status).toBe(401)
    const limited = await guess(simulator.passcode('DPALICE0000000000001'))
    expect(limited).toMatchObject({ status: 429, json: { status: 'KO', message: 'Too Many Requests' } })
    expect(String(limited.headers['retry-after'])).toMatch(/ GMT$/)
    expect((await post(postern, '/api/secondfactor/duo', undefined, { cookie })).status).toBe(429)
    expect(simulator.pushes()).toHaveLength(0)
    expect(postern.events('limit.exceeded')).toMatchObject([{ reason: 'second_factor_duo', username: 'alice' }])
    expect((await guess('000000', { cookie: other, from: '203.0.113.8' })).status).toBe(401)
    postern.now += 60_000
    expect((await guess(simulator.passcode('DPALICE0000000000001'))).status).toBe(200)
  })
})
