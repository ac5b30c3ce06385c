import { describe, expect, it } from 'vitest'
import { until } from '../support/process.ts'
import { client, simulator } from './client.ts'

const check = '/auth/v2/check'

describe('a scenario', () => {
  it.each([
    [{ kind: 'throttled' }, 429, { code: 42901 }, undefined],
    [{ kind: 'throttled', retryAfter: 7 }, 429, { code: 42901 }, '7'],
    [{ kind: 'server-error' }, 500, { code: 50000 }, undefined],
    [{ kind: 'server-error', status: 503 }, 503, { code: 50300 }, undefined],
    [
      { kind: 'deprecated-client' },
      403,
      { code: 40301, message: expect.stringContaining('Client ours version 1.0') },
      undefined,
    ],
    [{ kind: 'wrong-application' }, 403, { message_detail: 'Wrong integration type for this API.' }, undefined],
  ] as const)('%j answers in Duo’s place', async (scenario, status, body, retryAfter) => {
    const simulated = await simulator()
    simulated.setScenario(scenario)
    const reply = await client(simulated)('GET', check, {}, { headers: { 'user-agent': 'ours/1.0' } })
    expect([reply.status, reply.headers['retry-after']]).toEqual([status, retryAfter])
    expect(reply.json).toMatchObject({ stat: 'FAIL', ...body })
  })

  it('html is a front end’s page, malformed is JSON that ends too early', async () => {
    const simulated = await simulator()
    const call = client(simulated)
    simulated.setScenario({ kind: 'html' })
    simulated.setScenario({ kind: 'malformed' })
    const html = await call('GET', check)
    expect([html.status, html.headers['content-type'], html.text]).toEqual([
      502,
      'text/html',
      expect.stringContaining('<h1>502'),
    ])
    const malformed = await call('GET', check)
    expect(malformed.status).toBe(200)
    expect(() => malformed.json).toThrow(SyntaxError)
  })

  it.each([
    ['refused', 0],
    ['lost', 1],
  ] as const)('%s ends the connection without a byte, and the phone rings %d times', async (kind, pushes) => {
    const simulated = await simulator()
    simulated.setScenario({ kind, path: 'auth' })
    const sent = client(simulated)('POST', '/auth/v2/auth', {
      username: 'alice',
      factor: 'push',
      device: 'auto',
      async: '1',
    })
    await expect(sent).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' })
    expect(simulated.pushes()).toHaveLength(pushes)
  })

  it.each([{}, { reset: true }])('cut ends the connection in the middle of the body: %j', async options => {
    const simulated = await simulator()
    simulated.setScenario({ kind: 'cut', ...options })
    await expect(client(simulated)('GET', check)).rejects.toThrow()
  })

  it.each(['silent', 'hanging'] as const)('%s never ends an answer; the client’s patience does', async kind => {
    const simulated = await simulator()
    const call = client(simulated)
    simulated.setScenario({ kind })
    const patience = new AbortController()
    const waiting = call('GET', check, {}, { signal: patience.signal }).then(
      () => 'answered',
      (error: Error) => error.name,
    )
    // It has met the call when it is gone from the list.
    await until(async () => {
      const list = await fetch(`${simulated.phoneUrl}/control/scenarios`)
      return (await list.text()) === '{"scenarios":[]}'
    }, 'the scenario to meet the call')
    expect((await call('GET', check)).status).toBe(200) // others are served meanwhile
    patience.abort()
    expect(await waiting).toBe('AbortError')
  })

  it('late answers later', async () => {
    const simulated = await simulator()
    simulated.setScenario({ kind: 'late', milliseconds: 150 })
    const before = performance.now()
    expect((await client(simulated)('GET', check)).status).toBe(200)
    expect(performance.now() - before).toBeGreaterThan(140)
  })

  it('meets only its path, as often as it says, one behind the other; null clears', async () => {
    const simulated = await simulator()
    const call = client(simulated)
    const statuses = async (...paths: string[]) => {
      const found = []
      for (const path of paths) found.push((await call('GET', `/auth/v2/${path}`)).status)
      return found
    }
    simulated.setScenario({ kind: 'server-error', path: 'check', times: 2 })
    simulated.setScenario({ kind: 'throttled', path: 'any' })
    expect(await statuses('check', 'ping', 'check', 'check')).toEqual([500, 429, 500, 200])
    simulated.setScenario({ kind: 'throttled', times: 10 })
    simulated.setScenario(null)
    expect(await statuses('check')).toEqual([200])
  })

  it('leaves Duo’s order of checks: a wrong application shows only to right keys', async () => {
    const simulated = await simulator()
    simulated.setScenario({ kind: 'wrong-application' })
    const reply = await client(simulated)('GET', check, {}, { signed: { secretKey: 'x'.repeat(40) } })
    expect(reply.json.code).toBe(40103)
  })
})

