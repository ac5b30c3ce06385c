import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { answers } from '../../src/duo/answers.ts'
import { duoClient, type ImmediateRequest, type RingingRequest } from '../../src/duo/client.ts'
import { freePort } from '../support/process.ts'
import { aPush, certificate, clientOf, fail, http, keys, ok, type Script, scriptedDuo, silent } from './scripted-duo.ts'

const never = new AbortController().signal
const answering =
  (raw: string): Script =>
  (_, socket) =>
    void socket.write(raw)
const whence = { ipaddr: '192.0.2.7', hostname: 'app.example.com' }

describe('what each call says', () => {
  it.each<[RingingRequest, Record<string, string>]>([
    [
      {
        ...whence,
        factor: 'push',
        username: 'alice',
        device: 'DP1',
        type: 'Sign-in',
        txid: 'verified-1',
        pushinfo: 'a=b',
      },
      { factor: 'push', device: 'DP1', type: 'Sign-in', txid: 'verified-1', pushinfo: 'a=b' },
    ],
    [
      { ...whence, factor: 'phone', username: 'alice', device: 'DP1' },
      { factor: 'phone', device: 'DP1' },
    ],
  ])('a factor that rings is asked for asynchronously: %j', async (request, expected) => {
    const duo = await scriptedDuo(answering(ok({ txid: 'tx-1' })))
    expect(await clientOf(duo).auth(request)).toEqual({ ok: true, value: { txid: 'tx-1' } })
    expect(duo.asked).toHaveLength(1)
    expect(duo.asked[0]).toMatchObject({ method: 'POST', path: '/auth/v2/auth' })
    expect(duo.asked[0]?.parameters).toEqual({ username: 'alice', async: '1', ...whence, ...expected })
  })

  it.each<[ImmediateRequest, Record<string, string>]>([
    [
      { ...whence, factor: 'passcode', username: 'alice', passcode: '123456' },
      { factor: 'passcode', passcode: '123456' },
    ],
    [
      { ...whence, factor: 'sms', username: 'alice', device: 'DP1' },
      { factor: 'sms', device: 'DP1' },
    ],
  ])('a factor that is answered at once is not: %j', async (request, expected) => {
    const duo = await scriptedDuo(
      answering(ok({ result: 'deny', status: 'sent', status_msg: 'New SMS passcodes sent.' })),
    )
    const value = { result: 'deny', status: 'sent', status_msg: 'New SMS passcodes sent.' }
    expect(await clientOf(duo).authSync(request)).toMatchObject({ ok: true, value })
    expect(duo.asked[0]?.parameters).toEqual({ username: 'alice', ...whence, ...expected })
  })

  it('preauth brings address, host, the browser’s token, and that a code can be shown', async () => {
    const duo = await scriptedDuo(answering(ok({ result: 'deny' })))
    await clientOf(duo).preauth({ username: 'alice', ...whence, trustedDeviceToken: 'a|b', verifiedPush: true })
    expect(duo.asked[0]?.parameters).toEqual({
      username: 'alice',
      ...whence,
      trusted_device_token: 'a|b',
      client_supports_verified_push: '1',
    })
  })

  it('what is not known is left out, and so is what is empty', async () => {
    const duo = await scriptedDuo(answering(ok({ result: 'deny' })))
    const unknown = { ipaddr: undefined, hostname: '', trustedDeviceToken: '', verifiedPush: false }
    await clientOf(duo).preauth({ username: 'alice', ...unknown })
    expect(duo.asked[0]?.parameters).toEqual({ username: 'alice' })
  })

  it.each(['hostname', 'ipaddr'] as const)('a %s that cannot be signed stops the call', async name => {
    const duo = await scriptedDuo(answering(ok({ result: 'allow' })))
    const answer = await clientOf(duo).preauth({ username: 'alice', [name]: 'a\r\nb' })
    expect(answer).toMatchObject({ ok: false, failure: { kind: 'request', parameter: name, sent: false } })
    expect(duo.asked).toEqual([])
  })
})

