import { describe, expect, it, onTestFinished } from 'vitest'
import { type Scene, waitingPush } from './fake-login.ts'
import { NOW, portalUnderTest } from './portal-under-test.ts'
import { visitor } from './visitor.ts'

const TWO = 'https://two.example.com/reports'
const carried = `rd=${encodeURIComponent(TWO)}`
const host = 'two.example.com'
const password = { to: 'password', host, maxAge: 3_600_000 } as const
const aged = { to: 'prove', host, why: 'age', maxAge: 900_000, factors: [] } as const
const factor = { to: 'prove', host, why: 'factor', maxAge: null, factors: ['duo'] } as const
const site = { to: 'site', url: TWO, host, forbidden: false } as const
const allow = { kind: 'allow', said: 'Allowing unknown user' } as const

async function at(scene: Partial<Scene> = {}) {
  const under = await portalUnderTest(scene)
  onTestFinished(() => under.app.close())
  return { ...under, alice: visitor(under) }
}

describe('a password that is too old for the site', () => {
  it('is asked for again: why, and with the name filled in', async () => {
    const { alice } = await at({ level: 1, next: password })
    const page = (await alice.get(`/?${carried}`)).body
    expect(page).toContain('Sign in again')
    expect(page).toMatch(/two\.example\.com.*asks for your password again when you gave it more than 1\u00A0hour ago/)
    expect(page).toMatch(/name="username" value="alice"/)
    expect(page).toMatch(/<input[^>]*type="password"[^>]*autofocus/)
  })

  it('gives way to the site once it was given, and to home without one', async () => {
    const { alice, scene, login } = await at({ level: 1, next: password })
    await alice.get(`/?${carried}`)
    const signIn = login.signIn
    login.signIn = async (...given) => {
      scene.next = site
      return signIn(...given)
    }
    const answer = await alice.post(`/login?${carried}`, { username: 'alice', password: 'postern' })
    expect(answer.headers.location).toMatch(/^\/go\?/)
    scene.next = password
    expect((await alice.get('/')).body).toContain('You’re signed in')
  })

  it('keeps saying why after a wrong one', async () => {
    const { alice } = await at({ level: 2, next: password, signIn: { outcome: 'refused', triesLeft: null } })
    await alice.get(`/?${carried}`)
    const answer = await alice.post(`/login?${carried}`, { username: 'alice', password: 'x' })
    const page = (await alice.get(String(answer.headers.location))).body
    expect(page).toContain('Username or password is wrong')
    expect(page).toContain('Sign in again')
  })

  it.each(['/go', '/denied'])('sends whoever opens %s to the sign-in', async path => {
    const { alice } = await at({ level: 1, next: password })
    expect((await alice.get(`${path}?${carried}`)).headers.location).toMatch(/^\/\?rd=/)
  })
})

describe('a second factor that is not enough for the site', () => {
  it('is asked for again at level 2, with the reason', async () => {
    const { alice, scene } = await at({ level: 2, next: aged })
    expect((await alice.get(`/?${carried}`)).headers.location).toMatch(/^\/prove\?/)
    expect((await alice.get(`/prove?${carried}`)).body).toMatch(/less than 15\u00A0minutes old/)
    scene.next = factor
    expect((await alice.get(`/prove?${carried}`)).body).toContain('Duo did not ask for it last time')
    scene.next = { ...aged, why: 'level' }
    expect((await alice.get(`/prove?${carried}`)).body).toContain('needs more than your password')
  })

  it('is proved anew: the push is sent, waited for and claimed at level 2', async () => {
    const { alice, scene, login, time } = await at({ level: 2, next: aged })
    await alice.get(`/prove?${carried}`)
    const sent = await alice.post(`/prove?${carried}`, { way: 'push:DPHONE1' })
    expect((await alice.get(String(sent.headers.location))).body).toContain('Check your phone')
    expect((await alice.get(`/api/transaction?after=0&${carried}`)).json()).toMatchObject({ over: false })
    login.move(waitingPush(time.now, { state: 'allowed' }))
    const claim = login.claim
    login.claim = async (...given) => {
      scene.next = site
      return claim(...given)
    }
    const answer = await alice.get(String(sent.headers.location))
    expect(answer.headers.location).toMatch(/^\/go\?/)
    expect(login.calls.at(-1)).toBe('claim')
  })

  it('is not asked for where nothing more is wanted', async () => {
    const { alice } = await at({ level: 2, push: waitingPush(NOW) })
    expect((await alice.get('/prove')).headers.location).toBe('/')
    expect((await alice.get('/prove/wait')).headers.location).toBe('/')
  })

  it('row 112: goes in no circle when Duo lets the person pass again: the page says what is missing, with a reason of its own', async () => {
    for (const level of [1, 2] as const) {
      const { alice, login } = await at({
        level,
        next: { ...factor, why: level === 1 ? 'level' : 'factor' },
        offer: allow,
        start: { outcome: 'offer', offer: allow },
      })
      const page = await alice.get(`/prove?${carried}`)
      expect(page.statusCode).toBe(200)
      expect(page.body).toContain('Duo did not ask you to confirm')
      expect(page.body).toContain('duo-not-asked')
      expect(login.calls).toEqual(['report level.refused duo-not-asked'])
      const posted = await alice.post(`/prove?${carried}`)
      expect(posted.headers.location).toMatch(/^\/prove\?/)
      expect(login.calls.join()).not.toContain('raiseByPolicy')
    }
  })
})

