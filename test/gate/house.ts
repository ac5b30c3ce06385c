import { connect } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import type { z } from 'zod'
import { compileAccess } from '../../src/access/access.ts'
import { authzEndpoints } from '../../src/config/authz-endpoints.ts'
import { type Config, configSchema } from '../../src/config/schema.ts'
import { routedUrl } from '../../src/gate/endpoint.ts'
import { type GateOptions, gate } from '../../src/gate/gate.ts'
import { trustedProxies } from '../../src/http/client-address.ts'
import { cookieValues } from '../../src/http/cookies.ts'
import { type Found, type Session, StoreDown } from '../../src/session/session.ts'
import { createAudit } from '../../src/telemetry/audit.ts'
import { DirectoryDown, type FirstFactor, type Person } from '../../src/users/users.ts'

/** The set-up of the bad-input catalogue: domains, rules and people. */
const rules = {
  default_policy: 'deny',
  rules: [
    { domain: ['public.example.com', 'public.example.org'], policy: 'bypass' },
    { domain: ['one.example.com', 'one.example.org'], policy: 'one_factor' },
    { domain: ['two.example.com', 'two.example.org'], policy: 'two_factor' },
    { domain: ['*.b.example.com'], policy: 'deny' },
    { domain: ['*.app.localhost'], policy: 'one_factor' },
  ],
} satisfies Config['access_control']

export const config = configSchema.parse({
  authentication_backend: { file: { path: 'users.yml' } },
  session: {
    secret: 'a secret of a test, which has thirty-two characters and more',
    cookies: [
      { domain: 'example.com', authelia_url: 'https://auth.example.com' },
      { domain: 'example.org', authelia_url: 'https://auth.example.org:8443/' },
      { domain: 'app.localhost', authelia_url: 'http://auth.app.localhost:8080' },
    ],
  },
  storage: { encryption_key: 'a key of a test, long enough', local: { path: 'db.sqlite3' } },
  access_control: rules,
})

export const john: Person = {
  username: 'john',
  displayName: 'John Doe',
  emails: ['john@example.com', 'second@example.com'],
  groups: ['dev', 'admins'],
  credential: 'c',
}

export const cookieOf = (username: string, level: 1 | 2) => `authelia_session=${username}.${level}`

export interface House {
  readonly app: FastifyInstance
  readonly port: number
  /** Parsed log lines. */
  readonly lines: Record<string, unknown>[]
  readonly touched: string[]
  people: Map<string, Person>
  state: 'up' | 'down' | 'down later' | 'slow'
  /** Of who knows the people. */
  directory: House['state']
  /** What was asked of the password check, in order. */
  readonly checked: { typed: string; password: string; ip: string | undefined }[]
  /** The password check: by default john's is `secret`, and nobody else has one. */
  check: (typed: string, password: string) => FirstFactor | Promise<FirstFactor>
  readonly banned: Set<string>
  now: number
}

/**
 * The gate in a Fastify of its own. Sessions and users stand at its boundary as a few lines in memory: a cookie `john.2` is john at level 2
 * in the cookie domain that is asked for.
 */
