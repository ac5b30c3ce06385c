import { request as httpsRequest } from 'node:https'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { canonicalLines, parseForm } from '../../src/simulator/parameters.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { endsWithSuite } from '../support/process.ts'
import { canonical, client, keys, type Sent, type Signature, simulator } from './client.ts'

const at = Date.UTC(2026, 10, 24, 14, 0, 0)
const dateIn = (seconds: number) => new Date(at + seconds * 1000).toUTCString()
const path = '/auth/v2/preauth'
const params = { username: 'alice', hostname: "a b+c!'()*~/ü" }
let simulated: Simulator
const endsWith = endsWithSuite()
beforeAll(async () => {
  simulated = await simulator({ clock: () => at }, endsWith)
})
const ask = (sent: Sent = {}, given: Record<string, string> = params) =>
  client(simulated)('POST', path, given, { ...sent, signed: { date: dateIn(0), ...sent.signed } })

const signatures: Signature[] = ['v2-sha1', 'v2-sha512', 'v4', 'v5']

describe.each(signatures)('row 137: a request signed with %s', signature => {
  it.each([
    ['a wrong secret key', { signed: { secretKey: 'x'.repeat(40) } }, 40103],
    ['a parameter changed after signing', { signed: { params: { ...params, username: 'bob' } } }, 40103],
    ['another host signed', { signed: { host: 'api-other.duosecurity.test' } }, 40103],
    ['an unknown integration key', { signed: { integrationKey: 'DIUNKNOWN00000000001' } }, 40102],
    ['a date 301 s ago', { signed: { date: dateIn(-301) } }, 40105],
    ['a date in 301 s', { signed: { date: dateIn(301) } }, 40105],
    ['a date that is none', { signed: { date: 'yesterday' } }, 40105],
    ['no date', { headers: { date: null } }, 40104],
    ['two dates that differ', { headers: { date: [dateIn(0), dateIn(1)] } }, 40105],
    ['X-Duo-Date and Date that differ', { headers: { 'x-duo-date': dateIn(1) } }, 40105],
    ['no credentials', { headers: { authorization: null } }, 40101],
    ['credentials that are none', { headers: { authorization: 'Bearer abc' } }, 40101],
    ['an empty signature', { headers: { authorization: `Basic ${btoa(`${keys.integrationKey}:`)}` } }, 40103],
  ])('with %s is refused with Duo’s code', async (_what, sent, code) => {
    const reply = await ask({ signature, ...sent })
    expect(reply.json).toMatchObject({ code, stat: 'FAIL' })
    expect(reply.status).toBe(401)
    expect(simulated.pushes()).toEqual([])
  })

  it.each([
    ['as it is', {}],
    ['with the port in the signed host', { signed: { host: `localhost:PORT` } }],
    ['with the host in upper case in the header', { headers: { host: 'LOCALHOST:PORT' } }],
    ['300 s early', { signed: { date: dateIn(300) } }],
    ['300 s late', { signed: { date: dateIn(-300) } }],
    ['with a zone of -0000', { signed: { date: 'Tue, 24 Nov 2026 14:00:00 -0000' } }],
    ['with a local zone', { signed: { date: 'Tue, 24 Nov 2026 19:30:00 +0530' } }],
    ['with one date twice', { headers: { date: [dateIn(0), dateIn(0)] } }],
  ])('is accepted %s', async (_what, given) => {
    const sent = JSON.parse(JSON.stringify(given).replaceAll('PORT', String(simulated.apiPort)))
    expect((await ask({ signature, ...sent })).json.response.result).toBe('auth')
  })
})

