import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answers } from '../../src/duo/answers.ts'
import type { Way } from '../../src/duo/duo.ts'
import { unavailable } from '../../src/duo/failure.ts'
import { type Guard, guardAfter, pausedUntil } from '../../src/duo/guard.ts'
import { offerFrom, safePortalUrl } from '../../src/duo/offer.ts'
import type { GuardNote } from '../../src/duo/push.ts'
import { pushinfo } from '../../src/duo/push-details.ts'
import { plainText } from '../../src/duo/text.ts'
import { duoConfig, push } from './people.ts'

const usual = {
  apiHost: 'api-1234.duosecurity.com',
  selfEnrollment: true,
  kept: null,
  factors: ['push', 'phone', 'sms', 'passcode'] as const,
}
const preauth = (response: object) => ({ ok: true as const, value: answers.preauth.parse(response) })
const phone = (device: unknown, more: object = {}) => ({
  device,
  type: 'phone',
  name: 'Phone',
  capabilities: ['auto', 'push'],
  ...more,
})
const offered = (devices: unknown, kept: Way | null = null, factors: readonly Way['kind'][] = usual.factors) =>
  offerFrom(preauth({ result: 'auth', devices }), {
    ...usual,
    factors,
    kept: kept === null ? null : { way: kept, name: 'Old phone' },
  })

