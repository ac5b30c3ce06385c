import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { visitor } from '../portal/visitor.ts'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'
import { until } from '../support/process.ts'

const MINUTE = 60_000
const rules = [
  { domain: 'old.postern.localhost', policy: 'one_factor', max_age: '1h' },
  { domain: 'fresh.postern.localhost', policy: 'two_factor', max_age: '15m' },
  { domain: 'duo.postern.localhost', policy: 'two_factor', factors: ['duo'] },
  { domain: 'two.postern.localhost', policy: 'two_factor' },
  { domain: 'mixed.postern.localhost', policy: 'two_factor', methods: ['POST'] },
  { domain: 'mixed.postern.localhost', policy: 'one_factor' },
  { domain: 'closed.postern.localhost', policy: 'deny' },
]
const PHONE = 'DPALICE0000000000001'

/** The whole server, Duo's simulator, and a browser without script. */
async function open({
  wrongKeys = false,
  ...wishes
}: Parameters<typeof openPostern>[0] & { wrongKeys?: boolean } = {}) {
  let ahead = 0
  const simulator = await startSimulator({
    ...duoKeys,
    ...(wrongKeys ? { secretKey: 'x'.repeat(40) } : {}),
    users: demoUsers,
    clock: () => Date.now() + ahead,
  })
  onTestFinished(() => simulator.close())
  const postern = await openPostern({ duo: simulator, rules, ...wishes })
  return {
    simulator,
    postern,
    alice: person(postern, 'alice'),
    moveClock(milliseconds: number) {
      ahead += milliseconds
      postern.now += milliseconds
      simulator.clockMoved()
    },
  }
}

/** Goes where the gate and the portal send, as a browser does. */
function person(postern: InProcess, name: string) {
  const origin = `http://auth.postern.localhost:${postern.setup.publicPort}`
  const browser = visitor(postern, origin)
  const url = (host: string) => `http://${host}.postern.localhost:${postern.setup.publicPort}/a/page`
  const at = (host: string) => `rd=${encodeURIComponent(url(host))}&rm=GET`
  const gate = async (host: string, method = 'GET') => {
    const answer = await postern.app.inject({
      url: '/api/authz/forward-auth',
      headers: {
        cookie: [...browser.cookies].map(([cookie, value]) => `${cookie}=${value}`).join('; '),
        accept: 'text/html',
        'x-forwarded-method': method,
        'x-forwarded-proto': 'http',
        'x-forwarded-host': new URL(url(host)).host,
        'x-forwarded-uri': '/a/page',
        'x-forwarded-for': '127.0.0.1',
      },
    })
    return { status: answer.statusCode, to: path(answer.headers.location), body: answer.body }
  }
  const post = async (to: string, fields: Record<string, string>) =>
    path((await browser.post(to, fields)).headers.location)
  return {
    ...browser,
    gate,
    /** Where the page leads, or what its heading says. */
    async see(to: string): Promise<string> {
      const answer = await browser.get(to)
      return path(answer.headers.location) || (/<h1[^>]*>([^<]*)/.exec(answer.body)?.[1] ?? '')
    },
    post,
    at,
    signIn: async (to = '/') => {
      await browser.get(to)
      return post(to.replace('/?', '/login?').replace(/^\/$/, '/login'), { username: name, password })
    },
    /** Sends a push for a host, approves it, and goes where that leads. */
    async confirm(simulator: Simulator, host: string): Promise<string> {
      await browser.get(`/prove?${at(host)}`)
      const waiting = await post(`/prove?${at(host)}`, { way: `push:${PHONE}` })
      const push = await until(() => simulator.pushes().find(({ state }) => state === 'pending'), 'a push is there')
      simulator.answer(push.id, 'approve')
      await until(async () => (await browser.get(`/api/transaction?after=0&${at(host)}`)).json().over, 'it is approved')
      return path((await browser.get(waiting)).headers.location)
    },
  }
}

const path = (location: unknown) => String(location ?? '').replace(/^https?:\/\/auth[^/]*/, '')

