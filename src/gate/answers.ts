import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Decision } from '../access/access.ts'
import type { Clock } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import { clientOf, type TrustedProxies } from '../http/client-address.ts'
import { cookieWithout } from '../http/cookies.ts'
import { problems, type Reason } from '../problems/problems.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Deny } from '../telemetry/denials.ts'
import type { Occasional } from '../telemetry/occasional.ts'
import type { Person } from '../users/users.ts'
import type { Assertions } from './assertion.ts'
import { commonHeaders } from './common-headers.ts'
import type { Asked } from './dialect.ts'
import type { Endpoint } from './endpoint.ts'
import { type Identity, identityOf, nobody } from './identity.ts'
import { type GatePages, linkPage } from './pages.ts'
import type { Portal } from './portal-url.ts'
import type { ProxyHeaders } from './proxy-headers.ts'
import type { HeaderStrategy } from './strategy.ts'

/** A request to the gate that may not be judged yet, and what was read of it so far. */
export interface Request {
  readonly endpoint: Endpoint
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly headers?: ProxyHeaders
  readonly domain?: CookieDomain
}

/** One that can be judged. */
export interface Question extends Request {
  readonly headers: ProxyHeaders
  readonly domain: CookieDomain
  readonly asked: Asked
  readonly portal: Portal
  /** Whether the proxy names the portal. */
  readonly isNamed: boolean
}

interface Refused {
  readonly reason: Reason
  /** For the log. */
  readonly detail: string
  readonly host?: string
}

interface Parts {
  readonly proxies: TrustedProxies
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  readonly occasionally: Occasional
  readonly pages: GatePages
  readonly deny: Deny
  readonly assertions: Assertions | undefined
  readonly clock: Clock
  pagePolicyOf(domain: CookieDomain): string | undefined
  counterOf(endpoint: string, status: number): () => void
}

interface Refusal {
  /** Under which the log has why. */
  readonly ref?: string
  readonly retryAfterSeconds?: number
}

const NOTHING = "default-src 'none'"