describe('what is taken from an answer', () => {
  const preauthOf = async (response: object) => {
    const answer = await clientOf(await scriptedDuo(answering(ok(response)))).preauth({ username: 'alice' })
    if (!answer.ok) throw new Error(answer.failure.detail)
    return answer.value
  }
  const phone = { device: 'DP1', type: 'phone', capabilities: ['auto', 'push', 'sms', 'phone', 'mobile_otp'] }

  it('devices with what they can do, and the first character of the next code', async () => {
    const listed = [
      { ...phone, name: 'iPhone', number: 'XXX-XXX-0100', display_name: 'iOS (XXX-XXX-0100)', sms_nextcode: '3' },
      { device: 'DH1', type: 'token', name: '0' },
    ]
    const { devices } = await preauthOf({ result: 'auth', devices: listed })
    expect(devices).toMatchObject([
      { device: 'DP1', name: 'iPhone', number: 'XXX-XXX-0100', sms_nextcode: '3' },
      { device: 'DH1', type: 'token', capabilities: [] },
    ])
  })

  it.each([12, '12', '', '<', null, ['3']])('no next code where Duo gives none: %j', async sms_nextcode => {
    const { devices } = await preauthOf({ result: 'auth', devices: [{ ...phone, sms_nextcode }] })
    expect(devices).toHaveLength(1)
    expect(devices[0]?.sms_nextcode).toBeUndefined()
  })

  it.each([
    ['no list', 'DP1', 0],
    ['entries that are none', [null, 7, 'DP1', {}, { device: 'DP1' }, { device: 7, type: 'phone' }, phone], 1],
    ['more than anybody has', Array.from({ length: 700 }, (_, at) => ({ ...phone, device: `DP${at}` })), 500],
    ['an id of 10 KB', [{ ...phone, device: 'D'.repeat(10_000) }], 0],
  ])('row 115: devices are a bounded list: %s', async (_, devices, count) => {
    expect((await preauthOf({ result: 'auth', devices })).devices).toHaveLength(count)
  })

  it('the three of Verified Push', async () => {
    const verified = {
      txid: '45f7c92b-f45f-4862-8545-e0f58e78075a',
      verification_code: '045',
      expiration: 1_795_525_260,
    }
    expect(await preauthOf({ result: 'auth', devices: [phone], ...verified })).toMatchObject(verified)
  })

  it.each([
    { txid: 'a b', verification_code: '<b>1</b>', expiration: '1795525260' },
    { txid: '', verification_code: '', expiration: -1 },
    { txid: 'x'.repeat(10_000), verification_code: '1'.repeat(50), expiration: 1e300 },
    { txid: 7, verification_code: 123, expiration: null },
  ])('nothing of them that is not in their form: %j', async verified => {
    const { txid, verification_code, expiration } = await preauthOf({ result: 'auth', devices: [phone], ...verified })
    expect({ txid, verification_code, expiration }).toEqual({})
  })

  it.each([
    ['WkdWMg==|1795525200|a1b2', 'WkdWMg==|1795525200|a1b2'],
    ['a\r\nSet-Cookie: x', undefined],
    ['x'.repeat(5_000), undefined],
    [7, undefined],
  ])('a token that trusts this browser, as it came or not at all: %j', async (given, expected) => {
    const response = { result: 'allow', status: 'allow', status_msg: 'Success.', trusted_device_token: given }
    const client = clientOf(await scriptedDuo(answering(ok(response))))
    const polled = await client.authStatus('tx', never)
    const tried = await client.authSync({ username: 'alice', factor: 'passcode', passcode: '1' })
    for (const answer of [polled, tried])
      expect(answer).toMatchObject({ ok: true, value: { result: 'allow', trusted_device_token: expected } })
  })

  it.each(['waiting', 'ALLOW', 'allow ', true, undefined, ['allow']])(
    'row 104: a passcode’s result of %j allows nobody',
    async result => {
      const client = clientOf(await scriptedDuo(answering(ok({ result, status: 'allow' }))))
      const answer = await client.authSync({ username: 'alice', factor: 'passcode', passcode: '1' })
      expect(answer).toMatchObject({ ok: false, failure: { reason: 'duo-malformed', sent: true } })
    },
  )
})

