import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { Client, request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { duoKeys, password, type Setup, setUp } from '../support/postern.ts'
import { node, projectRoot, type Running, start, until } from '../support/process.ts'

const main = join(projectRoot, 'dist/main.js')

function serve(setup: Setup, env: NodeJS.ProcessEnv = {}): Running {
  return start(node, [main, 'serve', '--config', setup.configFile], { env: { ...process.env, ...env } })
}

const ask = (setup: Setup, path: string, options: Parameters<typeof request>[1] = {}) =>
  request(`http://127.0.0.1:${setup.port}${path}`, {
    ...options,
    headers: { host: 'auth.postern.localhost', ...options?.headers } as Record<string, string>,
  })

async function serving(setup: Setup, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const running = serve(setup, env)
  await running.line(/"serving"|serving/)
  return running
}

/** A person who has given the password, and a push that waits. */
async function withPush() {
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
  onTestFinished(() => simulator.close())
  const setup = await setUp({ duo: simulator })
  const running = await serving(setup)
  const login = await ask(setup, '/api/firstfactor', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'alice', password }),
  })
  await login.body.dump()
  const cookie = String(login.headers['set-cookie']).split(';')[0] ?? ''
  const held = ask(setup, '/api/secondfactor/duo', { method: 'POST', headers: { cookie } })
  await until(() => simulator.pushes()[0]?.state === 'pending', 'the push is on the phone')
  return { simulator, setup, running, held, cookie }
}