export async function house(
  cleanup: (end: () => Promise<void>) => void,
  {
    endpoints,
    ...over
  }: Partial<Omit<GateOptions, 'endpoints'>> & {
    trusted?: readonly string[]
    path?: string
    /** As in the file, under server.endpoints.authz. */
    endpoints?: z.input<typeof authzEndpoints>
  } = {},
): Promise<House> {
  const lines: Record<string, unknown>[] = []
  const configured = authzEndpoints.parse(endpoints ?? {})
  const app = Fastify({
    trustProxy: false,
    rewriteUrl: routedUrl(configured),
    logger: { level: 'debug', stream: { write: (line: string) => void lines.push(JSON.parse(line)) } },
  })
  const at: House = {
    app,
    port: 0,
    lines,
    touched: [],
    people: new Map([['john', john]]),
    state: 'up',
    directory: 'up',
    checked: [],
    check: (typed, password) => {
      const person = password === 'secret' ? at.people.get(typed) : undefined
      return person === undefined
        ? { outcome: 'refused', triesLeft: 2, cause: 'wrong-password' }
        : { outcome: 'accepted', person }
    },
    banned: new Set(),
    now: Date.UTC(2026, 0, 1),
  }
  const find: GateOptions['sessions']['find'] = (rawHeaders, domain) => {
    if (at.state === 'down') throw new StoreDown('no store')
    const [, username, level] = /^([a-z]+)\.([12])$/.exec(cookieValues(rawHeaders, domain.name)[0] ?? '') ?? []
    const found: Found =
      username === undefined
        ? { state: 'anonymous', ended: null }
        : { state: 'live', session: session(username, level === '2' ? 2 : 1, domain.domain) }
    if (at.state === 'down later') return Promise.reject(new StoreDown('no store'))
    return at.state === 'slow' ? Promise.resolve(found) : found
  }
  await app.register(gate, {
    sessions: { find, touch: ({ username }) => void at.touched.push(username) },
    users: {
      find: username => {
        const person = at.people.get(username)
        if (at.directory === 'down') throw new DirectoryDown('no directory')
        if (at.directory === 'down later') return Promise.reject(new DirectoryDown('no directory'))
        return at.directory === 'slow' ? Promise.resolve(person) : person
      },
      ban: username => {
        const ban = at.banned.has(username) ? ({ until: null, whose: 'name', by: 'administrator' } as const) : null
        return at.directory === 'slow' ? Promise.resolve(ban) : ban
      },
      checkPassword: async (typed, password, { ip }) => {
        at.checked.push({ typed, password, ip })
        return at.check(typed, password)
      },
    },
    endpoints: configured,
    access: compileAccess({ access_control: rules, definitions: { network: {} } }),
    cookies: config.session.cookies,
    proxies: trustedProxies(over.trusted ?? ['127.0.0.0/8']),
    clock: () => at.now,
    log: app.log,
    audit: createAudit(app.log),
    ...over,
  })
  await app.listen(over.path === undefined ? { port: 0, host: '127.0.0.1' } : { path: over.path })
  cleanup(async () => {
    await app.close()
  })
  const address = app.server.address()
  return Object.assign(at, { port: typeof address === 'object' && address !== null ? address.port : 0 })
}

function session(username: string, level: 1 | 2, cookieDomain: string): Session {
  return {
    key: `key of ${username}`,
    username,
    credential: 'c',
    level,
    cookieDomain,
    remember: false,
    passwordAt: 0,
    secondFactor: null,
    expiresAt: Number.MAX_SAFE_INTEGER,
    browser: 'Firefox on Linux',
    ip: undefined,
  }
}

export interface Answer {
  readonly status: number
  /** Names in lower case; a doubled one keeps its last. */
  readonly headers: Record<string, string>
  readonly body: string
  /** Everything, byte for byte as latin1. */
  readonly raw: string
}

/** Sends these bytes and reads until the server closes, or the whole of one answer has come. No client library: it would mend what a test breaks. */
export function exchange(to: { port: number } | { path: string }, bytes: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect('port' in to ? { port: to.port, host: '127.0.0.1' } : to)
    let raw = ''
    const finish = () => {
      socket.destroy()
      const [head = '', ...rest] = raw.split('\r\n\r\n')
      const [first = '', ...fields] = head.split('\r\n')
      resolve({
        status: Number(first.split(' ')[1]),
        headers: Object.fromEntries(
          fields.map(line => {
            const colon = line.indexOf(':')
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
          }),
        ),
        body: rest.join('\r\n\r\n'),
        raw,
      })
    }
    socket.on('data', chunk => {
      raw += chunk.toString('latin1')
    })
    socket.on('end', finish)
    socket.on('error', error => (raw === '' ? reject(error) : finish()))
    socket.write(bytes, 'latin1')
  })
}

type Fields = readonly (readonly [name: string, value: string])[]

