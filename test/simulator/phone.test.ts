import { request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { client, simulator } from './client.ts'

const phone = '/phones/DPALICE0000000000001'

async function push(simulated: Simulator, params: Record<string, string> = {}) {
  const sent = { username: 'alice', factor: 'push', device: 'auto', async: '1', ...params }
  const reply = await client(simulated)('POST', '/auth/v2/auth', sent)
  return { reply, id: simulated.pushes().at(-1)?.id ?? '' }
}

/** A request whose Host and Origin are what the test says; fetch would not let it. */
function ask(simulated: Simulator, method: string, path: string, headers: Record<string, string>, body = '') {
  return new Promise<{ status: number; text: string; headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port: simulated.phonePort, method, path, headers, agent: false },
      reply => {
        let text = ''
        reply.setEncoding('utf8').on('data', chunk => {
          text += chunk
        })
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text, headers: reply.headers }))
      },
    )
    sent.on('error', reject).end(body)
  })
}

describe('row 135: where the simulator listens', () => {
  const ownAddress = Object.values(networkInterfaces())
    .flat()
    .find(entry => entry?.family === 'IPv4' && !entry.internal)?.address
  const answers = (host: string, port: number) =>
    new Promise<boolean>(resolve => {
      const socket = connect({ host, port })
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      onTestFinished(() => void socket.destroy())
    })

  it('is loopback, on both ports, unless told otherwise', async () => {
    const closed = await simulator()
    for (const port of [closed.apiPort, closed.phonePort]) {
      expect(await answers('127.0.0.1', port)).toBe(true)
      expect(await answers('127.0.0.2', port)).toBe(false)
      if (ownAddress) expect(await answers(ownAddress, port)).toBe(false)
    }
    const open = await simulator({ host: '0.0.0.0' })
    for (const port of [open.apiPort, open.phonePort]) expect(await answers(ownAddress ?? '127.0.0.2', port)).toBe(true)
  })

  it('says on each page that it is a simulator', async () => {
    const simulated = await simulator()
    for (const path of ['/', phone, '/nothing'])
      expect(await (await fetch(`${simulated.phoneUrl}${path}`)).text()).toContain('This is not Duo')
  })
})

describe('row 136: another site', () => {
  const form = 'application/x-www-form-urlencoded'
  it.each([
    ['posts from its own origin', 'HOST', { origin: 'https://evil.example' }],
    ['posts from a file or a sandbox', 'HOST', { origin: 'null' }],
    ['posts from another port of this machine', 'HOST', { origin: 'http://127.0.0.1:1' }],
    ['posts from a sister name', 'phone.postern.localhost', { origin: 'http://one.postern.localhost' }],
    ['posts where the browser sends no Origin', 'HOST', { 'sec-fetch-site': 'cross-site' }],
    ['posts from the same site', 'HOST', { 'sec-fetch-site': 'same-site' }],
    ['had its name rebound to this address', 'evil.example', {}],
    ['had it rebound, and posts from there', 'evil.example', { origin: 'http://evil.example' }],
    ['has a name that ends like one of these', 'localhost.evil.example', {}],
    ['has a name that begins like one of these', 'evil-localhost', {}],
  ])('that %s is refused with 403, and nothing is approved', async (_what, host, headers) => {
    const simulated = await simulator()
    const { id } = await push(simulated)
    const hostHeader = host === 'HOST' ? `127.0.0.1:${simulated.phonePort}` : host
    const post = (path: string, type: string, body: string) =>
      ask(simulated, 'POST', path, { ...headers, host: hostHeader, 'content-type': type }, body)
    expect((await post(`${phone}/pushes/${id}`, form, 'answer=approve')).status).toBe(403)
    expect((await post(`/control/pushes/${id}`, 'application/json', '{"answer":"approve"}')).status).toBe(403)
    expect(simulated.pushes()[0]?.state).toBe('pending')
  })

  it.each(['/', phone, '/control/pushes', '/phone.js'])(
    'reads nothing of %s under a name that is not the phone’s',
    async path => {
      const simulated = await simulator()
      expect((await ask(simulated, 'GET', path, { host: 'evil.example' })).status).toBe(403)
    },
  )

  it.each([
    ['127.0.0.1', {}],
    ['localhost', {}],
    ['phone.postern.localhost', {}],
    ['PHONE.example.org', { phoneHosts: ['phone.example.org'] }],
  ])('is not the phone itself, as %s: that may answer', async (name, options) => {
    const simulated = await simulator(options)
    const { id } = await push(simulated)
    const host = `${name}:${simulated.phonePort}`
    const headers = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin', 'content-type': form }
    const reply = await ask(simulated, 'POST', `${phone}/pushes/${id}`, headers, 'answer=approve')
    expect([reply.status, reply.headers.location]).toEqual([303, phone])
    expect(simulated.pushes()[0]?.state).toBe('approved')
  })

  it('cannot answer through a control call that a form can make', async () => {
    const simulated = await simulator()
    const { id } = await push(simulated)
    const host = `127.0.0.1:${simulated.phonePort}`
    const reply = await ask(
      simulated,
      'POST',
      `/control/pushes/${id}`,
      { host, 'content-type': 'text/plain' },
      '{"answer":"approve"}',
    )
    expect(reply.status).toBe(400)
    expect(simulated.pushes()[0]?.state).toBe('pending')
  })
})