describe('the control API', () => {
  const control = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const simulated = await simulator()
    const reply = await fetch(`${simulated.phoneUrl}/control/${path}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    return { simulated, status: reply.status, text: await reply.text() }
  }

  it.each([
    ['an unknown kind', { kind: 'earthquake' }],
    ['no kind', {}],
    ['a delay of -1', { kind: 'late', milliseconds: -1 }],
    ['a delay of 1e9', { kind: 'late', milliseconds: 1e9 }],
    ['a delay that is no number', { kind: 'late', milliseconds: '100' }],
    ['an unknown path', { kind: 'lost', path: '../check' }],
    ['no times', { kind: 'lost', times: 0 }],
    ['endless times', { kind: 'lost', times: 1e9 }],
    ['an unknown field', { kind: 'lost', when: 'now' }],
    ['a list', []],
    ['null', 'null'],
    ['half of a document', '{"kind": "lost"'],
    ['10 MB', { kind: 'lost', path: 'x'.repeat(10_000_000) }],
  ])('row 139: %s is 400, and nothing is set', async (_what, body) => {
    const { simulated, status, text } = await control('POST', 'scenarios', body)
    expect([status, text.length < 2000]).toEqual([400, true])
    expect(JSON.parse(text)).toHaveProperty('error')
    expect((await client(simulated)('GET', check)).status).toBe(200)
  })

  it.each([
    ['PUT', 'users', [{ username: '' }]],
    ['PUT', 'users', [{ username: 'a', devices: [{ id: 'DP1' }, { id: 'DP1' }] }]],
    ['PATCH', 'policy', { newUser: 'perhaps' }],
    ['PATCH', 'policy', { unknown: true }],
    ['POST', 'pushes/push_1', { answer: 'maybe' }],
    ['POST', 'activations', {}],
  ])('row 139: %s %s %j is 400', async (method, path, body) => {
    expect((await control(method, path, body)).status).toBe(400)
  })

  it('row 139: a hundred scenarios at most are kept', async () => {
    const simulated = await simulator()
    for (let i = 0; i < 150; i++) simulated.setScenario({ kind: 'lost' })
    const { scenarios } = (await (await fetch(`${simulated.phoneUrl}/control/scenarios`)).json()) as {
      scenarios: unknown[]
    }
    expect(scenarios).toHaveLength(100)
  })

  it('sets and clears scenarios', async () => {
    const { simulated, status } = await control('POST', 'scenarios', { kind: 'server-error', path: 'check', times: 3 })
    expect(status).toBe(201)
    const call = client(simulated)
    expect((await call('GET', check)).status).toBe(500)
    expect((await fetch(`${simulated.phoneUrl}/control/scenarios`, { method: 'DELETE' })).status).toBe(204)
    expect((await call('GET', check)).status).toBe(200)
  })

  it('changes users and policy, lists pushes and answers them', async () => {
    const simulated = await simulator()
    const send = (method: string, path: string, body: unknown) =>
      fetch(`${simulated.phoneUrl}/control/${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    expect((await send('PUT', 'users', [{ username: 'dora', devices: [{ id: 'DPDORA' }] }])).status).toBe(200)
    expect(await (await send('PATCH', 'policy', { usernameNormalization: 'simple' })).json()).toMatchObject({
      usernameNormalization: 'simple',
      newUser: 'enroll',
    })
    const call = client(simulated)
    await call('POST', '/auth/v2/auth', { username: 'dora@x.example', factor: 'push', device: 'auto', async: '1' })
    const listed = (await (await fetch(`${simulated.phoneUrl}/control/pushes`)).json()) as { pushes: { id: string }[] }
    const id = listed.pushes[0]?.id
    expect((await send('POST', `pushes/${id}`, { answer: 'deny' })).status).toBe(200)
    expect((await send('POST', `pushes/${id}`, { answer: 'approve' })).status).toBe(409)
    expect(simulated.pushes()[0]?.state).toBe('denied')
  })
})
