import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { endsWithSuite } from '../support/process.ts'
import { asNginx, asTraefik, cookieOf, type House, house, john, proxiesOf } from './house.ts'

let at: House
const endsWith = endsWithSuite()
beforeAll(async () => {
  at = await house(endsWith)
})

const identity = ({ headers }: { headers: Record<string, string> }) => [
  headers['remote-user'],
  headers['remote-groups'],
  headers['remote-name'],
  headers['remote-email'],
]
const johns = ['john', 'dev,admins', 'John Doe', 'john@example.com']

describe.each(proxiesOf)('the gate, asked as %s', (name, ask, { bad }) => {
  it('lets anybody through a bypass, and says nobody with four empty headers', async () => {
    const answer = await ask(at, { url: 'https://public.example.com/' })
    expect([answer.status, ...identity(answer), answer.body]).toEqual([200, '', '', '', '', '200 OK'])
  })

  it('says who is asking, also on a bypass', async () => {
    for (const url of ['https://public.example.com/', 'https://one.example.com/a?b=c', 'https://one.example.org/'])
      expect(identity(await ask(at, { url, cookie: cookieOf('john', 1) }))).toEqual(johns)
    expect(at.touched.length).toBeGreaterThan(0)
  })

  it.each([
    ['one', undefined, 'log-in'],
    ['one', 1, 200],
    ['one', 2, 200],
    ['two', undefined, 'log-in'],
    ['two', 1, 'log-in'],
    ['two', 2, 200],
    ['other', undefined, 403],
    ['other', 2, 403],
    ['x.b', 2, 403],
  ] as const)('for %s at level %s answers %s', async (host, level, wanted) => {
    const cookie = level && cookieOf('john', level)
    const answer = await ask(at, { url: `https://${host}.example.com/`, ...(cookie && { cookie }) })
    expect(answer.status).toBe(wanted === 'log-in' ? (name === 'auth-request' ? 401 : 302) : wanted)
    expect('location' in answer.headers).toBe(wanted === 'log-in')
    if (wanted !== 200) expect(identity(answer)).toEqual([undefined, undefined, undefined, undefined])
  })

  it('names the portal of the host’s cookie domain, with the way back and the method', async () => {
    const { headers } = await ask(at, { url: 'https://two.example.org:8443/a%20b?c=d&e', method: 'PUT' })
    expect(headers.location).toBe(
      'https://auth.example.org:8443/?rd=https%3A%2F%2Ftwo.example.org%3A8443%2Fa%2520b%3Fc%3Dd%26e&rm=PUT',
    )
  })

  it('never sets a cookie, is never stored, and is never sniffed', async () => {
    const cookie = cookieOf('john', 1)
    for (const url of ['public', 'one', 'two', 'other'].map(host => `https://${host}.example.com/`))
      for (const answer of [await ask(at, { url }), await ask(at, { url, cookie })]) {
        expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
        expect(answer.headers).not.toHaveProperty('set-cookie')
      }
  })

  it('writes HTML only for who reads it, and under a policy that lets nothing run', async () => {
    for (const host of ['one', 'other']) {
      const url = `https://${host}.example.com/?"><script>`
      const page = await ask(at, { url, accept: 'text/html,*/*;q=0.8' })
      expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
      expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'/)
      expect(page.body).not.toContain('<script')
      for (const accept of ['', 'application/json', '*/*', 'text/htmlx'])
        expect((await ask(at, { url, accept })).headers['content-type']).toBe('text/plain; charset=utf-8')
    }
  })

  it('takes a session that is found later as well', async () => {
    at.state = 'slow'
    expect(identity(await ask(at, { cookie: cookieOf('john', 1) }))).toEqual(johns)
    at.state = 'up'
  })

  it('judges as anonymous, with an event, when the person is gone; and lets them out of nothing that is open to all', async () => {
    const cookie = cookieOf('ghost', 2)
    const answer = await ask(at, { cookie })
    expect(answer.headers.location).toContain('https://auth.example.com/?rd=')
    const open = await ask(at, { url: 'https://public.example.com/', cookie })
    expect([open.status, ...identity(open)]).toEqual([200, '', '', '', ''])
    expect(at.lines).toContainEqual(expect.objectContaining({ event: 'session.person-gone', username: 'ghost' }))
  })

  it('judges as anonymous who has another password now', async () => {
    at.people.set('john', { ...john, credential: 'of another password' })
    expect((await ask(at, { cookie: cookieOf('john', 2) })).headers.location).toContain('rd=')
    at.people.set('john', john)
  })

  it('uses what is known of the person now', async () => {
    const cookie = cookieOf('john', 1)
    at.people.set('john', { ...john, groups: [], emails: [] })
    expect(identity(await ask(at, { cookie }))).toEqual(['john', '', 'John Doe', ''])
    at.people.set('john', john)
    expect(identity(await ask(at, { cookie }))).toEqual(johns)
  })

  it.each([
    ['state', 'down', 'store-down'],
    ['state', 'down later', 'store-down'],
    ['directory', 'down', 'directory-down'],
    ['directory', 'down later', 'directory-down'],
  ] as const)(
    'is closed without a redirect while the store or the directory does not answer (%s: %s); a bypass goes on',
    async (what, state, reason) => {
      at[what] = state
      const open = await ask(at, { url: 'https://public.example.com/', cookie: cookieOf('john', 2) })
      expect([open.status, ...identity(open)]).toEqual([200, '', '', '', ''])
      for (const host of ['one', 'two', 'other']) {
        const answer = await ask(at, { url: `https://${host}.example.com/`, cookie: cookieOf('john', 2) })
        expect([answer.status, answer.headers.location]).toEqual([503, undefined])
      }
      at[what] = 'up'
      expect((await ask(at, { cookie: cookieOf('john', 1) })).status).toBe(200)
      expect(at.lines).toContainEqual(expect.objectContaining({ reason, level: 50 }))
    },
  )

  it('waits for a directory that has to be asked, and judges by what it says', async () => {
    at.directory = 'slow'
    expect(identity(await ask(at, { cookie: cookieOf('john', 1) }))).toEqual(johns)
    at.people.delete('john')
    expect((await ask(at, { cookie: cookieOf('john', 2) })).headers.location).toContain('rd=')
    at.people.set('john', john)
    at.directory = 'up'
  })

  it('says why somebody is refused in the log, and under the reference that the page shows', async () => {
    const { body } = await ask(at, { url: 'https://x.b.example.com/', cookie: cookieOf('john', 2) })
    const ref = /[0-9A-Z]{4}-[0-9A-Z]{4}/.exec(body)?.[0]
    expect(at.lines).toContainEqual(
      expect.objectContaining({
        event: 'access.denied',
        ref,
        username: 'john',
        host: 'x.b.example.com',
        rule: 4,
        detail: expect.stringMatching(/^rule 4 .*\*\.b\.example\.com.* deny/),
      }),
    )
  })

  it('row 77: returns the Cookie header without the session’s, for the application', async () => {
    const cookie = `a=1; ${cookieOf('john', 1)}; authelia_session2=x; b=authelia_session=y`
    const answer = await ask(at, { cookie })
    expect(answer.headers.cookie).toBe('a=1; authelia_session2=x; b=authelia_session=y')
    expect((await ask(at, { cookie: cookieOf('john', 1) })).headers.cookie).toBe('')
    expect((await ask(at, { url: 'https://public.example.com/' })).headers.cookie).toBe('')
  })

  it('breaks a circle: the portal itself is not sent to the portal', async () => {
    for (const path of ['/', '/login?x']) {
      const answer = await ask(at, { url: `http://auth.app.localhost:8080${path}` })
      expect([answer.status, answer.headers.location]).toEqual([bad, undefined])
    }
    expect(at.lines).toContainEqual(expect.objectContaining({ event: 'gate.refused', reason: 'gate-portal' }))
    expect((await ask(at, { url: 'http://auth.app.localhost:9090/' })).headers.location).toContain('rd=')
  })
})

