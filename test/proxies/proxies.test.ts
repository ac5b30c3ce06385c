import { createServer } from 'node:http'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { endsWithSuite } from '../support/process.ts'
import { proxyKinds } from '../support/proxies.ts'
import { folded, type House, openHouse } from './house.ts'

describe.each(proxyKinds)('behind %s', kind => {
  let at: House
  const endsWith = endsWithSuite()
  beforeAll(async () => {
    at = await openHouse(kind, endsWith)
  })
  beforeEach(() => {
    at.received.length = 0
  })

  /** What the application got; the request must have reached it once. */
  function app() {
    expect(at.received).toHaveLength(1)
    const [received] = at.received
    if (received === undefined) throw new Error('nothing was received')
    return received
  }
  const who = () => ['USER', 'GROUPS', 'NAME', 'EMAIL'].map(part => folded(app(), `REMOTE_${part}`))

  it('lets a person in and tells the application who it is', async () => {
    const answer = await at.ask('one', { cookie: at.cookies.alice, target: '/a%20b?c=d&e' })
    expect([answer.status, answer.body]).toEqual([200, 'the app'])
    expect(who()).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
    expect(app()).toMatchObject({ method: 'GET', url: '/a%20b?c=d&e' })
    expect((await at.ask('two', { cookie: at.cookies.bob })).status).toBe(200)
  })

  it('passes the application’s own answers on: its cookie, its 401 and its 403', async () => {
    for (const status of [401, 403, 404, 500]) {
      const answer = await at.ask('one', { cookie: at.cookies.alice, target: `/status/${status}` })
      expect([answer.status, answer.body, answer.headers['set-cookie']]).toEqual([status, 'the app', 'of-the-app=1'])
    }
  })

  it('lets anybody through a bypass, as nobody', async () => {
    expect((await at.ask('public')).status).toBe(200)
    expect(who()).toEqual(['', '', '', ''])
  })

  it('sends a visitor to the portal, with the way back', async () => {
    const url = `http://two.postern.localhost:${at.port}/a%20b?c=d&rm=x&rd=y`
    for (const cookie of [undefined, 'authelia_session=garbage', at.cookies.alice]) {
      const answer = await at.ask('two', { target: '/a%20b?c=d&rm=x&rd=y', ...(cookie && { cookie }) })
      expect(answer.status).toBe(302)
      expect(answer.headers.location).toBe(
        `http://auth.postern.localhost:${at.port}/?rd=${encodeURIComponent(url)}&rm=GET`,
      )
      expect(answer.headers).not.toHaveProperty('set-cookie')
      expect(answer.headers['cache-control']).toContain('no-store')
    }
    expect(at.received).toEqual([])
  })

  it('judges the host that it serves: an absolute target against another Host opens neither', async () => {
    const hostSeen = () => (at.received.length === 0 ? null : folded(app(), 'HOST').replace(/:\d+$/, ''))
    // As the one or as the other, but judged and served alike: only the public one may be reached without a session.
    await at.ask('public', { target: 'http://two.postern.localhost/x' })
    expect(hostSeen() ?? 'public.postern.localhost').toBe('public.postern.localhost')
    await at.ask('two', { target: 'http://public.postern.localhost/x' })
    expect(hostSeen() ?? 'public.postern.localhost').toBe('public.postern.localhost')
  })

  it('sends a POST to the portal by 303, so that the browser comes by GET', async () => {
    const answer = await at.ask('one', { method: 'POST', body: 'x=1' })
    expect([answer.status, answer.headers.location]).toEqual([303, expect.stringMatching(/&rm=POST$/)])
    expect(at.received).toEqual([])
  })

  it('gives a script and a socket the bare status', async () => {
    expect((await at.ask('one', { lines: ['X-Requested-With: XMLHttpRequest'] })).status).toBe(401)
    const socket = [
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ]
    expect(
      (
        await at.ask('one', {
          accept: '',
          lines: ['Connection: close', ...socket.filter(line => !line.startsWith('Connection'))],
        })
      ).status,
    ).toBe(401)
    expect(at.received).toEqual([])
  })

  it('shows no application to a host that nobody configured, whatever the rules say of it', async () => {
    const answer = await at.ask('unheard-of', { cookie: at.cookies.bob })
    expect(answer.body).not.toContain('remote-user')
    expect(at.received).toEqual([])
  })

  it('shows a page to somebody who has no access', async () => {
    for (const cookie of [undefined, at.cookies.bob]) {
      const answer = await at.ask('closed', { target: '/x?y&rd=z', ...(cookie && { cookie }) })
      if (kind === 'nginx') {
        const url = `http://closed.postern.localhost:${at.port}/x?y&rd=z`
        expect(answer.status).toBe(302)
        expect(answer.headers.location).toBe(
          `http://auth.postern.localhost:${at.port}/denied?rd=${encodeURIComponent(url)}&rm=GET`,
        )
      } else {
        expect([answer.status, answer.headers['content-type']]).toEqual([403, 'text/html; charset=utf-8'])
        expect(answer.headers['content-security-policy']).toContain(
          `style-src http://auth.postern.localhost:${at.port};`,
        )
        expect(answer.body).toMatch(/[0-9A-Z]{4}-[0-9A-Z]{4}/)
      }
    }
    expect((await at.ask('closed', { lines: ['X-Requested-With: XMLHttpRequest'] })).status).toBe(403)
    expect(at.received).toEqual([])
  })

  it('shows the portal’s page there', async () => {
    const answer = await at.ask('closed', { cookie: at.cookies.bob, target: '/x' })
    const { pathname = '', search = '' } = kind === 'nginx' ? new URL(answer.headers.location ?? '') : {}
    const page = kind === 'nginx' ? await at.ask('auth', { cookie: at.cookies.bob, target: pathname + search }) : answer
    expect(page.status).toBe(403)
    expect(page.body).toContain('closed.postern.localhost')
    expect(page.body).toMatch(/You can.{1,3}t open this page/)
    expect(page.body).toContain('bob')
    // On the application's own host it can only show and link.
    if (kind !== 'nginx') {
      expect(page.body).not.toMatch(/<(?:script|form)/)
      for (const [, url] of page.body.matchAll(/(?:href|src)="([^"]*)"/g))
        expect(url).toMatch(new RegExp(`^(?:http://auth\\.postern\\.localhost:${at.port}/|mailto:|data:)`))
    }
  })

  it('judges HEAD like GET, and passes it on as HEAD', async () => {
    const out = await at.ask('one', { method: 'HEAD' })
    expect([out.status, out.body, out.headers.location]).toEqual([302, '', expect.stringMatching(/&rm=HEAD$/)])
    const answer = await at.ask('one', { method: 'HEAD', cookie: at.cookies.alice })
    expect([answer.status, answer.body]).toEqual([200, ''])
    expect(app().method).toBe('HEAD')
  })

  it('row 21: passes a body to the application, and none to the gate', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      at.received.length = 0
      const answer = await at.ask('one', { method, body: 'b'.repeat(100_000), cookie: at.cookies.alice })
      expect([answer.status, app().bytes, app().method]).toEqual([200, 100_000, method])
      expect(who()[0]).toBe('alice')
    }
    const chunked = ['Transfer-Encoding: chunked', 'Connection: close', '', '5', 'abcde', '0', '']
    at.received.length = 0
    expect((await at.ask('one', { method: 'POST', cookie: at.cookies.alice, lines: chunked })).status).toBe(200)
    expect(app().bytes).toBe(5)
  })

  it.each(['OPTIONS', 'PROPFIND', 'TRACE', 'DELETE'])('row 49: has no free pass for %s', async method => {
    const lines = ['Origin: https://evil.com', 'Access-Control-Request-Method: GET']
    expect((await at.ask('two', { method, lines })).status).toBeGreaterThanOrEqual(302)
    expect(at.received).toEqual([])
  })

  it('row 12: drops what a visitor says about who they are', async () => {
    const lines = [
      'Remote-User: admin',
      'Remote-Groups: admins',
      'Remote-Name: Admin',
      'Remote-Email: admin@example.com',
    ]
    expect((await at.ask('public', { lines })).status).toBe(200)
    expect(who()).toEqual(['', '', '', ''])
    at.received.length = 0
    expect((await at.ask('one', { lines: [...lines, ...lines], cookie: at.cookies.alice })).status).toBe(200)
    expect(who()).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
  })

  it('row 13: drops every spelling that an application may read as one of the four', async () => {
    for (const name of [
      'Remote_User',
      'Remote.User',
      'REMOTE-USER',
      'remote_user',
      'REMOTE.USER',
      'remote-user',
      'rEmOtE_uSeR',
    ])
      for (const host of ['public', 'one']) {
        at.received.length = 0
        const answer = await at.ask(host, { lines: [`${name}: admin`, `${name}: admin`], cookie: at.cookies.alice })
        expect(answer.status).toBe(200)
        expect(folded(app(), 'REMOTE_USER'), `${name} on ${host}`).toBe('alice')
      }
    const parts = ['Groups', 'Name', 'Email'].flatMap(part => [`Remote_${part}: admin`, `Remote.${part}: admin`])
    at.received.length = 0
    await at.ask('public', { lines: parts })
    expect(who()).toEqual(['', '', '', ''])
  })

  it('row 14: keeps the gate’s headers and its identity when `Connection` names them', async () => {
    for (const names of [
      'close, Remote-User, X-Forwarded-Host',
      'close, remote-user, remote-groups, remote-name, remote-email',
      'close, x-forwarded-proto, x-forwarded-uri, x-forwarded-method, x-forwarded-for',
      'close, X-Original-URL, X-Original-Method, Cookie',
      'close, Accept',
    ]) {
      at.received.length = 0
      const answer = await at.ask('one', {
        cookie: `${at.cookies.alice}; a=1`,
        lines: [`Connection: ${names}`, 'Remote-User: admin'],
      })
      if (answer.status === 200) expect(who(), names).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
      else {
        expect([302, 400, 401, 500]).toContain(answer.status)
        expect(at.received).toEqual([])
      }
      const closed = await at.ask('closed', { cookie: at.cookies.bob, lines: [`Connection: ${names}`] })
      expect([302, 400, 401, 403, 500]).toContain(closed.status)
    }
    at.received.length = 0
    await at.ask('one', { cookie: at.cookies.alice, lines: ['Connection: close, Remote-User, X-Forwarded-Host'] })
    expect(who()[0]).toBe('alice')
  })

  it('row 10: decides by what the proxy saw, not by the headers that a visitor sends', async () => {
    const forged = (host: string) => [
      `X-Forwarded-Host: ${host}`,
      'X-Forwarded-Proto: https',
      'X-Forwarded-URI: /',
      'X-Forwarded-Method: GET',
      `X-Forwarded-Server: ${host}`,
      'X-Forwarded-Port: 443',
      'X-Forwarded-For: 127.0.0.1',
      'X-Real-IP: 127.0.0.1',
      `Forwarded: for=127.0.0.1;host=${host};proto=https`,
      `X-Original-URL: https://${host}/`,
      'X-Original-Method: GET',
      `X_Forwarded_Host: ${host}`,
      'X-HTTP-Method-Override: GET',
      'X-Authelia-URL: https://evil.com/',
    ]
    for (const line of forged('public.postern.localhost')) {
      const answer = await at.ask('two', { method: 'POST', lines: [line], body: '' })
      expect([303, 400, 500], line).toContain(answer.status)
      if (answer.status === 303)
        expect(answer.headers.location, line).toBe(
          `http://auth.postern.localhost:${at.port}/?rd=${encodeURIComponent(`http://two.postern.localhost:${at.port}/`)}&rm=POST`,
        )
    }
    expect(at.received).toEqual([])
  })

  it('judges the host that it serves, however the request names it', async () => {
    const two = `http://two.postern.localhost:${at.port}/`
    const open = `public.postern.localhost:${at.port}`
    const answers = [
      await at.ask('two', { target: two, host: open }),
      await at.ask('two', { lines: [`Host: ${open}`] }),
      await at.ask('public', { lines: [`Host: two.postern.localhost:${at.port}`] }),
      await at.ask('TWO'),
      await at.ask('two', { host: `two.postern.localhost.:${at.port}` }),
      await at.ask('two', { host: 'two.postern.localhost' }),
      await at.ask('two', { host: 'two.postern.localhost:8443' }),
      await at.ask('two', { host: `two.postern.localhost:${at.port}@${open}` }),
    ]
    for (const { body } of answers) expect(body).not.toContain('the app')
    expect(at.received).toEqual([])
  })

  it('row 77: the application sees every cookie but the session’s', async () => {
    const cookies = () => folded(app(), 'COOKIE')
    for (const [sent, seen] of [
      [`a=1; ${at.cookies.alice}; b=2`, 'a=1; b=2'],
      [`${at.cookies.alice}; b=2`, 'b=2'],
      [`a=1; ${at.cookies.alice}`, 'a=1'],
      [at.cookies.alice, ''],
      [`${at.cookies.alice}; ${at.cookies.alice}; a="x"; ${at.cookies.alice}`, 'a="x"'],
      [`xauthelia_session=1; ${at.cookies.alice}`, 'xauthelia_session=1'],
    ] as const) {
      at.received.length = 0
      expect((await at.ask('one', { cookie: sent })).status).toBe(200)
      expect(cookies()).toBe(seen)
    }
    at.received.length = 0
    await at.ask('public', { cookie: 'a=1; authelia_session=garbage; b=2' })
    expect(cookies()).toBe('a=1; b=2')
  })

  it('row 88: a long way back arrives whole', async () => {
    const target = `/${'&='.repeat(1800)}?rm=x`
    const answer = await at.ask('one', { target })
    const location = new URL(answer.headers.location ?? '')
    expect([...location.searchParams]).toEqual([
      ['rd', `http://one.postern.localhost:${at.port}${target}`],
      ['rm', 'GET'],
    ])
  })

  it('row 166: a legal cookie of 6 KB passes, to the gate and to the application', async () => {
    const cookie = `a=${'x'.repeat(6000)}; ${at.cookies.alice}`
    expect((await at.ask('one', { cookie })).status).toBe(200)
    expect(folded(app(), 'COOKIE') === `a=${'x'.repeat(6000)}`).toBe(true)
  })

  it('serves the portal without asking the gate, and keeps the gate’s endpoints to itself', async () => {
    const page = await at.ask('auth')
    expect(page.status).toBe(200)
    expect(page.body).toContain('name="password"')
    expect(page.headers).not.toHaveProperty('x-postern-denied')
    for (const dialect of ['auth-request', 'forward-auth'])
      for (const spelling of [
        `/api/authz/${dialect}`,
        `//api/authz/${dialect}`,
        `/x/../api/authz/${dialect}`,
        `/api//authz/${dialect}`,
      ]) {
        const lines = ['X-Original-URL: https://public.postern.localhost/', 'X-Original-Method: GET']
        expect((await at.ask('auth', { target: spelling, lines })).status, spelling).not.toBe(200)
      }
  })

  // Last: it ends the gate.
  it('row 26: never reaches the application while the gate is stopped, gone, or something else answers in its place', async () => {
    const { pid } = at.postern.child
    if (pid === undefined) throw new Error('the gate has no process')
    process.kill(pid, 'SIGSTOP')
    const waiting = Promise.all(['public', 'one'].map(host => at.ask(host, { cookie: at.cookies.bob })))
    // Traefik waits for 30 s, which nothing sets; the others give up after 5.
    const answers = await Promise.race([waiting, new Promise<undefined>(resolve => setTimeout(resolve, 6_000))])
    for (const { status } of answers ?? []) expect(status).toBeGreaterThanOrEqual(500)
    if (kind !== 'traefik') expect(answers).toHaveLength(2)
    expect(at.received).toEqual([])
    process.kill(pid, 'SIGCONT')
    await waiting
    await at.postern.stop('SIGKILL')
    at.received.length = 0

    for (const host of ['public', 'one', 'closed'])
      expect((await at.ask(host, { cookie: at.cookies.bob })).status).toBeGreaterThanOrEqual(500)

    for (const status of [301, 302, 400, 401, 403, 404, 407, 418, 429, 500, 503, 304]) {
      const impostor = createServer((_request, response) => {
        setTimeout(() => response.writeHead(status, { Location: '/somewhere', 'Remote-User': 'admin' }).end('no'), 50)
      })
      await new Promise<void>(resolve => impostor.listen(at.setup.port, '127.0.0.1', resolve))
      expect((await at.ask('one', { cookie: at.cookies.bob })).status, `for ${status}`).not.toBe(200)
      impostor.closeAllConnections()
      await new Promise(resolve => impostor.close(resolve))
    }
    expect(at.received).toEqual([])
  })
})
