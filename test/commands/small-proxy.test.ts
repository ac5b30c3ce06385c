import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { sampleApps } from '../../src/commands/demo/apps.tsx'
import { smallProxy } from '../../src/commands/demo/small-proxy.ts'
import { openPostern } from '../support/in-process.ts'
import { password } from '../support/postern.ts'

async function listening(app: FastifyInstance): Promise<string> {
  onTestFinished(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

describe('the demo’s proxy where nginx is missing', () => {
  it('asks the gate about the apps, tells them who is there, and passes the portal on', async () => {
    const postern = await openPostern()
    const at = (name: string) => `${name}.postern.localhost`
    const proxy = await smallProxy(
      { portal: at('auth'), apps: [at('one'), at('closed')], phone: at('phone') },
      { postern: postern.url, apps: await listening(sampleApps('http://auth.postern.localhost')), phone: null },
    )
    const base = await listening(proxy)
    const ask = async (
      name: string,
      options: { cookie?: string; method?: 'GET' | 'POST'; body?: string; path?: string } = {},
    ) => {
      const answer = await request(`${base}${options.path ?? '/x'}`, {
        method: options.method ?? 'GET',
        headers: {
          host: at(name),
          accept: 'text/html',
          'remote-user': 'admin',
          ...(options.cookie && { cookie: options.cookie }),
          ...(options.body && { 'content-type': 'application/json' }),
        },
        ...(options.body && { body: options.body }),
      })
      return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
    }
    const anonymous = await ask('one')
    expect(anonymous.status).toBe(302)
    expect(anonymous.headers.location).toMatch(
      /^http:\/\/auth\.postern\.localhost:\d+\/\?rd=http%3A%2F%2Fone\.postern\.localhost%2Fx&rm=GET$/,
    )
    expect(anonymous.text).not.toContain('Remote-User')

    const login = await ask('auth', {
      method: 'POST',
      path: '/api/firstfactor',
      body: JSON.stringify({ username: 'alice', password }),
    })
    expect(login.status).toBe(200)
    const cookie = String(login.headers['set-cookie']).split(';')[0] ?? ''
    const seen = await ask('one', { cookie })
    expect(seen.status).toBe(200)
    expect(seen.text).toMatch(/<dt>Remote-User<\/dt><dd>alice<\/dd>/)
    expect((await ask('closed', { cookie })).status).toBe(403)
    expect((await ask('elsewhere')).status).toBe(404)
    for (const path of ['/api/authz/forward-auth', '/api/%61uthz/forward-auth', '/api/verify'])
      expect(await ask('auth', { path, cookie }), path).toMatchObject({ status: 404, text: '' })
  })
})