describe('the metric of its answers', () => {
  it('counts by endpoint and status, and by nothing that a visitor chooses', async () => {
    const metrics = createMetrics({ ofNode: false })
    const counted = await house(onTestFinished, { metrics, endpoints: { 'my/own': { implementation: 'ForwardAuth' } } })
    for (const host of ['one', 'two', 'public', 'nowhere', 'x.b'])
      for (const cookie of ['', cookieOf('john', 1)])
        await asTraefik(counted, { url: `https://${host}.example.com/`, cookie })
    await asTraefik(counted, { at: '/api/authz/my/own' })
    await asTraefik(counted, { by: 'POST' })
    const lines = (await metrics.text()).split('\n').filter(line => line.startsWith('postern_gate_answers_total'))
    expect(lines.toSorted()).toEqual([
      'postern_gate_answers_total{endpoint="forward-auth",status="200"} 3',
      'postern_gate_answers_total{endpoint="forward-auth",status="302"} 3',
      'postern_gate_answers_total{endpoint="forward-auth",status="403"} 4',
      'postern_gate_answers_total{endpoint="forward-auth",status="405"} 1',
      'postern_gate_answers_total{endpoint="my/own",status="302"} 1',
    ])
    expect(await metrics.text()).toContain(lines[0])
  })
})

describe('forward-auth', () => {
  it.each([
    ['GET', 'text/html', 302],
    ['HEAD', 'text/html', 302],
    ['OPTIONS', 'text/html', 302],
    ['POST', 'text/html', 303],
    ['PROPFIND', 'text/html', 303],
    ['GET', '*/*', 302],
    ['GET', 'application/json, */*', 401],
    ['GET', 'image/png', 401],
    ['GET', 'text/plain, Text/HTML;q=0.1', 302],
    ['POST', '', 401],
  ])('sends %s with Accept %s to the portal by %i', async (method, accept, status) => {
    const answer = await asTraefik(at, { method, accept })
    expect([answer.status, answer.headers.location?.startsWith('https://auth.example.com/?rd=')]).toEqual([
      status,
      true,
    ])
  })

  it('gives an XMLHttpRequest a 401 that names the portal', async () => {
    const answer = await asTraefik(at, { more: [['X-Requested-With', 'xmlHTTPrequest']] })
    expect([answer.status, answer.headers.location?.startsWith('https://auth.example.com/?rd=')]).toEqual([401, true])
  })
})

describe('auth-request', () => {
  it('names the portal’s page in a header, since nginx drops the body of a 403', async () => {
    const { headers } = await asNginx(at, { url: 'https://other.example.com/a?rd=x', method: 'POST' })
    expect(headers['x-postern-denied']).toBe(
      'https://auth.example.com/denied?rd=https%3A%2F%2Fother.example.com%2Fa%3Frd%3Dx&rm=POST',
    )
    expect(headers).not.toHaveProperty('location')
  })
})
