import type { FastifyBaseLogger, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'
import { type Access, verdict } from '../access/access.ts'
import type { Clock } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import { clientOf, type TrustedProxies } from '../http/client-address.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import { cookieWithout } from '../http/cookies.ts'
import { HEADER_LINES_AT_MOST } from '../http/headers.ts'
import { problems, type Reason } from '../problems/problems.ts'
import { type Found, type Session, type Sessions, StoreDown } from '../session/session.ts'
import type { Audit } from '../telemetry/audit.ts'
import { occasional } from '../telemetry/occasional.ts'
import { newReference } from '../telemetry/reference.ts'
import type { Person, Users } from '../users/users.ts'
import { commonHeaders } from './common-headers.ts'
import { type Asked, type Dialect, dialects } from './dialect.ts'
import { type Identity, identityOf, nobody } from './identity.ts'
import { type GatePages, linkPage, plainPages } from './pages.ts'
import { type Portal, portalOf } from './portal-url.ts'
import { type ProxyHeaders, proxyHeaders } from './proxy-headers.ts'

export interface GateOptions {
  readonly sessions: Pick<Sessions, 'find' | 'touch'>
  readonly users: Pick<Users, 'find'>
  readonly access: Access
  readonly cookies: readonly CookieDomain[]
  readonly proxies: TrustedProxies
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  /** Default: plain ones. */
  readonly pages?: GatePages
}

/**
 * What a proxy asks about every request. Read only: no cookie is set, nothing is created, and of a session only its last activity moves.
 * 200 with the four `Remote-*` headers; the dialect's *log in first*; 403 where logging in does not help; 400 where the question can't be
 * judged; 503 where the session store is down and not everybody may pass. No answer but 200 lets anybody in.
 */
export const gate: FastifyPluginCallback<GateOptions> = (scope, options, done) => {
  const { sessions, users, access, cookies, proxies, log, audit } = options
  const pages = options.pages ?? plainPages
  const portals = new Map<CookieDomain, Portal>(cookies.map(domain => [domain, portalOf(domain)]))
  const identities = new WeakMap<Person, Identity | 'not-exact'>()
  const occasionally = occasional(options.clock, newReference)

  // A logger for each request would cost more than its judgement; nothing here logs by request.
  scope.setChildLoggerFactory(logger => logger)

  for (const dialect of dialects) {
    scope.route({
      method: [...dialect.asksBy],
      url: dialect.path,
      exposeHeadRoute: false,
      handler: (request, reply) => judge(dialect, request, reply),
    })
    const others = scope.supportedMethods.filter(method => !(dialect.asksBy as readonly string[]).includes(method))
    scope.route({
      method: others,
      url: dialect.path,
      // Answered before a body is read.
      onRequest: (_request, reply) => {
        common(reply).header('allow', dialect.asksBy.join(', ')).header('connection', 'close')
        reply.code(405).send('405 Method Not Allowed')
      },
      handler: () => undefined,
    })
  }
  done()

  function judge(dialect: Dialect, request: FastifyRequest, reply: FastifyReply): unknown {
    const { rawHeaders, socket } = request.raw
    if (!proxies.has(socket.remoteAddress)) return refuseUntrusted(request, reply)
    if (rawHeaders.length > 2 * HEADER_LINES_AT_MOST)
      return refuse(request, reply, 431, undefined, undefined, {
        reason: 'gate-headers',
        detail: `The request came with more than ${HEADER_LINES_AT_MOST} header lines.`,
      })
    const headers = proxyHeaders(rawHeaders)
    const asked = dialect.read(headers)
    if ('reason' in asked) return refuse(request, reply, 400, undefined, headers, asked)
    const domain = cookieDomainOf(asked.url.host, cookies)
    const portal = domain && portals.get(domain)
    if (domain === undefined || portal === undefined) {
      const known = cookies.map(entry => entry.domain).join(', ')
      const detail = `${asked.url.host} is in none of the cookie domains (${known}).`
      return refuse(request, reply, 400, undefined, headers, { reason: 'gate-domain', detail, host: asked.url.host })
    }
    if (!portal.isNamedBy(request.query, headers)) {
      const detail = `authelia_url names another portal than ${domain.authelia_url}, which is the one of ${domain.domain}.`
      return refuse(request, reply, 400, domain, headers, { reason: 'gate-headers', detail, host: asked.url.host })
    }

    const answer = (found: Found | StoreDown) =>
      answerTo({ dialect, request, reply, headers, asked, domain, portal }, found)
    let found: Found | Promise<Found>
    try {
      found = sessions.find(rawHeaders, domain)
    } catch (error) {
      return answer(storeDown(error))
    }
    if (found instanceof Promise) return found.catch(storeDown).then(answer)
    return answer(found)
  }

  function answerTo(question: Question, found: Found | StoreDown): unknown {
    const { asked, domain, reply } = question
    const who = found instanceof StoreDown || found.state === 'anonymous' ? undefined : personOf(found.session, domain)
    if (who !== undefined) sessions.touch(who.session)
    const subject = who === undefined ? null : who.person
    const { host, target } = asked.url
    const ip = clientOf(question.request.raw, proxies).address
    const decision = access.decide(subject, { host, target, method: asked.method, ip })
    const said = verdict(decision, who?.session ?? null, options.clock())
    if (said === 'allowed') return allow(question, who?.person)
    if (found instanceof StoreDown) {
      occasionally('store-down', (ref, count) =>
        log.error({ err: found, reason: 'store-down', ref, count }, problems['store-down'].title),
      )
      return common(reply).code(503).send('503 Service Unavailable')
    }
    if (said === 'forbidden') return forbid(question, who?.person, decision.why)
    return sendToPortal(question)
  }

  function allow(question: Question, person: Person | undefined): unknown {
    const identity = person === undefined ? nobody : identityFor(person)
    if (identity === 'not-exact') return forbid(question, person, 'the name cannot be written into a header')
    const { reply, request, domain, asked } = question
    // For the proxy to pass on in place of the visitor's: an application that logs its cookies must not hold sessions.
    // Empty rather than absent, which Caddy 2.6 would pass on as the name of its variable.
    const cookie = cookieWithout(request.raw.rawHeaders, domain.name)
    const text = asked.method === 'HEAD' ? '' : '200 OK'
    // The one answer that is given for every request of everybody: past the framework, which costs a tenth of it, and in latin1, so that
    // Node, which writes headers and body in one piece, sends the bytes of UTF-8 as they are.
    reply.hijack()
    reply.raw
      .writeHead(200, [...identity.headers, 'cookie', cookie, 'content-length', text === '' ? '0' : '6'])
      .end(text, 'latin1')
    return reply
  }

  function sendToPortal(question: Question): unknown {
    const { reply, request, dialect, domain, portal, asked, headers } = question
    const { method, url } = asked
    if (portal.isAskedFor(url)) {
      const detail = `The proxy asks about ${url.host}, which is the portal, and the rules want a login there.`
      return refuse(request, reply, 400, domain, headers, { reason: 'gate-portal', detail, host: url.host })
    }
    const status = dialect.loginStatus(method, opensPage(headers))
    const words = statusWords[status]
    const location = `${domain.authelia_url}/?rd=${encodeURIComponent(url.href)}&rm=${method}`
    common(reply).code(status).header('location', location)
    return body(reply, method, readsHtml(headers) ? linkPage(words, location) : undefined, words, "default-src 'none'")
  }

  function forbid(question: Question, person: Person | undefined, why: string): unknown {
    const { reply, request, dialect, domain, portal, asked, headers } = question
    const { method, url } = asked
    const ref = occasionally(`denied ${person?.username ?? ''} ${url.host}`, (ref, count) =>
      audit('access.denied', {
        ref,
        ...(person && { username: person.username }),
        ...withIp(clientOf(request.raw, proxies).address),
        host: url.host,
        detail: why,
        count,
      }),
    )
    common(reply).code(403)
    if (dialect.dropsBody)
      reply.header('x-postern-denied', `${domain.authelia_url}/denied?rd=${encodeURIComponent(url.href)}&rm=${method}`)
    const page = readsHtml(headers) ? pages.denied({ domain, url, method, person, ref }) : undefined
    return body(reply, method, page, '403 Forbidden', portal.pagePolicy)
  }

  function refuseUntrusted(request: FastifyRequest, reply: FastifyReply): unknown {
    const peer = clientOf(request.raw, proxies).peer
    const line = peer === undefined ? 'unix' : `${peer}/${peer.includes(':') ? 128 : 32}`
    return refuse(request, reply, 400, undefined, undefined, {
      reason: 'gate-untrusted-peer',
      detail: `${peer ?? 'The peer of the unix socket'} asked the gate and is no trusted proxy. If it is your proxy, add to server.trusted_proxies: - '${line}'`,
    })
  }

  /** Clear to the administrator in the log, short to the visitor: the body never repeats a header's value. */
  function refuse(
    request: FastifyRequest,
    reply: FastifyReply,
    status: 400 | 431,
    domain: CookieDomain | undefined,
    headers: ProxyHeaders | undefined,
    { reason, detail, host }: { reason: Reason; detail: string; host?: string },
  ): unknown {
    const { address, peer } = clientOf(request.raw, proxies)
    // What a visitor can write into a URL makes no kind of its own.
    const about = reason === 'gate-untrusted-peer' ? peer : reason === 'gate-headers' ? detail : host
    const kind = `${reason} ${about ?? ''}`
    const ref = occasionally(kind, (ref, count) =>
      audit('gate.refused', { ref, ...withIp(address), ...(host && { host }), reason, detail, count }),
    )
    common(reply).code(status)
    const page = readsHtml(headers) ? pages.bad({ domain, reason, ref }) : undefined
    const text = `${problems[reason].title}. Reference: ${ref}`
    return body(reply, request.method, page, text, (domain && portals.get(domain)?.pagePolicy) ?? "default-src 'none'")
  }

  function personOf(session: Session, domain: CookieDomain): { session: Session; person: Person } | undefined {
    const person = users.find(session.username)
    if (person?.credential === session.credential) return { session, person }
    occasionally(`gone ${session.username}`, (ref, count) =>
      audit('session.person-gone', { ref, username: session.username, host: domain.domain, count }),
    )
    return undefined
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
}

/** One request to the gate, and what was read of it. */
interface Question {
  readonly dialect: Dialect
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly headers: ProxyHeaders
  readonly asked: Asked
  readonly domain: CookieDomain
  readonly portal: Portal
}

const statusWords = { 302: '302 Found', 303: '303 See Other', 401: '401 Unauthorized' } as const

function common(reply: FastifyReply): FastifyReply {
  return reply.headers(commonHeaders)
}

function body(reply: FastifyReply, method: string, page: string | undefined, text: string, policy: string): unknown {
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

function readsHtml(headers: ProxyHeaders | undefined): boolean {
  return headers !== undefined && acceptedTypes(headers).includes('text/html')
}

function acceptedTypes({ accept }: ProxyHeaders): (string | undefined)[] {
  if (typeof accept !== 'string') return []
  return accept.split(',', 50).map(range => range.split(';', 1)[0]?.trim().toLowerCase())
}

const withIp = (ip: string | undefined) => (ip === undefined ? {} : { ip })

function storeDown(error: unknown): StoreDown {
  if (error instanceof StoreDown) return error
  throw error
}
