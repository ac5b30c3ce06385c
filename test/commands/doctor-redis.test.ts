import { describe, expect, it, onTestFinished } from 'vitest'
import { examine } from '../../src/commands/doctor.ts'
import { setUp } from '../support/postern.ts'
import { freePort } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'

async function found(keys: string) {
  const { configFile } = await setUp({ session: `redis: { host: 127.0.0.1, ${keys} }` })
  const { findings } = await examine(configFile, {})
  return findings.filter(({ area }) => area === 'Redis')
}

describe('doctor about Redis', () => {
  it('says that it can be used', async () => {
    const { port } = await startRedis({ cleanup: onTestFinished })
    const [finding, ...more] = await found(`port: ${port}`)
    expect(more).toEqual([])
    expect(finding).toMatchObject({ severity: 'ok' })
    expect(finding?.what).toMatch(/^\d+\.\d+\.\d+ answers, takes writes/)
  })

  it.each([
    { what: 'is down', lines: null, keys: '', reason: 'redis-down', severity: 'error' },
    {
      what: 'refuses the password',
      lines: ['requirepass right'],
      keys: ', password: wrong',
      reason: 'redis-denied',
      severity: 'error',
    },
    { what: 'is another kind', lines: [], keys: ', cluster: {}', reason: 'redis-config', severity: 'error' },
    {
      what: 'speaks no TLS that verifies',
      lines: [],
      keys: ', tls: { ca_file: /nowhere.pem }',
      reason: 'redis-config',
      severity: 'error',
    },
    { what: 'takes no writes', lines: ['min-replicas-to-write 1'], keys: '', reason: 'redis-full', severity: 'error' },
    {
      what: 'throws things away',
      lines: ['maxmemory-policy allkeys-lru'],
      keys: '',
      reason: 'redis-evicts',
      severity: 'warning',
    },
  ])('says that it $what', async ({ lines, keys, reason, severity }) => {
    const port = await freePort()
    const cliArguments = keys.includes('password') ? ['-a', 'right', '--no-auth-warning'] : []
    if (lines !== null) await startRedis({ cleanup: onTestFinished, port, lines, cliArguments })
    const [finding] = await found(`port: ${port}${keys}`)
    expect(finding).toMatchObject({ reason, severity })
    expect(JSON.stringify(finding)).not.toMatch(/right|wrong/)
  })
})
