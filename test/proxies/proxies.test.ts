import { expect, it } from 'vitest'
import { behindEach, folded } from './house.ts'

behindEach(({ house, at, app, who, hostOf }, kind) => {
  it('lets a person in and tells the application who it is', async () => {
    const answer = await at().ask('one', { cookie: house().cookies.alice, target: '/a%20b?c=d&e' })
    expect([answer.status, answer.body]).toEqual([200, 'the app'])
    expect(who()).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
    expect(app()).toMatchObject({ method: 'GET', url: '/a%20b?c=d&e' })
    expect((await at().ask('two', { cookie: house().cookies.bob })).status).toBe(200)
  })

  // Caddy’s file leaves it out: 2.6 would send the name of its variable where the gate signs nothing.
  it.skipIf(kind.startsWith('caddy'))('passes the signed identity on, and no other', async () => {
    await at().ask('one', { cookie: house().cookies.alice, lines: ['Remote-Assertion: forged'] })
    const [, claims = ''] = folded(app(), 'REMOTE_ASSERTION').split('.')
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ sub: 'alice' })
  })

  it('passes the application’s own answers on: its cookie, its 401 and its 403', async () => {
    for (const status of [401, 403, 404, 500]) {
      const answer = await at().ask('one', { cookie: house().cookies.alice, target: `/status/${status}` })
      expect([answer.status, answer.body, answer.headers['set-cookie']]).toEqual([status, 'the app', 'of-the-app=1'])
    }
  })

  it('lets anybody through a bypass, as nobody', async () => {
    expect((await at().ask('public')).status).toBe(200)
    expect(who()).toEqual(['', '', '', ''])
  })

  it('sends a visitor to the portal, with the way back', async () => {
    const url = `https://two.postern.localhost:${house().port}/a%20b?c=d&rm=x&rd=y`
    for (const cookie of [undefined, 'authelia_session=garbage', house().cookies.alice]) {
      const answer = await at().ask('two', { target: '/a%20b?c=d&rm=x&rd=y', ...(cookie && { cookie }) })
      expect(answer.status).toBe(302)
      expect(answer.headers.location).toBe(
        `https://auth.postern.localhost:${house().port}/?rd=${encodeURIComponent(url)}&rm=GET`,
      )
      expect(answer.headers).not.toHaveProperty('set-cookie')
      expect(answer.headers['cache-control']).toContain('no-store')
    }
    expect(at().received).toEqual([])
  })

  it('sends a POST to the portal by 303, so that the browser comes by GET', async () => {
    const answer = await at().ask('one', { method: 'POST', body: 'x=1' })
    expect([answer.status, answer.headers.location]).toEqual([303, expect.stringMatching(/&rm=POST$/)])
    expect(at().received).toEqual([])
  })

  it('gives a script the bare status', async () => {
    expect((await at().ask('one', { lines: ['X-Requested-With: XMLHttpRequest'] })).status).toBe(401)
    expect((await at().ask('one', { accept: 'application/json' })).status).toBe(401)
    expect(at().received).toEqual([])
  })

  it('shows no application to a host that nobody configured, whatever the rules say of it', async () => {
    const answer = await at().ask('unheard-of', { cookie: house().cookies.bob })
    expect(answer.body).not.toContain('the app')
    expect(at().received).toEqual([])
  })

  it('shows a page to somebody who has no access', async () => {
    for (const cookie of [undefined, house().cookies.bob]) {
      const answer = await at().ask('closed', { target: '/x?y&rd=z', ...(cookie && { cookie }) })
      if (kind === 'nginx') {
        const url = `https://closed.postern.localhost:${house().port}/x?y&rd=z`
        expect(answer.status).toBe(302)
        expect(answer.headers.location).toBe(
          `https://auth.postern.localhost:${house().port}/denied?rd=${encodeURIComponent(url)}&rm=GET`,
        )
      } else {
        expect([answer.status, answer.headers['content-type']]).toEqual([403, 'text/html; charset=utf-8'])
        expect(answer.headers['content-security-policy']).toContain(
          `style-src https://auth.postern.localhost:${house().port};`,
        )
        expect(answer.body).toMatch(/[0-9A-Z]{4}-[0-9A-Z]{4}/)
      }
    }
    expect((await at().ask('closed', { lines: ['X-Requested-With: XMLHttpRequest'] })).status).toBe(403)
    expect(at().received).toEqual([])
  })

  it('shows the portal’s page there', async () => {
    const answer = await at().ask('closed', { cookie: house().cookies.bob, target: '/x' })
    const { pathname = '', search = '' } = kind === 'nginx' ? new URL(answer.headers.location ?? '') : {}
    const page =
      kind === 'nginx' ? await at().ask('auth', { cookie: house().cookies.bob, target: pathname + search }) : answer
    expect(page.status).toBe(403)
    expect(page.body).toContain('closed.postern.localhost')
    expect(page.body).toMatch(/You can.{1,3}t open this page/)
    expect(page.body).toContain('bob')
    // On the application's own host it can only show and link.
    if (kind !== 'nginx') {
      expect(page.body).not.toMatch(/<(?:script|form)/)
      for (const [, url] of page.body.matchAll(/(?:href|src)="([^"]*)"/g))
        expect(url).toMatch(new RegExp(`^(?:https://auth\\.postern\\.localhost:${house().port}/|mailto:|data:)`))
    }
  })

  it('judges HEAD like GET, and passes it on as HEAD', async () => {
    const out = await at().ask('one', { method: 'HEAD' })
    expect([out.status, out.body, out.headers.location]).toEqual([302, '', expect.stringMatching(/&rm=HEAD$/)])
    const answer = await at().ask('one', { method: 'HEAD', cookie: house().cookies.alice })
    expect([answer.status, answer.body]).toEqual([200, ''])
    expect(app().method).toBe('HEAD')
  })

  it('row 77: the application sees every cookie but the session’s', async () => {
    const cookies = () => folded(app(), 'COOKIE')
    for (const [sent, seen] of [
      [`a=1; ${house().cookies.alice}; b=2`, 'a=1; b=2'],
      [`${house().cookies.alice}; b=2`, 'b=2'],
      [`a=1; ${house().cookies.alice}`, 'a=1'],
      [house().cookies.alice, ''],
      [`${house().cookies.alice}; ${house().cookies.alice}; a="x"; ${house().cookies.alice}`, 'a="x"'],
      [`xauthelia_session=1; ${house().cookies.alice}`, 'xauthelia_session=1'],
    ] as const) {
      at().forget()
      expect((await at().ask('one', { cookie: sent })).status).toBe(200)
      expect(cookies()).toBe(seen)
    }
    at().forget()
    await at().ask('public', { cookie: 'a=1; authelia_session=garbage; b=2' })
    expect(cookies()).toBe('a=1; b=2')
  })

  it('row 88: a long way back arrives whole', async () => {
    const target = `/${'&='.repeat(1800)}?rm=x`
    const answer = await at().ask('one', { target })
    const location = new URL(answer.headers.location ?? '')
    expect([...location.searchParams]).toEqual([
      ['rd', `https://one.postern.localhost:${house().port}${target}`],
      ['rm', 'GET'],
    ])
  })

  it('row 166: a legal cookie of 6 KB passes, to the gate and to the application', async () => {
    const cookie = `a=${'x'.repeat(6000)}; ${house().cookies.alice}`
    expect((await at().ask('one', { cookie })).status).toBe(200)
    expect(folded(app(), 'COOKIE') === `a=${'x'.repeat(6000)}`).toBe(true)
  })

  it('serves the portal without asking the gate, and keeps the gate’s endpoints to itself', async () => {
    const page = await at().ask('auth')
    expect(page.status).toBe(200)
    expect(page.body).toContain('name="password"')
    expect(page.headers).not.toHaveProperty('x-postern-denied')
    expect(
      at()
        .questions()
        .map(({ path }) => path),
    ).toEqual(['/'])
    const lines = [
      'X-Original-URL: https://public.postern.localhost/',
      'X-Original-Method: GET',
      'X-Forwarded-Method: GET',
    ]
    for (const path of ['authz/auth-request', 'authz/forward-auth', 'authz/ext-authz', 'authz/ext-authz/x', 'verify'])
      for (const spelling of [
        `/api/${path}`,
        `//api/${path}`,
        `/x/../api/${path}`,
        `/api//${path}`,
        `/%61pi/${path}`,
        `/api/${path.replace('a', '%61').replace('v', '%76')}`,
        `/api%2f${path}`,
        `/api\\${path}`,
        `/API/${path}`,
        `/api/${path}?rd=https://${hostOf('auth')}/`,
      ])
        expect((await at().ask('auth', { target: spelling, lines })).status, spelling).toBe(404)
  })
})
