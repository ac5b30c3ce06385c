import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { visitor } from '../portal/visitor.ts'
import { openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'
import { until } from '../support/process.ts'

const PHONE = 'push:DPALICE0000000000001'
const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const chrome =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'

/** The whole server, with Duo's simulator or without any Duo, and browsers without script at it. */
async function open({ duo = true, keys }: { duo?: boolean; keys?: string } = {}) {
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers })
  onTestFinished(() => simulator.close())
  const rules = [{ domain: 'one.postern.localhost', policy: 'one_factor' }]
  const postern = await openPostern(
    duo ? { duo: simulator, ...(keys === undefined ? {} : { duoKeys: keys }) } : { rules },
  )
  const origin = `http://auth.postern.localhost:${postern.setup.publicPort}`
  const pathOf = (location: unknown) => String(location ?? '').replace(origin, '')

  function browser(agent: string, from: string) {
    const one = visitor(postern, origin)
    const headers = { 'user-agent': agent, 'x-forwarded-for': from }
    const get = (url: string) => one.get(url, headers)
    const post = async (url: string, fields: Record<string, string> = {}) =>
      pathOf((await one.post(url, fields, headers)).headers.location)
    return {
      get,
      post,
      to: async (url: string) => pathOf((await get(url)).headers.location),
      async signIn(username = 'alice', typed = password) {
        await get('/')
        return post('/login', { username, password: typed })
      },
      /** From wherever the phone is asked to wherever that leads. */
      async confirm(at: string, remember = false) {
        await get(at)
        const waiting = await post(at, { way: PHONE, ...(remember ? { remember: 'true' } : {}) })
        const push = await until(
          () => simulator.pushes().findLast(({ state }) => state === 'pending'),
          'a push is there',
        )
        simulator.answer(push.id, 'approve')
        const query = waiting.includes('?') ? `&${waiting.split('?')[1]}` : ''
        await until(async () => (await get(`/api/transaction?after=0${query}`)).json().over, 'it is approved')
        return pathOf((await get(waiting)).headers.location)
      },
      /** What the gate says of an application. */
      async gate() {
        const answer = await postern.app.inject({
          url: '/api/authz/auth-request',
          headers: {
            cookie: [...one.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
            'x-original-method': 'GET',
            'x-original-url': `http://one.postern.localhost:${postern.setup.publicPort}/`,
            'x-forwarded-for': from,
          },
        })
        return answer.statusCode
      },
    }
  }
  return { postern, simulator, browser }
}

/** The keys in the forms of the page, of those who can be signed out from it. */
const keysIn = (html: string) => [...html.matchAll(/name="session" value="([^"]+)"/g)].map(([, key]) => key ?? '')
const rowsIn = (html: string, section: string) =>
  (html.split(`aria-labelledby="${section}"`)[1]?.split('</section>')[0] ?? '').match(/<li>/g)?.length ?? 0