describe('whatever Duo may send', () => {
  const odd = fc.oneof(
    fc.constantFrom('allow', 'deny', 'auth', 'enroll', 'waiting', 'ALLOW', 'allow ', '', null, true, 0, [], {}),
    fc.jsonValue(),
  )
  const response = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        result: odd,
        status: odd,
        status_msg: odd,
        devices: fc.oneof(odd, fc.array(fc.oneof(odd, fc.record({ device: odd, type: odd, capabilities: odd })))),
        enroll_portal_url: odd,
        txid: odd,
        verification_code: odd,
        expiration: odd,
        trusted_device_token: odd,
      },
      { requiredKeys: [] },
    ),
  )
  const resultOf = (value: unknown) => (typeof value === 'object' && value !== null ? Reflect.get(value, 'result') : 0)

  it.each(['preauth', 'authSync', 'authStatus'] as const)('%s takes a result only as Duo writes it', name => {
    fc.assert(
      fc.property(response, value => {
        const parsed = answers[name].safeParse(value)
        if (parsed.success) expect(parsed.data.result).toBe(resultOf(value))
        else if (['allow', 'deny'].includes(resultOf(value))) expect(parsed.error).toBeUndefined()
      }),
      { numRuns: 2_000 },
    )
  })

  it('a device is one with an id and a type, or none at all', () => {
    fc.assert(
      fc.property(response, value => {
        const { devices = [] } = answers.preauth.safeParse(value).data ?? {}
        for (const { device, type, capabilities } of devices) {
          expect(device.length).toBeGreaterThan(0)
          expect(typeof type).toBe('string')
          expect(capabilities.every(capability => typeof capability === 'string')).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

it.each([undefined, '1', '-1', '1e9'])(
  'row 108: 429 with Retry-After %j never makes a factor go twice: a passcode, an SMS, a call',
  async header => {
    const headers = header === undefined ? {} : { 'Retry-After': header }
    const duo = await scriptedDuo(answering(http(429, '{"stat":"OK","response":{"result":"allow"}}', headers)))
    const client = clientOf(duo)
    for (const answer of [
      await client.authSync({ username: 'alice', factor: 'passcode', passcode: '123456' }),
      await client.authSync({ username: 'alice', factor: 'sms', device: 'DP1' }),
      await client.auth({ username: 'alice', factor: 'phone', device: 'DP1' }),
    ])
      expect(answer).toMatchObject({ ok: false, failure: { kind: 'unavailable', reason: 'duo-throttled' } })
    expect(duo.asked).toHaveLength(3)
    expect(client.pauses).toEqual([])
  },
)

describe('row 109', () => {
  it.each([
    [40101, 'Missing request credentials', undefined, 'duo-refused'],
    [40102, 'Invalid integration key in request credentials', undefined, 'duo-ikey'],
    [40103, 'Invalid signature in request credentials', undefined, 'duo-signature'],
    [40104, 'Missing request timestamp', undefined, 'duo-refused'],
    [40105, 'Bad request timestamp', undefined, 'duo-clock'],
    [40106, 'invalid content type', undefined, 'duo-refused'],
    [40301, 'Access forbidden', 'Wrong integration type for this API.', 'duo-application'],
    [
      40301,
      'Client duo_api_nodejs version 1.5.0 is deprecated and no longer supported',
      undefined,
      'duo-client-too-old',
    ],
    [40301, 'Access forbidden', undefined, 'duo-refused'],
    [40401, 'Resource not found', undefined, 'duo-refused'],
    [40501, 'method not allowed', undefined, 'duo-refused'],
  ])(
    'row 109: %i %s (%s) is for an administrator, in every call: never an outage',
    async (code, message, detail, reason) => {
      const duo = await scriptedDuo(
        ({ path }, socket) =>
          void socket.write(
            path.endsWith('/ping') ? ok({ time: Math.round(Date.now() / 1000) }) : fail(code, message, detail),
          ),
      )
      const client = clientOf(duo)
      const failure = { kind: 'misconfigured', reason, sent: true }
      for (const answer of [
        await client.check(),
        await client.preauth({ username: 'alice' }),
        await client.auth(aPush),
        await client.authSync({ username: 'alice', factor: 'passcode', passcode: '1' }),
        await client.authStatus('tx', never),
      ])
        expect(answer).toMatchObject({ ok: false, failure })
    },
  )
})

describe('row 110', () => {
  const towards = (hostname: string) => {
    const client = duoClient({ config: { ...keys, hostname }, clock: Date.now, log: silent })
    onTestFinished(() => client.close())
    return client
  }

  it('row 110: a name of Duo’s that leads to this machine, where nobody listens, is an outage that says where it led', async () => {
    const answer = await towards(`localhost:${await freePort()}`).preauth({ username: 'alice' })
    expect(answer).toMatchObject({
      ok: false,
      failure: { kind: 'unavailable', reason: 'duo-unreachable', sent: false },
    })
    expect(answer.ok ? '' : answer.failure.detail).toMatch(/127\.0\.0\.1|::1/)
  })

  it.each([
    ['a certificate of its own', {}],
    ['one for Duo’s name', { names: ['api-1234.duosecurity.com', 'localhost'] }],
  ])('row 110: whoever listens there with %s is not believed', async (_, wrong) => {
    const impostor = await scriptedDuo(answering(ok({ result: 'allow' })), await certificate(wrong))
    const answer = await towards(`localhost:${impostor.port}`).preauth({ username: 'alice' })
    expect(answer).toMatchObject({ ok: false, failure: { kind: 'unavailable', reason: 'duo-tls', sent: false } })
    expect(impostor.asked).toEqual([])
  })
})