describe('postern serve', () => {
  it('refuses to start on an error, with exit code 1, every problem with its line, and nothing half open', async () => {
    const setup = await setUp({ more: 'sesion: {}\nregulation: { max_retires: 3 }\n' })
    const running = serve(setup)
    expect(await running.exit).toBe(1)
    expect(running.output()).toMatch(/configuration\.yml:\d+:\d+: error: sesion: .*session/)
    expect(running.output()).toMatch(/configuration\.yml:\d+:\d+: error: regulation\.max_retires: .*max_retries/)
    expect(existsSync(join(setup.folder, 'postern.sqlite3'))).toBe(false)
  })

  it('refuses to start on a users file that cannot be used', async () => {
    const setup = await setUp()
    writeFileSync(join(setup.folder, 'users.yml'), 'users:\n  alice:\n    displayname: x\n')
    const running = serve(setup)
    expect(await running.exit).toBe(1)
    expect(running.output()).toMatch(/users\.yml:\d+:\d+: error: users\.alice/)
  })

  it('refuses to start where a file with certificates is missing, with the line that names it', async () => {
    const setup = await setUp({ duo: { apiPort: 1, ca: 'none' } })
    const running = serve(setup)
    expect(await running.exit).toBe(1)
    expect(running.output()).toMatch(/configuration\.yml:\d+:\d+: error: duo_api\.ca_file: The file \S+ holds no cert/)
  })

  it('refuses to start where the log cannot be written, as do the commands beside it', async () => {
    const setup = await setUp()
    const path = join(setup.folder, 'no-folder/postern.log')
    const text = readFileSync(setup.configFile, 'utf8')
    writeFileSync(setup.configFile, text.replace('log: { ', `log: { file_path: ${path}, `))
    const beside = start(node, [main, 'sessions', 'list', '--config', setup.configFile])
    for (const running of [serve(setup), beside]) {
      expect(await running.exit).toBe(1)
      expect(running.output()).toMatch(
        /^postern: (?:not started: )?log\.file_path \S+ cannot be opened: its folder is missing\n$/,
      )
    }
  })

  it('names the address when something else listens there', async () => {
    const setup = await setUp()
    const other = createServer().listen(setup.port, '127.0.0.1')
    onTestFinished(() => void other.close())
    const running = serve(setup)
    expect(await running.exit).toBe(1)
    expect(running.output()).toContain(`127.0.0.1:${setup.port}: something else listens there already`)
  })

  it('listens on a unix socket that a killed one left behind, and never on one that is in use', async () => {
    const setup = await setUp({ trustedProxies: ['unix'] })
    const path = join(setup.folder, 'postern.sock')
    const text = readFileSync(setup.configFile, 'utf8')
    writeFileSync(setup.configFile, text.replace(/address: tcp\S+/, `address: unix://${path}`))
    const first = await serving(setup)
    await first.stop('SIGKILL')
    expect(existsSync(path)).toBe(true)
    await serving(setup)
    const late = serve(setup)
    expect(await late.exit).toBe(1)
    expect(late.output()).toContain(`unix://${path}: something else listens there already`)
    const dispatcher = new Client('http://auth.postern.localhost', { socketPath: path })
    onTestFinished(() => dispatcher.close())
    const { statusCode, body } = await request('http://auth.postern.localhost/api/health', { dispatcher })
    await body.dump()
    expect(statusCode).toBe(200)
  })

  it('row 162: SIGTERM answers what is held and ends within the deadline with exit code 0', async () => {
    const { running, held } = await withPush()
    const ended = running.stop('SIGTERM')
    expect((await held).statusCode).toBe(401)
    expect(await ended).toBe(0)
  })

  it('row 162: a second SIGTERM ends at once', async () => {
    const setup = await setUp()
    const running = await serving(setup)
    // A request whose body never comes holds the end up.
    const socket = connect(setup.port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.write(
      'POST /api/logout HTTP/1.1\r\nHost: auth.postern.localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    )
    await until(async () => (await ask(setup, '/api/health')).statusCode === 200, 'it serves')
    process.kill(running.child.pid ?? 0, 'SIGTERM')
    await running.line(/open requests are answered first/)
    expect(await running.stop('SIGTERM')).toBe(1)
  })

  it('row 162: SIGHUP, a closed stdout and a full disk under the log do not end it', async () => {
    const setup = await setUp()
    const running = await serving(setup)
    process.kill(running.child.pid ?? 0, 'SIGHUP')
    await running.line(/was read anew/)
    running.child.stdout?.destroy()
    running.child.stderr?.destroy()
    for (let i = 0; i < 5; i++) {
      const wrong = await ask(setup, '/api/firstfactor', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: `nobody${i}`, password: 'x' }),
      })
      expect(wrong.statusCode).toBe(401)
    }
    const full = await setUp({ more: '' })
    const config = join(full.folder, 'configuration.yml')
    writeFileSync(
      config,
      readFileSync(config, 'utf8').replace(
        'log: { level: debug, format: json }',
        'log: { level: debug, format: json, file_path: /dev/full, keep_stdout: true }',
      ),
    )
    await serving(full)
    expect((await ask(full, '/api/state')).statusCode).toBe(200)
  })

  it('row 164: a rejection that nobody handles is logged and ends it, exit code not zero', async () => {
    const setup = await setUp()
    const bug = join(setup.folder, 'bug.mjs')
    writeFileSync(bug, "process.on('SIGUSR2', () => Promise.reject(new Error('a bug in a library')))\n")
    const running = await serving(setup, { NODE_OPTIONS: `--import ${bug}` })
    process.kill(running.child.pid ?? 0, 'SIGUSR2')
    expect(await running.exit).toBe(1)
    expect(running.output()).toMatch(/a bug ended the server/)
    expect(running.output()).toMatch(/a bug in a library/)
  })

  it('row 177: no query of a wanted page stands in the log or on the phone', async () => {
    const { simulator, setup, running, cookie } = await withPush()
    await (
      await ask(setup, `/?rd=${encodeURIComponent('http://two.postern.localhost/x?token=query-secret')}`, {
        headers: { cookie },
      })
    ).body.dump()
    const gate = await request(`http://127.0.0.1:${setup.port}/api/authz/auth-request`, {
      headers: { 'x-original-url': 'http://evil.example/?token=query-secret', 'x-original-method': 'GET' },
    })
    expect(gate.statusCode).toBe(400)
    await running.line(/gate\.refused/)
    expect(running.output()).not.toContain('query-secret')
    expect(JSON.stringify(simulator.pushes())).not.toContain('query-secret')
    const page = await ask(setup, '/')
    expect(page.headers['referrer-policy']).toBe('same-origin')
  })

  it('row 178: no secret is on its command line, and a report of Node leaves the environment out', async () => {
    const setup = await setUp()
    const running = await serving(setup, {
      POSTERN_TEST_SECRET: 'env-secret',
      NODE_OPTIONS: `--report-on-signal --report-signal=SIGUSR2 --report-directory=${setup.folder} --report-filename=report.json`,
    })
    expect(readFileSync(`/proc/${running.child.pid}/cmdline`, 'utf8')).not.toMatch(/secret/)
    process.kill(running.child.pid ?? 0, 'SIGUSR2')
    const report = join(setup.folder, 'report.json')
    await until(
      () => existsSync(report) && readFileSync(report, 'utf8').trimEnd().endsWith('}'),
      'the report is written',
    )
    expect(readFileSync(report, 'utf8')).not.toContain('env-secret')
  })
})

describe('the command line', () => {
  const run = (...args: string[]) => start(node, [main, ...args])

  it('tells its version and its commands', async () => {
    const version = run('--version')
    expect(await version.exit).toBe(0)
    expect(version.output().trim()).toBe(JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')).version)
    const help = run('--help')
    expect(await help.exit).toBe(0)
    for (const command of ['serve', 'check', 'hash', 'simulator', 'demo'])
      expect(help.output()).toMatch(new RegExp(`^ +${command}`, 'm'))
  })

  it('refuses what it does not know, with exit code 1', async () => {
    const unknown = run('serv')
    expect(await unknown.exit).toBe(1)
    expect(unknown.output()).toMatch(/Did you mean serve/)
  })
})
