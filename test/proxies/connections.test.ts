import { describe, expect, it } from 'vitest'
import { until } from '../support/process.ts'
import { behindEach, bytesOf, folded, judgedTarget } from './house.ts'

behindEach(({ house, at, app, who, hostOf }, kind) => {
  const upgrade = [
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    'Remote-User: admin',
  ]

  it('lets a socket through to whom it lets in, and tells who it is', async () => {
    const wire = at().dial()
    wire.send(
      bytesOf(hostOf('one'), { accept: '', cookie: house().cookies.alice, lines: upgrade, target: '/socket?a=b' }),
    )
    expect((await wire.answer())?.status, JSON.stringify(at().received)).toBe(101)
    wire.send('there and back')
    expect(await wire.read(14)).toBe('there and back')
    wire.close()
    expect(who()).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
    expect(app()).toMatchObject({ method: 'GET', url: '/socket?a=b' })
    expect(at().questions()).toHaveLength(1)
  })

  it('opens no socket to anybody else, and passes nothing on that is sent behind the question', async () => {
    const cases = [
      [{}, 'one', 401],
      [{ cookie: house().cookies.alice }, 'two', 401],
      [{ cookie: house().cookies.bob }, 'closed', 403],
    ] as const
    for (const [who, name, status] of cases) {
      const wire = at().dial()
      const bytes = bytesOf(hostOf(name), { accept: '', lines: upgrade, ...who })
      wire.send(`${bytes}GET /smuggled HTTP/1.1\r\nHost: ${hostOf('one')}\r\n\r\n`)
      expect((await wire.answer())?.status, name).toBe(status)
      wire.close()
    }
    expect(at().received).toEqual([])
  })

  it('switches to WebSocket and to nothing else', async () => {
    for (const protocol of kind === 'traefik'
      ? ['h2c', 'h2c, websocket', 'websocket, h2c']
      : ['h2c', 'h2c, websocket', 'websocket, h2c', 'TLS/1.2', 'websocket2'])
      for (const connection of ['Upgrade', 'Upgrade, HTTP2-Settings']) {
        at().forget()
        const settings = ['HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==']
        const lines = [`Upgrade: ${protocol}`, `Connection: ${connection}`, ...settings]
        const wire = at().dial()
        wire.send(bytesOf(hostOf('public'), { lines }))
        const answer = await wire.answer()
        wire.close()
        expect(answer?.status, `${protocol} ${connection}`).not.toBe(101)
        for (const received of at().received) expect(folded(received, 'UPGRADE'), protocol).toBe('')
      }
    // Two lines: one of them is a WebSocket, or none.
    for (const two of [
      ['Upgrade: h2c', 'Upgrade: websocket'],
      ['Upgrade: websocket', 'Upgrade: h2c'],
    ]) {
      at().forget()
      const wire = at().dial()
      wire.send(bytesOf(hostOf('public'), { lines: [...upgrade.slice(1), ...two] }))
      await wire.answer()
      wire.close()
      for (const received of at().received) expect(folded(received, 'UPGRADE')).not.toContain('h2c')
    }
  })

  it('opens no tunnel, to an application that would', async () => {
    for (const target of ['/', hostOf('public'), `https://${hostOf('public')}/a/b`]) {
      const wire = at().dial()
      wire.send(bytesOf(hostOf('public'), { method: 'CONNECT', target, lines: ['Connection: close'] }))
      await wire.answer('HEAD') // a tunnel’s 200 has no body either
      wire.close()
    }
    expect(at().received).toEqual([])
  })

  it('judges each request of a connection that is kept open', async () => {
    const wire = at().dial()
    const round = [
      [{ cookie: house().cookies.alice }, 200, 'alice'],
      [{ lines: ['Remote-User: admin'] }, 302, undefined],
      [{ cookie: house().cookies.bob, method: 'POST', body: 'x'.repeat(2000) }, 200, 'bob'],
      [{ method: 'HEAD' }, 302, undefined],
      [{ cookie: house().cookies.alice, method: 'HEAD' }, 200, 'alice'],
      [{ cookie: 'authelia_session=garbage' }, 302, undefined],
    ] as const
    for (const [request, status, user] of [...round, ...round, ...round]) {
      at().received.length = 0
      wire.send(bytesOf(hostOf('one'), request))
      const answer = await wire.answer('method' in request ? request.method : 'GET')
      expect(answer?.status).toBe(status)
      expect(at().received.map(received => folded(received, 'REMOTE_USER'))).toEqual(user === undefined ? [] : [user])
    }
    wire.close()
    expect(at().questions()).toHaveLength(18)
  })

  // Caddy opens one for each question, but for HEAD: it does not read the body of a yes to its end.
  it.skipIf(kind.startsWith('caddy'))('asks over connections that are kept open', async () => {
    for (const method of ['GET', 'POST', 'GET', 'GET', 'HEAD', 'GET', 'GET', 'GET', 'GET'])
      await at().ask('one', { cookie: house().cookies.alice, method, ...(method === 'POST' && { body: 'x=1' }) })
    expect(at().questions()).toHaveLength(9)
    expect(at().gateConnections()).toBeLessThanOrEqual(3)
  })

  it('row 21: passes a body to the application, and none to the gate', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      at().forget()
      const answer = await at().ask('one', { method, body: 'b'.repeat(100_000), cookie: house().cookies.alice })
      expect([answer.status, app().bytes, app().method]).toEqual([200, 100_000, method])
      expect(who()[0]).toBe('alice')
      expectBareQuestion()
    }
    const chunked = ['Transfer-Encoding: chunked', 'Connection: close', '', '5', 'abcde', '0', '']
    at().forget()
    expect((await at().ask('one', { method: 'POST', cookie: house().cookies.alice, lines: chunked })).status).toBe(200)
    expect(app().bytes).toBe(5)
    expectBareQuestion()
  })

  it('row 21: asks before the body has come', async () => {
    const wire = at().dial()
    wire.send(bytesOf(hostOf('one'), { method: 'POST', lines: ['Content-Length: 1000'] }))
    await until(() => at().questions().length > 0, 'the gate is asked')
    expectBareQuestion()
    wire.send('b'.repeat(1000))
    expect((await wire.answer())?.status).toBe(303)
    wire.close()
    expectBareQuestion()
    expect(at().received).toEqual([])
  })

  /** One question, without a body. */
  function expectBareQuestion() {
    const questions = at().questions()
    expect(questions).toHaveLength(1)
    expect(questions[0]?.path).toMatch(/^\/api\/authz\//)
    const headers = Object.fromEntries(questions[0]?.headers ?? [])
    expect(headers['content-length'] ?? '0').toBe('0')
    expect(headers).not.toHaveProperty('transfer-encoding')
  }

  it('asks in the visitor’s own headers only what deploy/ names', async () => {
    const lines = ['X-Own: 1', 'X-Forwarded-Prefix: /public', 'X-Envoy-Original-Path: /public']
    await at().ask('one', { cookie: house().cookies.alice, lines })
    // Caddy asks with all of them; the gate reads none of these.
    const named = kind.startsWith('caddy') ? [] : lines
    const names = at()
      .questions()
      .flatMap(({ headers }) => headers.map(([name]) => name))
    for (const line of named) expect(names).not.toContain(line.split(':')[0]?.toLowerCase())
  })

  it.each([
    ['a length and chunks', ['Content-Length: 6', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
    ['chunks and a length', ['Transfer-Encoding: chunked', 'Content-Length: 6'], '0\r\n\r\n'],
    ['two lengths', ['Content-Length: 0', 'Content-Length: 60'], ''],
    ['a list of lengths', ['Content-Length: 0, 60'], ''],
    ['a signed length', ['Content-Length: +0'], ''],
    ['an unknown coding', ['Transfer-Encoding: xchunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '0\r\n\r\n'],
    ['a folded coding', ['Transfer-Encoding:', ' chunked'], '0\r\n\r\n'],
    ['a coding with a tab', ['Transfer-Encoding:\tchunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['a name with a space', ['Content-Length : 60', 'Content-Length: 0'], ''],
    ['a bare line feed', ['X: y\nTransfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['a long chunk size', ['Transfer-Encoding: chunked'], '00000000000000000\r\n\r\n'],
    ['a chunk extension with a line feed', ['Transfer-Encoding: chunked'], '0;a\nb\r\n\r\n'],
  ])('brings nothing to the application that was not judged: %s', async (_what, lines, body) => {
    const hidden = `GET /smuggled HTTP/1.1\r\nHost: ${hostOf('two')}\r\nRemote-User: admin\r\nConnection: close\r\n\r\n`
    const wire = at().dial()
    wire.send(`${bytesOf(hostOf('public'), { method: 'POST', lines })}${body}${hidden}`)
    while (await wire.answer()) {} // all that there are
    wire.close()
    expect(at().received.filter(({ url, method }) => url === '/smuggled' || method !== 'POST')).toEqual([])
    for (const received of at().received) expect(folded(received, 'REMOTE_USER')).toBe('')
  })

  // The file for nginx leaves HTTP/2 out.
  describe.skipIf(kind === 'nginx')('over HTTP/2', () => {
    const request = (name: string, more = {}) => ({
      ':method': 'GET',
      ':scheme': 'https',
      ':authority': hostOf(name),
      ':path': '/',
      accept: 'text/html',
      ...more,
    })

    it('lets people in by cookies in several pieces, and drops what they say about who they are', async () => {
      const forged = { 'remote-user': 'admin', remote_user: 'admin', 'remote-groups': ['admins', 'more'] }
      const cookie = ['a=1', house().cookies.alice, 'b=2']
      const answer = await at().askHttp2(request('one', { ':path': '/x?y', cookie, ...forged }))
      expect(answer.status).toBe(200)
      expect(who()).toEqual(['alice', 'staff', 'Alice Example', 'alice@example.com'])
      expect(app().url).toBe('/x?y')
      expect(folded(app(), 'COOKIE').split('; ')).toEqual(['a=1', 'b=2'])
    })

    it('opens no tunnel, to an application that would', async () => {
      const tunnel = { ':method': 'CONNECT', ':authority': hostOf('public') }
      expect((await at().askHttp2(tunnel)).status).toBeGreaterThanOrEqual(400)
      expect(at().received).toEqual([])
    })

    it('sends a visitor to the portal', async () => {
      for (const [method, status] of [
        ['GET', 302],
        ['POST', 303],
      ] as const) {
        const { status: got, headers } = await at().askHttp2(request('two', { ':method': method, ':path': '/x?y' }))
        const rd = encodeURIComponent(`https://${hostOf('two')}/x?y`)
        expect(got).toBe(status)
        expect(headers.location).toBe(`https://${hostOf('auth')}/?rd=${rd}&rm=${method}`)
      }
      expect(at().received).toEqual([])
    })

    it('judges the host and the path that the application gets', async () => {
      const cases: Record<string, unknown>[] = [
        { host: hostOf('two') },
        { ':authority': hostOf('two'), host: hostOf('public') },
        { ':path': '/x/../y' },
        { ':path': 'x' },
        { ':path': '@two.postern.localhost/' },
        { ':path': `https://${hostOf('two')}/` },
        { ':path': '/x y' },
        { ':path': '/x#y' },
        { ':path': '*', ':method': 'OPTIONS' },
        { ':authority': `x@${hostOf('two')}` },
        { ':scheme': 'http' },
        { 'x-forwarded-host': hostOf('two'), 'x-forwarded-uri': '/z' },
        { 'transfer-encoding': 'chunked' },
      ]
      for (const more of cases) {
        at().forget()
        await at()
          .askHttp2(request('public', more))
          .catch(() => undefined)
        for (const received of at().received) {
          expect(at().questions().map(judgedTarget), JSON.stringify(more)).toEqual([received.url])
          expect(folded(received, 'HOST')).toBe(hostOf('public'))
        }
      }
    })
  })
})
