import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { post, signedIn } from '../api/client.ts'
import { visitor } from '../portal/visitor.ts'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'
import { PASSWORD, startPostgres } from '../support/postgres.ts'
import { temporaryFolder, until } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'
import { startSlapd } from '../users/slapd.ts'

interface Broken {
  readonly postern: InProcess
  readonly harm: () => Promise<unknown>
  readonly mend: () => Promise<unknown>
  /** Who signs in, and with what. */
  readonly who?: { readonly username: string; readonly password: string }
}

interface Line {
  readonly level: number
  readonly msg: string
  readonly ref?: string
  readonly reason?: string
  readonly event?: string
  readonly count?: number
}

const alice = { username: 'alice', password }
const WARN = 40

async function withDuo(wishes: Parameters<typeof openPostern>[0]) {
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
  onTestFinished(() => simulator.close())
  const postern = await openPostern({ duo: simulator, ...wishes })
  // Bob's phone rings all the time, and he waits at the page: what follows his push is not to fill the log either.
  const cookie = await signedIn(postern, 'bob')
  void post(postern, '/api/secondfactor/duo', { device: 'DPBOB000000000000001', method: 'push' }, { cookie }).catch(
    () => {},
  )
  await until(() => simulator.pushes().length > 0, 'it rings')
  simulator.setPolicy({ answer: 'allow' })
  return postern
}

const outages: Record<string, () => Promise<Broken>> = {
  async Redis() {
    const redis = await startRedis({ cleanup: onTestFinished })
    const postern = await withDuo({ session: `redis: { host: 127.0.0.1, port: ${redis.port} }` })
    return { postern, harm: redis.stop, mend: redis.again }
  },
  async PostgreSQL() {
    const server = await startPostgres(onTestFinished)
    const { address, database } = await server.database()
    const postern = await withDuo({
      postgres: `{ address: "tcp://127.0.0.1:${address.port}", database: ${database}, username: postern, password: ${PASSWORD}, timeout: 1s }`,
    })
    return { postern, harm: () => server.stop(), mend: server.start }
  },
  async 'the SQLite file (moved away)'() {
    const postern = await withDuo({})
    const file = join(postern.setup.folder, 'postern.sqlite3')
    return {
      postern,
      async harm() {
        renameSync(file, `${file}.away`)
        await until(() => postern.text().includes('storage-moved'), 'it is noticed')
      },
      mend: async () => renameSync(`${file}.away`, file),
    }
  },
  async 'the directory'() {
    const slapd = await startSlapd(onTestFinished)
    const ca_file = join(temporaryFolder(), 'ca.pem')
    writeFileSync(ca_file, slapd.ca)
    const ldap = {
      address: `ldap://localhost:${slapd.port}`,
      implementation: 'rfc2307bis',
      start_tls: true,
      tls: { ca_file },
      base_dn: 'dc=example,dc=com',
      user: 'cn=postern,dc=example,dc=com',
      password: 'service',
      grace: '1s',
    }
    const postern = await openPostern({ people: JSON.stringify({ refresh_interval: 'always', ldap }) })
    const wait = () => {
      postern.now += 5_000
    }
    return {
      postern,
      harm: async () => [await slapd.stop(), wait()],
      mend: async () => [await slapd.start(), wait()],
      who: { username: 'john', password: 'johns password' },
    }
  },
}

