import { describe, expect, it } from 'vitest'
import { openNews } from '../../src/simulator/news.ts'
import { hotp, openPasscodes } from '../../src/simulator/passcodes.ts'
import { policySchema } from '../../src/simulator/policy.ts'
import { openAccount } from '../../src/simulator/users.ts'
import { client, simulator } from './client.ts'

const phone = 'DPALICE0000000000001'
const token = 'DHBOB000000000000003'

async function trying(options: Parameters<typeof simulator>[0] = {}) {
  const simulated = await simulator(options)
  const call = client(simulated)
  const auth = async (params: Record<string, string>) => (await call('POST', '/auth/v2/auth', params)).json.response
  return {
    simulated,
    call,
    tried: async (passcode: string, username = 'alice') =>
      (await auth({ username, factor: 'passcode', passcode })).result as string,
    text: (device = 'auto') => auth({ username: 'alice', factor: 'sms', device }),
    nextCode: async () =>
      (await call('POST', '/auth/v2/preauth', { username: 'alice' })).json.response.devices[0].sms_nextcode,
  }
}

describe(hotp, () => {
  // RFC 4226, appendix D.
  it.each([
    [0, '755224'],
    [1, '287082'],
    [2, '359152'],
    [3, '969429'],
    [9, '520489'],
  ])('gives the passcode of counter %i', (counter, passcode) => {
    expect(hotp(Buffer.from('12345678901234567890'), counter)).toBe(passcode)
  })
})

describe('a passcode', () => {
  it('of Duo Mobile lets in once', async () => {
    const { simulated, tried } = await trying()
    const passcode = simulated.passcode(phone)
    expect([await tried(passcode), await tried(passcode)]).toEqual(['allow', 'deny'])
  })

  it('of a token lets in once, and only its owner', async () => {
    const { simulated, tried } = await trying()
    const passcode = simulated.passcode(token)
    expect([await tried(passcode), await tried(passcode, 'bob'), await tried(passcode, 'bob')]).toEqual([
      'deny',
      'allow',
      'deny',
    ])
  })

  it('voids those that the same display showed before it, not those after', async () => {
    const { simulated, tried } = await trying()
    const [first = '', second = '', third = ''] = Array.from({ length: 3 }, () => simulated.passcode(phone))
    expect([await tried(second), await tried(first), await tried(third)]).toEqual(['allow', 'deny', 'allow'])
  })

  it('is no longer found when its display was pressed twenty times; three in a row find it again', async () => {
    const { simulated, tried } = await trying()
    const press = () => simulated.passcode(phone)
    for (let i = 0; i < 20; i++) press()
    expect([await tried(press()), await tried(press())]).toEqual(['deny', 'deny'])
    press() // not in a row
    expect([await tried(press()), await tried(press()), await tried(press()), await tried(press())]).toEqual([
      'deny',
      'deny',
      'allow',
      'allow',
    ])
  })

  it('is not found again by three that take more than five minutes', async () => {
    let now = Date.now()
    const users = [{ username: 'alice', devices: [{ id: 'DHALICE', type: 'token' as const, capabilities: [] }] }]
    const account = openAccount(
      users,
      () => policySchema.parse({}),
      () => now,
    )
    const passcodes = openPasscodes(() => now, openNews())
    const [alice] = account.users()
    const [token] = alice?.devices ?? []
    if (!alice || !token) throw new Error('no alice')
    const given = () => passcodes.take(alice, passcodes.next(token) ?? '')
    for (let i = 0; i < 20; i++) passcodes.next(token)
    expect([given(), given()]).toEqual([false, false])
    now += 5 * 60_000
    expect([given(), given(), given()]).toEqual([false, false, true])
  })

  it('is made by phones with Duo Mobile and by tokens only', async () => {
    const { simulated } = await trying()
    expect(() => simulated.passcode('DPCALL00000000000001')).toThrow()
    expect(() => simulated.passcode('DPNOBODY')).toThrow()
    const control = (id: string) =>
      fetch(`${simulated.phoneUrl}/control/devices/${id}/passcode`, { method: 'POST' }).then(reply => reply.status)
    expect([await control(phone), await control('DPNOBODY')]).toEqual([200, 404])
  })

  it('that a definition of the user gives always lets in; null gives none', async () => {
    const { simulated, tried } = await trying()
    expect([await tried('123456'), await tried('123456')]).toEqual(['allow', 'allow'])
    simulated.setUsers([{ username: 'alice', passcode: null }])
    expect(await tried('123456')).toBe('deny')
  })
})

describe('a bypass code', () => {
  it('lets in once, also who has no device, until the users are set anew', async () => {
    const { simulated, tried } = await trying()
    const users = [{ username: 'alice', passcode: null, bypassCodes: ['111222333', '444555666'] }, { username: 'bob' }]
    simulated.setUsers(users)
    expect(await tried('111222333', 'bob')).toBe('deny')
    expect([await tried('111222333'), await tried('111222333'), await tried('444555666')]).toEqual([
      'allow',
      'deny',
      'allow',
    ])
    simulated.setUsers(users)
    expect(await tried('111222333')).toBe('allow')
  })
})

describe('a text message', () => {
  it('lets nobody in, and brings a batch whose passcodes are right once', async () => {
    const { simulated, tried, text, nextCode } = await trying()
    expect(await nextCode()).toBeUndefined()
    expect(await text()).toEqual({ result: 'deny', status: 'sent', status_msg: 'New SMS passcodes sent.' })
    const [first = '', second = '', ...others] = simulated.messages(phone)[0]?.passcodes ?? []
    expect([first, second, ...others].map(passcode => passcode[0]).join('')).toBe('1234567890')
    expect(await nextCode()).toBe('1')
    expect([await tried(first), await tried(first)]).toEqual(['allow', 'deny'])
    expect(await nextCode()).toBe('2')
    expect([await tried(second), await nextCode()]).toEqual(['allow', '3'])
    expect(simulated.messages(phone)[0]?.passcodes).toHaveLength(10) // used or not, the message says what it said
  })

  it('has as many passcodes as the policy says, and none is next when all are used', async () => {
    const { simulated, tried, text, nextCode } = await trying()
    simulated.setPolicy({ smsBatch: 1 })
    await text()
    const [only = '', ...more] = simulated.messages(phone)[0]?.passcodes ?? []
    expect([await tried(only), more, await nextCode()]).toEqual(['allow', [], undefined])
  })

  it('voids the one before it', async () => {
    const { simulated, tried, text } = await trying()
    await text()
    await text(phone)
    const [old, fresh] = simulated.messages(phone).map(({ passcodes }) => passcodes[0] ?? '')
    expect([await tried(old ?? ''), await tried(fresh ?? '')]).toEqual(['deny', 'allow'])
  })

  it('is no failure: ten of them lock nobody', async () => {
    const { text } = await trying()
    for (let i = 0; i < 11; i++) expect((await text()).status).toBe('sent')
  })
})