describe('row 137: what is looked at first', () => {
  const everythingWrong = {
    signed: { integrationKey: 'DIUNKNOWN00000000001', date: dateIn(900), secretKey: 'x'.repeat(40) },
  }
  it('is the route, then credentials, integration key, timestamp, signature, parameters', async () => {
    const call = client(simulated)
    expect((await call('POST', '/auth/v2/nothing', {}, everythingWrong)).json.code).toBe(40401)
    expect((await call('GET', path, {}, everythingWrong)).json.code).toBe(40501)
    const codes = []
    codes.push((await ask({ ...everythingWrong, headers: { authorization: null } }, {})).json.code)
    codes.push((await ask(everythingWrong, {})).json.code)
    codes.push(
      (await ask({ signed: { ...everythingWrong.signed, integrationKey: keys.integrationKey } }, {})).json.code,
    )
    codes.push((await ask({ signed: { secretKey: 'x'.repeat(40) } }, {})).json.code)
    codes.push((await ask({}, {})).json.code)
    expect(codes).toEqual([40101, 40102, 40105, 40103, 40001])
  })

  it('lets X-Duo-Date stand in for a Date that a client can’t set', async () => {
    const reply = await ask({ headers: { date: null, 'x-duo-date': dateIn(0) } })
    expect(reply.json.response.result).toBe('auth')
  })

  it('covers the x-duo headers in version 5: one that was added on the way is refused', async () => {
    expect((await ask({ signature: 'v5', headers: { 'x-duo-extra': 'a' } })).json.code).toBe(40103)
  })

  it('needs no signature for ping, and names the simulator there', async () => {
    const reply = await client(simulated)('GET', '/auth/v2/ping', {}, { headers: { authorization: null, date: null } })
    expect(reply.text).toBe(`{"response": {"time": ${at / 1000}}, "stat": "OK"}`)
    expect(reply.headers['x-postern-simulator']).toBe('1')
  })
})

describe('requests as other clients write them', () => {
  const raw = (target: string, body: string, headers: Record<string, string>, chunked = false) =>
    new Promise<string>((resolve, reject) => {
      const { apiPort: port, ca } = simulated
      const request = httpsRequest(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port,
          ca,
          method: body ? 'POST' : 'GET',
          path: target,
          headers,
          agent: false,
        },
        response => {
          let text = ''
          response.setEncoding('utf8').on('data', chunk => {
            text += chunk
          })
          response.on('end', () => resolve(text))
        },
      ).on('error', reject)
      if (chunked) for (const byte of body) request.write(byte)
      request.end(chunked ? undefined : body)
    })
  const signedHeaders = async (method: string, to: string, given: Record<string, string>) => {
    const { createHmac } = await import('node:crypto')
    const text = [dateIn(0), method, 'localhost', to, canonical(given)].join('\n')
    const hex = createHmac('sha512', keys.secretKey).update(text).digest('hex')
    const authorization = `Basic ${btoa(`${keys.integrationKey}:${hex}`)}`
    return { host: 'localhost', date: dateIn(0), authorization, 'content-type': 'application/x-www-form-urlencoded' }
  }

  it('accepts chunked bodies, an unsorted form, spaces as + and escapes in lower case', async () => {
    const headers = await signedHeaders('POST', path, { username: 'alice', hostname: 'ü /' })
    expect(await raw(path, 'username=alice&hostname=%c3%bc+%2f', headers, true)).toContain('"result": "auth"')
  })

  it('accepts the absolute form and a bare question mark', async () => {
    const headers = await signedHeaders('GET', '/auth/v2/check', {})
    expect(await raw('/auth/v2/check?', '', headers)).toContain('"stat": "OK"')
    expect(await raw(`https://localhost:${simulated.apiPort}/auth/v2/check`, '', headers)).toContain('"stat": "OK"')
  })

  it('accepts parameters in the query of a POST', async () => {
    const headers = await signedHeaders('POST', path, { username: 'alice', ipaddr: '192.0.2.1' })
    expect(await raw(`${path}?ipaddr=192.0.2.1`, 'username=alice', headers)).toContain('"result": "auth"')
  })

  it('refuses one parameter with two values, and one that is no UTF-8', async () => {
    const twice = await raw(path, 'username=alice&username=bob', await signBytes('username=alice&username=bob'))
    expect(twice).toContain('"message_detail": "username"')
    const broken = await raw(path, 'username=%FF', await signBytes('username=%FF'))
    expect(broken).toBe(
      '{"code": 40002, "message": "Invalid request parameters", "message_detail": "username", "stat": "FAIL"}',
    )
  })
  async function signBytes(line: string) {
    const { createHmac } = await import('node:crypto')
    const hex = createHmac('sha512', keys.secretKey).update([dateIn(0), 'POST', 'localhost', path, line].join('\n'))
    const authorization = `Basic ${btoa(`${keys.integrationKey}:${hex.digest('hex')}`)}`
    return { host: 'localhost', date: dateIn(0), authorization, 'content-type': 'application/x-www-form-urlencoded' }
  }

  it('finds the canonical line of any parameters again, however they were sent', () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 12 })
    fc.assert(
      fc.property(fc.dictionary(word.filter(Boolean), word), given => {
        expect(canonicalLines(parseForm(new URLSearchParams(given).toString()))).toEqual([canonical(given)])
      }),
    )
  })
})
