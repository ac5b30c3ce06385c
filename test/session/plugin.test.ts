import { connect } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { sessionPlugin } from '../../src/session/plugin.ts'
import { StoreDown } from '../../src/session/session.ts'
import { cookieOf, type House, nextTurn, openHouse, raised, signIn } from './house.ts'

/** A server with a scope that has sessions, as portal and API are, and one that has not, as the gate is. */
async function serve({ sessions, config }: Pick<House, 'sessions' | 'config'>): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true })
  onTestFinished(() => app.close())
  await app.register(async portal => {
    await portal.register(sessionPlugin, { sessions, config })
    portal.setErrorHandler((error, _request, reply) =>
      reply.code(error instanceof StoreDown ? 503 : 500).send({ error: error instanceof Error ? error.message : '' }),
    )
    portal.get('/who', request => ({
      who: request.session.record?.username ?? null,
      level: request.session.record?.level ?? 0,
    }))
    portal.get('/seen', request => ({ cookies: Object.keys(request.cookies) }))
    portal.post('/write', request => {
      Object.assign(request.session, { note: 'x' })
      return 'written'
    })
    portal.post('/regenerate', async request => {
      await request.session.regenerate()
      return 'done'
    })
    portal.post('/reload', async request => {
      await request.session.reload()
      return 'done'
    })
    portal.post('/destroy', async request => {
      await request.session.destroy()
      return 'done'
    })
  })
  await app.register(async gate => {
    gate.get('/gate', request => ({ session: 'session' in request }))
  })
  return app
}

const ask = async (app: FastifyInstance, url: string, cookie?: string, method: 'GET' | 'POST' = 'GET') => {
  const headers = { host: 'auth.example.com:8443', ...(cookie === undefined ? {} : { cookie }) }
  const response = await app.inject({ method, url, headers })
  expect(response.headers['set-cookie']).toBeUndefined()
  return response
}

const rows = ({ intruder }: House) => Number(intruder.prepare('SELECT count(*) AS n FROM postern_sessions').get()?.n)

describe('request.session', () => {
  it('carries the record of who asks, of the cookie domain of the Host, under whatever name its cookie has', async () => {
    const house = await openHouse()
    const app = await serve(house)
    const com = await raised(house.sessions, await signIn(house), house.now)
    const org = await signIn(house, 'bob', { domain: house.org })
    expect((await ask(app, '/who', cookieOf(com))).json()).toEqual({ who: 'alice', level: 2 })
    const response = await app.inject({ url: '/who', headers: { host: 'AUTH.example.org.', cookie: cookieOf(org) } })
    expect(response.json()).toEqual({ who: 'bob', level: 1 })
  })

  it.each([
    ['no cookie', undefined],
    ['garbage', 'authelia_session=garbage'],
  ])('is nobody with %s; nothing is stored, set or cleared', async (_what, cookie) => {
    const house = await openHouse()
    const app = await serve(house)
    expect((await ask(app, '/who', cookie)).json()).toEqual({ who: null, level: 0 })
    expect(rows(house)).toBe(0)
  })

  it('row 66: is nobody, and clears nothing, with a cookie that is not ours, an ended one and one handed over by hand', async () => {
    const house = await openHouse()
    const app = await serve(house)
    const ended = await signIn(house)
    const other = await signIn(house)
    await house.sessions.end(ended.session)
    for (const cookie of [
      `authelia_session="${ended.cookie.value}"`,
      cookieOf(ended),
      `@postern/session=${other.cookie.value}`,
      `sessionId=${other.cookie.value}`,
    ])
      expect((await ask(app, '/who', cookie)).json(), cookie).toEqual({ who: null, level: 0 })
    expect(rows(house)).toBe(1)
  })

  it('row 68: is the same in either order of a tossed cookie and the right one, which @fastify/cookie alone would not see', async () => {
    const house = await openHouse()
    const app = await serve(house)
    const right = cookieOf(await signIn(house))
    for (const cookie of [`authelia_session=tossed; ${right}`, `${right}; authelia_session=tossed`])
      expect((await ask(app, '/who', cookie)).json()).toEqual({ who: 'alice', level: 1 })
    expect((await ask(app, '/seen', `a=b; authelia_session=tossed; ${right}`)).json()).toEqual({
      cookies: ['a', '@postern/session'],
    })
  })

  it('row 67: row 72: is a view: writing to it fails loudly and stores nothing, signed in or not', async () => {
    const house = await openHouse()
    const app = await serve(house)
    const started = await signIn(house)
    for (const cookie of [undefined, cookieOf(started)]) {
      expect((await ask(app, '/write', cookie, 'POST')).statusCode).toBe(500)
      expect((await ask(app, '/regenerate', undefined, 'POST')).statusCode).toBe(500)
    }
    expect((await ask(app, '/reload', cookieOf(started), 'POST')).statusCode).toBe(500)
    expect(rows(house)).toBe(1)
    expect((await ask(app, '/who', cookieOf(started))).json()).toMatchObject({ who: 'alice' })
  })

  it('ends the session with destroy', async () => {
    const house = await openHouse()
    const app = await serve(house)
    const started = await signIn(house)
    expect((await ask(app, '/destroy', cookieOf(started), 'POST')).statusCode).toBe(200)
    expect(await house.sessions.lives(started.session.key)).toBe(false)
    expect((await ask(app, '/who', cookieOf(started))).json()).toMatchObject({ who: null })
  })

  it('knows nobody while the store is down, so that styles and health still answer, and works while it is only busy', async () => {
    const house = await openHouse()
    const started = await signIn(house)
    const busy = await serve({
      ...house,
      sessions: { ...house.sessions, find: async (...asked) => house.sessions.find(...asked) },
    })
    expect((await ask(busy, '/who', cookieOf(started))).json()).toMatchObject({ who: 'alice' })
    const app = await serve(house)
    await nextTurn()
    await house.storage.close()
    expect((await ask(app, '/who', cookieOf(started))).json()).toMatchObject({ who: null })
    const failing = await serve({
      ...house,
      sessions: { ...house.sessions, find: () => Promise.reject(new StoreDown('no')) },
    })
    expect((await ask(failing, '/who', cookieOf(started))).json()).toMatchObject({ who: null })
  })

  it('is not there outside of its scope', async () => {
    const house = await openHouse()
    const app = await serve(house)
    const response = await app.inject({
      url: '/gate',
      headers: { host: 'one.example.com', cookie: cookieOf(await signIn(house)) },
    })
    expect(response.json()).toEqual({ session: false })
  })

  it('row 69: reads what the socket brought: two Cookie lines, and never mixes up requests that come at once', async () => {
    const house = await openHouse()
    const app = await serve(house)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const address = app.server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const people = await Promise.all(
      ['alice', 'bob', 'carol', ''].map(async name => [name, name && cookieOf(await signIn(house, name))]),
    )
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const [name = '', cookie = ''] = people[n % people.length] ?? []
        const lines = [
          'GET /who HTTP/1.1',
          'Host: auth.example.com',
          'Connection: close',
          'Cookie: authelia_session=tossed',
          `cookie: ${cookie}`,
        ]
        return [name, await exchange(address.port, `${lines.join('\r\n')}\r\n\r\n`)] as const
      }),
    )
    for (const [name, answer] of answers) {
      expect(answer).toContain(name === '' ? '"who":null' : `"who":"${name}"`)
      expect(answer.toLowerCase()).not.toContain('set-cookie')
    }
  })
})

function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', chunk => {
      answer += chunk.toString()
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
  })
}
