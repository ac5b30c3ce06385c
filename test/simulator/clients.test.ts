import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { node, projectRoot, start, temporaryFolder, until } from '../support/process.ts'
import { keys, simulator } from './client.ts'

const scripts = join(import.meta.dirname, 'clients')

/** Clients that Duo publishes and this project did not write. */
const clients: Record<string, { command: () => string[]; version: RegExp }> = {
  'Python’s from Debian (v2 with SHA-1)': {
    command: () => [python('/usr/bin/python3', 'apt-get install python3-duo-client'), join(scripts, 'python.py')],
    version: /^4\./,
  },
  'Python’s from PyPI (v5)': {
    command: () => [
      python(
        join(projectRoot, '.venv/bin/python3'),
        'python3 -m venv .venv && .venv/bin/pip install "duo-client>=5,<6"',
      ),
      join(scripts, 'python.py'),
    ],
    version: /^5\./,
  },
  'the npm package’s (v2 with SHA-512)': { command: () => [node, join(scripts, 'node.mjs')], version: /signature 2/ },
  'the npm package’s (v5)': { command: () => [node, join(scripts, 'node.mjs')], version: /signature 5/ },
}

/** A Python that has the client. Missing, it fails the test with what to install; it never passes silently. */
function python(path: string, install: string): string {
  const found = spawnSync(path, ['-c', 'import duo_client'])
  if (found.status !== 0) throw new Error(`This test needs ${path} with duo_client. Install it: ${install}`)
  return path
}

async function drive(name: string, simulated: Simulator, wrong: Partial<typeof keys> = {}) {
  const entry = clients[name]
  if (!entry) throw new Error(name)
  const [command = '', ...args] = entry.command()
  const ca = join(temporaryFolder(), 'ca.pem')
  writeFileSync(ca, simulated.ca)
  const { integrationKey, secretKey } = { ...keys, ...wrong }
  const signature = name.includes('v5') ? '5' : '2'
  const running = start(command, [...args, integrationKey, secretKey, String(simulated.apiPort), ca, signature])
  let lines = 0
  const nextLine = async () => {
    const wanted = ++lines
    const [, line = ''] = await running.line(new RegExp(`^(?:.*\\n){${wanted - 1}}(.*)\\n`))
    return JSON.parse(line)
  }
  expect((await nextLine()).version).toMatch(entry.version)
  return async (call: string, params: Record<string, unknown> = {}) => {
    running.child.stdin?.write(`${JSON.stringify({ name: call, params })}\n`)
    return nextLine()
  }
}

/** The push that rings, as soon as it does. */
const ringing = (simulated: Simulator) =>
  until(() => simulated.pushes().find(({ state }) => state === 'pending'), 'a push on the phone')

describe.each(Object.keys(clients))('%s', name => {
  it('pings and checks its keys', async () => {
    const call = await drive(name, await simulator())
    const now = Date.now() / 1000
    expect((await call('ping')).response.time).toBeCloseTo(now, -1)
    expect((await call('check')).response.time).toBeCloseTo(now, -1)
  })

  it('asks preauth and finds the phone', async () => {
    const call = await drive(name, await simulator())
    expect((await call('preauth', { username: 'ALICE.liddell', ipaddr: '192.0.2.7' })).response).toMatchObject({
      result: 'auth',
      devices: [{ device: 'DPALICE0000000000001', number: 'XXX-XXX-0100' }],
    })
    expect((await call('preauth', { username: 'nobody (at) all!*~' })).response).toMatchObject({ result: 'enroll' })
  })

  it.each([
    ['approve', 'allow', 'allow'],
    ['deny', 'deny', 'deny'],
    ['fraud', 'deny', 'fraud'],
  ] as const)('sends a push and polls it to %s', async (answer, result, status) => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    const pushinfo = 'Site=one.example.com%2F&Browser=Firefox%20%26%20friends%20%C3%A9'
    const push = { username: 'alice', factor: 'push', device: 'auto', type: 'Log-in', pushinfo, async: true }
    const params = name.startsWith('Python') ? { ...push, async_txn: true, async: undefined } : push
    const { txid } = (await call('auth', params)).response
    expect((await call('auth_status', { txid })).response).toMatchObject(
      // Python's client turns the state into booleans of its own.
      name.startsWith('Python') ? { waiting: true, status: 'pushed' } : { result: 'waiting', status: 'pushed' },
    )
    const last = call('auth_status', { txid })
    const { id, pushinfo: shown } = await ringing(simulated)
    expect(shown).toEqual([
      ['Site', 'one.example.com/'],
      ['Browser', 'Firefox & friends é'],
    ])
    simulated.answer(id, answer)
    expect((await last).response).toMatchObject(
      name.startsWith('Python') ? { waiting: false, success: result === 'allow', status } : { result, status },
    )
    expect((await call('auth_status', { txid })).error).toMatchObject({ code: 40002, message_detail: 'txid' })
    expect(simulated.pushes()).toHaveLength(1)
  })

  it.each([
    ['approve', 'allow'],
    ['deny', 'deny'],
  ] as const)('waits for the phone in one synchronous call: %s', async (answer, result) => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    const reply = call('auth', { username: 'bob', factor: 'push', device: 'DPBOB000000000000002' })
    const { id, device } = await ringing(simulated)
    expect(device.name).toBe('Tablet')
    simulated.answer(id, answer)
    expect((await reply).response).toMatchObject({ result, status: result })
  })

  it('is told apart by wrong keys', async () => {
    const simulated = await simulator()
    const wrongSecret = await drive(name, simulated, { secretKey: 'aVerySecretKeyOfFortyCharactersForTests2' })
    expect((await wrongSecret('ping')).response).toHaveProperty('time')
    expect((await wrongSecret('check')).error).toMatchObject({ code: 40103, stat: 'FAIL' })
    const unknown = await drive(name, simulated, { integrationKey: 'DIPOSTERNTEST0000002' })
    expect((await unknown('preauth', { username: 'alice' })).error).toMatchObject({ code: 40102 })
  })

  it('enrols somebody, who then has a phone', async () => {
    const simulated = await simulator()
    const call = await drive(name, simulated)
    const { activation_code, user_id } = (await call('enroll', { username: 'carol' })).response
    expect((await call('enroll_status', { user_id, activation_code })).response).toBe('waiting')
    const activated = await fetch(`${simulated.phoneUrl}/control/activations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ activation_code }),
    })
    expect(activated.status).toBe(200)
    expect((await call('enroll_status', { user_id, activation_code })).response).toBe('success')
    expect((await call('preauth', { username: 'carol' })).response.result).toBe('auth')
  })
})