describe(offerFrom, () => {
  it.each([
    [
      { result: 'allow', status_msg: 'Allowing unknown user' },
      { kind: 'allow', said: 'Allowing unknown user' },
    ],
    [
      { result: 'deny', status_msg: 'Your account is disabled' },
      { kind: 'deny', reason: 'duo-disabled' },
    ],
    [
      { result: 'deny', status_msg: 'Your account has been locked out.' },
      { kind: 'deny', reason: 'duo-locked' },
    ],
    [
      { result: 'enroll', enroll_portal_url: 'https://api-1234.duosecurity.com/portal?code=1' },
      { kind: 'enroll', portalUrl: 'https://api-1234.duosecurity.com/portal?code=1' },
    ],
    [
      { result: 'auth', devices: [phone('DP1')] },
      { kind: 'choose', preferred: push('DP1') },
    ],
    [
      { result: 'auth', devices: [phone('DP1'), phone('DP2')] },
      { kind: 'choose', preferred: null },
    ],
  ])('%j', (response, expected) => {
    expect(offerFrom(preauth(response), usual)).toMatchObject(expected)
  })

  it('gives no enrolment link unless it is switched on', () => {
    const response = preauth({ result: 'enroll', enroll_portal_url: 'https://api-1234.duosecurity.com/portal' })
    expect(offerFrom(response, { ...usual, selfEnrollment: false })).toMatchObject({ kind: 'enroll', portalUrl: null })
  })

  it('knows a user that Duo does not', () => {
    const failure = { ...unavailable('duo-no-user', 'Duo answered 40002'), kind: 'request' as const }
    expect(offerFrom({ ok: false, failure }, usual)).toEqual({
      kind: 'no-device',
      reason: 'duo-no-user',
      device: null,
      passcode: false,
    })
  })

  it.each([
    ['javascript:alert(1)', null],
    ['http://api-1234.duosecurity.com/portal', null],
    ['https://evil.example/portal', null],
    ['https://duosecurity.com.evil.example/', null],
    ['https://evilduosecurity.com/', null],
    ['https://user:word@api-1234.duosecurity.com/', null],
    ['https://api-1234.duosecurity.com@evil.example/', null],
    ['//api-1234.duosecurity.com/', null],
    ['https://api-1234.duosecurity.com/\nSet-Cookie: a', null],
    [`https://api-1234.duosecurity.com/${'x'.repeat(3000)}`, null],
    ['', null],
    ['https://api-1234.duosecurity.com/portal?code=1&akey=2', 'https://api-1234.duosecurity.com/portal?code=1&akey=2'],
    ['https://m-9.duosecurity.com/x', 'https://m-9.duosecurity.com/x'],
  ])('row 114: a portal link %j becomes %j', (text, expected) => {
    expect(safePortalUrl(text, usual.apiHost)).toBe(expected)
  })

  it.each([
    ['<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
    ['\u001b[31mred\u001b[0m', '[31mred [0m'],
    ['Alice\u202e gpj.exe', 'Alice gpj.exe'],
    ['a\r\nb\u0000c\u2028d\u0085e', 'a b c d e'],
    ['half \ud83d of one', 'half of one'],
    ['👩‍👩‍👧 family', '👩‍👩‍👧 family'],
  ])('row 114: words of Duo are text: %j', (given, expected) => {
    expect(offerFrom(preauth({ result: 'deny', status_msg: given }), usual)).toMatchObject({ said: expected })
    const offer = offered([phone('DP1', { name: given })])
    expect(offer.kind === 'choose' && offer.devices[0]?.name).toBe(expected)
  })

  it('row 114: 100 KB of words are cut, by whole characters', () => {
    const said = offerFrom(preauth({ result: 'deny', status_msg: '€'.repeat(100_000) }), usual)
    expect(said).toMatchObject({ said: `${'€'.repeat(199)}…` })
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), fc.integer({ min: 1, max: 60 }), (text, limit) => {
        const plain = plainText(text, limit)
        expect([...plain].length).toBeLessThanOrEqual(limit)
        expect(plain.isWellFormed()).toBe(true)
        expect(plain).not.toMatch(/[\p{Cc}\p{Bidi_Control}\n]/u)
      }),
    )
  })

  it.each([
    ['empty', [], 'duo-no-device', null],
    ['missing', undefined, 'duo-no-device', null],
    ['of another type', 'DP1', 'duo-no-device', null],
    [
      'nonsense',
      [null, 7, 'x', {}, { device: 5, type: 'phone' }, [], phone(''), phone('a\u0000b'), phone('x'.repeat(200))],
      'duo-no-device',
      null,
    ],
    ['without capabilities', [{ device: 'DP1', type: 'phone', name: 'Old phone' }], 'duo-not-activated', 'Old phone'],
    ['with capabilities of another type', [phone('DP1', { capabilities: 'push' })], 'duo-not-activated', 'Phone'],
  ])(
    'row 115: devices that are %s are no compatible device; a bypass code may be tried',
    (_, devices, reason, device) => {
      expect(offered(devices)).toEqual({ kind: 'no-device', reason, device, passcode: true })
      expect(offered(devices, null, ['push'])).toEqual({ kind: 'no-device', reason, device, passcode: false })
    },
  )

  const phoneOf = (...capabilities: string[]) => phone('DP1', { capabilities })
  const token = { device: 'DH1', type: 'token', name: '' }
  const passcode = { kind: 'passcode' }
  const by = (kind: string) => ({ kind, device: 'DP1' })
  const everything = ['auto', 'push', 'sms', 'phone', 'mobile_otp']

  it.each<[string, object[], Way['kind'][], object[] | string]>([
    ['everything', [phoneOf(...everything)], [...usual.factors], [by('push'), by('phone'), by('sms'), passcode]],
    ['push alone', [phoneOf('push')], [...usual.factors], [by('push'), passcode]],
    [
      'a phone that only rings',
      [phoneOf('auto', 'phone', 'sms')],
      [...usual.factors],
      [by('phone'), by('sms'), passcode],
    ],
    ['a phone with passcodes only', [phoneOf('mobile_otp')], [...usual.factors], [passcode]],
    ['a token', [token], [...usual.factors], [passcode]],
    ['a token beside a phone', [token, phoneOf('push')], [...usual.factors], [by('push'), passcode]],
    ['all, where push alone is allowed', [phoneOf(...everything)], ['push'], [by('push')]],
    ['all, where passcodes alone are', [phoneOf(...everything)], ['passcode'], [passcode]],
    ['all, where calls alone are', [phoneOf(...everything)], ['phone'], [by('phone')]],
    ['push, where calls alone are allowed', [phoneOf('push')], ['phone'], 'duo-factors'],
    ['a token, where push alone is allowed', [token], ['push'], 'duo-factors'],
    ['a capability of tomorrow', [phoneOf('push', 'smell')], [...usual.factors], [by('push'), passcode]],
  ])('offers what Duo does and the configuration allows: %s', (_, devices, factors, expected) => {
    expect(offered(devices, null, factors)).toMatchObject(
      typeof expected === 'string'
        ? { kind: 'no-device', reason: expected, passcode: false }
        : { kind: 'choose', ways: expected },
    )
  })

  it('prefers what was used last, else the only push, else the only way', () => {
    const phones = [phone('DP1', { capabilities: everything }), phone('DP2', { capabilities: ['sms'] })]
    expect(offered(phones, { kind: 'phone', device: 'DP1' })).toMatchObject({ preferred: by('phone') })
    expect(offered(phones, { kind: 'passcode' })).toMatchObject({ preferred: passcode, forgotten: null })
    expect(offered(phones, { kind: 'push', device: 'DP2' })).toMatchObject({ preferred: push('DP1'), forgotten: null })
    expect(offered(phones)).toMatchObject({ preferred: push('DP1') })
    expect(offered([token])).toMatchObject({ preferred: passcode, devices: [] })
    expect(offered([phoneOf('phone', 'sms')])).toMatchObject({ preferred: null })
    expect(offered([phoneOf('sms', 'push')], { kind: 'phone', device: 'DP1' }, ['sms'])).toMatchObject({
      preferred: by('sms'),
    })
  })

  it('says with which character the next passcode of an SMS begins', () => {
    expect(offered([phone('DP1', { sms_nextcode: '4' }), phone('DP2', { sms_nextcode: '<b>' })])).toMatchObject({
      devices: [{ nextCode: '4' }, { nextCode: null }],
    })
  })

  it('row 115: a list is bounded, without doubled ids, and an id is opaque', () => {
    const many = Array.from({ length: 500 }, (_, index) => phone(`DP${index}`))
    const offer = offered(many, push('DP499'))
    expect(offer.kind === 'choose' && offer.devices.length).toBe(50)
    expect(offer.kind === 'choose' && offer.devices.some(({ id }) => id === 'DP499')).toBe(true)
    expect(offer).toMatchObject({ preferred: push('DP499') })
    const doubled = offered([phone('DP1', { name: 'first' }), phone('DP1', { name: 'second' }), phone('../x')])
    expect(doubled.kind === 'choose' && doubled.devices.map(({ id, name }) => [id, name])).toEqual([
      ['DP1', 'first'],
      ['../x', 'Phone'],
    ])
  })

  it('names a device without a name by Duo’s display name', () => {
    const offer = offered([phone('DP1', { name: '', display_name: 'iOS (XXX-XXX-0100)', number: 'XXX-XXX-0100' })])
    expect(offer).toMatchObject({ devices: [{ name: 'iOS (XXX-XXX-0100)', number: 'XXX-XXX-0100' }] })
  })

  it('prefers no device that is not listed', () => {
    const two = [phone('DP1'), phone('DP2')]
    expect(offered(two, push('DP3'))).toMatchObject({ preferred: null, forgotten: 'Old phone' })
    expect(offered(two, push('DP2'))).toMatchObject({ preferred: push('DP2'), forgotten: null })
  })
})

