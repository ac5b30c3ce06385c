import { expect, it } from 'vitest'
import { behindEach, folded, judgedTarget } from './house.ts'

/** Targets that servers read in more than one way. */
const readings = [
  '/public/../secret',
  '/public/%2e%2e/secret',
  '/public/.%2E/secret',
  '/public/./secret',
  '/public/..',
  '/../secret',
  '/public%2F..%2fsecret',
  '/public/..%2fsecret',
  '/public/%252e%252e/secret',
  '/public%25%32%66..',
  '//secret',
  '///public/x',
  '/public//../secret',
  '/a//b/',
  '/public\\..\\secret',
  '/public%5c..%5csecret',
  '/public;/../secret',
  '/public/..;/secret',
  '/secret;x=.css',
  '/secret%3f.css',
  '/secret%3F/../x.css',
  '/public%23/../secret',
  '/public#/../secret',
  '/%c0%ae%c0%ae/secret',
  '/%ff',
  '/a+b%2Bc%20d',
  '/%41%7e~',
  "/!$&'()*,:@=",
  '/a|b^c`d{e}"<>',
  '/a%',
  '/a%zz',
  '/a?',
  '/a??b?c',
  '/a?b=/../c//d&e=%2e%2e&f=+%20',
  '/a?x;y',
  '?a=b',
  '/a/b%00c',
]

