import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import { describe, expect, it } from 'vitest'
import { type Setup, setUp } from '../support/postern.ts'
import { freePort, node, projectRoot, type Running, start, until } from '../support/process.ts'

const main = join(projectRoot, 'dist/main.js')

async function serving(setup: Setup): Promise<Running> {
  const running = start(node, [main, 'serve', '--config', setup.configFile], { env: process.env })
  await running.line(/"msg":"serving"/)
  return running
}

/** What the gate says about this site to nobody in particular. */
async function answer(setup: Setup, site: string): Promise<number> {
  const { statusCode, body } = await request(`http://127.0.0.1:${setup.port}/api/authz/auth-request`, {
    headers: { 'x-original-url': `https://${site}.postern.localhost/`, 'x-original-method': 'GET' },
  })
  await body.dump()
  return statusCode
}

async function notices(setup: Setup): Promise<unknown> {
  const { statusCode, body } = await request(`http://127.0.0.1:${setup.port}/api/health`)
  expect(statusCode).toBe(200)
  return ((await body.json()) as { notices?: unknown }).notices
}

/** Every hit of `from` becomes `to`, in one step, as an editor does it. */
function edit(setup: Setup, from: string, to: string): void {
  const text = readFileSync(setup.configFile, 'utf8')
  expect(text).toContain(from)
  writeFileSync(`${setup.configFile}.new`, text.replaceAll(from, to))
  renameSync(`${setup.configFile}.new`, setup.configFile)
}

const rules = [
  { domain: 'public.postern.localhost', policy: 'bypass' },
  { domain: 'two.postern.localhost', policy: 'one_factor' },
]

describe('the configuration, read anew', () => {
  it('puts new rules in force on SIGHUP, and keeps sessions, port and process', async () => {
    const setup = await setUp({ rules })
    const running = await serving(setup)
    expect(await answer(setup, 'public')).toBe(200)
    edit(setup, '"policy":"bypass"', '"policy":"deny"')
    expect(await answer(setup, 'public')).toBe(200)
    running.child.kill('SIGHUP')
    await running.line(/read anew/)
    expect(await answer(setup, 'public')).toBe(403)
    expect(await notices(setup)).toBeUndefined()
  })

  it('leaves everything old in force after a broken edit, tells its line, and shows it until the file is right again', async () => {
    const metricsPort = await freePort()
    const more = `telemetry: { metrics: { enabled: true, address: 'tcp://127.0.0.1:${metricsPort}/metrics' } }\n`
    const setup = await setUp({ rules, more })
    const running = await serving(setup)
    const refused = async () => {
      const { body } = await request(`http://127.0.0.1:${metricsPort}/metrics`)
      return /^postern_configuration_refused (\d)$/m.exec(await body.text())?.[1]
    }
    expect(await refused()).toBe('0')
    edit(setup, '"policy":"bypass"', '"polcy":"deny"')
    running.child.kill('SIGHUP')
    await running.line(/cannot be used/)
    expect(running.output()).toMatch(/configuration\.yml:\d+:\d+: error: access_control\.rules\[0\]\.polcy/)
    expect(await answer(setup, 'public')).toBe(200)
    expect(await notices(setup)).toEqual(['configuration'])
    expect(await refused()).toBe('1')
    edit(setup, '"polcy":"deny"', '"policy":"deny"')
    running.child.kill('SIGHUP')
    await running.line(/read anew/)
    expect(await answer(setup, 'public')).toBe(403)
    expect(await notices(setup)).toBeUndefined()
    expect(await refused()).toBe('0')
  })

  it('says which settings need a restart, each time, and takes up the rules beside them', async () => {
    const setup = await setUp({ rules })
    const running = await serving(setup)
    edit(setup, 'level: debug', 'level: info')
    edit(setup, '"policy":"bypass"', '"policy":"deny"')
    for (const _ of [1, 2]) {
      running.child.kill('SIGHUP')
      const before = running.output().split('read anew').length
      await until(() => running.output().split('read anew').length > before, 'it was read')
    }
    expect(running.output().match(/log\.level has changed in [^"]*: restart to use it/g)).toHaveLength(2)
    expect(await answer(setup, 'public')).toBe(403)
  })

  it('reads a changed file by itself where server.watch says so', async () => {
    const setup = await setUp({ rules })
    edit(setup, 'server:\n', 'server:\n  watch: true\n')
    const running = await serving(setup)
    edit(setup, '"policy":"bypass"', '"policy":"deny"')
    await running.line(/its rules are in force/)
    expect(await answer(setup, 'public')).toBe(403)
    writeFileSync(setup.configFile, '')
    await running.line(/cannot be used/)
    expect(await answer(setup, 'public')).toBe(403)
  })

  it('does not read a changed file by itself otherwise', async () => {
    const setup = await setUp({ rules })
    const running = await serving(setup)
    edit(setup, '"policy":"bypass"', '"policy":"deny"')
    // Watched in the same way and changed later: once this was seen, the configuration would have been.
    writeFileSync(join(setup.folder, 'users.yml'), 'users: broken')
    await until(async () => (await notices(setup)) !== undefined, 'the users file was read')
    expect(running.output()).not.toMatch(/read anew/)
    expect(await answer(setup, 'public')).toBe(200)
  })
})

describe('metrics', () => {
  it('are served on their own address only, without a name of anybody', async () => {
    const metricsPort = await freePort()
    const more = `telemetry: { metrics: { enabled: true, address: 'tcp://127.0.0.1:${metricsPort}/metrics' } }\n`
    const setup = await setUp({ rules, more })
    await serving(setup)
    const login = await request(`http://127.0.0.1:${setup.port}/api/firstfactor`, {
      method: 'POST',
      headers: { host: 'auth.postern.localhost', 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'alice', password: 'wrong' }),
    })
    expect(login.statusCode).toBe(401)
    const outside = await request(`http://127.0.0.1:${setup.port}/metrics`, {
      headers: { host: 'auth.postern.localhost' },
    })
    expect(outside.statusCode).toBe(404)
    const { statusCode, headers, body } = await request(`http://127.0.0.1:${metricsPort}/metrics`)
    const text = await body.text()
    expect([statusCode, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    expect(text).toMatch(/^postern_events_total\{event="login\.failed",reason="[a-z-]*"\} 1$/m)
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m)
    expect(text).not.toMatch(/alice|127\.0\.0\.1/)
    for (const [path, method, status] of [
      ['/', 'GET', 404],
      ['/metrics', 'POST', 405],
    ] as const)
      expect((await request(`http://127.0.0.1:${metricsPort}${path}`, { method })).statusCode).toBe(status)
  })

  it('keep the server from starting where their address cannot be had', async () => {
    const setup = await setUp({
      rules,
      more: "telemetry: { metrics: { enabled: true, address: 'tcp://203.0.113.9:9959/' } }\n",
    })
    const running = start(node, [main, 'serve', '--config', setup.configFile], { env: process.env })
    expect(await running.exit).toBe(1)
    expect(running.output()).toContain('telemetry.metrics.address tcp://203.0.113.9:9959 cannot be listened on')
  })
})
