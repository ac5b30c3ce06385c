import { describe, expect, it, onTestFinished } from 'vitest'
import { StoreDown } from '../../src/session/session.ts'
import { until } from '../support/process.ts'
import { type Scene, waitingPush } from './fake-login.ts'
import { NOW, portalUnderTest } from './portal-under-test.ts'
import { type Visitor, visitor } from './visitor.ts'

const TWO = 'https://two.example.com/reports?year=2026&q=a%20b'
const carried = `rd=${encodeURIComponent(TWO)}`
const rdOf = (location: unknown) => new URL(String(location), 'https://auth.example.com').searchParams.get('rd')

const site = { to: 'site', url: TWO, host: 'two.example.com', forbidden: false } as const

async function at(scene: Partial<Scene> = {}) {
  const under = await portalUnderTest(scene)
  onTestFinished(() => under.app.close())
  return { ...under, alice: visitor(under) }
}

const signIn = (who: Visitor, url = '/login') => who.post(url, { username: 'alice', password: 'postern' })

describe('signing in', () => {
  it('leads from the password to the choice, to the phone, and to the wanted page, with rd all the way', async () => {
    const { alice, login, scene, time } = await at()
    const page = await alice.get(`/?${carried}&rm=GET`)
    expect(page.statusCode).toBe(200)
    expect(page.body).toContain('two.example.com')

    const signedIn = await signIn(alice, `/login?${carried}&rm=GET`)
    expect(signedIn.statusCode).toBe(303)
    expect(signedIn.headers.location).toMatch(/^\/prove\?/)
    expect(rdOf(signedIn.headers.location)).toBe(TWO)
    expect(signedIn.cookies.find(({ name }) => name === 'authelia_session')?.value).toBe('session_1')
    expect(signedIn.body).toBe('')

    const choose = await alice.get(String(signedIn.headers.location))
    expect(choose.body).toContain('Pixel 9')
    const sent = await alice.post(`/prove?${carried}&rm=GET`, { way: 'push:DPHONE1' })
    expect(sent.headers.location).toMatch(/^\/prove\/wait\?/)

    const wait = await alice.get(String(sent.headers.location))
    expect(wait.body).toContain('Check your phone')
    login.move(waitingPush(time.now, { seq: 3, state: 'allowed' }))
    const approved = await alice.get(String(sent.headers.location))
    expect(approved.statusCode).toBe(303)
    expect(approved.headers.location).toMatch(/^\/go\?/)
    expect(approved.cookies.find(({ name }) => name === 'authelia_session')?.value).toBe('session_2')

    const go = await alice.get(String(approved.headers.location))
    expect(go.statusCode).toBe(200)
    expect(go.headers.refresh).toBe(`0; url=${TWO}`)
    expect(go.body).toContain('href="https://two.example.com/reports?year=2026&amp;q=a%20b"')
    expect(login.calls.filter(call => call.startsWith('ring'))).toEqual([`ring push:DPHONE1 ${TWO}`])
    expect(scene.level).toBe(2)
  })

  it('ends at home where nothing was wanted', async () => {
    const { alice } = await at()
    await alice.get('/')
    expect((await signIn(alice)).headers.location).toBe('/')
    expect((await alice.get('/')).body).toContain('Payroll')
  })

  it('keeps the name and empties the password when it was wrong, and says so once', async () => {
    const { alice } = await at({ signIn: { outcome: 'refused', triesLeft: 2 } })
    await alice.get(`/?${carried}`)
    const answer = await alice.post(`/login?${carried}`, { username: 'al"ice', password: 'hunter2' })
    expect(answer.statusCode).toBe(303)
    expect(answer.headers['set-cookie']).not.toContain('hunter2')
    const page = await alice.get(String(answer.headers.location))
    expect(page.statusCode).toBe(200)
    expect(page.body).toContain('value="al&quot;ice"')
    expect(page.body).toContain('2 tries left')
    expect(page.body).not.toContain('hunter2')
    expect(page.body).toContain('<title>Error: Sign in – Postern</title>')
    expect((await alice.get(`/?${carried}`)).body).not.toContain('There is a problem')
  })

  it('tells of a pause with 429 and when it ends', async () => {
    const { alice } = await at({ signIn: { outcome: 'banned', until: NOW + 300_000, whose: 'name', by: 'regulation' } })
    await alice.get('/')
    const page = await alice.get(String((await signIn(alice)).headers.location))
    expect(page.statusCode).toBe(429)
    expect(page.headers['retry-after']).toBe('300')
    expect(page.body).toContain('Too many tries')
  })

  it.each([
    ['name', null, 403, 'Signing in with this name is paused until an administrator lifts it.'],
    ['name', NOW + 300_000, 429, 'Signing in with this name is paused until'],
    ['address', null, 403, 'Signing in from your network is paused until an administrator lifts it.'],
    ['address', NOW + 300_000, 429, 'Signing in from your network is paused until'],
  ] as const)('tells of an administrator’s ban of a %s until %s', async (whose, until, status, words) => {
    const { alice } = await at({ signIn: { outcome: 'banned', until, whose, by: 'administrator' } })
    await alice.get('/')
    const page = await alice.get(String((await signIn(alice)).headers.location))
    expect(page.statusCode).toBe(status)
    expect(page.headers['retry-after']).toBe(until === null ? undefined : '300')
    expect(page.body).toContain(words)
    expect(page.body).toContain('Paused by an administrator')
    expect(page.body).not.toContain('Too many tries')
  })

  it('tells of too many requests with 429, and when to come back', async () => {
    const { alice } = await at({ signIn: { outcome: 'limited', until: NOW + 30_000 } })
    await alice.get('/')
    const page = await alice.get(String((await signIn(alice)).headers.location))
    expect(page.statusCode).toBe(429)
    expect(page.headers['retry-after']).toBe('30')
    expect(page.body).toContain('Too many requests')
  })

  it('tells a browser without cookies what to allow', async () => {
    const { alice } = await at()
    await alice.get('/')
    alice.cookies.clear()
    const answer = await signIn(alice)
    alice.cookies.clear()
    const page = await alice.get(String(answer.headers.location))
    expect(page.body).toContain('did not keep our cookie')
  })

  it('sends nothing from a form that is older than a day, and says so', async () => {
    const { alice, time, login } = await at()
    await alice.get('/')
    time.now += 24 * 3_600_000 + 1
    const answer = await signIn(alice)
    expect(answer.headers.location).toBe('/?m=1')
    expect((await alice.get('/?m=1')).body).toContain('open for a long time')
    expect(login.calls.filter(call => call.startsWith('signIn'))).toEqual([])
  })

  it.each(['/login', '/prove', '/prove/passcode', '/prove/cancel', '/enroll', '/notice/seen', '/logout'])(
    'does nothing at %s with such a form, and says so on the page after it, whichever that is',
    async path => {
      const { alice, time, login } = await at({ level: 1 })
      await alice.get('/')
      time.now += 24 * 3_600_000 + 1
      const answer = await alice.post(path, { username: 'alice', password: 'postern', way: 'push:DPHONE1' })
      expect((await alice.get(String(answer.headers.location))).body).toContain('so nothing was sent')
      expect(login.calls).toEqual(['report form.refused form-token'])
    },
  )

  it('works with a form that was left open overnight', async () => {
    const { alice, time } = await at()
    await alice.get('/')
    time.now += 23 * 3_600_000
    expect((await signIn(alice)).headers.location).toBe('/')
  })
})