/** A browser, a program and a proxy, and what all of them ask in one round. */
async function people({ postern, who = alice }: Broken) {
  const origin = `http://auth.postern.localhost:${postern.setup.port}`
  const program = async (path: string, payload?: object, cookie = '') => {
    const { host } = new URL(origin)
    const headers = { host, ...(cookie === '' ? {} : { cookie }) }
    return postern.app.inject(
      payload === undefined ? { url: path, headers } : { method: 'POST', url: path, headers, payload },
    )
  }
  const signIn = () => program('/api/firstfactor', who)
  const signedIn = async () => {
    const answer = await signIn()
    expect(answer.statusCode).toBe(200)
    const [cookie] = answer.cookies
    return cookie === undefined ? '' : `${cookie.name}=${cookie.value}`
  }
  const gate = (site: string, headers: Record<string, string>) =>
    postern.app.inject({
      url: '/api/authz/auth-request',
      headers: {
        'x-original-url': `http://${site}.postern.localhost/`,
        'x-original-method': 'GET',
        'x-forwarded-for': '192.0.2.7',
        ...headers,
      },
    })
  const half = await signedIn()
  const whole = await signedIn()
  const leaving = await signedIn()
  const proved = await program('/api/secondfactor/duo', {}, whole)
  const [raised] = proved.cookies
  const full = raised === undefined ? whole : `${raised.name}=${raised.value}`
  const stranger = visitor(postern, origin)
  await stranger.get('/')
  const basic = `Basic ${Buffer.from(`${who.username}:${who.password}`).toString('base64')}`

  return {
    /** Every kind of request once; the bodies of those that were refused with 503. */
    async round() {
      const answers = [
        await gate('one', { cookie: half }),
        await gate('two', { cookie: full }),
        await gate('one', { authorization: basic }),
        ...(await Promise.all(['/', '/prove', '/settings', '/prove/wait'].map(path => program(path, undefined, full)))),
        await program('/prove', undefined, half),
        await program('/api/state', undefined, half),
        await program('/api/secondfactor/duo', {}, half),
        await program('/api/secondfactor/duo_devices', undefined, half),
        await program('/api/logout', {}, leaving),
        await signIn(),
      ]
      stranger.cookies.delete('authelia_session')
      const sent = await stranger.post('/login', who)
      answers.push(sent, await stranger.get(sent.headers.location ?? '/'))
      return { count: answers.length, refused: answers.filter(({ statusCode }) => statusCode === 503) }
    },
  }
}

describe('while something that is needed does not answer', () => {
  it.each(Object.keys(outages))(
    '%s: the log says so once, and once that it is over',
    { timeout: 40_000 },
    async name => {
      const broken = await outages[name]?.()
      if (broken === undefined) throw new Error(name)
      const { postern, harm, mend } = broken
      const { round } = await people(broken)
      let read = postern.text().length
      const news = (atLeast = WARN): Line[] => {
        const text = postern.text().slice(read)
        read += text.length
        return (
          text
            .split('\n')
            .flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
            // It is this test that moves the clock.
            .filter(line => line.level >= atLeast && !line.msg.startsWith('the clock of this machine'))
        )
      }
      news()
      await harm()
      await until(async () => (await round()).refused.length > 0, 'it is down')
      let asked = 0
      const refs = new Set<string>()
      let refused = 0
      while (asked < 200) {
        const done = await round()
        asked += done.count
        refused += done.refused.length
        for (const { body, headers } of done.refused)
          for (const [ref = ''] of body.matchAll(/\b[0-9A-Z]{4}-[0-9A-Z]{4}\b/g))
            if (!String(headers['content-type']).includes('json')) refs.add(ref)
      }
      expect(refused).toBeGreaterThan(30)
      const begun = news()
      // Its begin, and that people cannot sign in: at the portal and API, and at the gate.
      const [first, ...more] = begun
      expect(first).toMatchObject({ level: 50, reason: expect.any(String), msg: expect.stringMatching(/\. .+/) })
      expect(more.filter(({ event }) => event !== 'login.unavailable')).toEqual([])
      expect(more.length).toBeLessThanOrEqual(2)
      // Whoever was shown a reference was shown the one that the log has.
      expect([...refs]).toEqual([first?.ref])
      expect(new Set(begun.map(({ ref }) => ref))).toEqual(refs)

      postern.now += 61_000
      await round()
      await round()
      const later = news()
      expect(later.length).toBeLessThanOrEqual(3)
      const again = later.find(({ event }) => event === undefined)
      expect(again).toMatchObject({ level: WARN, ref: first?.ref, count: expect.any(Number) })
      expect(again?.count).toBeGreaterThan(30)

      await mend()
      await until(async () => (await round()).refused.length === 0, 'it heals')
      const over = await until(
        async () => {
          await round()
          const lines = news(0).filter(({ event }) => event === undefined)
          return lines.length === 0 ? null : lines
        },
        'it is told',
        10_000,
      )
      expect(over).toEqual([expect.objectContaining({ level: 30, ref: first?.ref })])
    },
  )
})