describe('max_age of a rule', () => {
  it('takes a session that lives and whose password is too old to the sign-in, which replaces it', async () => {
    const { alice, moveClock } = await open({
      rules: [{ domain: 'old.postern.localhost', policy: 'one_factor', max_age: '3m' } as (typeof rules)[number]],
    })
    await alice.signIn()
    moveClock(3 * MINUTE)
    const { status, to } = await alice.gate('old')
    expect(status).toBe(302)
    expect(await alice.see(to)).toBe('Sign in again')
    const old = alice.cookies.get('authelia_session')
    const next = await alice.signIn(to)
    expect(next).toMatch(/^\/go\?/)
    expect(alice.cookies.get('authelia_session')).not.toBe(old)
    expect((await alice.gate('old')).status).toBe(200)
    // What was replaced is nobody's any more.
    alice.cookies.set('authelia_session', old ?? '')
    expect((await alice.gate('old')).status).toBe(302)
  })

  it('asks for the phone again at level 2, and makes a new record of the same end', async () => {
    const { alice, moveClock, simulator, postern } = await open()
    await alice.signIn()
    expect(await alice.confirm(simulator, 'fresh')).toMatch(/^\/go\?/)
    expect((await alice.gate('fresh')).status).toBe(200)
    for (let minute = 0; minute < 15; minute += 3) {
      moveClock(3 * MINUTE)
      expect((await alice.gate('two')).status).toBe(200)
    }
    const { status, to } = await alice.gate('fresh')
    expect(status).toBe(302)
    expect(await alice.see(to)).toMatch(/^\/prove\?/)
    expect(await alice.see(`/prove?${alice.at('fresh')}`)).toBe('Confirm it’s you')
    const old = alice.cookies.get('authelia_session')
    expect(await alice.confirm(simulator, 'fresh')).toMatch(/^\/go\?/)
    expect(alice.cookies.get('authelia_session')).not.toBe(old)
    expect((await alice.gate('fresh')).status).toBe(200)
    expect(simulator.pushes()).toHaveLength(2)
    expect(postern.events('level.raised')).toHaveLength(2)
  })
})

describe('a push that waits', () => {
  const pushed = async ({ alice, simulator }: Awaited<ReturnType<typeof open>>) => {
    await alice.signIn()
    await alice.get(`/prove?${alice.at('two')}`)
    await alice.post(`/prove?${alice.at('two')}`, { way: `push:${PHONE}` })
    return until(() => simulator.pushes().find(({ state }) => state === 'pending'), 'a push is there')
  }

  it('is cancelled when the same browser signs in anew', async () => {
    const house = await open()
    const push = await pushed(house)
    await house.alice.signIn()
    expect(house.postern.events('push.cancelled')).toHaveLength(1)
    house.simulator.answer(push.id, 'approve')
    expect((await house.alice.gate('two')).status).toBe(302)
  })

  it('and was denied is told at level 2, also when somebody with the password alone has pressed the notice away', async () => {
    const house = await open()
    const { alice, simulator, moveClock } = house
    simulator.answer((await pushed(house)).id, 'deny')
    await until(async () => (await alice.get('/api/transaction?after=0')).json().over, 'it is over')
    await alice.get('/')
    await alice.post('/notice/seen', {})
    moveClock(MINUTE)
    expect(await alice.confirm(simulator, 'two')).toMatch(/^\/go\?/)
    expect((await alice.get('/')).body).toContain('Someone who knew your password')
    await alice.post('/notice/seen', {})
    expect((await alice.get('/')).body).not.toContain('Someone who knew your password')
  })
})

describe('factors of a rule', () => {
  it('row 112: whom Duo lets pass is level 2 elsewhere, and told what is missing here, with an event of its own', async () => {
    const { alice, simulator, postern } = await open()
    simulator.setUsers([{ username: 'alice', status: 'bypass' }])
    await alice.signIn()
    await alice.get(`/prove?${alice.at('two')}`)
    expect(await alice.post(`/prove?${alice.at('two')}`, {})).toMatch(/^\/go\?/)
    expect((await alice.gate('two')).status).toBe(200)
    expect(postern.events('duo.bypass')).toHaveLength(1)
    const { status, to } = await alice.gate('duo')
    expect(status).toBe(302)
    expect(await alice.see(to)).toMatch(/^\/prove\?/)
    expect(await alice.see(`/prove?${alice.at('duo')}`)).toBe('Duo did not ask you to confirm')
    expect(await alice.post(`/prove?${alice.at('duo')}`, {})).toMatch(/^\/prove\?/)
    expect(postern.events('level.refused').at(-1)).toMatchObject({
      reason: 'duo-not-asked',
      username: 'alice',
      host: 'duo.postern.localhost',
    })
    expect(postern.events('level.raised')).toHaveLength(1)
  })

  it('are satisfied by a push, and by a passcode', async () => {
    const { alice, simulator } = await open()
    await alice.signIn()
    expect(await alice.confirm(simulator, 'duo')).toMatch(/^\/go\?/)
    expect((await alice.gate('duo')).status).toBe(200)
    await alice.signIn()
    expect((await alice.gate('duo')).status).toBe(302)
    await alice.get(`/prove/passcode?${alice.at('duo')}`)
    const to = await alice.post(`/prove/passcode?${alice.at('duo')}`, { passcode: simulator.passcode(PHONE) })
    expect(to).toMatch(/^\/go\?/)
    expect((await alice.gate('duo')).status).toBe(200)
  })
})

