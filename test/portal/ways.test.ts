import { describe, expect, it, onTestFinished } from 'vitest'
import { choice, pixel, type Scene, waitingPush } from './fake-login.ts'
import { NOW, portalUnderTest, testConfig } from './portal-under-test.ts'
import { visitor } from './visitor.ts'

const TWO = 'https://two.example.com/reports'
const carried = `rd=${encodeURIComponent(TWO)}`
const every = (['phone', 'sms'] as const).map(kind => ({ kind, device: 'DPHONE1' }))
const passcode = { kind: 'passcode' } as const

async function at(scene: Partial<Scene> = {}, duo: object = {}) {
  const under = await portalUnderTest({ level: 1, ...scene }, testConfig({ duo }))
  onTestFinished(() => under.app.close())
  return { ...under, alice: visitor(under) }
}

const changes = (calls: readonly string[]) => calls.filter(call => !/^(?:report|held)/.test(call))

describe('choosing a way', () => {
  it('makes the way of a single device the button, and the others stand below it', async () => {
    const { alice } = await at({ offer: choice([pixel], [...every, passcode]) })
    const page = (await alice.get(`/prove?${carried}`)).body
    expect(page).toMatch(/<button[^>]*class="button primary"[^>]*name="way" value="push:DPHONE1"/)
    for (const way of ['phone:DPHONE1', 'sms:DPHONE1', 'passcode'])
      expect(page).toMatch(new RegExp(`<button[^>]*class="tile"[^>]*name="way" value="${way}"`))
  })

  it('makes the way that was used last the button', async () => {
    const { alice } = await at({
      offer: choice([pixel], [...every, passcode], { preferred: { kind: 'phone', device: 'DPHONE1' } }),
    })
    expect((await alice.get('/prove')).body).toMatch(/button primary"[^>]*value="phone:DPHONE1"/)
  })

  it('preselects it among several devices', async () => {
    const preferred = { kind: 'push', device: 'DPHONE2' } as const
    const { alice } = await at({ offer: choice([pixel, { ...pixel, id: 'DPHONE2' }], every, { preferred }) })
    const page = (await alice.get('/prove')).body
    expect(page.match(/<input[^>]*checked[^>]*>/g)).toEqual([expect.stringContaining('value="push:DPHONE2"')])
  })

  it('says that a device is gone', async () => {
    const { alice } = await at({ offer: choice([pixel], [], { forgotten: 'Old phone' }) })
    expect((await alice.get('/prove')).body).toContain('<bdi>Old phone</bdi> is no longer in Duo')
  })

  it.each([
    ['push:DPHONE1', `ring push:DPHONE1 ${TWO}`, /^\/prove\/wait\?/],
    ['phone:DPHONE1', `ring phone:DPHONE1 ${TWO}`, /^\/prove\/wait\?/],
    ['sms:DPHONE1', 'sms DPHONE1', /^\/prove\/passcode\?.*m=1/],
  ])('%s is done by the POST', async (way, call, to) => {
    const { alice, login } = await at()
    await alice.get(`/prove?${carried}`)
    const answer = await alice.post(`/prove?${carried}`, { way })
    expect(login.calls).toEqual([call])
    expect(answer.statusCode).toBe(303)
    expect(answer.headers.location).toMatch(to)
  })

  it('sends nothing where a passcode is chosen: it is entered on a page of its own', async () => {
    const { alice, login } = await at()
    await alice.get('/prove')
    expect((await alice.post('/prove', { way: 'passcode' })).headers.location).toBe('/prove/passcode')
    expect(login.calls).toEqual([])
  })

  it.each(['fax:DPHONE1', 'push:', 'push', 'push:a b', '<script>', 'passcode:1'])('takes %j for no way', async way => {
    const { alice, login } = await at()
    await alice.get('/prove')
    await alice.post('/prove', { way })
    expect(login.calls).toEqual(['ring preferred'])
  })

  it('shows a call that waits, and what Duo says', async () => {
    const { alice } = await at({ push: waitingPush(NOW, { factor: 'phone', said: 'Calling your phone…' }) })
    const page = (await alice.get('/prove/wait')).body
    expect(page).toContain('Answer your phone')
    expect((await alice.get('/api/transaction?after=0')).json()).toMatchObject({
      title: 'Answer your phone – Postern',
      words: 'Calling…',
    })
  })

  it.each([
    ['verified', 'enter this code'],
    ['matching', 'Approve only if it is this one'],
  ] as const)('shows a %s code large, and spells it for a screen reader', async (kind, words) => {
    const { alice } = await at({ push: waitingPush(NOW, { code: { kind, digits: '482913' } }) })
    const page = (await alice.get('/prove/wait')).body
    expect(page).toContain(words)
    expect(page).toContain('<span>482</span><span>913</span>')
    expect(page).toContain('The code is 4 8 2 9 1 3.')
    expect(page.includes('Duo does not check it')).toBe(kind === 'matching')
  })
})

describe('a request that another session holds', () => {
  it('row 119: is not joined; the page says until when, and that the phone shows from where it was asked for', async () => {
    const { alice } = await at({ start: { outcome: 'busy', until: NOW + 40_000 } })
    await alice.get('/prove')
    const answer = await alice.post('/prove', { way: 'push:DPHONE1' })
    const page = (await alice.get(String(answer.headers.location))).body
    expect(page).toContain('A request is already open')
    expect(page).toContain('deny it on your phone, which shows from where it came')
    expect(page).toContain('href="/prove/passcode"')
  })
})

describe('a passcode', () => {
  it('is tried by the POST, and raises the session', async () => {
    const { alice, login } = await at({ offer: choice([pixel], [passcode]) })
    await alice.get(`/prove/passcode?${carried}`)
    const answer = await alice.post(`/prove/passcode?${carried}`, { passcode: '123 456' })
    expect(changes(login.calls)).toEqual(['passcode 123 456', 'claim'])
    expect(answer.headers.location).toMatch(/^\/go\?/)
    expect(answer.cookies.find(({ name }) => name === 'authelia_session')?.value).toBe('session_2')
  })

  it.each([
    [{ outcome: 'wrong', said: '', triesLeft: 2 }, 'didn’t work', '2 tries left'],
    [{ outcome: 'wrong', said: '', triesLeft: 0 }, 'didn’t work', 'That was the last try'],
    [{ outcome: 'wrong', said: '', triesLeft: null }, 'didn’t work', ''],
    [{ outcome: 'malformed' }, 'not what a passcode looks like', ''],
  ] as const)(
    'that is refused as %j says so on the page after it, with the field empty',
    async (outcome, words, more) => {
      const { alice } = await at({ offer: choice([pixel], [passcode]), passcode: outcome })
      await alice.get('/prove/passcode')
      const answer = await alice.post('/prove/passcode', { passcode: '987654' })
      expect(answer.statusCode).toBe(303)
      expect(answer.headers['set-cookie']).not.toContain('987654')
      const page = (await alice.get(String(answer.headers.location))).body
      expect(page).toContain(words)
      expect(page).toContain(more)
      expect(page).not.toContain('987654')
    },
  )

  it('that was wrong tells how many tries are left only when few are', async () => {
    const wrong = { outcome: 'wrong', said: '', triesLeft: 3 } as const
    const { alice } = await at({ offer: choice([pixel], [passcode]), passcode: wrong })
    await alice.get('/prove/passcode')
    const answer = await alice.post('/prove/passcode', { passcode: '987654' })
    expect((await alice.get(String(answer.headers.location))).body).not.toContain('left before a pause')
  })

  it('is asked for where nothing was typed, and nothing is counted', async () => {
    const { alice, login } = await at({ offer: choice([pixel], [passcode]) })
    await alice.get('/prove/passcode')
    const answer = await alice.post('/prove/passcode', { passcode: ' ' })
    expect((await alice.get(String(answer.headers.location))).body).toContain('Type the passcode first.')
    expect(login.calls).toEqual([])
  })

  it('that locks the person at Duo leads to the page that says so', async () => {
    const { alice } = await at({ offer: choice([pixel], [passcode]), passcode: { outcome: 'locked', said: 'Locked' } })
    await alice.get('/prove/passcode')
    const answer = await alice.post('/prove/passcode', { passcode: '1234567' })
    expect((await alice.get(String(answer.headers.location))).body).toContain('Duo has locked your account')
  })

  it('row 129: is not tried by whom wrong ones have banned; the page says until when', async () => {
    const { alice, scene, login } = await at({
      offer: choice([pixel], [passcode]),
      passcode: { outcome: 'banned', until: NOW + 300_000, whose: 'name', by: 'regulation' },
    })
    await alice.get('/prove/passcode')
    scene.ban = { until: NOW + 300_000, whose: 'name', by: 'regulation' }
    const answer = await alice.post('/prove/passcode', { passcode: '123456' })
    for (const path of [String(answer.headers.location), '/prove', '/prove/passcode']) {
      const page = await alice.get(path)
      expect(page.statusCode).toBe(429)
      expect(page.headers['retry-after']).toBe('300')
      expect(page.body).toContain('is paused until')
    }
    expect(login.calls).not.toContain('claim')
  })

  it('is not tried beyond the rate limit; the page says when it can be', async () => {
    const { alice, login } = await at({
      offer: choice([pixel], [passcode]),
      passcode: { outcome: 'limited', until: NOW + 30_000 },
    })
    await alice.get('/prove/passcode')
    const page = await alice.get(String((await alice.post('/prove/passcode', { passcode: '123456' })).headers.location))
    expect(page.statusCode).toBe(429)
    expect(page.headers['retry-after']).toBe('30')
    expect(page.body).toContain('Too many requests')
    expect(login.calls).not.toContain('claim')
  })

  it('is not asked for where an administrator has banned the person: no pause that ends is promised', async () => {
    for (const whose of ['name', 'address'] as const) {
      const banned = await at({ ban: { until: null, whose, by: 'administrator' } })
      for (const path of ['/prove', '/prove/passcode']) {
        const page = await banned.alice.get(path)
        expect(page.statusCode).toBe(403)
        expect(page.headers['retry-after']).toBeUndefined()
        expect(page.body).toContain('is paused until an administrator lifts it.')
      }
    }
  })

  it('stays possible after a fraud report: the page for the pause leads to it', async () => {
    const { alice } = await at({
      start: { outcome: 'paused', until: NOW + 3_600_000, why: 'fraud' },
      offer: choice([pixel], [passcode]),
    })
    await alice.get('/prove')
    const answer = await alice.post('/prove', { way: 'push:DPHONE1' })
    const page = (await alice.get(String(answer.headers.location))).body
    expect(page).toContain('Push and calls are paused')
    expect(page).toMatch(/<a class="button primary" href="\/prove\/passcode"/)
  })

  it('is not promised where the configuration takes none', async () => {
    const start = { outcome: 'paused', until: NOW + 60_000, why: 'denied' } as const
    for (const [factors, promised] of [
      [['push', 'phone'], false],
      [['push', 'sms'], true],
    ] as const) {
      const { alice, scene } = await at({ start }, { factors })
      await alice.get('/prove')
      const answer = await alice.post('/prove', { way: 'push:DPHONE1' })
      const paused = (await alice.get(String(answer.headers.location))).body
      scene.push = waitingPush(NOW, { state: 'denied' })
      scene.pausedUntil = start.until
      for (const page of [paused, (await alice.get('/prove/wait')).body])
        expect(page.includes('href="/prove/passcode"')).toBe(promised)
      expect(paused.includes('A passcode works right now')).toBe(promised)
    }
  })

  it('of a text message: says to which phone it went and with which digit it begins', async () => {
    const { alice } = await at({ offer: choice([pixel], every) })
    await alice.get('/prove')
    const answer = await alice.post('/prove', { way: 'sms:DPHONE1' })
    const page = (await alice.get(String(answer.headers.location))).body
    expect(page).toMatch(/We sent new passcodes to .*Pixel 9.*0100/)
    expect(page).toMatch(/starts with <b[^>]*>3<\/b>/)
  })

  it('can be entered by whom Duo knows without a device, where an administrator may have given one', async () => {
    const none = { kind: 'no-device', reason: 'duo-no-device', device: null } as const
    const { alice, scene } = await at({ offer: { ...none, passcode: true } })
    expect((await alice.get('/prove')).body).toContain('href="/prove/passcode"')
    expect((await alice.get('/prove/passcode')).body).toContain('id="passcode"')
    scene.offer = { ...none, passcode: false }
    expect((await alice.get('/prove')).body).not.toContain('href="/prove/passcode"')
    expect((await alice.get('/prove/passcode')).body).not.toContain('id="passcode"')
  })
})

describe('autopush', () => {
  const signIn = async (duo: object, scene: Partial<Scene> = {}) => {
    const under = await at({ level: 0, ...scene }, duo)
    await under.alice.get(`/?${carried}`)
    const answer = await under.alice.post(`/login?${carried}`, { username: 'alice', password: 'postern' })
    return { ...under, location: String(answer.headers.location) }
  }

  it('sends the push with the sign-in itself, once, and only where a second factor is wanted', async () => {
    const { login, location, alice } = await signIn({ autopush: true })
    expect(login.calls).toEqual(['signIn alice', `ring preferred ${TWO}`])
    expect(location).toMatch(/^\/prove\/wait\?/)
    for (let reload = 0; reload < 2; reload++) await alice.get(location)
    expect(login.calls.filter(call => call.startsWith('ring'))).toHaveLength(1)
    const { login: other } = await signIn({ autopush: true }, { secondFactorHosts: [] })
    expect(other.calls).toEqual(['signIn alice'])
  })

  it('is off by itself', async () => {
    const { login, location } = await signIn({})
    expect(login.calls).toEqual(['signIn alice'])
    expect(location).toMatch(/^\/prove\?/)
  })

  it('lets whom Duo lets pass go on at once, but not to a site that wants a factor', async () => {
    const offer = { kind: 'allow', said: 'Remembered device' } as const
    const { login, location, alice } = await signIn({ autopush: true }, { start: { outcome: 'offer', offer } })
    expect(login.calls.at(-1)).toBe('raiseByPolicy allow')
    expect(location).toMatch(/^\/go\?/)
    expect(alice.cookies.get('authelia_session')).toBe('session_2')
    const next = { to: 'prove', host: 'two.example.com', why: 'level', maxAge: null, factors: ['duo'] } as const
    const strict = await signIn({ autopush: true }, { start: { outcome: 'offer', offer }, next })
    expect(strict.login.calls.join()).not.toContain('raiseByPolicy')
    expect(strict.location).toMatch(/^\/prove\?/)
  })

  it('leaves the choice to the person where nothing can ring by itself', async () => {
    const { location } = await signIn({ autopush: true }, { start: { outcome: 'offer', offer: choice([pixel]) } })
    expect(location).toMatch(/^\/prove\?/)
  })
})

describe('a browser that is remembered', () => {
  const remembered = (answer: { cookies: { name: string }[] }) =>
    answer.cookies.some(({ name }) => name === '__Host-postern_browser')

  it('is offered only where the configuration allows it', async () => {
    const { alice } = await at()
    expect((await alice.get('/prove')).body).not.toContain('name="remember"')
    const { alice: other } = await at({}, { remembered_devices: true })
    expect((await other.get('/prove')).body).toContain('name="remember"')
  })

  it.each([true, false])('is asked for by the box of the form that sent the push: %s', async ticked => {
    const { alice, login, time } = await at({}, { remembered_devices: true })
    await alice.get('/prove')
    await alice.post('/prove', { way: 'push:DPHONE1', ...(ticked ? { remember: 'true' } : {}) })
    login.move(waitingPush(time.now, { state: 'allowed' }))
    const answer = await alice.get('/prove/wait')
    expect(login.calls.at(-1)).toBe(ticked ? 'claim and remember' : 'claim')
    expect(remembered(answer)).toBe(ticked)
  })

  it('is not, by a box that was ticked for an earlier push', async () => {
    const { alice, login, time } = await at({}, { remembered_devices: true })
    await alice.get('/prove')
    await alice.post('/prove', { way: 'push:DPHONE1', remember: 'true' })
    login.move(waitingPush(time.now, { id: 'push_2', state: 'allowed' }))
    expect(remembered(await alice.get('/prove/wait'))).toBe(false)
  })

  it('is asked for with a passcode too', async () => {
    const { alice, login } = await at({ offer: choice([pixel], [passcode]) }, { remembered_devices: true })
    await alice.get('/prove/passcode')
    expect(remembered(await alice.post('/prove/passcode', { passcode: '123456', remember: 'true' }))).toBe(true)
    expect(login.calls.at(-1)).toBe('claim and remember')
  })
})

describe('Duo cannot be asked, and the failmode is safe', () => {
  const offer = {
    kind: 'failmode',
    trouble: { kind: 'unavailable', reason: 'duo-unreachable', detail: 'ECONNREFUSED' },
  } as const

  it('raises only when the person presses the button', async () => {
    const { alice, login } = await at({ offer, start: { outcome: 'offer', offer } })
    expect((await alice.get(`/prove?${carried}`)).body).toContain('lets people go on without it')
    expect(changes(login.calls)).toEqual([])
    await alice.post(`/prove?${carried}`)
    expect(login.calls.at(-1)).toBe('raiseByPolicy failmode')
  })

  it('raises nobody for a site that wants a factor of Duo’s', async () => {
    const next = { to: 'prove', host: 'two.example.com', why: 'level', maxAge: null, factors: ['duo'] } as const
    const { alice, login } = await at({ offer, start: { outcome: 'offer', offer }, next })
    const page = await alice.get(`/prove?${carried}`)
    expect(page.statusCode).toBe(503)
    expect(page.body).toContain('Duo can’t be reached')
    await alice.post(`/prove?${carried}`)
    expect(login.calls.join()).not.toContain('raiseByPolicy')
  })
})