/** How the gate says what it decided. One function for each answer; each ends the request. */
export function answersOf({
  proxies,
  log,
  audit,
  occasionally,
  pages,
  deny,
  assertions,
  clock,
  pagePolicyOf,
  counterOf,
}: Parts) {
  const identities = new WeakMap<Person, Identity | 'not-exact'>()
  const counters = new Map<Endpoint, Map<number, () => void>>()

  function count(endpoint: Endpoint, status: number): void {
    let counter = counters.get(endpoint)?.get(status)
    if (counter === undefined) {
      counter = counterOf(endpoint.name, status)
      counters.set(endpoint, new Map(counters.get(endpoint)).set(status, counter))
    }
    counter()
  }

  function begin({ endpoint, reply }: Request, status: number): FastifyReply {
    count(endpoint, status)
    return reply.code(status).headers(commonHeaders)
  }

  function allow(question: Question, person: Person | undefined, decision: Decision): unknown {
    const identity = person === undefined ? nobody : identityFor(person)
    if (identity === 'not-exact')
      return forbid(question, person, { ...decision, why: 'the name cannot be written into a header' })
    if (assertions === undefined) return yes(question, identity.headers)
    const { domain, asked } = question
    const signed = person === undefined ? '' : assertions.about({ person, identity }, domain, asked.url.host, clock())
    return typeof signed === 'string'
      ? yes(question, [...identity.headers, 'remote-assertion', signed])
      : signed.then(token => yes(question, [...identity.headers, 'remote-assertion', token]))
  }

  function yes({ reply, request, domain, asked, endpoint }: Question, headers: readonly string[]): unknown {
    // For the proxy to pass on in place of the visitor's: an application that logs its cookies must not hold sessions.
    // Empty rather than absent, which Caddy 2.6 would pass on as the name of its variable.
    const cookie = cookieWithout(request.raw.rawHeaders, domain.name)
    const text = asked.method === 'HEAD' ? '' : '200 OK'
    count(endpoint, 200)
    // The one answer that is given for every request of everybody: past the framework, which costs a tenth of it, and in latin1, so that
    // Node, which writes headers and body in one piece, sends the bytes of UTF-8 as they are.
    reply.hijack()
    reply.raw
      .writeHead(200, [...headers, 'cookie', cookie, 'content-length', text === '' ? '0' : '6'])
      .end(text, 'latin1')
    return reply
  }

  /** Log in first, at the portal. */
  function logIn(question: Question): unknown {
    const { endpoint, portal, asked, headers, isNamed } = question
    const { method, url } = asked
    if (portal.isAskedFor(url)) {
      const detail = `The proxy asks about ${url.host}, which is the portal, and the rules want a login there.`
      return refuse(question, { reason: 'gate-portal', detail, host: url.host })
    }
    if (endpoint.dialect.portalMustBeNamed && !isNamed) {
      begin(question, 401)
      return body(question, method, undefined, statusWords[401], NOTHING)
    }
    const status = endpoint.dialect.loginStatus(method, opensPage(headers))
    const words = statusWords[status]
    const location = portal.loginUrl(url, method)
    begin(question, status).header('location', location)
    return body(question, method, readsHtml(headers) ? linkPage(words, location) : undefined, words, NOTHING)
  }

  /** Name and password, please: for programs. Without a Location, which would send them to a page. */
  function challenge(question: Question, { challenge: { status, header } }: HeaderStrategy): unknown {
    begin(question, status).header(header, 'Basic realm="Authorization Required"')
    return body(question, question.asked.method, undefined, statusWords[status], NOTHING)
  }

  function forbid(question: Question, person: Person | undefined, { rule, why }: Decision): unknown {
    const { request, endpoint, domain, portal, asked, headers } = question
    const { method, url } = asked
    const ip = clientOf(request.raw, proxies).address
    const ref = deny({ username: person?.username, ip, host: url.host, rule, why })
    const reply = begin(question, 403)
    if (endpoint.dialect.dropsBody) reply.header('x-postern-denied', portal.deniedUrl(url, method))
    const page = readsHtml(headers) ? pages.denied({ domain, url, method, person, ref }) : undefined
    return body(question, method, page, '403 Forbidden', portal.pagePolicy)
  }

  /** The store, or the passwords, cannot be asked now. Never a redirect: the portal could do nothing about it, and it would loop. */
  function unavailable(question: Question, { ref, retryAfterSeconds }: Refusal): unknown {
    const reply = begin(question, 503)
    if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
    const text = `503 Service Unavailable${ref === undefined ? '' : `. Reference: ${ref}`}`
    return body(question, question.asked.method, undefined, text, NOTHING)
  }

  function untrusted(at: Request): unknown {
    const { peer } = clientOf(at.request.raw, proxies)
    const line = peer === undefined ? 'unix' : `${peer}/${peer.includes(':') ? 128 : 32}`
    return refuse(at, {
      reason: 'gate-untrusted-peer',
      detail: `${peer ?? 'The peer of the unix socket'} asked the gate and is no trusted proxy. If it is your proxy, add to server.trusted_proxies: - '${line}'`,
    })
  }

  /** Clear to the administrator in the log, short to the visitor: the body never repeats a header's value. */
  function refuse(at: Request, { reason, detail, host }: Refused, status?: 431): unknown {
    const { endpoint, request, headers, domain } = at
    const { address, peer } = clientOf(request.raw, proxies)
    // What a visitor can write into a URL makes no kind of its own.
    const about = reason === 'gate-untrusted-peer' ? peer : reason === 'gate-headers' ? detail : host
    const kind = `${reason} ${about ?? ''}`
    const ref = occasionally(kind, (ref, count) =>
      audit('gate.refused', { ref, ...withIp(address), ...(host && { host }), reason, detail, count }),
    )
    begin(at, status ?? endpoint.dialect.refusedStatus)
    const page = headers !== undefined && readsHtml(headers) ? pages.bad({ domain, reason, ref }) : undefined
    const text = `${problems[reason].title}. Reference: ${ref}`
    return body(at, request.method, page, text, (domain && pagePolicyOf(domain)) ?? NOTHING)
  }

  function wrongMethod(endpoint: Endpoint, reply: FastifyReply, allowed: readonly string[]): void {
    count(endpoint, 405)
    reply
      .code(405)
      .headers({ ...commonHeaders, allow: allowed.join(', '), connection: 'close' })
      .send('405 Method Not Allowed')
  }

  function identityFor(person: Person): Identity | 'not-exact' {
    const known = identities.get(person)
    if (known !== undefined) return known
    const identity = identityOf(person) ?? 'not-exact'
    identities.set(person, identity)
    if (identity !== 'not-exact' && identity.groupsLeftOut > 0)
      occasionally(`groups ${person.username}`, () =>
        log.warn(
          { username: person.username, count: identity.groupsLeftOut },
          'Remote-Groups leaves out groups: too many for a header, or with a comma, a control character or outer white space',
        ),
      )
    return identity
  }

  return { allow, logIn, challenge, forbid, unavailable, untrusted, refuse, wrongMethod }
}

const statusWords = {
  302: '302 Found',
  303: '303 See Other',
  401: '401 Unauthorized',
  407: '407 Proxy Authentication Required',
} as const

function body({ reply }: Request, method: string, page: string | undefined, text: string, policy: string): unknown {
  if (page !== undefined)
    reply.header('content-type', 'text/html; charset=utf-8').header('content-security-policy', policy)
  return reply.send(method === 'HEAD' ? '' : (page ?? text))
}

/** As Authelia: a browser that opens a page. A script (XMLHttpRequest, fetch) or a socket can't follow a redirect to the portal. */
function opensPage(headers: ProxyHeaders): boolean {
  const by = headers['x-requested-with']
  if (typeof by === 'string' && by.toLowerCase() === 'xmlhttprequest') return false
  const types = acceptedTypes(headers)
  return types.includes('text/html') || types[0] === '*/*'
}

function readsHtml(headers: ProxyHeaders): boolean {
  return acceptedTypes(headers).includes('text/html')
}

function acceptedTypes({ accept }: ProxyHeaders): (string | undefined)[] {
  if (typeof accept !== 'string') return []
  return accept.split(',', 50).map(range => range.split(';', 1)[0]?.trim().toLowerCase())
}

const withIp = (ip: string | undefined) => (ip === undefined ? {} : { ip })