describe('gate and portal', () => {
  it('say the same of a method that needs more: nobody goes in a circle', async () => {
    const { alice } = await open()
    await alice.signIn()
    expect((await alice.gate('mixed', 'GET')).status).toBe(200)
    const { to } = await alice.gate('mixed', 'POST')
    expect(await alice.see(to)).toMatch(/^\/prove\?.*rm=POST/)
  })

  it('show one reference for one refusal, and the log holds its rule under it, once', async () => {
    const { alice, postern } = await open()
    await alice.signIn()
    const { status, body } = await alice.gate('closed')
    expect(status).toBe(403)
    const shown = /[0-9A-Z]{4}-[0-9A-Z]{4}/.exec(body)?.[0]
    const page = await alice.get(`/denied?${alice.at('closed')}`)
    expect(page.statusCode).toBe(403)
    expect(page.body).toContain(shown)
    expect(page.body).toContain('alice')
    expect(postern.events('access.denied')).toEqual([
      expect.objectContaining({ ref: shown, rule: 7, username: 'alice', host: 'closed.postern.localhost' }),
    ])
  })

  it('let nobody be told “no access” by a link to what he may open', async () => {
    const { alice } = await open()
    expect(await alice.see(`/denied?${alice.at('two')}`)).toMatch(/^\/\?rd=/)
    await alice.signIn()
    expect(await alice.see(`/denied?${alice.at('two')}`)).toMatch(/^\/prove\?/)
    expect(await alice.see(`/denied?${alice.at('mixed')}`)).toMatch(/^\/go\?/)
  })
})

