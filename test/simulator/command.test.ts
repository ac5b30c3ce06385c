import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { node, projectRoot, start, temporaryFolder } from '../support/process.ts'

let built = ''
// The command as it ships, compiled: Node itself reads no TSX. Inside the project, so that it finds the packages.
beforeAll(() => {
  const cache = join(projectRoot, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  built = mkdtempSync(join(cache, 'simulator-'))
  const compiler = join(projectRoot, 'node_modules/.bin/tsc')
  spawnSync(node, [compiler, '-p', 'tsconfig.json', '--outDir', built], { cwd: projectRoot })
})

afterAll(() => rmSync(built, { recursive: true, force: true }))

const run = (options: object, env: NodeJS.ProcessEnv = {}) => {
  const module = JSON.stringify(join(built, 'commands/simulator.js'))
  const code = `const { simulator } = await import(${module}); process.exitCode = await simulator(${JSON.stringify(options)})`
  return start(node, ['--input-type=module', '-e', code], { env: { ...process.env, ...env } })
}

async function ping(url: string, ca: string) {
  const agent = new Agent({ connect: { ca } })
  onTestFinished(() => agent.destroy())
  return (await request(`${url}ping`, { dispatcher: agent })).body.json()
}

describe('the simulator command', () => {
  const integrationKey = 'DIPOSTERNTEST0000001'
  const secretKey = 'a-secret-that-nobody-else-knows-00000001'

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'writes its CA, says where it listens and that it is ready, and ends on %s',
    async signal => {
      const ca = join(temporaryFolder(), 'ca.pem')
      const running = run({ port: 0, integrationKey, secretKey, ca })
      await running.line(/^ready$/m)
      const [, api = ''] = await running.line(/(https:\/\/\S+)/)
      const [, phone = ''] = await running.line(/(http:\/\/\S+)/)
      expect(await ping(api, readFileSync(ca, 'utf8'))).toMatchObject({ stat: 'OK' })
      const page = await (await fetch(phone)).text()
      for (const name of ['alice', 'bob', 'Tablet']) expect(page).toContain(name)
      expect(await running.stop(signal)).toBe(0)
      expect(running.output()).not.toContain(secretKey)
    },
  )

  it('takes the secret key from the environment, and names both ways when there is none', async () => {
    const running = run({ port: 0, integrationKey }, { POSTERN_SIMULATOR_SECRET_KEY: secretKey })
    await running.line(/^ready$/m)
    const without = run({ port: 0, integrationKey }, { POSTERN_SIMULATOR_SECRET_KEY: '' })
    expect(await without.exit).toBe(1)
    expect(without.output()).toMatch(/--secret-key.*POSTERN_SIMULATOR_SECRET_KEY/)
  })

  it('ends with a reason when its port is taken, and with one when it can’t write its CA', async () => {
    const running = run({ port: 0, integrationKey, secretKey })
    const [, port = ''] = await running.line(/https:\/\/\S+:(\d+)/)
    const second = run({ port: Number(port), integrationKey, secretKey })
    expect(await second.exit).toBe(1)
    expect(second.output()).toContain('EADDRINUSE')
    const third = run({ port: 0, integrationKey, secretKey, ca: '/nowhere/ca.pem' })
    expect(await third.exit).toBe(1)
    expect(third.output()).toContain('/nowhere/ca.pem')
  })
})
