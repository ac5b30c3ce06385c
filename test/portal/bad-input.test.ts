import { describe, expect, it, onTestFinished } from 'vitest'
import { choice, type Scene, waitingPush } from './fake-login.ts'
import { NOW, portalUnderTest } from './portal-under-test.ts'
import { states } from './states.ts'
import { PORTAL, visitor } from './visitor.ts'

async function at(scene: Partial<Scene> = {}) {
  const under = await portalUnderTest(scene)
  onTestFinished(() => under.app.close())
  return { ...under, alice: visitor(under) }
}

const changes = (calls: readonly string[]) => calls.filter(call => !/^(report|held)/.test(call))
const credentials = { username: 'mallory', password: 'postern' }
const posts = ['/login', '/prove', '/prove/cancel', '/enroll', '/logout']

describe('what the portal refuses', () => {
  it('row 57: a foreign form, whatever it knows, changes nothing', async () => {
    const { alice, login } = await at({ level: 1 })
    await alice.get('/prove')
    for (const url of posts)
      for (const headers of [
        { origin: 'https://evil.com' },
        { origin: 'https://one.example.com', 'sec-fetch-site': 'same-site' },
        { origin: 'null' },
        { origin: 'http://auth.example.com' },
        { origin: 'https://auth.example.com:444' },
        { 'sec-fetch-site': 'none' },
        { origin: PORTAL, 'sec-fetch-site': 'cross-site' },
        { origin: `${PORTAL}.evil.com` },
      ]) {
        const answer = await alice.post(url, credentials, headers)
        expect(answer.statusCode, `${url} ${JSON.stringify(headers)}`).toBe(403)
        expect(answer.headers['set-cookie'] ?? '').not.toContain('authelia_session')
      }
    expect(changes(login.calls)).toEqual([])
    expect((await alice.post('/logout')).headers.location).toBe('/logout/done')
  })

  it('row 57: a form without this browser’s token changes nothing', async () => {
    const { alice, login } = await at({ level: 1 })
    const { alice: other } = await at({ level: 1 })
    await alice.get('/prove')
    await other.get('/prove')
    for (const url of posts)
      for (const token of ['', 'x', other.token]) {
        const answer = await alice.post(url, { ...credentials, token })
        expect(answer.statusCode).toBe(303)
        expect(answer.headers.location).toMatch(/m=1$/)
      }
    expect(changes(login.calls)).toEqual([])
  })

  it('row 58: GET and HEAD change nothing, and no password is read from a URL', async () => {
    const { alice, login, app } = await at({ level: 1, push: waitingPush(NOW, { state: 'allowed' }) })
    for (const url of ['/login?username=alice&password=postern', '/prove/cancel'])
      expect((await alice.get(url)).statusCode, url).toBe(404)
    for (const url of ['/', '/prove', '/logout', '/logout/done', '/denied', '/go', '/help', '/api/transaction'])
      await alice.get(url)
    for (const url of ['/prove/wait', '/api/transaction', '/logout'])
      expect((await app.inject({ method: 'HEAD', url })).statusCode, url).toBe(404)
    expect(changes(login.calls)).toEqual([])
    await alice.get('/prove/wait') // the one that may, so that the test is not green for another reason
    expect(login.calls).toContain('claim')
  })

  it('row 59: no answer may be framed, stored or sniffed: pages, redirects, errors and the JSON alike', async () => {
    const { alice, app, scene } = await at()
    const answers = [
      await alice.get('/'),
      await alice.get('/prove'),
      await alice.get('/2fa/x'),
      await alice.get('/nothing'),
      await alice.get('/?rd=a&rd=b'),
      await alice.get('/static/nothing'),
      await alice.get('/api/transaction'),
      await alice.post('/login', credentials),
      await alice.post('/login', credentials, { origin: 'https://evil.com' }),
      await app.inject({ method: 'PUT', url: '/login' }),
      await app.inject({ method: 'POST', url: '/login', headers: { 'content-type': 'text/plain' }, payload: 'x' }),
      await app.inject({ method: 'POST', url: '/login', payload: { username: 'x' } }),
    ]
    scene.failure = new TypeError('a bug')
    answers.push(await alice.get('/'))
    for (const { headers, statusCode } of answers) {
      expect(headers['x-frame-options'], String(statusCode)).toBe('DENY')
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
      expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|data:/)
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['referrer-policy']).toBe('same-origin')
      expect(headers['cache-control']).toBe('no-store')
    }
  })

  const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`
  it('row 60: what a visitor, a phone or Duo wrote is text on every page', async () => {
    const device = { id: evil, name: evil, number: evil, capabilities: ['push'], nextCode: evil }
    const ways = (['push', 'phone', 'sms'] as const).map(kind => ({ kind, device: evil }))
    const no = { kind: 'no-device', device: evil, passcode: true } as const
    const person = { username: evil, displayName: evil, groups: [evil] }
    const site = { name: evil, url: 'javascript:alert(1)', host: evil, needs: 'second-factor' as const }
    const scenes: [string, Partial<Scene>][] = [
      ['/', { level: 1, person, sites: [site, { ...site, url: `https://x/${evil}` }] }],
      ['/prove', { level: 1, person, offer: choice([device], ways, { forgotten: evil }) }],
      ['/prove', { level: 1, person, offer: choice([device, device], ways, { preferred: ways[0] ?? null }) }],
      ['/prove/passcode', { level: 1, person, offer: choice([device, device], [...ways, { kind: 'passcode' }]) }],
      ['/prove', { level: 1, person, offer: { kind: 'allow', said: evil } }],
      ['/prove', { level: 1, person, offer: { kind: 'deny', reason: 'duo-disabled', said: evil } }],
      ['/prove', { level: 1, person, offer: { ...no, reason: 'duo-not-activated' } }],
      ['/prove', { level: 1, person, offer: { ...no, reason: 'duo-factors' } }],
      [
        '/prove/wait',
        {
          level: 1,
          push: waitingPush(NOW, {
            said: evil,
            device,
            code: { kind: 'matching', digits: evil },
            facts: { site: evil, path: evil, ip: evil, browser: evil, at: NOW },
          }),
        },
      ],
      ['/prove/wait', { level: 1, push: waitingPush(NOW, { state: 'denied', device }) }],
      ['/prove/wait', { level: 1, push: waitingPush(NOW, { state: 'timed-out', device }) }],
      ['/denied', { level: 2, person }],
    ]
    for (const [path, scene] of scenes) {
      const { alice } = await at(scene)
      const page = await alice.get(`${path}?rd=${encodeURIComponent(evil)}&rm=${encodeURIComponent(evil)}`, {
        'accept-language': evil,
        'user-agent': evil,
      })
      expect(page.body, path).not.toMatch(/<script>|<img|href="javascript:/)
      expect(page.body).not.toMatch(/\son\w+=(?!alert)/)
    }
  })

  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)//https://one.example.com',
    'data:text/html,x',
    'blob:https://one.example.com/x',
    'intent://x',
    '//evil.com',
    '/\\evil.com',
    '\\\\evil.com',
    '/\t/evil.com',
    'https://one.example.com@evil.com/',
    'https://evil.com\\@one.example.com',
    'https://one.example.com%2eevil.com',
    'https:one.example.com',
    'https:///evil.com',
    'https://evilexample.com',
    'https://example.com.evil.com',
    'http://one.example.com/',
    'https://one.example.com/\r\nX: 1',
  ])('row 60, rows 78 to 87: rd %j is shown as unsafe, in no href and no Location', async rd => {
    const { alice, login } = await at({ level: 2 })
    const given = `rd=${encodeURIComponent(rd)}`
    const page = await alice.get(`/go?${given}`)
    expect(page.statusCode).toBe(200)
    expect(page.body).toContain('We didn’t follow that link')
    expect(page.headers.refresh).toBeUndefined()
    const links = [...page.body.matchAll(/(?:href|action|content)="([^"]*)"/g)].map(([, link]) => link ?? '')
    for (const link of links.filter(link => /^[a-z]+:|^\/\//i.test(link)))
      expect(link).toMatch(/^https:\/\/example\.com\/privacy$|^mailto:help@example\.com$/)
    expect(login.calls.some(call => call.startsWith('report redirect.refused'))).toBe(true)
    for (const path of ['/', '/denied', '/logout/done', '/prove']) {
      const answer = await alice.get(`${path}?${given}`)
      expect(String(answer.headers.location ?? '/')).toMatch(/^\/(?!\/)/)
      expect(answer.body).not.toMatch(/href="(?!\/|#|https:\/\/(?:example\.com\/privacy|\w+\.example\.com\/")|mailto:)/)
    }
  })

  it('row 87: a right password with an unsafe rd signs in, goes nowhere, and says why', async () => {
    const { alice } = await at()
    await alice.get('/?rd=https%3A%2F%2Fevil.com%2F%3Ftoken%3Dx')
    const answer = await alice.post('/login?rd=https%3A%2F%2Fevil.com%2F%3Ftoken%3Dx', credentials)
    expect(answer.headers.location).toMatch(/^\/go\?rd=/)
    const page = (await alice.get(String(answer.headers.location))).body
    expect(page).toContain('<bdi>evil.com</bdi>')
    expect(page).not.toContain('href="https://evil.com')
  })

  it('row 62: a static path names one of its files, or nothing', async () => {
    const { alice, app } = await at()
    const style = /href="(\/static\/[^"]+\.css)"/.exec((await alice.get('/')).body)?.[1] ?? ''
    expect((await alice.get(style)).statusCode).toBe(200)
    for (const url of [
      '/static/..%2f..%2fetc%2fpasswd',
      '/static/../../etc/passwd',
      '/static//etc/passwd',
      '//etc/passwd',
      '/static/%00',
      `${style}%00.svg`,
      '/static/.env',
      '/.git/config',
      '/static/',
      '/static/__proto__',
      '/static/constructor',
      style.toUpperCase(),
    ])
      expect((await app.inject({ url, headers: { host: 'auth.example.com' } })).statusCode, url).toBe(404)
  })

  it.each([
    '/?rd=https://one.example.com/&rd=https://evil.com/',
    '/go?rd=https://one.example.com/&rd=https://one.example.com/',
    '/prove?rm[]=x',
    '/denied?rd[a]=x',
    `/?${Array.from({ length: 3000 }, (_, i) => `a${i}`).join('&')}`,
    '/api/transaction?after=1&after=2',
  ])('row 63: %.60s is 400 on the page', async url => {
    const { alice, login } = await at({ level: 1 })
    expect((await alice.get(url)).statusCode).toBe(400)
    expect(changes(login.calls)).toEqual([])
  })

  it('row 63: a form with a doubled field, too many, or too long, is refused whole', async () => {
    const { alice, login, app } = await at()
    await alice.get('/')
    const send = (payload: string, type = 'application/x-www-form-urlencoded') =>
      app.inject({
        method: 'POST',
        url: '/login',
        headers: {
          host: 'auth.example.com',
          origin: PORTAL,
          'content-type': type,
          cookie: [...alice.cookies].map(pair => pair.join('=')).join('; '),
        },
        payload,
      })
    const form = `token=${alice.token}&username=alice&password=postern`
    expect((await send(`${form}&username=bob`)).statusCode).toBe(400)
    expect((await send(`${form}&password[]=x`)).statusCode).toBe(400)
    expect((await send(`${form}&${'a=1&'.repeat(3000)}`)).statusCode).toBe(400)
    expect((await send(`${form}&x=${'y'.repeat(20_000)}`)).statusCode).toBe(413)
    expect((await send(JSON.stringify(credentials), 'application/json')).statusCode).toBe(415)
    expect((await send(form, 'text/plain')).statusCode).toBe(415)
    expect((await send(form, 'multipart/form-data; boundary=x')).statusCode).toBe(415)
    expect(changes(login.calls)).toEqual([])
    expect((await send(form)).headers.location).toBe('/')
  })

  it('row 64: an empty or unexpected POST advances no step', async () => {
    const { alice, login, app } = await at()
    await alice.get('/')
    for (const url of ['/prove', '/prove/cancel', '/enroll'])
      expect((await alice.post(url, { device: 'DPHONE1' })).headers.location, url).toBe('/')
    expect((await alice.post('/login', {})).headers.location).toBe('/?m=1')
    expect((await alice.post('/login', { username: ' ', password: 'x' })).headers.location).toBe('/?m=1')
    for (const url of [...posts, '/go', '/prove/wait', '/'])
      expect((await app.inject({ method: 'POST', url })).statusCode, url).not.toBe(200)
    expect(changes(login.calls)).toEqual([])
  })

  it('row 65: the level stays at 1 whatever is typed in while the push waits', async () => {
    const { alice, scene, login } = await at({ level: 1, push: waitingPush(NOW) })
    const rd = encodeURIComponent('https://two.example.com/')
    for (const url of ['/authenticated', '/', '/go', '/2fa/push', `/go?rd=${rd}`, `/?rd=${rd}`, '/prove/wait'])
      expect((await alice.get(url)).headers.refresh, url).toBeUndefined()
    expect((await alice.get(`/go?rd=${rd}`)).headers.location).toMatch(/^\/prove\?/)
    expect(scene.level).toBe(1)
    expect(changes(login.calls)).toEqual([])
  })

  it('row 85: an rd of 8 KB is none', async () => {
    const { alice } = await at({ level: 1 })
    const page = await alice.get(`/?rd=${encodeURIComponent(`https://one.example.com/${'x'.repeat(8000)}`)}`)
    expect(page.statusCode).toBe(200)
    expect(page.body.length).toBeLessThan(6000)
  })

  it('row 2: links, cookies and the check of the origin come from the configuration, not from headers', async () => {
    const { alice } = await at()
    const forged = { 'x-forwarded-host': 'evil.example.net', 'x-forwarded-proto': 'http' }
    const page = await alice.get('/', forged)
    expect(page.body).not.toContain('evil.example.net')
    expect(page.headers['set-cookie']).toMatch(
      /^__Host-postern_form=[\w-]{22}; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    )
    const answer = await alice.post('/login', credentials, { ...forged, origin: 'http://evil.example.net' })
    expect(answer.statusCode).toBe(403)
  })
})

