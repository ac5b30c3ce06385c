import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { listSessions, revokeSessions } from '../../src/commands/sessions.ts'
import { problems } from '../../src/problems/problems.ts'
import { password, type Setup, setUp } from '../support/postern.ts'
import { node, projectRoot, start } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'

const main = join(projectRoot, 'dist/main.js')

/** The command, beside whatever runs. */
const postern =
  ({ configFile }: Setup) =>
  async (...parameters: string[]) => {
    const running = start(node, [main, 'sessions', ...parameters, '--config', configFile])
    return { code: await running.exit, output: running.output() }
  }

/** What the command prints and returns, in this process: another than the server's all the same. */
async function printed(command: () => Promise<number>) {
  const lines: string[] = []
  const spies = [vi.spyOn(console, 'log'), vi.spyOn(console, 'error')]
  for (const spy of spies) spy.mockImplementation(line => void lines.push(String(line)))
  const code = await command()
  for (const spy of spies) spy.mockRestore()
  return { code, output: lines.join('\n') }
}

/** The built server in a process of its own, and people who sign in at it. */
async function house(wishes: Parameters<typeof setUp>[0] = {}) {
  const setup = await setUp(wishes)
  await start(node, [main, 'serve', '--config', setup.configFile]).line(/serving/)
  const ask = async (path: string, headers: Record<string, string>, body?: object) => {
    const answer = await request(`http://127.0.0.1:${setup.port}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { host: 'auth.postern.localhost', 'x-forwarded-for': '192.0.2.1', ...headers },
      body: body === undefined ? null : JSON.stringify(body),
    })
    await answer.body.dump()
    return answer
  }
  return {
    setup,
    postern: postern(setup),
    async signIn(username: string) {
      const headers = { 'content-type': 'application/json', 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/140.0' }
      const answer = await ask('/api/firstfactor', headers, { username, password })
      return String(answer.headers['set-cookie']).split(';')[0] ?? ''
    },
    gate: async (cookie: string) =>
      (
        await ask('/api/authz/auth-request', {
          'x-original-url': 'http://one.postern.localhost/',
          'x-original-method': 'GET',
          cookie,
        })
      ).statusCode,
  }
}

describe('postern sessions', () => {
  it('list shows who is signed in, where and since when, and nothing that signs in', async () => {
    const { setup, postern, signIn, gate } = await house()
    const config = setup.configFile
    expect(await printed(() => listSessions({ config }))).toEqual({ code: 0, output: 'Nobody is signed in.' })
    const alice = await signIn('alice')
    const bob = await signIn('bob')

    const { code, output } = await postern('list')
    expect(code).toBe(0)
    expect(output).toMatch(/^SESSION +USER +LEVEL +BROWSER +ADDRESS +BEGAN +SEEN +ENDS$/m)
    expect(output).toMatch(/^s_[\w-]{10} +alice +1 +Firefox on Linux +192\.0\.2\.1 +20\S+Z +20\S+Z +20\S+Z$/m)
    expect(output.trim().split('\n')).toHaveLength(3)

    const nobody = await printed(() => listSessions({ config, user: 'somebody-else' }))
    expect(nobody.output).toBe('postern: nobody is named somebody-else now.\nNobody is signed in.')
    const mine = JSON.parse((await printed(() => listSessions({ config, json: true, user: 'alice' }))).output)
    expect(mine).toEqual([
      {
        session: expect.stringMatching(/^s_[\w-]{10}$/),
        user: 'alice',
        level: 1,
        second_factor: null,
        browser: 'Firefox on Linux',
        ip: '192.0.2.1',
        cookie_domain: 'postern.localhost',
        remembered: false,
        began: expect.stringMatching(/Z$/),
        seen: expect.stringMatching(/Z$/),
        ends: expect.stringMatching(/Z$/),
      },
    ])
    // What it shows is of the hash: put into a cookie, it lets nobody in.
    const shown = String(mine[0].session).slice(2)
    const [name, value] = alice.split('=')
    expect(value).not.toContain(shown)
    expect(await gate(`${name}=${shown}`)).toBe(401)
    expect(await gate(bob)).toBe(200)
  })

  it('revoke ends one, all of a person, or all, from the next request on', async () => {
    const { setup, signIn, gate } = await house()
    const config = setup.configFile
    const [one, two, bob] = [await signIn('alice'), await signIn('alice'), await signIn('bob')]
    const listed = await printed(() => listSessions({ config, json: true, user: 'alice' }))
    const [newest]: { session: string }[] = JSON.parse(listed.output)
    const id = newest?.session ?? ''

    const ended = await printed(() => revokeSessions(id.slice(0, 9), { config }))
    expect(ended).toEqual({ code: 0, output: 'The session of alice (Firefox on Linux) was ended.' })
    expect([await gate(one), await gate(two)].toSorted()).toEqual([200, 401])
    expect(await gate(bob)).toBe(200)
    const gone = await printed(() => revokeSessions(id, { config }))
    expect(gone).toEqual({ code: 1, output: `postern: there is no session ${id}: it may have ended.` })

    const alice = () => printed(() => revokeSessions(undefined, { config, user: 'alice' }))
    expect(await alice()).toEqual({ code: 0, output: '1 session was ended.' })
    expect([await gate(one), await gate(two), await gate(bob)]).toEqual([401, 401, 200])
    expect(await alice()).toEqual({ code: 0, output: 'alice has no session.' })

    const again = await signIn('alice')
    const all = await printed(() => revokeSessions(undefined, { config, all: true }))
    expect(all).toEqual({ code: 0, output: '2 sessions were ended.' })
    expect([await gate(again), await gate(bob)]).toEqual([401, 401])
    expect(await gate(await signIn('bob'))).toBe(200)
  })

  it('reach the sessions that are in Redis, and what is told when it does not answer has the mend', async () => {
    const redis = await startRedis({ cleanup: onTestFinished })
    const { setup, signIn, gate } = await house({ session: `redis: { host: 127.0.0.1, port: ${redis.port} }` })
    const [alice, bob] = [await signIn('alice'), await signIn('bob')]
    const config = setup.configFile
    const { output: json } = await printed(() => listSessions({ config, json: true }))
    const listed: { session: string; user: string }[] = JSON.parse(json)
    expect(listed.map(({ user }) => user).toSorted()).toEqual(['alice', 'bob'])
    expect(await gate(alice)).toBe(200)
    const session = listed.find(({ user }) => user === 'alice')?.session ?? ''
    expect(await printed(() => revokeSessions(session, { config }))).toMatchObject({ code: 0 })
    expect([await gate(alice), await gate(bob)]).toEqual([401, 200])
    await redis.kill()
    const { code, output } = await printed(() => listSessions({ config }))
    expect(code).toBe(1)
    expect(output).toContain(problems['redis-down'].mend)
  })

  it.each([
    [undefined, {}, 'say which'],
    [undefined, { all: true, user: 'alice' }, 'say which'],
    ['s_abcdef', { all: true }, 'say which'],
    ...['alice', 's_', 's_ab', 's_../..', '*'].map(id => [id, {}, 'is no session'] as const),
  ] as const)('revoke refuses %j %j: it would not be clear what to end', async (id, options, why) => {
    const { code, output } = await printed(() => revokeSessions(id, { config: '/there/is/none.yml', ...options }))
    expect(code).toBe(1)
    expect(output).toContain(why)
  })

  it('tells what is in the way, with its mend', async () => {
    const setup = await setUp()
    const notOne = await printed(() => listSessions({ config: join(setup.folder, 'users.yml') }))
    expect(notOne.code).toBe(1)
    expect(notOne.output).toContain('has errors')
    writeFileSync(join(setup.folder, 'postern.sqlite3'), 'not a database, but something of somebody else’s')
    const { code, output } = await printed(() => listSessions({ config: setup.configFile }))
    expect(code).toBe(1)
    expect(output).toContain(problems['storage-broken'].mend)
  })
})
