import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { revokeSessions } from '../../src/commands/sessions.ts'
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
    expect((await postern('list')).output).toBe('Nobody is signed in.\n')
    const alice = await signIn('alice')
    const bob = await signIn('bob')

    const { code, output } = await postern('list')
    expect(code).toBe(0)
    expect(output).toMatch(/^SESSION +USER +LEVEL +BROWSER +ADDRESS +BEGAN +SEEN +ENDS$/m)
    expect(output).toMatch(/^s_[\w-]{10} +alice +1 +Firefox on Linux +192\.0\.2\.1 +20\S+Z +20\S+Z +20\S+Z$/m)
    expect(output.trim().split('\n')).toHaveLength(3)

    const listed = JSON.parse(
      (await postern('list', '--json', '--user', 'ALICE@example.com')).output.replace(/^postern:.*\n/gm, ''),
    )
    expect(listed).toEqual([])
    const mine = JSON.parse((await postern('list', '--json', '--user', 'alice')).output)
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
    expect(readFileSync(setup.configFile, 'utf8')).not.toContain(shown)
  })

  it('revoke ends one, all of a person, or all, from the next request on', async () => {
    const { postern, signIn, gate } = await house()
    const [one, two, bob] = [await signIn('alice'), await signIn('alice'), await signIn('bob')]
    const [newest] = JSON.parse((await postern('list', '--json', '--user', 'alice')).output)

    const ended = await postern('revoke', String(newest.session).slice(0, 9))
    expect(ended).toEqual({ code: 0, output: 'The session of alice (Firefox on Linux) was ended.\n' })
    expect([await gate(one), await gate(two)].toSorted()).toEqual([200, 401])
    expect(await gate(bob)).toBe(200)
    expect(await postern('revoke', newest.session)).toMatchObject({
      code: 1,
      output: expect.stringContaining('may have ended'),
    })

    expect(await postern('revoke', '--user', 'alice')).toEqual({ code: 0, output: '1 session was ended.\n' })
    expect([await gate(one), await gate(two), await gate(bob)]).toEqual([401, 401, 200])
    expect(await postern('revoke', '--user', 'alice')).toEqual({ code: 0, output: 'alice has no session.\n' })

    const again = await signIn('alice')
    expect(await postern('revoke', '--all')).toEqual({ code: 0, output: '2 sessions were ended.\n' })
    expect([await gate(again), await gate(bob)]).toEqual([401, 401])
    expect(await gate(await signIn('bob'))).toBe(200)
  })

  it('reach the sessions that are in Redis, and what is told when it does not answer has the mend', async () => {
    const redis = await startRedis({ cleanup: onTestFinished })
    const { postern, signIn, gate } = await house({ session: `redis: { host: 127.0.0.1, port: ${redis.port} }` })
    const [alice, bob] = [await signIn('alice'), await signIn('bob')]
    const listed: { session: string; user: string }[] = JSON.parse((await postern('list', '--json')).output)
    expect(listed.map(({ user }) => user).toSorted()).toEqual(['alice', 'bob'])
    expect(await gate(alice)).toBe(200)
    const session = listed.find(({ user }) => user === 'alice')?.session ?? ''
    expect(await postern('revoke', session)).toMatchObject({ code: 0 })
    expect([await gate(alice), await gate(bob)]).toEqual([401, 200])
    await redis.kill()
    const { code, output } = await postern('list')
    expect(code).toBe(1)
    expect(output).toContain(problems['redis-down'].mend)
  })

  it.each([
    [undefined, {}, 'say which'],
    [undefined, { all: true, user: 'alice' }, 'say which'],
    ['s_abcdef', { all: true }, 'say which'],
    ...['alice', 's_', 's_ab', 's_../..', '*'].map(id => [id, {}, 'is no session'] as const),
  ] as const)('revoke refuses %j %j: it would not be clear what to end', async (id, options, why) => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => said.mockRestore())
    expect(await revokeSessions(id, { config: '/there/is/none.yml', ...options })).toBe(1)
    expect(said.mock.calls.flat().join()).toContain(why)
  })

  it('tells what is in the way, with its mend', async () => {
    const setup = await setUp()
    expect(await postern({ ...setup, configFile: join(setup.folder, 'users.yml') })('list')).toMatchObject({
      code: 1,
      output: expect.stringContaining('has errors'),
    })
    writeFileSync(join(setup.folder, 'postern.sqlite3'), 'not a database, but something of somebody else’s')
    const { code, output } = await postern(setup)('list')
    expect(code).toBe(1)
    expect(output).toContain(problems['storage-broken'].mend)
  })
})