describe('the settings of a person with a second factor', () => {
  it('are nothing to whoever has the password alone: no address is shown, nobody is signed out, nothing is changed', async () => {
    const { browser, postern } = await open()
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    expect(await owner.confirm('/prove?to=settings')).toBe('/settings')
    const thief = browser(chrome, '203.0.113.66')
    await thief.signIn()
    expect(await thief.to('/settings')).toBe('/prove?to=settings')
    for (const page of ['/settings', '/settings/everywhere', '/settings/way', '/prove?to=settings', '/'])
      expect((await thief.get(page)).body, page).not.toContain('192.0.2.7')

    // With the token of a page that he was shown, and the key that he cannot know.
    const second = browser(firefox, '192.0.2.8')
    await second.signIn()
    const keys = keysIn((await owner.get('/settings')).body)
    expect(keys).toHaveLength(2)
    await thief.get('/')
    for (const [path, fields] of [
      ...keys.map(session => ['/settings/end', { session }] as const),
      ['/settings/everywhere', { which: 'others' }],
      ['/settings/everywhere', { which: 'all' }],
      ['/settings/way', { forget: 'true' }],
      ['/settings/way', { way: PHONE }],
      ['/settings/browsers', { browser: 'all' }],
    ] as const)
      expect(await thief.post(path, fields), path).toBe('/prove?to=settings')
    for (const one of [owner, second, thief]) expect(await one.gate()).toBe(200)
    expect((await owner.get('/settings')).body).toContain('Approve in Duo Mobile')
    expect(postern.events('session.ended-by-owner')).toEqual([])
  })

  it('come after the phone, to whoever was on the way there, signed in or not', async () => {
    const { browser } = await open()
    const owner = browser(firefox, '192.0.2.7')
    expect(await owner.to('/settings')).toBe('/?to=settings')
    await owner.get('/?to=settings')
    expect(await owner.post('/login?to=settings', { username: 'alice', password })).toBe('/settings')
    expect(await owner.to('/settings')).toBe('/prove?to=settings')
    expect((await owner.get('/prove?to=settings')).body).toContain('Your settings open only after you confirm')
    expect(await owner.confirm('/prove?to=settings')).toBe('/settings')
    expect((await owner.get('/settings')).body).toContain('Your sign-ins')
    expect(await owner.to('/prove?to=settings')).toBe('/settings')
  })

  it('list the person’s sessions, and end one of them from its next request on; a GET ends none', async () => {
    const { browser, postern } = await open()
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    await owner.confirm('/prove?to=settings')
    const other = browser(chrome, '198.51.100.44')
    await other.signIn()
    const bob = browser(chrome, '198.51.100.45')
    await bob.signIn('bob')

    const { body } = await owner.get('/settings')
    expect(rowsIn(body, 'sessions')).toBe(2)
    expect(body).toContain('This browser')
    for (const shown of ['Firefox on Linux', '192.0.2.7', 'Chrome on Windows', '198.51.100.44', 'password only'])
      expect(body).toContain(shown)
    expect(body).not.toContain('198.51.100.45')
    const [key = '', ...more] = keysIn(body)
    expect(more).toEqual([])

    for (const url of [`/settings/end?session=${key}`, '/settings/everywhere?which=all']) await owner.get(url)
    expect(await other.gate()).toBe(200)
    expect(await owner.post('/settings/end', { session: key })).toBe('/settings?m=1')
    expect(await other.gate()).toBe(401)
    expect(await owner.gate()).toBe(200)
    const after = (await owner.get('/settings?m=1')).body
    expect(after).toMatch(/Signed out of <b>.*Chrome on Windows/)
    expect(rowsIn(after, 'sessions')).toBe(1)
    // Again, and with what is somebody else's: there is none of that key.
    await owner.post('/settings/end', { session: key })
    expect((await owner.get('/settings?m=1')).body).toContain('gone already')
    expect(await bob.gate()).toBe(200)
    expect(postern.events('session.ended-by-owner')).toMatchObject([{ username: 'alice', count: 1, reason: 'one' }])
  })

  it('end all others, and then all', async () => {
    const { browser } = await open()
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    await owner.confirm('/prove?to=settings')
    const others = [browser(chrome, '198.51.100.44'), browser(chrome, '198.51.100.45')]
    for (const other of others) await other.signIn()
    expect((await owner.get('/settings/everywhere')).body).toContain('2 other browsers will be signed out')
    expect(await owner.post('/settings/everywhere', { which: 'others' })).toBe('/settings?m=1')
    expect((await owner.get('/settings?m=1')).body).toContain('2 other browsers were signed out')
    for (const other of others) expect(await other.gate()).toBe(401)
    expect(await owner.gate()).toBe(200)

    await others[0]?.signIn()
    await owner.get('/settings/everywhere')
    expect(await owner.post('/settings/everywhere', { which: 'everything' })).toBe('/settings/everywhere')
    expect(await owner.post('/settings/everywhere', { which: 'all' })).toBe('/logout/done?m=1')
    expect((await owner.get('/logout/done?m=1')).body).toContain('All 2 browsers were signed out')
    expect(await others[0]?.gate()).toBe(401)
    expect(await owner.gate()).toBe(401)
    expect(await owner.to('/settings')).toBe('/?to=settings')
  })

  it('mark this browser among those that skip the phone, and put it first', async () => {
    const { browser, postern, simulator } = await open({ keys: 'remembered_devices: true' })
    simulator.setPolicy({ rememberedDevices: { days: 7 } })
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    await owner.confirm('/prove?to=settings', true)
    postern.now += 1_000
    const other = browser(chrome, '198.51.100.44')
    await other.signIn()
    await other.confirm('/prove?to=settings', true)
    const listed = async ({ get }: typeof owner) =>
      ((await get('/settings')).body.split('aria-labelledby="browsers"')[1]?.split('</section>')[0] ?? '')
        .split('<li>')
        .slice(1)
        .map(row => [/<bdi>([^<]*)/.exec(row)?.[1], row.includes('This browser')])
    expect(await listed(owner)).toEqual([
      ['Firefox on Linux', true],
      ['Chrome on Windows', false],
    ])
    expect(await listed(other)).toEqual([
      ['Chrome on Windows', true],
      ['Firefox on Linux', false],
    ])
  })

  it('change and forget the way that comes first, and send nothing', async () => {
    const { browser, simulator } = await open()
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    await owner.confirm('/prove?to=settings')
    expect((await owner.get('/settings')).body).toContain('Alice’s phone')
    const { body } = await owner.get('/settings/way')
    expect(body).toMatch(/checked[^>]*value="push:DPALICE0000000000001"|value="push:DPALICE0000000000001"[^>]*checked/)
    await owner.post('/settings/way', { way: 'passcode' })
    expect((await owner.get('/settings?m=1')).body).toMatch(/Saved\..*Enter a passcode/s)
    await owner.post('/settings/way', { way: 'push:DPSOMEBODYELSES00001' })
    expect((await owner.get('/settings?m=1')).body).toContain('doesn’t offer that way')
    await owner.post('/settings/way', { forget: 'true' })
    expect((await owner.get('/settings?m=1')).body).toContain('Nothing is chosen')
    expect(simulator.pushes()).toHaveLength(1)
  })

  it('show the last logins, and tell of failed tries to whoever has proved to be the owner', async () => {
    const { browser, postern } = await open()
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    await owner.confirm('/prove?to=settings')
    postern.now += 60_000
    const thief = browser(chrome, '203.0.113.66')
    for (const guess of ['one', 'two']) await thief.signIn('alice', guess)
    await thief.signIn()
    postern.now += 60_000
    await thief.signIn('alice', 'three')
    // His own success at level 1 hides nothing from the owner, and shows him nothing.
    expect((await thief.get('/')).body).not.toContain('Failed tries')

    const again = browser(firefox, '192.0.2.7')
    await again.signIn()
    await again.confirm('/prove?to=settings')
    const home = (await again.get('/')).body
    expect(home).toMatch(/3 tries to sign in with your name failed since/)
    const { body } = await again.get('/settings')
    expect(body.match(/Wrong password/g)).toHaveLength(3)
    expect(body).toContain('203.0.113.66')
    expect(body).toMatch(/Confirmed in Duo Mobile.*Signed in with your password.*Wrong password/s)
    await again.get('/')
    await again.post('/notice/seen', { which: 'failed' })
    expect((await again.get('/')).body).not.toContain('tries to sign in')
    // A name that nobody has is nobody's to see.
    await thief.signIn('nobody-at-all', 'x')
    expect((await again.get('/settings')).body).not.toContain('nobody-at-all')
  })
})

