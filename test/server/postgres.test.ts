import { request } from 'undici'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { signedIn } from '../api/client.ts'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'
import { PASSWORD, type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, until } from '../support/process.ts'

const cleanup = endsWithSuite()
let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(cleanup)
}, 30_000)

/** The whole server with its records in PostgreSQL, and alice as a browser and as a program. */
async function openHouse() {
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers, answer: 'allow' })
  onTestFinished(() => simulator.close())
  const { address, database } = await server.database()
  const postern = await openPostern({
    duo: simulator,
    postgres: `{ address: "tcp://127.0.0.1:${address.port}", database: ${database}, username: postern, password: ${PASSWORD}, timeout: 1s }`,
  })
  const cookies = new Map<string, string>()
  const cookie = () => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  async function ask(method: 'GET' | 'POST', path: string, { json, form }: { json?: object; form?: string } = {}) {
    const answer = await request(`${postern.url}${path}`, {
      method,
      headers: {
        host: 'auth.postern.localhost',
        cookie: cookie(),
        accept: json === undefined ? 'text/html' : 'application/json',
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      body: json === undefined ? (form ?? null) : JSON.stringify(json),
    })
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
  }
  const gate = async (host: string) => {
    const { statusCode, body, headers } = await request(`${postern.url}/api/authz/auth-request`, {
      headers: {
        cookie: cookie(),
        'x-original-url': `http://${host}.postern.localhost/`,
        'x-original-method': 'GET',
      },
    })
    await body.dump()
    return { status: statusCode, location: headers.location }
  }
  return {
    postern,
    database,
    ask,
    gate,
    signIn: () => ask('POST', '/api/firstfactor', { json: { username: 'alice', password } }),
    prove: () => ask('POST', '/api/secondfactor/duo', { json: { targetURL: 'http://two.postern.localhost/' } }),
  }
}

/** Alice in another browser, and what the gate says of her there. */
async function openVisit(postern: InProcess): Promise<() => Promise<number>> {
  const cookie = await signedIn(postern)
  return async () => {
    const { statusCode } = await postern.app.inject({
      url: '/api/authz/auth-request',
      headers: { cookie, 'x-original-url': 'http://one.postern.localhost/', 'x-original-method': 'GET' },
    })
    return statusCode
  }
}

/** How often each line of the log at `error` stands there. */
const errorsOf = (text: string) =>
  text.split('\n').flatMap(line => {
    const { level, msg } = line === '' ? { level: 0, msg: '' } : JSON.parse(line)
    return level >= 50 ? [String(msg)] : []
  })

describe('records in PostgreSQL', () => {
  it('serve a whole sign-in with a push, and keep the device', async () => {
    const { signIn, prove, gate, postern, database } = await openHouse()
    expect((await signIn()).status).toBe(200)
    expect((await prove()).status).toBe(200)
    expect(await gate('two')).toMatchObject({ status: 200 })
    const logins = () => server.query('select username, factor from postern.postern_logins', database)
    await until(async () => (await logins()).length >= 2, 'the logins are written down')
    expect(await server.query('select username, method from postern.postern_duo_devices', database)).toEqual([
      { username: 'alice', method: 'push' },
    ])
    expect(errorsOf(postern.text())).toEqual([])
  })

  it('row 158: while it is down, a person sees and ends their sessions, and signs out', async () => {
    const { ask, signIn, prove, postern, gate } = await openHouse()
    await signIn()
    const other = await openVisit(postern)
    expect((await prove()).status).toBe(200)
    const form = async (path: string, fields: Record<string, string>) => {
      const { text } = await ask('GET', '/settings')
      const token = /name="token" value="([^"]+)"/.exec(text)?.[1] ?? ''
      return ask('POST', path, { form: new URLSearchParams({ token, ...fields }).toString() })
    }
    await server.stop()
    const page = await ask('GET', '/settings')
    expect(page.status).toBe(200)
    expect(page.text.match(/This can’t be shown just now/g)).toHaveLength(2)
    const [, key = ''] = /name="session" value="([^"]+)"/.exec(page.text) ?? []
    expect(await other()).toBe(200)
    expect(await form('/settings/end', { session: key })).toMatchObject({ status: 303 })
    expect(await other()).toBe(401)
    expect((await ask('GET', '/')).status).toBe(200)
    expect((await form('/logout', {})).headers.location).toContain('/logout/done')
    expect((await gate('one')).status).toBe(401)
    await server.start()
  })

  it('row 158: while it is restarted, who is in stays in, nothing new is proved, it is told once, and it heals', async () => {
    const { signIn, prove, gate, ask, postern } = await openHouse()
    await signIn()
    const before = errorsOf(postern.text()).length
    await server.stop()
    // Sessions are of this machine: the gate asks no record.
    expect(await gate('public')).toMatchObject({ status: 200 })
    expect(await gate('one')).toMatchObject({ status: 200 })
    expect(await gate('two')).toMatchObject({ status: 401 })
    const refused = await prove()
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': expect.any(String) } })
    expect(JSON.parse(refused.text)).toMatchObject({ status: 'KO' })
    const page = await ask('GET', '/prove')
    expect(page).toMatchObject({ status: 503, headers: { 'retry-after': expect.any(String) } })
    expect(page.text).toContain('<html')
    expect(page.headers.location).toBeUndefined()
    for (let nth = 0; nth < 10; nth += 1) await prove()
    expect(await signIn()).toMatchObject({ status: 503, headers: { 'retry-after': expect.any(String) } })
    expect(await gate('one')).toMatchObject({ status: 200 })
    const told = errorsOf(postern.text()).slice(before)
    expect(told.filter(msg => msg.startsWith('PostgreSQL does not answer'))).toHaveLength(1)
    expect(told.filter(msg => /bug/.test(msg))).toEqual([])
    const notices = async () => JSON.parse((await ask('GET', '/api/health')).text).notices
    expect(await notices()).toEqual(['records-down'])
    await server.start()
    await until(async () => (await prove()).status === 200, 'it heals')
    await until(async () => (await notices()) === undefined, 'it says so')
    expect(await gate('two')).toMatchObject({ status: 200 })
  })
})