describe('the weight of a page', () => {
  it('is under 30 kB compressed in at most four requests, none of them to anybody else', async () => {
    const { alice, app } = await at({ level: 1, push: waitingPush(NOW) })
    for (const path of ['/', '/prove?another=', '/prove/wait', '/logout']) {
      const page = await alice.get(path)
      expect(page.statusCode, path).toBe(200)
      const files = [...page.body.matchAll(/(?:src|href)="(\/static\/[^"]+)"/g)].map(([, file]) => file ?? '')
      expect(page.headers['content-encoding'], 'a token beside reflected input is not compressed').toBeUndefined()
      let weight = page.body.length
      for (const url of files) {
        const gzip = await app.inject({ url, headers: { 'accept-encoding': 'gzip' } })
        const brotli = await app.inject({ url, headers: { 'accept-encoding': 'gzip, br' } })
        expect(gzip.headers['content-encoding']).toBe('gzip')
        expect(brotli.headers['content-encoding']).toBe('br')
        expect(gzip.headers['cache-control']).toBe('public, max-age=31536000, immutable')
        expect(gzip.rawPayload.length).toBeLessThan(url.endsWith('.css') ? 5000 : url.endsWith('.js') ? 3000 : 600)
        weight += gzip.rawPayload.length
      }
      expect(files.length + 1).toBeLessThanOrEqual(4)
      expect(weight, path).toBeLessThan(30_000)
      expect(page.body.length, path).toBeLessThan(6000)
      if (process.env.POSTERN_LONG === '1') console.log(`${path}: ${page.body.length} B of HTML, ${weight} B in all`)
    }
  })

  it('has a row for every state', () => {
    expect(new Set(states.map(({ id }) => id)).size).toBe(states.length)
  })
})
