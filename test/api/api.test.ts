import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InjectOptions } from 'fastify'
import { beforeAll, describe, expect, it } from 'vitest'
import { redactedEmail } from '../../src/api/api.ts'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { password } from '../support/postern.ts'
import { endsWithSuite, until } from '../support/process.ts'

let postern: InProcess
const host = 'auth.postern.localhost'

const endsWith = endsWithSuite()
beforeAll(async () => {
  postern = await openPostern({ more: 'regulation: { max_retries: 0 }\n' }, endsWith)
})

type Options = Pick<InjectOptions, 'method' | 'payload'> & { headers?: Record<string, string | undefined> }

function ask(url: string, options: Options = {}) {
  return postern.app.inject({ url, ...options, headers: { host, ...options.headers } })
}
function post(url: string, payload?: object | string, headers: Record<string, string | undefined> = {}) {
  const body = payload === undefined ? {} : { payload: typeof payload === 'string' ? payload : JSON.stringify(payload) }
  return ask(url, {
    method: 'POST',
    ...body,
    headers: { ...(payload === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  })
}
const login = { username: 'alice', password, keepMeLoggedIn: false }

async function signedIn(): Promise<string> {
  const answer = await post('/api/firstfactor', login)
  expect(answer.statusCode).toBe(200)
  const [cookie] = answer.cookies
  return `${cookie?.name}=${cookie?.value}`
}

function expectRefusal(answer: Awaited<ReturnType<typeof ask>>, statuses: number[]) {
  expect(statuses).toContain(answer.statusCode)
  expect(answer.json()).toEqual({ status: 'KO', message: expect.stringMatching(/^[ -~]{1,120}$/) })
  expect(answer.headers['set-cookie']).toBeUndefined()
}

describe('POST /api/firstfactor', () => {
  it('answers a right password with a cookie, and a bare OK where no target is given', async () => {
    const answer = await post('/api/firstfactor', login)
    expect(answer.json()).toEqual({ status: 'OK' })
    expect(answer.headers['set-cookie']).toMatch(/^authelia_session=[^;]+;.*Domain=postern\.localhost/)
    expect(answer.headers['set-cookie']).toMatch(/HttpOnly/)
    expect(answer.headers['set-cookie']).toMatch(/Secure/)
    expect(answer.headers['set-cookie']).toMatch(/SameSite=Lax/)
    expect(answer.headers['set-cookie']).not.toMatch(/Max-Age|Expires/i)
  })

  it('answers where to go when the target needs only a password, and a bare OK when it needs more', async () => {
    const one = await post('/api/firstfactor', { ...login, targetURL: 'http://one.postern.localhost/x' })
    expect(one.json()).toEqual({ status: 'OK', data: { redirect: 'http://one.postern.localhost/x' } })
    const two = await post('/api/firstfactor', { ...login, targetURL: 'http://two.postern.localhost/x' })
    expect(two.json()).toEqual({ status: 'OK' })
  })

  it('row 87: an unsafe target with a right password signs in, does not redirect, and the event names the host only', async () => {
    const answer = await post('/api/firstfactor', { ...login, targetURL: 'https://evil.example/x?secret=1' })
    expect(answer.json()).toEqual({ status: 'OK' })
    expect(answer.cookies).toHaveLength(1)
    expect(postern.events('redirect.refused').at(-1)).toMatchObject({ host: 'evil.example' })
    expect(postern.text()).not.toContain('secret=1')
  })

  it('row 89: a wrong password and an unknown name are answered alike', async () => {
    const wrong = await post('/api/firstfactor', { ...login, password: 'wrong' })
    const unknown = await post('/api/firstfactor', { ...login, username: 'mallory' })
    expect(wrong.statusCode).toBe(401)
    expect(wrong.json()).toEqual({ status: 'KO', message: 'Authentication failed. Check your credentials.' })
    expect(unknown.statusCode).toBe(401)
    expect(unknown.body).toBe(wrong.body)
    const { date: _, ...headers } = wrong.headers
    const { date: __, ...others } = unknown.headers
    expect(others).toEqual(headers)
  })

  it.each([
    ['a brace', '{'],
    ['null', 'null'],
    ['nothing', ''],
    ['15,000 brackets', '['.repeat(15_000)],
    ['a list', '[]'],
    ['a number', '1'],
    ['objects for strings', '{"username":["john"],"password":{"$ne":""}}'],
    ['a doubled key', '{"username":"alice","password":"x","username":"bob"}'],
    ['a byte order mark and UTF-16', '\ufeff{\u0000"\u0000'],
    ['a key that nobody has', '{"username":"alice","password":"x","level":2}'],
    ['no password', '{"username":"alice"}'],
    ['an empty password', '{"username":"alice","password":""}'],
  ])('row 52: %s is 400 before any look-up', async (_, body) => {
    expectRefusal(await post('/api/firstfactor', body), [400])
    expect((await post('/api/firstfactor', login)).statusCode).toBe(200)
  })

  it.each([
    ['written with an escape', '{"targetURL":"x","targetUR\\u004c":"y"}'],
    ['before a space and a colon', '{"targetURL":"x","targetURL" :"y"}'],
    ['after a quote in a string', '{"targetURL":"\\\\","targetURL":"\\""}'],
  ])('row 52: a key that is doubled %s is 400', async (_, body) => {
    expectRefusal(await post('/api/logout', body), [400])
  })

  it('row 52: what only looks like a doubled key is none', async () => {
    const answer = await post('/api/logout', '{"targetURL":"\\"targetURL\\":{,\\\\"}')
    expect(answer.statusCode).toBe(200)
  })

  it.each([
    ['many keys', `{${Array.from({ length: 2150 }, (_, i) => `"${i.toString(36)}":1`).join(',')}}`],
    ['deep objects', `${'{"a":'.repeat(2700)}1${'}'.repeat(2700)}`],
    ['deep lists', '['.repeat(8000) + ']'.repeat(8000)],
  ])('row 52: a body of %s holds the gate up no longer than another one', async (_, body) => {
    const plain = JSON.stringify({ a: 'x'.repeat(body.length - 8) })
    const best = async (sent: string) => {
      let least = Number.POSITIVE_INFINITY
      for (let i = 0; i < 30; i++) {
        const began = performance.now()
        expectRefusal(await post('/api/firstfactor', sent), [400])
        least = Math.min(least, performance.now() - began)
      }
      return least
    }
    // The best of many, of both: what else runs on the machine does not count. A reader that is quadratic took 15 to 60 ms.
    expect(await best(body)).toBeLessThan((await best(plain)) + 8)
  })

  it('row 52: 200,000 brackets are refused by their size', async () => {
    expectRefusal(await post('/api/firstfactor', '['.repeat(200_000)), [413])
  })

  it.each([
    '{"__proto__":{"level":2},"username":"alice","password":"x"}',
    '{"constructor":{"prototype":{"level":2}},"username":"alice","password":"x"}',
    '{"username":"alice","password":"x","targetURL":{"__proto__":1}}',
  ])('row 53: %s is 400, and nothing is inherited', async body => {
    expectRefusal(await post('/api/firstfactor', body), [400])
    expect(({} as { level?: number }).level).toBeUndefined()
  })

  it.each([
    ' application/json',
    'application/json\ta',
    'application/json x',
    'APPLICATION/JSON',
    'application/json; charset=utf-8',
    'application/json;',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json, text/plain',
  ])('row 54: as %j the body is parsed and validated, or refused', async type => {
    const answer = await post('/api/firstfactor', '{"username":["x"]}', { 'content-type': type })
    expectRefusal(answer, [400, 415])
  })

  it('row 55: a foreign page that posts text or a form is refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      expectRefusal(await post('/api/firstfactor', JSON.stringify(login), { 'content-type': type }), [415])
    }
    const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    expectRefusal(await post('/api/firstfactor', login, foreign), [403])
  })

  it.each([
    { origin: 'http://one.postern.localhost' },
    { origin: 'null' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://auth.postern.localhost.evil.example' },
  ])('row 56: a script on a sibling host is refused, and no CORS header ever says otherwise: %j', async headers => {
    const cookie = await signedIn()
    for (const url of ['/api/state', '/api/user/info']) {
      const answer = await ask(url, { headers: { ...headers, cookie } })
      expectRefusal(answer, [403])
      expect(Object.keys(answer.headers).filter(name => name.startsWith('access-control-'))).toEqual([])
    }
    expectRefusal(await post('/api/logout', {}, { ...headers, cookie }), [403])
    expect((await ask('/api/state', { headers: { cookie } })).json().data.authentication_level).toBe(1)
    const preflight = await ask('/api/logout', {
      method: 'OPTIONS',
      headers: { ...headers, 'access-control-request-method': 'POST' },
    })
    expect(Object.keys(preflight.headers).filter(name => name.startsWith('access-control-'))).toEqual([])
  })

  it('writes what anybody can cause once in a minute, not each time', async () => {
    const before = postern.events('form.refused').length
    postern.now += 61_000
    for (let i = 0; i < 50; i++) await post('/api/logout', {}, { origin: 'https://evil.example' })
    expect(postern.events('form.refused').length - before).toBe(1)
  })

  it('lets the portal’s own pages and programs without Origin pass', async () => {
    const origin = `http://auth.postern.localhost:${postern.setup.publicPort}`
    expect((await post('/api/firstfactor', login, { origin, 'sec-fetch-site': 'same-origin' })).statusCode).toBe(200)
  })

  it('row 100: names with controls, lone surrogates or without end are 400', async () => {
    for (const username of ['x'.repeat(10_240), 'a\r\nb', '\u001b[2J', 'a\u0000', '', ' ', '\ud800']) {
      expectRefusal(await post('/api/firstfactor', { ...login, username }), [400])
    }
  })
})

describe('the other endpoints', () => {
  it('tell the state', async () => {
    expect((await ask('/api/state')).json()).toEqual({
      status: 'OK',
      data: { username: '', authentication_level: 0, factor_knowledge: false },
    })
    expect((await ask('/api/state', { headers: { cookie: await signedIn() } })).json().data).toEqual({
      username: 'alice',
      authentication_level: 1,
      factor_knowledge: true,
    })
  })

  it('tell the person with masked addresses, by GET and by POST without body', async () => {
    const cookie = await signedIn()
    const expected = {
      display_name: 'Alice Example',
      emails: ['a***e@example.com'],
      method: 'mobile_push',
      has_totp: false,
      has_webauthn: false,
      has_duo: false,
    }
    expect((await ask('/api/user/info', { headers: { cookie } })).json().data).toEqual(expected)
    expect((await post('/api/user/info', undefined, { cookie })).json().data).toEqual(expected)
    expect(redactedEmail('ab@x.org')).toBe('**@x.org')
  })

  it('offer no method where no second factor is configured', async () => {
    expect(
      (await ask('/api/configuration', { headers: { cookie: await signedIn() } })).json().data.available_methods,
    ).toEqual([])
  })

  it('row 58: GET and HEAD change nothing, and no password is taken from a URL', async () => {
    const cookie = await signedIn()
    for (const method of ['GET', 'HEAD'] as const) {
      expect((await ask('/api/logout', { method, headers: { cookie } })).statusCode).toBe(404)
      const answer = await ask(`/api/firstfactor?username=alice&password=${encodeURIComponent(password)}`, { method })
      expect(answer.statusCode).toBe(404)
      expect(answer.cookies).toEqual([])
    }
    expect((await ask('/api/state', { headers: { cookie } })).json().data.authentication_level).toBe(1)
  })

  it.each(['/API/firstfactor', '/api//firstfactor', '/api/firstfactor/', '/api/firstfactor;x', '/api/firstfactor%00'])(
    'row 61: %s is no way round',
    async url => expect([404, 415]).toContain((await post(url, login)).statusCode),
  )

  it('row 61: an escaped letter leads to the very same checks', async () => {
    const answer = await post('/%61pi/firstfactor', login, { origin: 'https://evil.example' })
    expect([403, 404]).toContain(answer.statusCode)
  })

  const secondFactor = [
    ['GET', '/api/secondfactor/duo'],
    ['POST', '/api/secondfactor/duo'],
    ['GET', '/api/secondfactor/duo_devices'],
    ['POST', '/api/secondfactor/duo_device'],
    ['GET', '/api/user/info'],
    ['POST', '/api/user/info/2fa_method'],
    ['GET', '/api/configuration'],
  ] as const
  it.each(secondFactor)('row 64: %s %s without a session, or with one that is over, is 403', async (method, url) => {
    expectRefusal(await ask(url, { method }), [403])
    const cookie = await signedIn()
    await post('/api/logout', {}, { cookie })
    expectRefusal(await ask(url, { method, headers: { cookie } }), [403])
  })

  it('row 64: an empty or unexpected body advances nothing', async () => {
    const cookie = await signedIn()
    for (const body of ['', '[]', '{"level":2}', 'null', '"x"']) {
      const answer = await post('/api/secondfactor/duo', body, { cookie })
      expect(answer.json().status).toBe('KO')
    }
    expect((await ask('/api/state', { headers: { cookie } })).json().data.authentication_level).toBe(1)
  })

  it('row 86: logout says whether the target is safe, and goes nowhere', async () => {
    for (const [targetURL, safe] of [
      ['https://evil.example', false],
      ['//evil.example', false],
      ['http://one.postern.localhost/', true],
    ] as const) {
      const cookie = await signedIn()
      const answer = await post('/api/logout', { targetURL }, { cookie })
      expect(answer.json()).toEqual({ status: 'OK', data: { safeTargetURL: safe } })
      expect(answer.headers.location).toBeUndefined()
      expect((await ask('/api/state', { headers: { cookie } })).json().data.authentication_level).toBe(0)
    }
  })

  it('check redirections for people who have signed in', async () => {
    expectRefusal(await post('/api/checks/safe-redirection', { uri: 'http://one.postern.localhost/' }), [401])
    const cookie = await signedIn()
    const check = async (uri: string) =>
      (await post('/api/checks/safe-redirection', { uri }, { cookie })).json().data.ok
    expect(await check('http://one.postern.localhost/')).toBe(true)
    expect(await check('https://evil.example/')).toBe(false)
  })

  it('row 59: no answer may be put into a frame', async () => {
    for (const url of ['/api/state', '/api/health', '/api/nothing', '/api/user/info']) {
      const { headers } = await ask(url)
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
      expect(headers['x-frame-options']).toBe('DENY')
      expect(headers['cache-control']).toBe('no-store')
    }
  })

  it('row 176: no answer tells a version, a path or a stack', async () => {
    for (const url of ['/api/health', '/api/nothing', '/api/%', '/api/state?x=%zz']) {
      const answer = await ask(url)
      expect(JSON.stringify(answer.headers) + answer.body).not.toMatch(
        /fastify|node_modules|\d+\.\d+\.\d+|at [A-Z]|FST_/,
      )
      expect(answer.headers.server).toBeUndefined()
      expect(answer.headers['x-powered-by']).toBeUndefined()
    }
  })

  it('health answers 200 to anybody, whatever the Host', async () => {
    expect((await ask('/api/health', { headers: { host: '127.0.0.1' } })).json()).toEqual({ status: 'OK' })
    expect((await ask('/api/health', { method: 'HEAD' })).statusCode).toBe(200)
  })

  it('row 145: health tells that the users file on disk is broken, and that it is good again', async () => {
    const file = join(postern.setup.folder, 'users.yml')
    const good = readFileSync(file, 'utf8')
    const health = async () => (await ask('/api/health')).json()
    writeFileSync(file, 'users: [')
    await until(async () => (await health()).notices?.includes('users-file'), 'the fault is told')
    expect((await health()).status).toBe('OK')
    expect((await post('/api/firstfactor', login)).statusCode).toBe(200)
    writeFileSync(file, good)
    await until(async () => (await health()).notices === undefined, 'the mend is seen')
  })

  it('a Host that is no portal is 400', async () => {
    expectRefusal(await ask('/api/state', { headers: { host: 'evil.example' } }), [400])
  })
})
