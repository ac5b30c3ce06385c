import { Agent, request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { client, simulator } from './client.ts'

const MINUTE = 60_000

async function newcomer() {
  let now = Date.now()
  const simulated = await simulator({ clock: () => now })
  const call = client(simulated)
  const post = async (name: string, params: Record<string, string>) =>
    (await call('POST', `/auth/v2/${name}`, params, { signed: { date: new Date(now).toUTCString() } })).json.response
  return {
    simulated,
    post,
    move: (by: number) => (now += by),
    link: async (username = 'newcomer') => (await post('preauth', { username })).enroll_portal_url as string,
  }
}

/** What a person's browser does with an address of Duo's: it is sent on to the phone. */
async function followed(simulated: Simulator, url: string) {
  const dispatcher = new Agent({ connect: { ca: simulated.ca } })
  onTestFinished(() => dispatcher.destroy())
  const { statusCode, headers, body } = await request(url.replace('//localhost:', '//127.0.0.1:'), { dispatcher })
  await body.dump()
  return { status: statusCode, to: String(headers.location) }
}

const press = (page: string, form: Record<string, string> = {}) =>
  fetch(page, { method: 'POST', body: new URLSearchParams(form), redirect: 'manual' }).then(reply => reply.status)

describe('the enrolment portal', () => {
  it('leads to a page where a person activates a phone, which preauth then shows', async () => {
    const { simulated, post, link } = await newcomer()
    const { status, to } = await followed(simulated, await link())
    expect([status, to]).toEqual([302, expect.stringMatching(`^${simulated.phoneUrl}/activate/[0-9a-f]{30}$`)])
    const page = await (await fetch(to)).text()
    for (const words of ['A phone for newcomer', 'Activate this phone', 'This is not Duo'])
      expect(page).toContain(words)
    expect((await post('preauth', { username: 'newcomer' })).result).toBe('enroll')
    expect(await press(to, { number: '+1 555 010 0177' })).toBe(303)
    expect(await (await fetch(to)).text()).toContain('This phone is newcomer’s now')
    expect(await post('preauth', { username: 'newcomer' })).toMatchObject({
      result: 'auth',
      devices: [{ number: 'XXX-XXX-0177', capabilities: ['auto', 'push', 'phone', 'sms', 'mobile_otp'] }],
    })
  })

  it('enrols whom Duo did not know, with a phone that rings', async () => {
    const { simulated, post, link } = await newcomer()
    const device = simulated.activate(await link('Carol <c>'))
    expect(device).toMatch(/^DP[0-9A-F]{18}$/)
    await post('auth', { username: 'carol <c>', factor: 'push', device: 'auto', async: '1' })
    expect(simulated.pushes()).toMatchObject([{ username: 'Carol <c>', device: { id: device } }])
  })

  it('activates one phone a link, within five minutes', async () => {
    const { simulated, post, link, move } = await newcomer()
    const first = await link()
    const late = await link()
    expect([simulated.activate(first), simulated.activate(first)]).toEqual([expect.any(String), undefined])
    const { to } = await followed(simulated, late)
    move(5 * MINUTE)
    expect([simulated.activate(late), await press(to), (await fetch(to)).status]).toEqual([undefined, 404, 404])
    expect((await post('preauth', { username: 'newcomer' })).devices).toHaveLength(1)
  })

  it('is done when it is pressed twice', async () => {
    const { simulated, post, link } = await newcomer()
    const { to } = await followed(simulated, await link())
    expect([await press(to), await press(to)]).toEqual([303, 303])
    expect((await post('preauth', { username: 'newcomer' })).devices).toHaveLength(1)
  })

  it.each(['<script>', 'x'.repeat(31), '+1 555 "0"', '５５５'])('refuses %s as a number', async number => {
    const { simulated, post, link } = await newcomer()
    const { to } = await followed(simulated, await link())
    expect(await press(to, { number })).toBe(400)
    expect((await post('preauth', { username: 'newcomer' })).result).toBe('enroll')
  })

  it.each(['/activate/00', '/activate/x', '/activate/%3Cscript%3E', '/activate/'])('has no page at %s', async path => {
    const { simulated } = await newcomer()
    expect([(await fetch(`${simulated.phoneUrl}${path}`)).status, await press(`${simulated.phoneUrl}${path}`)]).toEqual(
      [404, 404],
    )
  })

  it('escapes the name of whom it enrols', async () => {
    const { simulated, link } = await newcomer()
    const { to } = await followed(simulated, await link('<img src=x onerror=alert(1)>'))
    const page = async () => (await fetch(to)).text()
    expect(await page()).toMatch(/&lt;img(?!.*<img)/s)
    await press(to)
    expect(await page()).toMatch(/This phone is &lt;img(?!.*<img)/s)
  })

  it('sends on nothing but its own links', async () => {
    const { simulated } = await newcomer()
    const base = `https://localhost:${simulated.apiPort}`
    for (const path of [
      '/portal',
      '/portal?code=..%2f..',
      '/activate/x',
      '/frame/qr?value=//evil.example',
      '/portal/x?code=00',
    ])
      expect((await followed(simulated, `${base}${path}`)).status, path).toBe(404)
  })
})

describe('enroll', () => {
  it.each(['activation_code', 'activation_url', 'activation_barcode'])('is fulfilled by its %s', async field => {
    const { simulated, post } = await newcomer()
    const enrolled = await post('enroll', { username: 'carol' })
    const { user_id, activation_code } = enrolled
    const status = () => post('enroll_status', { user_id, activation_code })
    expect(await status()).toBe('waiting')
    if (field === 'activation_code') simulated.activate(enrolled[field])
    else expect(await press((await followed(simulated, enrolled[field])).to)).toBe(303)
    expect(await status()).toBe('success')
    expect((await post('preauth', { user_id })).result).toBe('auth')
  })

  it('makes a name where none is given, and knows nothing of a wrong code', async () => {
    const { post } = await newcomer()
    const { username, user_id } = await post('enroll', {})
    expect(username).toMatch(/^[0-9a-f]{32}$/)
    expect(await post('enroll_status', { user_id, activation_code: 'duo://00-00' })).toBe('invalid')
  })
})

describe('row 136: another site', () => {
  it.each(['activate', 'passcode'])('cannot press %s', async what => {
    const { simulated, post, link } = await newcomer()
    const { to } = await followed(simulated, await link())
    const page = what === 'activate' ? to : `${simulated.phoneUrl}/phones/DPALICE0000000000001/passcode`
    for (const [name, value] of [
      ['origin', 'https://evil.example'],
      ['sec-fetch-site', 'cross-site'],
      ['host', 'evil.example'],
    ]) {
      // undici, since fetch would not let a Host or Sec-Fetch header be set.
      const { statusCode, body } = await request(page, { method: 'POST', headers: { [name ?? '']: value } })
      await body.dump()
      expect(statusCode, name).toBe(403)
    }
    expect((await post('preauth', { username: 'newcomer' })).result).toBe('enroll')
    const text = await (await fetch(`${simulated.phoneUrl}/phones/DPALICE0000000000001`)).text()
    expect(text).toContain('••• •••')
  })
})
