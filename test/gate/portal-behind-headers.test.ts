import { describe, expect, it } from 'vitest'
import { openPostern } from '../support/in-process.ts'
import { exchange } from './house.ts'

describe('the portal', () => {
  it('row 2: takes links, cookies and the Origin that it accepts from the configuration, whatever an untrusted peer forwards', async () => {
    const postern = await openPostern({ trustedProxies: ['10.0.0.0/8'] })
    const { port } = postern.setup
    const host = `auth.postern.localhost:${port}`
    const forged = [
      'X-Forwarded-Host: evil.example.net',
      'X-Forwarded-Proto: http',
      'X-Forwarded-For: 10.0.0.9',
      'X-Forwarded-URI: /evil',
      'Forwarded: host=evil.example.net;proto=http',
      'X-Original-URL: http://evil.example.net/',
    ]
    const ask = (first: string, lines: string[], body = '') =>
      exchange(
        { port },
        [first, `Host: ${host}`, 'Accept: text/html', ...lines, 'Connection: close', '', body].join('\r\n'),
      )
    for (const path of ['/', '/help', '/denied', '/?rd=http://one.postern.localhost/', '/nothing-here']) {
      const plain = await ask(`GET ${path} HTTP/1.1`, [])
      const answer = await ask(`GET ${path} HTTP/1.1`, forged)
      expect(answer.status).toBe(plain.status)
      expect(answer.raw).not.toContain('evil')
      const attributes = (cookie = '') => cookie.replace(/^[^;]*/, '')
      expect(attributes(answer.headers['set-cookie'])).toBe(attributes(plain.headers['set-cookie']))
    }
    for (const path of ['/login', '/api/firstfactor'])
      for (const origin of ['http://evil.example.net', 'https://evil.example.net']) {
        const lines = [...forged, `Origin: ${origin}`, 'Content-Type: application/json', 'Content-Length: 2']
        expect((await ask(`POST ${path} HTTP/1.1`, lines, '{}')).status).toBeGreaterThanOrEqual(400)
      }
    expect((await ask('GET / HTTP/1.1', [], '')).status).toBe(200)
    expect(
      (
        await exchange(
          { port },
          `GET / HTTP/1.1\r\nHost: evil.example.net\r\nX-Forwarded-Host: ${host}\r\nConnection: close\r\n\r\n`,
        )
      ).status,
    ).toBeGreaterThanOrEqual(400)
  })
})
