import { connect } from 'node:net'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type RunningTable, runningTable } from '../gate/table/running.ts'
import { endsWithSuite } from '../support/process.ts'
import { timeout, tryOut } from './budget.ts'
import { changed, changes } from './bytes.ts'
import { judgeMessage, judgeParts, judgeUrl, type Message, type Place, written } from './oracle.ts'

let at: RunningTable
const endsWith = endsWithSuite()
beforeAll(async () => {
  at = await runningTable(endsWith)
})

/** Sends the bytes and nothing more; what came back until the server closed. A server that holds the connection open would hold the test. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: at.port, host: '127.0.0.1', allowHalfOpen: true })
    let raw = ''
    socket.on('data', chunk => {
      raw += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(raw))
    socket.on('end', () => socket.end())
    // A reset is an end too: the server closes while bytes are still on their way.
    socket.on('error', error =>
      'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE') ? undefined : reject(error),
    )
    socket.end(bytes, 'latin1')
  })
}

interface First {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
}

function firstAnswer(raw: string): First | undefined {
  const [head = ''] = raw.split('\r\n\r\n')
  const [line = '', ...fields] = head.split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]
  if (status === undefined) return undefined
  const pairs = fields.map(
    one => [one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 1).trim()] as const,
  )
  return { status: Number(status), headers: new Map(pairs) }
}

type Kind = 'forward-auth' | 'auth-request' | 'ext-authz' | 'legacy'
const mounts: Record<Kind, string> = {
  'auth-request': '/api/authz/auth-request',
  'forward-auth': '/api/authz/forward-auth',
  'ext-authz': '/api/authz/ext-authz',
  legacy: '/api/verify',
}

const one = ({ fields }: Message, name: string): string | undefined => {
  const values = fields.filter(([of]) => of === name)
  return values.length === 1 ? values[0]?.[1] : undefined
}
const some = ({ fields }: Message, name: string) => fields.some(([of]) => of === name)

/** What a whole well-formed question to a gate asks about, if it asks. */
function askedBy(message: Message): { kind: Kind; place: Place; method: string } | undefined {
  const origin = message.target.replace(/^https?:\/\/[^/?#]*/i, '')
  const kind = (Object.keys(mounts) as Kind[]).find(name => origin.startsWith(mounts[name]))
  if (kind === undefined) return undefined
  const forwarded = () => {
    const parts = ['x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-uri'].map(name => one(message, name))
    const [scheme, host, target] = parts
    return scheme === undefined || host === undefined || target === undefined || target.startsWith('?')
      ? undefined
      : judgeParts(scheme, host, target)
  }
  const original = () => {
    const url = one(message, 'x-original-url')
    return url === undefined ? undefined : judgeUrl(url)
  }
  const behind = () => {
    const scheme = one(message, 'x-forwarded-proto')
    const host = one(message, 'host')
    const path = origin.slice(mounts[kind].length)
    if (scheme === undefined || host === undefined) return undefined
    return judgeParts(scheme, host, path.startsWith('//') ? path.slice(1) : path)
  }
  const place = {
    'auth-request': original,
    'forward-auth': forwarded,
    'ext-authz': behind,
    legacy: () => (some(message, 'x-original-url') ? original() : forwarded()),
  }[kind]()
  const method = {
    'auth-request': one(message, 'x-original-method'),
    'forward-auth': one(message, 'x-forwarded-method'),
    'ext-authz': message.method,
    legacy: one(message, 'x-forwarded-method') ?? one(message, 'x-original-method'),
  }[kind]
  return place === undefined || method === undefined || !/^[A-Z]{1,32}$/.test(method)
    ? undefined
    : { kind, place, method }
}

/** Hosts where everybody may do everything. The seeds ask about no other that is open in part. */
const isOpen = ({ host }: Place) =>
  /^public\.(example\.com|example\.org|app\.localhost)$/.test(host) || host.endsWith('.wild.example.com')

/** Of anybody who has no session: whatever the bytes, these hold. */
function expectSafe(bytes: string, raw: string): First | undefined {
  const what = `${JSON.stringify(bytes)}\n${raw}`
  const answer = firstAnswer(raw)
  if (answer === undefined) {
    expect(raw, what).toBe('')
    return undefined
  }
  const { status, headers } = answer
  expect(status, what).toBeLessThan(500)
  expect(headers.has('set-cookie'), what).toBe(false)
  const message = judgeMessage(bytes)
  const asked = message && askedBy(message)
  if (headers.has('remote-user')) {
    // It let somebody in.
    expect(status, what).toBe(200)
    expect(asked !== undefined && isOpen(asked.place), what).toBe(true)
    expect(headers.get('remote-user'), what).toBe('')
  }
  const location = headers.get('location')
  // The portal, whose pages answer under every other path, redirects to itself.
  if (location !== undefined && /[?&]rm=/.test(location)) {
    expect(asked, what).toBeDefined()
    if (asked === undefined) return answer
    const way = new URL(location)
    expect(way.origin, what).toBe(portalOf(asked.place.host))
    expect(way.searchParams.get('rd'), what).toBe(written(asked.place))
    expect(way.searchParams.get('rm'), what).toBe(asked.method)
    expect(isOpen(asked.place), what).toBe(false)
  }
  return answer
}

function portalOf(host: string): string {
  const within = (domain: string) => host === domain || host.endsWith(`.${domain}`)
  if (within('example.com')) return 'https://auth.example.com'
  return within('example.org') ? 'https://login.example.org:8443' : 'http://auth.app.localhost:8080'
}

const host = fc.constantFrom(
  'public.example.com',
  'one.example.com',
  'two.example.org',
  'closed.example.com',
  'x.b.example.com',
  'x.wild.example.com',
  'public.app.localhost',
)
const target = fc.constantFrom('/', '/a/b?c=d', '/public/../secret', '/%2e%2e/x', '?x=1', '', '/a;b', '//x')
const method = fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS')

const seed = fc
  .tuple(fc.constantFrom<Kind[]>('forward-auth', 'auth-request', 'ext-authz', 'legacy'), host, target, method)
  .map(questionBy)

/** As a proxy of this kind asks. */
function questionBy([kind, name, path, verb]: [Kind, string, string, string]): string {
  const forwarded = `X-Forwarded-Proto: https\r\nX-Forwarded-Host: ${name}\r\nX-Forwarded-URI: ${path.replace(/^\?/, '/?')}\r\nX-Forwarded-Method: ${verb}\r\n`
  const original = `X-Original-URL: https://${name}${path}\r\nX-Original-Method: ${verb}\r\n`
  const end = 'X-Forwarded-For: 203.0.113.9\r\nAccept: text/html\r\nConnection: close\r\n\r\n'
  switch (kind) {
    case 'forward-auth':
      return `GET ${mounts[kind]} HTTP/1.1\r\nHost: postern\r\n${forwarded}${end}`
    case 'auth-request':
      return `GET ${mounts[kind]} HTTP/1.1\r\nHost: postern\r\n${original}${end}`
    case 'legacy':
      return `GET ${mounts[kind]} HTTP/1.1\r\nHost: postern\r\n${name.startsWith('x') ? original : forwarded}${end}`
    case 'ext-authz':
      return `${verb} ${mounts[kind]}/${path} HTTP/1.1\r\nHost: ${name}\r\nX-Forwarded-Proto: https\r\n${end}`
  }
}

/** Many at once, since each waits for the network. */
const ROUND = 24

describe('a fuzzer of whole requests to the gate', () => {
  it('row 23: lets nobody in by a request line without a version, which it once found', async () => {
    const fields =
      'Host: public.example.com\r\nX-Forwarded-Proto: https\r\nX-Original-URL: https://public.example.com/\r\nX-Original-Method: GET\r\n'
    for (const target of [`${mounts['ext-authz']}//`, `${mounts['ext-authz']}//x%2eHTTP/1.1`, mounts['auth-request']])
      for (const verb of ['GET', 'POST'])
        expect(firstAnswer(await exchange(`${verb} ${target}\r\n${fields}Connection: close\r\n\r\n`))?.status).not.toBe(
          200,
        )
  })

  it('finds no bytes that let anybody in where a strict parser sees no question about an open host, nor a way back that was not asked about', {
    timeout,
  }, async () => {
    let [open, ways] = [0, 0]
    await tryOut(
      fc.asyncProperty(fc.array(fc.tuple(seed, changes), { minLength: ROUND, maxLength: ROUND }), async round => {
        await Promise.all(
          round.map(async ([start, list]) => {
            const bytes = changed(start, list)
            const answer = expectSafe(bytes, await exchange(bytes))
            if (answer?.headers.has('remote-user')) open++
            if (answer?.headers.has('location')) ways++
          }),
        )
      }),
    )
    // Or it has tried nothing; and it still answers.
    expect(open).toBeGreaterThan(2)
    expect(ways).toBeGreaterThan(2)
  })

  it('finds no X-Forwarded-For that is in a network but by its right-most untrusted address', { timeout }, async () => {
    const entry = fc.oneof(
      fc.constantFrom(
        '10.0.0.9',
        '203.0.113.9',
        '127.0.0.1',
        '::ffff:10.0.0.9',
        '::10.0.0.9',
        '::1',
        '0x0a.0.0.9',
        '10.9',
        '010.0.0.9',
        '10.0.0.9:80',
        '[::ffff:10.0.0.9]',
        'unknown',
        '',
        '10.0.0.9 x',
        '2001:db8::1',
        '64:ff9b::10.0.0.9',
      ),
      fc.ipV4(),
      fc.ipV6(),
    )
    const chain = fc.array(fc.array(entry, { minLength: 1, maxLength: 4 }), { maxLength: 3 })
    let inside = 0
    await tryOut(
      fc.asyncProperty(fc.array(chain, { minLength: ROUND, maxLength: ROUND }), async round => {
        await Promise.all(
          round.map(async lines => {
            const fields = lines.map(values => `X-Forwarded-For: ${values.join(', ')}\r\n`).join('')
            const raw = await exchange(
              `GET ${mounts['auth-request']} HTTP/1.1\r\nHost: postern\r\nX-Original-URL: https://net.example.com/\r\nX-Original-Method: GET\r\n${fields}Connection: close\r\n\r\n`,
            )
            const allowed = firstAnswer(raw)?.status === 200
            const last = lines.flat().findLast(value => !/^127\.\d+\.\d+\.\d+$/.test(value))
            // The table of trusted proxies holds 127/8 alone.
            expect(allowed, JSON.stringify(lines)).toBe(
              last !== undefined && /^(::ffff:)?10(\.(0|[1-9]\d{0,2})){3}$/i.test(last),
            )
            if (allowed) inside++
          }),
        )
      }),
    )
    expect(inside).toBeGreaterThan(1)
  })
})