describe('waiting for the phone', () => {
  it('holds the answer of a browser without script until the state changes', async () => {
    const { alice, login, time } = await at({ level: 1, push: waitingPush(NOW) })
    const held = alice.get('/prove/wait?held=')
    await until(() => login.calls.includes('held 20000'), 'the answer is held')
    login.move(waitingPush(time.now, { seq: 3, state: 'denied' }))
    expect((await held).body).toContain('Not approved')
  })

  it('asks a browser without script to come back to the held answer, unless it was told to stop', async () => {
    const { alice } = await at({ level: 1, push: waitingPush(NOW) })
    const refresh = `<noscript><meta http-equiv="refresh" content="1;url=/prove/wait?${carried.replaceAll('&', '&amp;')}&amp;held="/></noscript>`
    expect((await alice.get(`/prove/wait?${carried}`)).body).toContain(refresh)
    const paused = (await alice.get(`/prove/wait?${carried}&paused=`)).body
    expect(paused).not.toContain('http-equiv="refresh"')
    expect(paused).toContain('Check now')
  })

  it('leads a second tab to the push that waits, and lets somebody choose another way', async () => {
    const { alice } = await at({ level: 1, push: waitingPush(NOW) })
    expect((await alice.get(`/prove?${carried}`)).headers.location).toMatch(/^\/prove\/wait\?/)
    const another = /href="(\/prove\?[^"]*another=)"/.exec((await alice.get(`/prove/wait?${carried}`)).body)?.[1] ?? ''
    expect((await alice.get(another.replaceAll('&amp;', '&'))).body).toContain('Send a push to')
  })

  it('sends no push by any GET', async () => {
    const { alice, login } = await at({ level: 1, push: waitingPush(NOW) })
    for (const url of ['/prove', '/prove/wait', '/prove?way=push:DPHONE1', '/', '/go', '/api/transaction?after=0'])
      await alice.get(url)
    expect(login.calls.filter(call => !call.startsWith('report') && !call.startsWith('held'))).toEqual([])
  })

  it('says what the script asks for, and where to go when it is over', async () => {
    const { alice, login, time } = await at({ level: 1, push: waitingPush(NOW) })
    const first = (await alice.get(`/api/transaction?after=0&${carried}`)).json()
    expect(first).toMatchObject({ seq: 2, over: false, left: 42, said: 'Pushed a login request to your device…' })
    const next = alice.get(`/api/transaction?after=2&${carried}`)
    await until(() => login.calls.includes('held 25000'), 'the answer is held')
    login.move(waitingPush(time.now, { seq: 3, state: 'allowed' }))
    const answer = (await next).json()
    expect(answer).toMatchObject({ seq: 3, over: true })
    expect(answer.next).toMatch(/^\/prove\/wait\?rd=/)
    expect(login.calls).not.toContain('claim')
  })

  it('tells the script nothing without a session, nor on another origin’s behalf', async () => {
    const { alice, scene } = await at({ push: waitingPush(NOW) })
    expect((await alice.get('/api/transaction?after=0')).statusCode).toBe(401)
    scene.level = 1
    expect((await alice.get('/api/transaction?after=0', { origin: 'https://one.example.com' })).statusCode).toBe(403)
    expect((await alice.get('/api/transaction?after=-1')).statusCode).toBe(400)
    expect((await alice.get('/api/transaction?after=x')).statusCode).toBe(400)
  })

  it('says little after a fraud report, in the message that the next page takes', async () => {
    const { alice } = await at({ level: 1, push: waitingPush(NOW, { state: 'fraud' }) })
    const answer = await alice.get('/api/transaction?after=2')
    expect(answer.json()).toMatchObject({ over: true, next: '/?m=1' })
    const { alice: after } = await at()
    for (const [name, value] of alice.cookies) after.cookies.set(name, value)
    const page = (await after.get('/?m=1')).body
    expect(page).toContain('This sign-in was reported')
    expect(page).not.toContain('Pixel 9')
    expect(page).not.toContain('Try again')
  })

  it.each([
    ['cancelled', 'Cancelled here'],
    ['failed', 'Duo could not finish this request'],
  ] as const)('leads from a push that is %s back to the choice, and says so', async (state, words) => {
    const { alice } = await at({ level: 1, push: waitingPush(NOW, { state }) })
    const answer = await alice.get(`/prove/wait?${carried}`)
    expect(answer.headers.location).toMatch(/^\/prove\?rd=.*m=1$/)
    expect((await alice.get(String(answer.headers.location))).body).toContain(words)
  })

  it('shows when another one can be sent', async () => {
    const { alice } = await at({ level: 1, start: { outcome: 'paused', until: NOW + 60_000, why: 'denied' } })
    await alice.get('/prove')
    const answer = await alice.post('/prove', { way: 'push:DPHONE1' })
    expect((await alice.get(String(answer.headers.location))).body).toContain('A short pause')
  })

  it('lets go of a held answer when the server closes', async () => {
    const { alice, login, app } = await at({ level: 1, push: waitingPush(NOW) })
    const held = alice.get('/prove/wait?held=')
    await until(() => login.calls.includes('held 20000'), 'the answer is held')
    await app.close()
    expect((await held).statusCode).toBe(200)
  })
})