behindEach(({ house, at, app, who, hostOf }) => {
  it('judges the host that it serves: an absolute target against another Host opens neither', async () => {
    const hostSeen = () => (at().received.length === 0 ? null : folded(app(), 'HOST').replace(/:\d+$/, ''))
    // As the one or as the other, but judged and served alike: only the public one may be reached without a session.
    await at().ask('public', { target: 'http://two.postern.localhost/x' })
    expect(hostSeen() ?? 'public.postern.localhost').toBe('public.postern.localhost')
    await at().ask('two', { target: 'http://public.postern.localhost/x' })
    expect(hostSeen() ?? 'public.postern.localhost').toBe('public.postern.localhost')
  })

  it.each([
    [
      'row 29',
      ['/public/../secret', '/public/%2e%2e/secret', '/public/.%2E/secret', '/public/..', '/public/./../secret'],
    ],
    ['row 30', ['/public%2F..%2fsecret', '/public/..%2fsecret', '/public/%2e%2e%2fsecret', '/public%2f../secret']],
    ['row 31', ['/public/%252e%252e/secret', '/public/%252e%252e%252fsecret', '/public/..%252fsecret']],
    ['row 32', ['//secret', '/public//../secret', '/public//../../secret', '//public/../secret']],
    ['row 33', ['/public\\..\\secret', '/public%5c..%5csecret', '/public/..\\secret', '/public/..%5csecret']],
    ['row 34', ['/public;/../secret', '/public/..;/secret', '/public/..;x=y/secret', '/public/%2e%2e;/secret']],
    ['row 37', ['/public#/../secret', '/public/#/../../secret']],
    ['row 38', ['/public/%c0%ae%c0%ae/secret', '/public/%ff/../../secret']],
  ])('%s: a path that is open in one reading only does not open', async (_row, targets) => {
    for (const target of targets) {
      at().forget()
      await at().ask('one', { target })
      // Some clean a path before anybody reads it, each in its own way: what they make of it is plain.
      expect(
        at().received.filter(({ url }) => !/^\/public\/\w+$/.test(url)),
        target,
      ).toEqual([])
    }
    expect((await at().ask('one', { target: '/public/x' })).status).toBe(200)
    expect((await at().ask('one', { target: '/public/x/../y' })).status).toBe(200)
  })

  it('row 15: no header of a visitor becomes part of the path that is judged', async () => {
    const lines = [
      'X-Forwarded-Prefix',
      'X-Envoy-Original-Path',
      'X-Original-URI',
      'X-Rewrite-URL',
      'X-Original-Path',
      'X-Forwarded-Path',
    ]
    for (const name of lines) {
      const answer = await at().ask('one', { target: '/secret', lines: [`${name}: /public/`] })
      const rd = encodeURIComponent(`https://${hostOf('one')}/secret`)
      expect(answer.headers.location, name).toBe(`https://${hostOf('auth')}/?rd=${rd}&rm=GET`)
    }
    expect(at().received).toEqual([])
  })

  it('row 23: opens nothing to a request that names no host, or two', async () => {
    const lines = ['Connection: close', 'Accept: text/html']
    for (const head of [
      ['GET / HTTP/1.0', ...lines],
      ['GET / HTTP/1.1', ...lines],
      ['GET /'],
      ['GET / HTTP/1.1', 'Host:', ...lines],
      ['GET / HTTP/1.1', `Host: ${hostOf('public')}`, `Host: ${hostOf('two')}`, ...lines],
      ['GET / HTTP/1.1', `Host: ${hostOf('public')}, ${hostOf('two')}`, ...lines],
      ['GET / HTTP/1.1', `Host: ${hostOf('public')}`, `Host : ${hostOf('two')}`, ...lines],
    ]) {
      const wire = at().dial()
      wire.send(`${head.join('\r\n')}\r\n\r\n`)
      const answer = await wire.answer()
      wire.close()
      expect(answer?.body ?? '', head.join('|')).not.toContain('the app')
    }
    expect(at().received).toEqual([])
  })

  it('judges the path that the application gets', async () => {
    for (const target of [...readings, `http://${hostOf('public')}/x/../y?z`, `http://${hostOf('public')}`]) {
      at().forget()
      const answer = await at().ask('public', { target })
      if (at().received.length === 0) {
        expect(answer.body, target).not.toContain('the app')
        continue
      }
      expect(at().questions().map(judgedTarget), target).toEqual([app().url])
      expect(app().url).toMatch(/^\//)
    }
  })

  it.each(['OPTIONS', 'PROPFIND', 'TRACE', 'DELETE'])('row 49: has no free pass for %s', async method => {
    const lines = ['Origin: https://evil.com', 'Access-Control-Request-Method: GET']
    expect((await at().ask('two', { method, lines })).status).toBeGreaterThanOrEqual(302)
    expect(at().received).toEqual([])
  })

  it('row 12: drops what a visitor says about who they are', async () => {
    const lines = [
      'Remote-User: admin',
      'Remote-Groups: admins',
      'Remote-Name: Admin',
      'Remote-Email: admin@example.com',
    ]
    expect((await at().ask('public', { lines })).status).toBe(200)
    expect(who()).toEqual(['', '', '', ''])
    at().forget()
    expect((await at().ask('one', { lines: [...lines, ...lines], cookie: house().cookies.alice })).status).toBe(200)
    expect(who()).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
  })

  it('row 13: drops every spelling that an application may read as one of the four', async () => {
    // All signs that a header's name may hold: RFC 9110, section 5.6.2.
    const spellings = (part: string) => [..."!#$%&'*+-.^_`|~"].map(sign => `Remote${sign}${part}`)
    const cases = ['remote', 'REMOTE', 'rEmOtE'].flatMap(remote => [
      `${remote}-user`,
      `${remote}_user`,
      `${remote}.user`,
    ])
    for (const name of [...spellings('User'), ...cases])
      for (const host of ['public', 'one']) {
        at().forget()
        const answer = await at().ask(host, {
          lines: [`${name}: admin`, `${name}: admin`],
          cookie: house().cookies.alice,
        })
        // Some refuse the whole request for such a name.
        if (answer.status === 400) expect(at().received).toEqual([])
        else expect([answer.status, folded(app(), 'REMOTE_USER')], `${name} on ${host}`).toEqual([200, 'alice'])
      }
    for (const part of ['Groups', 'Name', 'Email', 'Assertion'])
      for (const name of spellings(part)) {
        at().forget()
        const { status } = await at().ask('public', { lines: [`${name}: admin`] })
        if (status === 200) expect(folded(app(), `REMOTE_${part.toUpperCase()}`), name).toBe('')
        else expect([status, at().received]).toEqual([400, []])
      }
    at().forget()
    expect((await at().ask('public', { lines: ['Remote_User: admin', 'Remote.User: admin'] })).status).toBe(200)
    for (const name of [
      'X_Forwarded_Host',
      'X_Forwarded_Proto',
      'X_Forwarded_For',
      'X-Forwarded-Host',
      'X-Forwarded-Proto',
      'X-Forwarded-For',
    ]) {
      at().forget()
      await at().ask('public', { lines: [`${name}: 203.0.113.9`] })
      expect(folded(app(), name.toUpperCase().replaceAll('-', '_')), name).not.toContain('203.0.113.9')
    }
  })

  it('row 14: keeps the gate’s headers and its identity when `Connection` names them', async () => {
    for (const names of [
      'close, Remote-User, X-Forwarded-Host',
      'close, remote-user, remote-groups, remote-name, remote-email',
      'close, x-forwarded-proto, x-forwarded-uri, x-forwarded-method, x-forwarded-for',
      'close, X-Original-URL, X-Original-Method, Cookie',
      'close, Accept',
    ]) {
      at().forget()
      const answer = await at().ask('one', {
        cookie: `${house().cookies.alice}; a=1`,
        lines: [`Connection: ${names}`, 'Remote-User: admin'],
      })
      if (answer.status === 200) {
        expect(who(), names).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
        expect(folded(app(), 'CONNECTION')).toMatch(/^(close|keep-alive)?$/i)
      } else {
        expect([302, 400, 401, 500]).toContain(answer.status)
        expect(at().received).toEqual([])
      }
      const closed = await at().ask('closed', { cookie: house().cookies.bob, lines: [`Connection: ${names}`] })
      expect([302, 400, 401, 403, 500]).toContain(closed.status)
    }
    at().forget()
    await at().ask('one', { cookie: house().cookies.alice, lines: ['Connection: close, Remote-User'] })
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
      const answer = await at().ask('two', { method: 'POST', lines: [line], body: '' })
      expect([303, 400, 500], line).toContain(answer.status)
      if (answer.status === 303)
        expect(answer.headers.location, line).toBe(
          `https://auth.postern.localhost:${house().port}/?rd=${encodeURIComponent(`https://two.postern.localhost:${house().port}/`)}&rm=POST`,
        )
    }
    expect(at().received).toEqual([])
  })

  it('judges the host that it serves, however the request names it', async () => {
    const two = `https://two.postern.localhost:${house().port}/`
    const open = `public.postern.localhost:${house().port}`
    const answers = [
      await at().ask('two', { target: two, host: open }),
      await at().ask('two', { lines: [`Host: ${open}`] }),
      await at().ask('public', { lines: [`Host: two.postern.localhost:${house().port}`] }),
      await at().ask('TWO'),
      await at().ask('two', { host: `two.postern.localhost.:${house().port}` }),
      await at().ask('two', { host: 'two.postern.localhost' }),
      await at().ask('two', { host: 'two.postern.localhost:8443' }),
      await at().ask('two', { host: `two.postern.localhost:${house().port}@${open}` }),
    ]
    for (const { body } of answers) expect(body).not.toContain('the app')
    expect(at().received).toEqual([])
  })
})