describe('row 138: what a client sends', () => {
  const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
  it('is escaped on the phone, and no script of it runs', async () => {
    const simulated = await simulator()
    simulated.setUsers([{ username: hostile, devices: [{ id: 'DPHOSTILE', name: hostile, platform: '<b>"' }] }])
    simulated.setPolicy({ application: '<script>alert(1)</script>' })
    const pushinfo = `${encodeURIComponent(hostile)}=${encodeURIComponent(hostile)}`
    const { reply } = await push(simulated, { username: hostile, type: hostile, display_username: hostile, pushinfo })
    expect(reply.status).toBe(200)
    for (const path of ['/', '/phones/DPHOSTILE']) {
      const page = await fetch(`${simulated.phoneUrl}${path}`)
      const text = await page.text()
      expect(text).toContain('&lt;script>alert(1)')
      expect(text).not.toMatch(/<script>|<img|<b>"/)
      expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'self'/)
      expect(text).not.toMatch(/ style=| on[a-z]+=(?!alert)"/)
    }
  })

  it.each([
    ['pushinfo', 'a=%zz', 'pushinfo'],
    ['pushinfo', 'a=%ff', 'pushinfo'],
    ['pushinfo', 'a=%', 'pushinfo'],
    ['pushinfo', `a=${'x'.repeat(20_000)}`, 'pushinfo'],
    ['type', 'x'.repeat(20_480), 'type'],
    ['username', 'x'.repeat(20_480), 'username'],
    ['display_username', '<'.repeat(20_480), 'display_username'],
  ])('is 40002 when %s is too long or broken', async (name, value, detail) => {
    const simulated = await simulator()
    const { reply } = await push(simulated, { [name]: value })
    expect(reply.json).toMatchObject({ code: 40002, message_detail: detail })
    expect(simulated.pushes()).toEqual([])
  })

  it('may be 19,999 bytes of pushinfo; the page shows the beginning', async () => {
    const simulated = await simulator()
    const { reply } = await push(simulated, { pushinfo: `a=${'é'.repeat(9_998)}x` })
    expect(reply.status).toBe(200)
    const text = await (await fetch(`${simulated.phoneUrl}${phone}`)).text()
    expect(text).toContain('éé…')
    expect(text.length).toBeLessThan(10_000)
  })

  it('is 413 beyond all measure', async () => {
    const { reply } = await push(await simulator(), { pushinfo: 'x'.repeat(1_000_000) })
    expect([reply.status, reply.headers['content-type']]).toEqual([413, 'text/html'])
  })
})

describe('the page', () => {
  it.each([
    ['an unknown answer', 'answer=perhaps', 400],
    ['no answer', '', 400],
  ])('refuses %s', async (_what, body, status) => {
    const simulated = await simulator()
    const { id } = await push(simulated)
    const headers = { host: 'localhost', 'content-type': 'application/x-www-form-urlencoded' }
    expect((await ask(simulated, 'POST', `${phone}/pushes/${id}`, headers, body)).status).toBe(status)
  })

  it('has no answer for a push of another phone, and none for an old one', async () => {
    const simulated = await simulator()
    const { id } = await push(simulated)
    const headers = { host: 'localhost', 'content-type': 'application/x-www-form-urlencoded' }
    const post = (path: string) => ask(simulated, 'POST', path, headers, 'answer=approve')
    expect((await post(`/phones/DPBOB000000000000001/pushes/${id}`)).status).toBe(404)
    expect((await post(`/phones/DPNOBODY/pushes/${id}`)).status).toBe(404)
    simulated.answer(id, 'deny')
    const late = await post(`${phone}/pushes/${id}`)
    expect([late.status, late.text]).toEqual([409, expect.stringContaining('had ended before you answered')])
    expect((await fetch(`${simulated.phoneUrl}/phones/DPNOBODY`)).status).toBe(404)
    expect((await fetch(`${simulated.phoneUrl}/?after=x`)).status).toBe(400)
  })
})