describe('Duo cannot help', () => {
  it('raises by Duo’s policy only when a person presses the button', async () => {
    const { alice, login } = await at({ level: 1, offer: { kind: 'allow', said: 'Trusted network' } })
    const page = await alice.get(`/prove?${carried}`)
    expect(page.body).toContain('Trusted network')
    expect(login.calls).toEqual([])
    login.ring = async () => ({ outcome: 'offer', offer: { kind: 'allow', said: 'Trusted network' } })
    const answer = await alice.post(`/prove?${carried}`)
    expect(login.calls).toEqual(['raiseByPolicy allow'])
    expect(answer.headers.location).toMatch(/^\/go\?/)
  })

  it('follows an enrolment link only to Duo, over https', async () => {
    const enroll = (portalUrl: string) => ({ kind: 'enroll', portalUrl, said: '' }) as const
    const good = 'https://api-12345678.duosecurity.com/portal?code=x'
    const { alice, scene } = await at({ level: 1, offer: enroll(good) })
    expect((await alice.get('/enroll/start')).headers.location).toBe(good)
    for (const bad of [
      'http://api-12345678.duosecurity.com/portal',
      'javascript:alert(1)',
      'https://evil.com/',
      'https://duosecurity.com.evil.com/',
      'https://evilduosecurity.com/',
      'https://user@api-12345678.duosecurity.com/',
      '//evil.com',
    ]) {
      scene.offer = enroll(bad)
      expect((await alice.get('/enroll/start')).headers.location, bad).toBe('/prove')
      expect((await alice.get('/prove')).body, bad).not.toContain('href="/enroll/start"')
    }
  })

  it('asks Duo once for the page that leads to setting up a phone, and once more when the person is done', async () => {
    const portalUrl = 'https://api-12345678.duosecurity.com/portal?code=x'
    const { alice, login } = await at({ level: 1, offer: { kind: 'enroll', portalUrl, said: '' } })
    const offer = login.offer
    let asked = 0
    login.offer = async (...given) => {
      asked += 1
      return offer(...given)
    }
    expect((await alice.get('/prove')).body).toContain('href="/enroll/start"')
    expect(asked).toBe(1)
    const done = await alice.post('/enroll')
    expect((await alice.get(String(done.headers.location))).body).toContain('Duo doesn’t see a device yet')
    expect(asked).toBe(2)
  })
})