/** A request to the gate, with these header lines exactly, in this order. */
export function ask(
  to: { port: number } | { path: string },
  path: string,
  fields: Fields,
  method = 'GET',
  host = 'postern',
) {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return exchange(to, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}Connection: close\r\n\r\n`)
}

export const authRequest = '/api/authz/auth-request'
export const forwardAuth = '/api/authz/forward-auth'
export const extAuthz = '/api/authz/ext-authz'
export const legacy = '/api/verify'

export interface Judged {
  readonly url?: string
  readonly method?: string
  readonly cookie?: string
  readonly accept?: string
  readonly more?: Fields
  /** The method by which the proxy asks; not where that is the visitor's own. */
  readonly by?: string
  /** Of the proxy's own. */
  readonly query?: string
  /** Where it asks, in place of the built-in endpoint. */
  readonly at?: string
}

/** As nginx asks. */
export function asNginx(to: House, judged: Judged = {}) {
  const { url = 'https://one.example.com/', method = 'GET' } = judged
  return ask(
    to,
    `${judged.at ?? authRequest}${judged.query ?? ''}`,
    [['X-Original-URL', url], ['X-Original-Method', method], ...rest(judged)],
    judged.by,
  )
}

function parted(url: string): [scheme: string, host: string, target: string] {
  const [, scheme = '', host = '', target = ''] = /^([^:]*):\/\/([^/]*)(.*)$/s.exec(url) ?? []
  return [scheme, host, target]
}

function forwarded({ url = 'https://one.example.com/', method = 'GET' }: Judged): Fields {
  const [scheme, host, target] = parted(url)
  return [
    ['X-Forwarded-Proto', scheme],
    ['X-Forwarded-Host', host],
    ['X-Forwarded-URI', target],
    ['X-Forwarded-Method', method],
    ['X-Forwarded-For', '203.0.113.9'],
  ]
}

/** As Traefik and Caddy ask. */
export function asTraefik(to: House, judged: Judged = {}) {
  const path = `${judged.at ?? forwardAuth}${judged.query ?? ''}`
  return ask(to, path, [...forwarded(judged), ...rest(judged)], judged.by)
}

/** As Envoy asks: by the visitor's method, path and Host. */
export function asEnvoy(to: House, judged: Judged = {}) {
  const [scheme, host, target] = parted(judged.url ?? 'https://one.example.com/')
  return ask(
    to,
    `${judged.at ?? extAuthz}/${target}`,
    [['X-Forwarded-Proto', scheme], ['X-Forwarded-For', '203.0.113.9'], ...rest(judged)],
    judged.by ?? judged.method,
    host,
  )
}

const portalFor = (url: string) =>
  url.includes('example.org')
    ? 'https://auth.example.org:8443/'
    : url.includes('.localhost')
      ? 'http://auth.app.localhost:8080/'
      : 'https://auth.example.com/'

/** As an older Traefik file asks, which names the portal. */
export function asLegacy(to: House, judged: Judged = {}) {
  const query = judged.query ?? `?rd=${encodeURIComponent(portalFor(judged.url ?? ''))}`
  return ask(to, `${judged.at ?? legacy}${query}`, [...forwarded(judged), ...rest(judged)], judged.by)
}

function rest({ cookie, accept = 'text/html', more = [] }: Judged): Fields {
  return [
    ...(cookie === undefined ? [] : [['Cookie', cookie] as const]),
    ...(accept === '' ? [] : [['Accept', accept] as const]),
    ...more,
  ]
}

/**
 * Every dialect: what differs is a row, so what is alike is asked of each. `bad`: its status for what can't be judged. `raw`: a question about
 * https://public.example.com/ by these header lines alone, as far as they ask. `names`: the parameter by which the proxy names the portal.
 */
export const proxiesOf = [
  ['auth-request', asNginx, { bad: 400, raw: rawAt(authRequest), names: 'authelia_url' }],
  ['forward-auth', asTraefik, { bad: 400, raw: rawAt(forwardAuth), names: 'authelia_url' }],
  ['ext-authz', asEnvoy, { bad: 400, raw: rawAt(`${extAuthz}//`), names: null }],
  ['legacy', asLegacy, { bad: 401, raw: rawAt(legacy), names: 'rd' }],
] as const

function rawAt(path: string) {
  return (to: { port: number } | { path: string }, fields: Fields, by?: string) =>
    ask(to, path, fields, by, 'public.example.com')
}

/** What a refusal must not have. */
export function opensNothing(answer: Answer): boolean {
  return answer.status !== 200 && !('set-cookie' in answer.headers) && !('remote-user' in answer.headers)
}