describe('what is only looked at', () => {
  it('a page that is loaded again keeps its reference, and the log has it once a minute', async () => {
    const { alice, postern, simulator } = await open()
    await alice.signIn()
    simulator.setScenario({ kind: 'server-error', path: 'preauth', times: 100 })
    // Not somewhere in a form's token.
    const refOf = async () =>
      />([0-9A-Z]{4}-[0-9A-Z]{4})</.exec((await alice.get(`/prove?${alice.at('two')}`)).body)?.[1]
    const events = () => postern.events('duo.unavailable').filter(({ ref }) => ref !== undefined)
    const first = await refOf()
    for (let nth = 0; nth < 10; nth++) expect(await refOf()).toBe(first)
    expect(events()).toEqual([expect.objectContaining({ ref: first, username: 'alice' })])
    postern.now += MINUTE
    const next = await refOf()
    expect(next).not.toBe(first)
    expect(events().slice(1)).toEqual([expect.objectContaining({ ref: next, count: 10 })])
  })

  it('row 169: a flood of one person hides nothing of another, and is bounded', async () => {
    const { alice, postern, simulator } = await open()
    await alice.signIn()
    for (let nth = 0; nth < 70; nth++) await alice.get(`/go?rd=${encodeURIComponent(`https://${nth}.example.net/`)}`)
    const bob = person(postern, 'bob')
    await bob.signIn()
    await bob.get(`/go?rd=${encodeURIComponent('https://bob.example.net/')}`)
    const refused = postern.events('redirect.refused')
    expect(refused.filter(({ username }) => username === 'alice')).toHaveLength(60 + 1)
    expect(refused.filter(({ username }) => username === 'bob')).toHaveLength(1)
    simulator.setScenario({ kind: 'server-error', path: 'preauth', times: 100 })
    await alice.get(`/prove?${alice.at('two')}`)
    expect(postern.events('duo.unavailable').filter(({ ref }) => ref !== undefined)).toHaveLength(1)
  })

  it('a push that failed is one event, and its page shows the reference of it, however often it is opened', async () => {
    const { alice, postern, simulator } = await open()
    await alice.signIn()
    await alice.get(`/prove?${alice.at('two')}`)
    simulator.setScenario({ kind: 'server-error', path: 'auth', times: 10 })
    const waiting = await alice.post(`/prove?${alice.at('two')}`, { way: `push:${PHONE}` })
    await until(() => postern.events('push.failed').length > 0, 'it is over')
    const [failed] = postern.events('push.failed')
    for (let nth = 0; nth < 3; nth++) {
      const shown = await alice.get(path((await alice.get(waiting)).headers.location))
      expect(shown.body).toContain(failed?.ref)
    }
    const events = postern.events().map(({ event }) => String(event))
    expect(events.filter(event => /^(push|access|level)\./.test(event))).toEqual(['push.failed'])
  })

  it('a name that cannot be one is not written down, and told once a minute', async () => {
    const { alice, postern } = await open()
    for (let nth = 0; nth < 10; nth++) {
      await alice.get('/')
      await alice.post('/login', { username: 'x'.repeat(10_000), password: 'y' })
    }
    expect(postern.events('login.failed')).toEqual([expect.objectContaining({ reason: 'implausible' })])
    expect(postern.text()).not.toContain('xxxxxxxxxx')
    await alice.get('/')
    await alice.post('/login', { username: 'alice', password: 'wrong' })
    expect(postern.events('login.failed').slice(1)).toEqual([expect.objectContaining({ username: 'alice' })])
  })
})

describe('every way of Duo', () => {
  it('row 129: wrong passcodes count for the person over all sessions, and end in a pause for each of them', async () => {
    const { alice, postern } = await open()
    const attempt = async (who: typeof alice) => {
      await who.get(`/prove/passcode?${who.at('two')}`)
      return who.post(`/prove/passcode?${who.at('two')}`, { passcode: '000000' })
    }
    const others = [person(postern, 'alice'), person(postern, 'alice')]
    for (const who of [alice, ...others]) await who.signIn()
    for (const who of [alice, ...others]) await attempt(who)
    for (const who of [alice, ...others]) expect(await who.see(`/prove?${who.at('two')}`)).toBe('Too many tries')
    const late = person(postern, 'alice')
    await late.signIn()
    expect(await late.see(`/prove?${late.at('two')}`)).toBe('Too many tries')
    expect(postern.events('passcode.wrong')).toHaveLength(3)
    expect(postern.text()).not.toContain('000000')
  })

  it('sends a text, says how its passcode begins, and takes it', async () => {
    const { alice, simulator } = await open()
    await alice.signIn()
    await alice.get(`/prove?${alice.at('two')}`)
    const to = await alice.post(`/prove?${alice.at('two')}`, { way: `sms:${PHONE}` })
    expect(to).toMatch(/^\/prove\/passcode\?/)
    const [passcode] = simulator.messages(PHONE).at(-1)?.passcodes ?? []
    const page = (await alice.get(to)).body
    expect(page).toContain('We sent new passcodes to')
    expect(page).toMatch(new RegExp(`starts with <b[^>]*>${passcode?.[0]}</b>`))
    expect(await alice.post(`/prove/passcode?${alice.at('two')}`, { passcode: passcode ?? '' })).toMatch(/^\/go\?/)
    expect((await alice.gate('two')).status).toBe(200)
  })

  it('row 127: after a report push and calls are paused and all sessions over; a passcode still confirms', async () => {
    const { alice, simulator, postern } = await open()
    const other = person(postern, 'alice')
    await other.signIn()
    await alice.signIn()
    await alice.get(`/prove?${alice.at('two')}`)
    await alice.post(`/prove?${alice.at('two')}`, { way: `push:${PHONE}` })
    const push = await until(() => simulator.pushes().find(({ state }) => state === 'pending'), 'a push is there')
    simulator.answer(push.id, 'fraud')
    await until(() => postern.events('session.ended-by-fraud').length > 0, 'all sessions end')
    expect(await other.see('/')).toBe('Sign in')
    await alice.signIn()
    for (const kind of ['push', 'phone']) {
      await alice.get(`/prove?${alice.at('two')}`)
      const held = await alice.post(`/prove?${alice.at('two')}`, { way: `${kind}:${PHONE}` })
      expect(await alice.see(held)).toBe('Push and calls are paused')
    }
    expect(simulator.pushes()).toHaveLength(1)
    await alice.get(`/prove/passcode?${alice.at('two')}`)
    const passcode = simulator.passcode(PHONE)
    expect(await alice.post(`/prove/passcode?${alice.at('two')}`, { passcode })).toMatch(/^\/go\?/)
  })

  it('autopush: the sign-in itself sends one push in the way that was used last; no GET sends another', async () => {
    const { alice, simulator } = await open({ duoKeys: 'autopush: true' })
    const sign = `/?${alice.at('two')}`
    const to = await alice.signIn(sign)
    expect(to).toMatch(/^\/prove/)
    await until(() => simulator.pushes().length === 1, 'the push is there')
    for (const url of [to, '/prove', `/prove?${alice.at('two')}`, '/', sign]) await alice.get(url)
    expect(simulator.pushes()).toHaveLength(1)
  })

  it('row 133: a browser that is remembered is not asked again; another person who brings its cookie is', async () => {
    const { alice, simulator, postern } = await open({ duoKeys: 'remembered_devices: true' })
    simulator.setPolicy({ rememberedDevices: { days: 1 } })
    await alice.signIn()
    await alice.get(`/prove?${alice.at('two')}`)
    const waiting = await alice.post(`/prove?${alice.at('two')}`, { way: `push:${PHONE}`, remember: 'true' })
    const push = await until(() => simulator.pushes().find(({ state }) => state === 'pending'), 'a push is there')
    simulator.answer(push.id, 'approve')
    await until(async () => (await alice.get('/api/transaction?after=0')).json().over, 'it is approved')
    expect(await alice.see(waiting)).toMatch(/^\/go\?/)
    const cookie = alice.cookies.get('postern_browser') ?? ''
    expect(cookie).not.toBe('')
    await alice.signIn()
    expect(await alice.see(`/prove?${alice.at('two')}`)).toBe('No phone needed this time')
    const bob = person(postern, 'bob')
    bob.cookies.set('postern_browser', cookie)
    await bob.signIn()
    expect(await bob.see(`/prove?${bob.at('two')}`)).toBe('Confirm it’s you')
  })
})

describe('Duo cannot help', () => {
  const reasons = (postern: InProcess, event: string) => postern.events(event).map(({ reason }) => reason)

  it('row 109: wrong keys let nobody in, with failmode safe either', async () => {
    const { alice, postern } = await open({ duoKeys: 'failmode: safe', wrongKeys: true })
    await alice.signIn()
    const page = await alice.get(`/prove?${alice.at('two')}`)
    expect(page.statusCode).toBe(503)
    expect(page.body).toContain('This server isn’t set up right')
    expect(await alice.post(`/prove?${alice.at('two')}`, { way: `push:${PHONE}` })).toMatch(/^\/prove\?/)
    expect((await alice.gate('two')).status).toBe(302)
    expect(reasons(postern, 'duo.misconfigured')).toContain('duo-signature')
    expect(postern.events('duo.failmode')).toEqual([])
  })

  it('row 110: with the failmode unset the site stays closed while Duo is gone', async () => {
    const { alice, simulator } = await open()
    await alice.signIn()
    await simulator.close()
    expect((await alice.get(`/prove?${alice.at('two')}`)).statusCode).toBe(503)
    expect(await alice.post(`/prove?${alice.at('two')}`, { way: `push:${PHONE}` })).toMatch(/^\/prove\?/)
    expect((await alice.gate('two')).status).toBe(302)
  })

  it('row 110: with failmode safe a press of the button goes on, loudly; a rule with factors stays closed', async () => {
    const { alice, simulator, postern } = await open({ duoKeys: 'failmode: safe' })
    await alice.signIn()
    await simulator.close()
    expect((await alice.get(`/prove?${alice.at('two')}`)).body).toContain('lets people go on without it')
    expect((await alice.gate('two')).status).toBe(302)
    expect(await alice.post(`/prove?${alice.at('two')}`, {})).toMatch(/^\/go\?/)
    expect((await alice.gate('two')).status).toBe(200)
    expect(postern.events('duo.failmode').at(-1)).toMatchObject({ username: 'alice' })
    expect((await alice.gate('duo')).status).toBe(302)
    expect((await alice.get(`/prove?${alice.at('duo')}`)).statusCode).toBe(503)
    expect((await alice.get('/')).body).toContain('Duo could not be reached')
  })

  it('row 113: a link to set up a phone comes only after the password, is written down, and raises nothing', async () => {
    const { alice, postern, simulator } = await open({ selfEnrollment: true })
    simulator.setUsers([])
    expect(await alice.see('/enroll/start')).toBe('/')
    await alice.signIn()
    expect((await alice.get(`/prove?${alice.at('two')}`)).body).toContain('Set up your phone')
    const start = await alice.get('/enroll/start')
    expect(start.headers.location).toMatch(/^https:\/\/localhost:/)
    expect(postern.events('duo.enroll').map(({ username }) => username)).toContain('alice')
    expect((await alice.gate('two')).status).toBe(302)
    expect(postern.events('level.raised')).toEqual([])
  })
})