describe('the recent activity', () => {
  it('has what the phone did not approve: denied, reported and unanswered, from where it was asked for', async () => {
    const { browser, simulator, postern } = await open({
      keys: 'guard: { fraud_lock: 1m }',
    })
    const thief = browser(chrome, '203.0.113.66')
    let pushes = 0
    const asked = async () => {
      await thief.signIn()
      await thief.get('/prove')
      await thief.post('/prove', { way: PHONE })
      pushes++
      return until(() => (simulator.pushes().length === pushes ? simulator.pushes().at(-1) : null), 'a push is there')
    }
    const over = async () => {
      await until(async () => (await thief.get('/api/transaction?after=0')).json().over !== false, 'it is over')
      postern.now += 61_000
    }
    simulator.answer((await asked()).id, 'deny')
    await over()
    await asked()
    postern.now += 61_000
    await over()
    simulator.answer((await asked()).id, 'fraud')
    await until(() => postern.events('session.ended-by-fraud').length > 0, 'the sessions end')
    postern.now += 61_000

    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    await owner.confirm('/prove?to=settings')
    const { body } = await owner.get('/settings')
    const rows = (body.split('aria-labelledby="activity"')[1] ?? '').split('<li>')
    for (const words of ['Denied in Duo Mobile', 'Duo Mobile asked, nobody answered', 'Reported: it wasn’t you'])
      expect(
        rows.filter(row => row.includes(words) && row.includes('203.0.113.66')),
        words,
      ).toHaveLength(1)
    // Whoever has the password alone is told nothing of it.
    await thief.signIn()
    expect(await thief.to('/settings')).toBe('/prove?to=settings')
  })
})