describe('a site that sends people back', () => {
  const round = async (alice: ReturnType<typeof visitor>, rd = carried) => {
    const first = await alice.get(`/?${rd}`)
    return first.statusCode === 303 ? (await alice.get(String(first.headers.location))).headers.refresh : first
  }

  it('is not followed by itself for ever: three times in a row, which several tabs may do too', async () => {
    const { alice, login } = await at({ level: 2 })
    for (let times = 0; times < 3; times++) expect(await round(alice)).toBe(`0; url=${TWO}`)
    const last = await alice.get(`/?${carried}`)
    expect(last.statusCode).toBe(200)
    expect(last.body).toContain('You were sent back')
    expect(last.headers.refresh).toBeUndefined()
    expect(login.calls).toContain('report redirect.refused gate-loop')
  })

  it('is followed again a while later, and another page of it at once', async () => {
    const { alice, time } = await at({ level: 2 })
    for (let times = 0; times < 3; times++) await round(alice)
    expect(await round(alice, `rd=${encodeURIComponent(`${TWO}/2026`)}`)).toBe(`0; url=${TWO}/2026`)
    for (let times = 0; times < 3; times++) await round(alice)
    time.now += 20_000
    expect(await round(alice)).toBe(`0; url=${TWO}`)
  })

  it('believes no such cookie that another server made', async () => {
    const { alice } = await at({ level: 2 })
    alice.cookies.set('__Host-postern_went', 'x'.repeat(80))
    expect((await alice.get(`/?${carried}`)).statusCode).toBe(303)
  })
})

describe('the page for no access', () => {
  it('is shown only where the rules refuse this visitor, with the reference of the event', async () => {
    const { alice, scene, login } = await at({ level: 2, next: { ...site, forbidden: true } })
    const page = await alice.get(`/denied?${carried}&rm=POST`)
    expect(page.statusCode).toBe(403)
    expect(page.body).toContain('You can’t open this page')
    expect(page.body).toContain('POST https://two.example.com/reports')
    expect(page.body).toContain('7K4M-Q2XD')
    expect(login.calls).toEqual(['denied'])
    scene.next = site
    const open = await alice.get(`/denied?${carried}`)
    expect(open.headers.location).toMatch(/^\/go\?/)
    expect(login.calls).toEqual(['denied'])
  })

  it('is not what somebody is told where the gate refuses what the rules let pass: that is a circle, and no refusal to be counted', async () => {
    const { alice, login } = await at({ level: 2 })
    const denied = await alice.get(`/denied?${carried}`)
    await alice.get(String(denied.headers.location))
    const page = await alice.get(`/denied?${carried}`)
    expect(page.statusCode).toBe(200)
    expect(page.body).toContain('You were sent back')
    expect(login.calls).toEqual(['report redirect.refused gate-loop'])
  })

  it('is none for a link without a site, or with one that is not ours', async () => {
    const { alice } = await at({ level: 1 })
    expect((await alice.get('/denied')).headers.location).toBe('/')
    expect((await alice.get('/denied?rd=https%3A%2F%2Fevil.example%2F')).headers.location).toMatch(/^\/go\?/)
  })
})
