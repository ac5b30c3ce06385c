import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { checkDuo, connectDuo } from '../../src/duo/connect.ts'
import { unavailable } from '../../src/duo/failure.ts'
import { freePort, temporaryFolder, until } from '../support/process.ts'
import { openHouse } from './house.ts'
import { duoConfig } from './people.ts'
import { silent } from './scripted-duo.ts'

const connected = async (config: object, env: NodeJS.ProcessEnv = {}) => {
  const connection = await connectDuo({ config: duoConfig(config), clock: Date.now, log: silent, env })
  onTestFinished(() => connection.client.close())
  return connection
}

describe(connectDuo, () => {
  const hostname = 'API-1234.duosecurity.com:8443'

  it('knows the host without its port, and no proxy unless one is set', async () => {
    expect(await connected({ hostname })).toMatchObject({
      apiHost: 'api-1234.duosecurity.com',
      proxy: undefined,
      ignored: [],
    })
  })

  it('takes the configured proxy before that of the environment', async () => {
    const env = { HTTPS_PROXY: 'http://other:1' }
    const proxied = await connected({ hostname, proxy: 'http://u:p@mine:3128' }, env)
    expect(proxied.proxy).toMatchObject({ address: 'http://mine:3128', setBy: 'duo_api.proxy' })
    expect((await connected({ hostname }, env)).proxy).toMatchObject({
      address: 'http://other:1',
      setBy: 'HTTPS_PROXY',
    })
  })

  it('row 111: names a variable that would weaken other calls, and a proxy that is none', async () => {
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0', HTTPS_PROXY: 'socks5://user:hunter2@proxy:1080' }
    const { ignored, proxy } = await connected({ hostname }, env)
    expect(ignored).toHaveLength(2)
    expect(ignored.join()).toContain('NODE_TLS_REJECT_UNAUTHORIZED=0')
    expect(ignored.join()).toContain('HTTPS_PROXY')
    expect(ignored.join()).not.toContain('hunter2')
    expect(proxy).toBeUndefined()
  })

  it.each([
    ['nothing', undefined],
    ['no certificate', 'hello'],
    ['a broken one', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('refuses a CA file that holds %s', async (_, content) => {
    const file = join(temporaryFolder(), 'ca.pem')
    if (content !== undefined) writeFileSync(file, content)
    await expect(connected({ hostname, ca_file: file })).rejects.toThrow(/duo_api\.ca_file/)
  })
})

describe(checkDuo, () => {
  it('asks no more once nobody answers: a person who waits for the start waits once', async () => {
    const asked: string[] = []
    const failure = unavailable('duo-timeout', 'no answer to ping in time')
    const finding = await checkDuo({
      clockOffsetSeconds: undefined,
      ping: async () => ({ ok: false, failure }),
      check: async () => {
        asked.push('check')
        return { ok: false, failure }
      },
    })
    expect(finding).toEqual({ ok: false, simulator: null, failure })
    expect(asked).toEqual([])
  })
})

describe('at start', () => {
  it('a clock that is an hour off is named, and sign-ins go on', async () => {
    const house = await openHouse()
    const duo = await house.open({ clock: () => house.now + 3_600_000 })
    await until(() => duo.lines.some(line => line.includes('takes these keys')), 'Duo was asked')
    expect(duo.lines.some(line => line.includes('"clock-off"') && line.includes('"clockOffsetSeconds":3600'))).toBe(
      true,
    )
    expect(duo.events).toEqual([])
  })

  it('a Duo that is not there is a line in the log with what to do, and no reason not to serve', async () => {
    const house = await openHouse()
    const duo = await house.open({ port: await freePort() })
    await until(() => duo.events.length > 0, 'Duo was asked')
    expect(duo.events).toMatchObject([{ event: 'duo.unavailable', reason: 'duo-unreachable' }])
    expect(duo.lines.some(line => line.includes('Allow outgoing TCP to duo_api.hostname'))).toBe(true)
    expect(await duo.pausedUntil('alice')).toBeNull()
  })
})
