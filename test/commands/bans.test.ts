import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { password, setUp } from '../support/postern.ts'
import { freePort, node, projectRoot, start } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'

const main = join(projectRoot, 'dist/main.js')
const elsewhere = '198.51.100.7'

/** Two servers over one storage file or one Redis, and the command beside them. */
async function house({
  more = '',
  redis = false,
  servers = 2,
}: {
  more?: string
  redis?: boolean
  servers?: 0 | 1 | 2
} = {}) {
  const session = redis
    ? `redis: { host: 127.0.0.1, port: ${(await startRedis({ cleanup: onTestFinished })).port} }`
    : ''
  const first = await setUp({ more, session })
  const port = await freePort()
  const secondFile = join(first.folder, 'second.yml')
  const text = readFileSync(first.configFile, 'utf8')
  writeFileSync(secondFile, text.replace(`tcp://127.0.0.1:${first.port}/`, `tcp://127.0.0.1:${port}/`))
  const serving = [first.configFile, secondFile].slice(0, servers)
  await Promise.all(serving.map(config => start(node, [main, 'serve', '--config', config]).line(/serving/)))

  async function postern(...parameters: string[]) {
    const running = start(node, [main, ...parameters, '--config', first.configFile])
    return { code: await running.exit, output: running.output() }
  }
  const ask = (at: number, path: string, options: Parameters<typeof request>[1] = {}) =>
    request(`http://127.0.0.1:${at}${path}`, {
      ...options,
      headers: { host: 'auth.postern.localhost', ...options?.headers } as Record<string, string>,
    })
  async function signIn(at: number, username: string, typed = password, from = '192.0.2.1') {
    const answer = await ask(at, '/api/firstfactor', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': from },
      body: JSON.stringify({ username, password: typed }),
    })
    await answer.body.dump()
    return { status: answer.statusCode, cookie: String(answer.headers['set-cookie']).split(';')[0] ?? '' }
  }
  async function gate(at: number, cookie: string, from = '192.0.2.1') {
    const answer = await ask(at, '/api/authz/auth-request', {
      headers: {
        'x-original-url': 'http://one.postern.localhost/',
        'x-original-method': 'GET',
        'x-forwarded-for': from,
        cookie,
      },
    })
    await answer.body.dump()
    return answer.statusCode
  }
  const list = async () => JSON.parse((await postern('bans', 'list', '--json')).output)
  return {
    ports: servers === 2 ? ([first.port, port] as const) : ([first.port, first.port] as const),
    folder: first.folder,
    postern,
    signIn,
    gate,
    list,
  }
}