describe('the settings where no second factor is configured', () => {
  it('open with the password, and show nothing of Duo', async () => {
    const { browser } = await open({ duo: false })
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    const { body, statusCode } = await owner.get('/settings')
    expect(statusCode).toBe(200)
    expect(rowsIn(body, 'sessions')).toBe(1)
    expect(body).not.toMatch(/Duo|skip the phone/)
    await owner.post('/settings/end', { session: 'x'.repeat(43) })
    expect((await owner.get('/settings?m=1')).body).toContain('gone already')
    expect(await owner.post('/settings/browsers', { browser: 'all' })).toBe('/settings?m=1')
  })

  it('end no session of somebody else, whose key was found out', async () => {
    const { browser } = await open({ duo: false })
    const owner = browser(firefox, '192.0.2.7')
    await owner.signIn()
    const other = browser(chrome, '198.51.100.44')
    await other.signIn()
    const [key = ''] = keysIn((await owner.get('/settings')).body)
    const bob = browser(chrome, '198.51.100.45')
    await bob.signIn('bob')
    await bob.get('/settings')
    await bob.post('/settings/end', { session: key })
    expect((await bob.get('/settings?m=1')).body).toContain('gone already')
    expect(await other.gate()).toBe(200)
    await owner.get('/settings')
    await owner.post('/settings/end', { session: key })
    expect(await other.gate()).toBe(401)
  })
})

describe('the settings while Duo is down', () => {
  it('are closed to whoever duo_api.failmode lets pass: the password alone is all that was proved', async () => {
    const { browser, simulator } = await open({ keys: 'failmode: safe' })
    const somebody = browser(chrome, '203.0.113.66')
    await somebody.signIn()
    await simulator.close()
    await somebody.get('/prove')
    expect(await somebody.post('/prove')).toBe('/')
    expect((await somebody.get('/')).body).toContain('Duo could not be reached')
    expect(await somebody.to('/settings')).toBe('/prove?to=settings')
    const { statusCode, body } = await somebody.get('/prove?to=settings')
    expect(statusCode).toBe(503)
    expect(body).toContain('Duo can’t be reached')
    expect(await somebody.post('/prove?to=settings')).not.toBe('/settings')
    expect(await somebody.post('/settings/everywhere', { which: 'all' })).toBe('/prove?to=settings')
    expect(await somebody.gate()).toBe(200)
  })
})
