import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openDuo } from '../../src/duo/open-duo.ts'
import { freePort, temporaryFolder, until } from '../support/process.ts'
import { openHouse } from './house.ts'
import { duoConfig, facts, owner, push, unregulated } from './people.ts'
import { fail, scriptedDuo, silent } from './scripted-duo.ts'

describe('the offer', () => {
  it.each([
    ['alice', { kind: 'choose', preferred: push('DPALICE1') }],
    ['bob', { kind: 'choose', preferred: null }],
    ['carol', { kind: 'allow' }],
    ['dave', { kind: 'deny', reason: 'duo-locked' }],
    ['nobody-in-duo', { kind: 'enroll', portalUrl: null }],
  ])('to %s', async (username, expected) => {
    const duo = await (await openHouse()).open()
    expect(await duo.offer(owner(username), facts())).toMatchObject(expected)
    const started = await duo.start(owner(username), undefined, facts())
    expect(started).toMatchObject(username === 'alice' ? { outcome: 'started' } : { outcome: 'offer', offer: expected })
  })

  it('is trouble while Duo is out of reach, and nothing is sent', async () => {
    const house = await openHouse()
    const duo = await house.open({ port: await freePort() })
    expect(await duo.offer(owner('alice'), facts())).toMatchObject({ kind: 'unavailable', reason: 'duo-unreachable' })
    const started = await duo.start(owner('alice'), undefined, facts())
    expect(started).toMatchObject({ outcome: 'offer', offer: { kind: 'unavailable' } })
    expect(await duo.newest('alice-session')).toBeNull()
  })
})

describe('the kept device', () => {
  it('is the only one, once it was used', async () => {
    const duo = await (await openHouse()).open()
    expect((await duo.keptWay('alice'))?.way ?? null).toBeNull()
    await duo.start(owner('alice'), undefined, facts())
    expect((await duo.keptWay('alice'))?.way ?? null).toEqual(push('DPALICE1'))
  })

  it('is the one that was chosen, next time too', async () => {
    const house = await openHouse()
    const duo = await house.open()
    expect(await duo.start(owner('bob'), push('DPBOB2'), facts())).toMatchObject({ outcome: 'started' })
    await duo.cancel('bob-session')
    expect(await duo.offer(owner('bob'), facts())).toMatchObject({ preferred: push('DPBOB2') })
    expect(await duo.start(owner('bob'), undefined, facts())).toMatchObject({ push: { device: { id: 'DPBOB2' } } })
  })

  it('is forgotten once Duo lists it no more, but not because Duo is down', async () => {
    const house = await openHouse()
    const duo = await house.open()
    expect(await duo.keepWay(owner('bob'), push('DPBOB2'), facts())).toBe(true)
    house.simulator.setScenario({ kind: 'server-error', path: 'preauth' })
    expect(await duo.offer(owner('bob'), facts())).toMatchObject({ kind: 'unavailable', reason: 'duo-server-error' })
    expect((await duo.keptWay('bob'))?.way ?? null).toEqual(push('DPBOB2'))
    house.simulator.setUsers([{ username: 'bob', devices: [{ id: 'DPNEW', name: 'New', capabilities: ['push'] }] }])
    expect(await duo.offer(owner('bob'), facts())).toMatchObject({ preferred: push('DPNEW') })
    expect((await duo.keptWay('bob'))?.way ?? null).toBeNull()
  })

  it.each(['DPALICE1', 'auto', 'x'.repeat(10_240), '', 'dpbob1', 'DPBOB1 ', 'a\u0000b', '\ud800', '__proto__'])(
    'row 130: cannot be %j, nor can a push go there: it is not one of bob’s',
    async device => {
      const house = await openHouse()
      const duo = await house.open()
      expect(await duo.keepWay(owner('bob'), push(device), facts())).toBe(false)
      expect(await duo.start(owner('bob'), push(device), facts())).toEqual({ outcome: 'unknown-device' })
      expect((await duo.keptWay('bob'))?.way ?? null).toBeNull()
      expect(house.simulator.pushes()).toEqual([])
    },
  )
})

describe('at start', () => {
  it('learns that this is the simulator, and says that the keys are taken', async () => {
    const duo = await (await openHouse()).open()
    await until(() => duo.simulated, 'it is known')
    await until(() => duo.lines.some(line => line.includes('takes these keys')), 'it is logged')
  })

  it('tells once what is wrong, and serves all the same', async () => {
    const wrong = await scriptedDuo(
      (_, socket) => void socket.write(fail(40103, 'Invalid signature in request credentials')),
    )
    const duo = await (await openHouse()).open({ port: wrong.port, ca: wrong.certificate.ca })
    await until(() => duo.events.length > 0, 'it is told')
    expect(duo.events).toMatchObject([{ event: 'duo.misconfigured', reason: 'duo-signature' }])
    expect(duo.lines.join('')).toContain('The secret key does not belong to the integration key')
    expect(duo.simulated).toBeNull()
    expect(await duo.offer(owner('alice'), facts())).toMatchObject({ kind: 'misconfigured', reason: 'duo-signature' })
  })

  it('row 111: names NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const duo = await (await openHouse()).open()
    expect(duo.lines.join('')).toContain('NODE_TLS_REJECT_UNAUTHORIZED')
  })

  it.each([
    ['missing', undefined],
    ['empty', ''],
    ['no PEM', 'hello'],
    ['a broken certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('refuses a ca_file that is %s', async (_, content) => {
    const file = join(temporaryFolder(), 'ca.pem')
    if (content !== undefined) writeFileSync(file, content)
    const config = duoConfig({ ca_file: file })
    const parts = {
      config,
      application: 'Postern',
      encryptionKey: 'x'.repeat(20),
      people: unregulated,
      storage: {} as never,
      redis: null,
      clock: Date.now,
      log: silent,
      audit: () => {},
    }
    await expect(openDuo(parts)).rejects.toThrow(/duo_api\.ca_file/)
  })
})