// Each command is a process, and a busy machine starts them slowly.
describe('postern bans', { timeout: 60_000 }, () => {
  it.each([{ redis: false }, { redis: true }])(
    'add ends a person’s sessions and refuses new ones, in every process; revoke lets them in again (%o)',
    async where => {
      const { ports, postern, signIn, gate, list } = await house(where)
      const [one, other] = ports
      const { cookie } = await signIn(one, 'alice')
      const bob = await signIn(one, 'bob')
      expect(await gate(other, cookie)).toBe(200)

      const added = await postern('bans', 'add', 'alice', '--duration', 'permanent', '--reason', 'lost her badge')
      expect(added).toMatchObject({ code: 0 })
      expect(added.output).toContain('alice is banned until it is lifted.')
      expect(added.output).toContain('1 session was ended.')
      for (const at of ports) {
        expect(await gate(at, cookie)).toBe(401)
        expect(await signIn(at, 'alice')).toMatchObject({ status: 401 })
        expect(await gate(at, bob.cookie)).toBe(200)
      }
      expect(await list()).toEqual([
        {
          kind: 'user',
          name: 'alice',
          stops: 'signing in',
          by: 'administrator',
          reason: 'lost her badge',
          began: expect.stringMatching(/Z$/),
          until: null,
        },
      ])

      expect(await postern('bans', 'revoke', 'alice')).toMatchObject({ code: 0 })
      for (const at of ports) expect(await signIn(at, 'alice')).toMatchObject({ status: 200 })
      expect(await gate(one, cookie)).toBe(401) // what was ended stays so
    },
  )

  it('revoke lifts regulation’s ban too, which ended no session: guessing must not put a person out', async () => {
    const { ports, postern, signIn, gate, list } = await house({ servers: 1 })
    const [one, other] = ports
    const { cookie } = await signIn(one, 'alice')
    for (let round = 0; round < 3; round++) await signIn(one, 'alice', 'wrong')
    for (let round = 0; round < 3; round++) await signIn(one, 'who-is-this', 'wrong')
    expect(await signIn(other, 'alice')).toMatchObject({ status: 401 })
    for (const at of ports) expect(await gate(at, cookie)).toBe(200)
    expect(await list()).toMatchObject([
      { kind: 'typed-name', name: null, by: 'regulation' },
      { kind: 'user', name: 'alice', by: 'regulation' },
    ])
    expect(await postern('bans', 'revoke', 'alice')).toMatchObject({ code: 0 })
    expect(await signIn(other, 'alice')).toMatchObject({ status: 200 })
    expect(await postern('bans', 'revoke', 'who-is-this')).toMatchObject({ code: 0 })
    expect(await list()).toEqual([])
  })

  it('an address: nobody signs in from it; an IPv6 address stands for its network; sessions go on', async () => {
    const { ports, postern, signIn, gate, list } = await house({ more: 'regulation: { max_retries: 0 }\n', servers: 1 })
    const [one, other] = ports
    const { cookie } = await signIn(one, 'alice', password, elsewhere)
    expect((await postern('bans', 'add', elsewhere)).output).toContain(`${elsewhere} is banned until 20`)
    expect((await postern('bans', 'add', '2001:db8:1:2::1', '--duration', '1h')).output).toContain('2001:db8:1:2::/64')
    for (const at of ports) {
      expect(await signIn(at, 'alice', password, elsewhere)).toMatchObject({ status: 401 })
      expect(await signIn(at, 'alice', password, '2001:db8:1:2:3::4')).toMatchObject({ status: 401 })
      expect(await signIn(at, 'alice')).toMatchObject({ status: 200 })
    }
    expect(await gate(other, cookie, elsewhere)).toBe(200)
    const [ofNetwork, ofAddress] = await list()
    expect([ofNetwork.name, ofAddress.name]).toEqual(['2001:db8:1:2::/64', elsewhere])
    expect(Date.parse(ofAddress.until) - Date.parse(ofAddress.began)).toBeCloseTo(86_400_000, -3)
    expect(await postern('bans', 'revoke', ofNetwork.name)).toMatchObject({ code: 0 })
    expect(await signIn(one, 'alice', password, '2001:db8:1:2::1')).toMatchObject({ status: 200 })
  })

  it('list prints a table, and says when nobody is banned; revoke fails where there is nothing to lift', async () => {
    const { postern } = await house({ servers: 0 })
    expect((await postern('bans', 'list')).output).toContain('Nobody is banned.')
    await postern('bans', 'add', 'alice', '--duration', 'permanent', '--reason', 'lost her badge')
    expect((await postern('bans', 'list')).output).toMatch(
      /alice .*signing in .*lifted .*administrator .*lost her badge/,
    )
    expect(await postern('bans', 'revoke', 'alice')).toMatchObject({ code: 0 })
    expect(await postern('bans', 'revoke', 'alice')).toMatchObject({ code: 1 })
  })

  it('is told to the log file of the server', async () => {
    const { folder, postern } = await house({ servers: 0 })
    const config = join(folder, 'configuration.yml')
    const log = join(folder, 'postern.log')
    writeFileSync(config, readFileSync(config, 'utf8').replace('log: {', `log: { file_path: ${log},`))
    await postern('bans', 'add', 'alice', '--reason', 'gone')
    await postern('bans', 'revoke', 'alice')
    const events = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
      .filter(({ event }) => event !== undefined)
    expect(events).toMatchObject([
      { event: 'ban.added', username: 'alice', detail: 'gone', until: expect.any(String) },
      { event: 'ban.lifted', username: 'alice' },
    ])
  })

  it.each([
    [['add', 'alice', '--duration', '0'], 'is no duration'],
    [['add', 'alice', '--duration', 'for ever'], 'is no duration'],
    [['add', 'alice', '--reason', 'two\nlines'], 'A reason is one line'],
    [['add', ' '], 'neither a name nor an address'],
    [['revoke', 'nobody'], 'nobody is not banned'],
  ])('refuses %j', async (parameters, why) => {
    const setup = await setUp()
    const running = start(node, [main, 'bans', ...parameters, '--config', setup.configFile])
    expect(await running.exit).toBe(1)
    expect(running.output()).toContain(why)
  })

  it('bans a name that nobody has, or that cannot be looked up, as it is written', async () => {
    const { folder, postern, list } = await house({ servers: 0 })
    expect((await postern('bans', 'add', 'who-is-this')).output).toContain('nobody is named who-is-this now')
    writeFileSync(join(folder, 'users.yml'), 'broken: [')
    expect((await postern('bans', 'add', 'bob')).output).toContain('taken as it is written')
    expect(await list()).toMatchObject([{ name: 'bob' }, { name: 'who-is-this' }])
  })
})