describe('ways out', () => {
  it('asks on GET, and signs out on POST only', async () => {
    const { alice, login } = await at({ level: 1 })
    expect((await alice.get('/logout')).body).toContain('Sign out?')
    expect(login.calls).toEqual([])
    const answer = await alice.post('/logout')
    expect(login.calls).toEqual(['signOut'])
    expect(answer.headers.location).toBe('/logout/done')
    expect(answer.headers['clear-site-data']).toBe('"cache"')
    expect(answer.cookies.find(({ name }) => name === 'authelia_session')).toMatchObject({ value: '', maxAge: 0 })
    expect((await alice.get('/logout/done')).body).toContain('You’re signed out')
  })

  it('switches the user and keeps rd', async () => {
    const { alice } = await at({ level: 1, next: { ...site, forbidden: true } })
    await alice.get(`/denied?${carried}`)
    const answer = await alice.post(`/logout?${carried}`, { switch: '1' })
    expect(rdOf(answer.headers.location)).toBe(TWO)
    expect(answer.headers.location).toMatch(/^\/\?/)
  })

  it('does not follow by itself to a request that was lost', async () => {
    const { alice } = await at({ level: 2 })
    for (const rm of ['POST', 'put', 'DELETE'])
      expect((await alice.get(`/go?${carried}&rm=${rm}`)).headers.refresh, rm).toBeUndefined()
    for (const rm of ['GET', 'HEAD', '%22%3E', ''])
      expect((await alice.get(`/go?${carried}&rm=${rm}`)).headers.refresh, rm).toBeDefined()
  })

  it.each([
    ['/2fa/push', '/prove'],
    ['/authenticated', '/'],
    ['/settings/two-factor', '/settings'],
    ['/reset-password/step1', '/help'],
  ])('answers Authelia’s %s with a 303 to %s that keeps the query', async (from, to) => {
    const { alice } = await at()
    const answer = await alice.get(`${from}?${carried}`)
    expect(answer.statusCode).toBe(303)
    expect(answer.headers.location).toMatch(new RegExp(`^${to}\\?`))
    expect(rdOf(answer.headers.location)).toBe(TWO)
  })
})

describe('failures', () => {
  it('shows 503 when the session store is down, and no sign-in form', async () => {
    const { alice } = await at({ failure: new StoreDown('closed') })
    const page = await alice.get('/')
    expect(page.statusCode).toBe(503)
    expect(page.body).toContain('store-down')
    expect(page.body).not.toContain('name="password"')
  })

  it('shows a bug as 500 with a reference, and nothing of its cause', async () => {
    const { alice } = await at({ failure: new TypeError('secret cause') })
    const page = await alice.get('/')
    expect(page.statusCode).toBe(500)
    expect(page.body).toMatch(/[0-9A-Z]{4}-[0-9A-Z]{4}/)
    expect(page.body).not.toContain('secret cause')
  })

  it('tells an administrator whose host is no portal what to add', async () => {
    const { alice } = await at({ hostUnknown: true })
    const page = await alice.get('/')
    expect(page.statusCode).toBe(400)
    expect(page.body).toContain('gate-domain')
  })
})