describe(pushinfo, () => {
  const at = Date.UTC(2026, 10, 24, 13, 5)
  const facts = { site: 'one.example.com', path: '/mail/', ip: '2001:db8::1', browser: 'Firefox on Linux', at }
  const shown = { application: 'Postern', matchingCode: null }
  const names = ['Code in the browser', 'Application', 'Site', 'Page', 'From', 'Browser', 'Time']

  it('is what the phone shows', () => {
    expect(pushinfo(facts, shown)).toBe(
      'Application=Postern&Site=one.example.com&Page=%2Fmail%2F&From=2001%3Adb8%3A%3A1&Browser=Firefox%20on%20Linux&Time=2026-11-24%2013%3A05%20UTC',
    )
  })

  it('has the code to compare first', () => {
    expect(pushinfo(facts, { ...shown, matchingCode: '042' })).toMatch(/^Code%20in%20the%20browser=042&/)
  })

  it('leaves out what is not known', () => {
    const nothing = { site: null, path: '/secret', ip: undefined, browser: '', at }
    expect(pushinfo(nothing, { application: '', matchingCode: null })).toBe('Time=2026-11-24%2013%3A05%20UTC')
  })

  it('row 131: no words of a visitor make a pair, a line or a longer text, and no query goes out', () => {
    const words = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 400 }),
      fc.constantFrom('x&y=z', 'a\nIP=1.2.3.4', 'a%0aIP=1', '=&=&', '😀'.repeat(5000), "'()*!"),
    )
    fc.assert(
      fc.property(words, words, words, words, (site, path, browser, application) => {
        const text = pushinfo({ ...facts, site, path, browser }, { application, matchingCode: '123' })
        const pairs = text.split('&').map(pair => decodeURIComponent(pair.slice(0, pair.indexOf('='))))
        expect(pairs.filter(name => !names.includes(name))).toEqual([])
        expect(new Set(pairs).size).toBe(pairs.length)
        expect(text).toMatch(/^[A-Za-z0-9_.~%&=-]*$/)
        expect(text.length).toBeLessThan(20_000)
        for (const [, value] of new URLSearchParams(text)) expect(value).not.toMatch(/\p{Cc}/u)
      }),
    )
    const site = 'one.example.com/?a=1&Result=Approved\nIP=1.2.3.4'
    const wanted = pushinfo({ ...facts, site, path: '/?a=1&Result=Approved%0aIP=1.2.3.4' }, shown)
    expect(new URLSearchParams(wanted).get('Site')).toBe('one.example.com')
    expect(new URLSearchParams(wanted).get('Page')).toBe('/')
    expect(wanted).not.toContain('Approved')
    expect(pushinfo({ ...facts, path: '/a#token=1' }, shown)).toContain('Page=%2Fa&')
  })
})

describe(guardAfter, () => {
  const open = { denials: 0, notBefore: 0, lockedUntil: 0 }
  const now = 1_800_000_000_000
  const { guard: limits } = duoConfig()
  const guarded = (guard: Guard, note: GuardNote, at = now) => guardAfter(guard, note, at, limits)

  it('doubles the pause with each denial, up to a limit, and forgets it at an approval', () => {
    let guard = open
    const pauses = [1, 2, 3, 4, 5, 6, 7].map(() => {
      guard = guarded(guard, 'denied')
      return (guard.notBefore - now) / limits.first_pause
    })
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30])
    expect(guard.notBefore - now).toBe(limits.longest_pause)
    expect(pausedUntil(guard, now)).toEqual({ until: guard.notBefore, why: 'denied' })
    expect(pausedUntil(guard, guard.notBefore)).toBeNull()
    expect(pausedUntil(guarded(guard, 'allowed'), now)).toBeNull()
    expect(guarded(guard, 'denied', guard.notBefore + 3_600_000).denials).toBe(1)
  })

  it('locks after a fraud report; an approval does not open that', () => {
    const locked = guarded(guarded(open, 'fraud'), 'allowed')
    expect(pausedUntil(locked, now)).toEqual({ until: now + limits.fraud_lock, why: 'fraud' })
  })
})
