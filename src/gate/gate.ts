import { type IncomingMessage, METHODS } from 'node:http'
import type { FastifyBaseLogger, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'
import { type Access, type AccessObject, type Proof, verdict } from '../access/access.ts'
import type { Clock } from '../clock.ts'
import type { AuthzEndpoints } from '../config/authz-endpoints.ts'
import type { CookieDomain } from '../config/schema.ts'
import { clientOf, type TrustedProxies } from '../http/client-address.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import { HEADER_LINES_AT_MOST } from '../http/headers.ts'
import { newReference } from '../problems/reference.ts'
import { Unavailable } from '../problems/unavailable.ts'
import { type Found, type Session, type Sessions, StoreDown } from '../session/session.ts'
import { type Audit, untilField } from '../telemetry/audit.ts'
import { type Deny, denials } from '../telemetry/denials.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { occasional } from '../telemetry/occasional.ts'
import { type Outage, outages, type Refuse } from '../telemetry/outages.ts'
import { DirectoryDown, type Person, type Users } from '../users/users.ts'
import { answersOf, type Question } from './answers.ts'
import type { Assertions } from './assertion.ts'
import { type BasicAnswer, basicChecks } from './basic.ts'
import type { Asked } from './dialect.ts'
import { type Endpoint, endpointsOf } from './endpoint.ts'
import { type GatePages, plainPages } from './pages.ts'
import { type Portal, portalOf } from './portal-url.ts'
import { bringsBody, proxyHeaders } from './proxy-headers.ts'
import { basicCredentials, type HeaderStrategy } from './strategy.ts'

export interface GateOptions {
  readonly sessions: Pick<Sessions, 'find' | 'touch'>
  readonly users: Pick<Users, 'find' | 'ban' | 'checkPassword'>
  readonly access: Pick<Access, 'decide'>
  readonly cookies: readonly CookieDomain[]
  readonly proxies: TrustedProxies
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  /** `server.endpoints.authz`. Default: the built-in endpoints alone. */
  readonly endpoints?: AuthzEndpoints
  /** Default: plain ones. */
  readonly pages?: GatePages
  /** Shared with the portal, so that both name one refusal by one reference. */
  readonly deny?: Deny
  /** Shared too, so that one outage has one reference. */
  readonly refuse?: Refuse
  /** Present: every 200 carries Remote-Assertion, and /jwks.json the keys. */
  readonly assertions?: Assertions | undefined
  readonly metrics?: Pick<Metrics, 'gateAnswers'>
}

/**
 * What a proxy asks about every request. Read only: no cookie is set, nothing is created, and of a session only its last activity moves.
 * 200 with the four `Remote-*` headers; the dialect's *log in first*, or a challenge; 403 where logging in does not help; 400 where the
 * question can't be judged (401 in the legacy dialect); 503 where the session store or the passwords cannot be asked and not everybody may
 * pass. No answer but 200 lets anybody in.
 */
export const gate: FastifyPluginCallback<GateOptions> = (scope, options, done) => {
  const { sessions, users, access, cookies, proxies, log, audit, clock } = options
  const portals = new Map<CookieDomain, Portal>(cookies.map(domain => [domain, portalOf(domain)]))
  const occasionally = occasional(clock, newReference)
  const refuse = options.refuse ?? outages(log, clock)
  const basic = basicChecks(users, clock)
  const say = answersOf({
    proxies,
    log,
    audit,
    occasionally,
    pages: options.pages ?? plainPages,
    deny: options.deny ?? denials(audit, clock),
    assertions: options.assertions,
    clock,
    pagePolicyOf: domain => portals.get(domain)?.pagePolicy,
    counterOf: (endpoint, status) => options.metrics?.gateAnswers(endpoint, status) ?? (() => undefined),
  })

  const known = new Set(scope.supportedMethods)
  // WebDAV's and others: a visitor's own method where the dialect asks by it, and 405 elsewhere. CONNECT never comes here: Node ends it.
  for (const method of METHODS) if (!known.has(method) && method !== 'CONNECT') scope.addHttpMethod(method)
  for (const endpoint of endpointsOf(options.endpoints ?? {})) mount(endpoint)
  const { assertions } = options
  if (assertions !== undefined)
    scope.get('/jwks.json', (_request, reply) =>
      reply
        .headers({
          'content-type': 'application/jwk-set+json',
          'cache-control': 'public, max-age=300',
          'x-content-type-options': 'nosniff',
        })
        .send(JSON.stringify(assertions.keys)),
    )
  done()

  function mount(endpoint: Endpoint): void {
    const { asksBy } = endpoint.dialect
    const url = endpoint.path
    const direct = asksBy === 'any' ? ['GET', 'HEAD'] : [...asksBy]
    const others = scope.supportedMethods.filter(method => !direct.includes(method))
    const handler = (request: FastifyRequest, reply: FastifyReply) => judge(endpoint, request, reply)
    scope.route({ method: direct, url, exposeHeadRoute: false, handler })
    scope.route({
      method: others,
      url,
      // Answered before a body is read, and without its end being waited for.
      onRequest: (request, reply) => {
        if (asksBy !== 'any') say.wrongMethod(endpoint, reply, asksBy)
        else
          void Promise.resolve()
            .then(() => judge(endpoint, request, reply))
            .catch(error => reply.send(error))
      },
      handler: () => undefined,
    })
  }

  function judge(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): unknown {
    const { rawHeaders, socket, method } = request.raw
    const { dialect, path: mount } = endpoint
    const at = { endpoint, request, reply }
    const untrusted = !proxies.has(socket.remoteAddress)
    const tooMany = rawHeaders.length > 2 * HEADER_LINES_AT_MOST
    if (untrusted || tooMany) reply.raw.shouldKeepAlive = false // no more of these
    if (untrusted) return say.untrusted(at)
    if (tooMany) {
      const detail = `The request came with more than ${HEADER_LINES_AT_MOST} header lines.`
      return say.refuse(at, { reason: 'gate-headers', detail }, 431)
    }
    // HTTP/0.9 has no version and no headers; Node's parser takes it with headers, and the end of the target is then a matter of opinion.
    if (request.raw.httpVersionMajor < 1)
      return say.refuse(at, { reason: 'gate-headers', detail: 'The request line names no version of HTTP.' })
    const headers = proxyHeaders(rawHeaders)
    if (bringsBody(headers)) reply.raw.shouldKeepAlive = false // else Node would read it to its end
    const read = { ...at, headers }
    const asked = dialect.read({ headers, rawHeaders, method: method ?? '', target: request.originalUrl, mount })
    if ('reason' in asked) return say.refuse(read, asked)
    const { host } = asked.url
    const domain = cookieDomainOf(host, cookies)
    const portal = domain && portals.get(domain)
    if (domain === undefined || portal === undefined) {
      const known = cookies.map(entry => entry.domain).join(', ')
      const detail = `${host} is in none of the cookie domains (${known}).`
      return say.refuse(read, { reason: 'gate-domain', detail, host })
    }
    const named = portal.named(request.query, headers, dialect.portalParameters)
    if (named === 'another') {
      const parameters = [...dialect.portalParameters, 'X-Authelia-URL'].join(' or ')
      const detail = `${parameters} names another portal than ${domain.authelia_url}, which is the one of ${domain.domain}.`
      return say.refuse({ ...read, domain }, { reason: 'gate-headers', detail, host })
    }
    return lookFor(
      { endpoint, request, reply, headers, asked, domain, portal, isNamed: named === 'this' },
      0,
      undefined,
    )
  }

  /** Tries the strategies from this one on, and answers by what the first finds that finds anything. */
  function lookFor(question: Question, index: number, trouble: Trouble | undefined): unknown {
    const { endpoint, request, domain } = question
    const strategy = endpoint.strategies[index]
    const { rawHeaders } = request.raw
    if (strategy === undefined) return answer(question, undefined, trouble)
    if (strategy === 'cookie') {
      const next = (found: Found | StoreDown) => {
        if (found instanceof StoreDown) return lookFor(question, index + 1, found)
        if (found.state !== 'live') return lookFor(question, index + 1, trouble)
        const { session } = found
        const go = (person: Person | undefined | DirectoryDown) => {
          if (person instanceof DirectoryDown) return lookFor(question, index + 1, person)
          if (!isStill(person, session, domain)) return lookFor(question, index + 1, trouble)
          sessions.touch(session)
          return answer(question, { person, proof: session, by: null }, trouble)
        }
        let person: ReturnType<Users['find']>
        try {
          person = users.find(session.username)
        } catch (error) {
          return go(directoryDown(error))
        }
        return person instanceof Promise ? person.catch(directoryDown).then(go) : go(person)
      }
      let found: Found | Promise<Found>
      try {
        found = sessions.find(rawHeaders, domain)
      } catch (error) {
        return next(storeDown(error))
      }
      if (found instanceof Promise) return found.catch(storeDown).then(next)
      return next(found)
    }
    const credentials = strategy.takesBasic ? basicCredentials(rawHeaders, strategy.header(request.query)) : undefined
    if (credentials === undefined) return lookFor(question, index + 1, trouble)
    const { address } = clientOf(request.raw, proxies)
    const next = (checked: BasicAnswer) => {
      const outage = tell(checked, credentials.username, address, question)
      if (checked.outcome !== 'accepted') return answer(question, undefined, { by: strategy, checked, outage })
      const proof: Proof = { level: 1, passwordAt: checked.passwordAt, secondFactor: null }
      return answer(question, { person: checked.person, proof, by: strategy }, trouble)
    }
    const checked = basic.check(credentials, address, strategy.cacheLifespan)
    return checked instanceof Promise ? checked.then(next) : next(checked)
  }

  function answer(question: Question, who: Who | undefined, trouble: Trouble | undefined): unknown {
    const { endpoint, request, asked } = question
    const object = new Judged(asked, request.raw, proxies)
    const decision = access.decide(who?.person ?? null, object)
    if (decision.unclear) return say.refuse(question, { reason: 'gate-url', detail: decision.why, host: object.host })
    const said = verdict(decision, who?.proof ?? null, clock())
    if (said === 'allowed') return say.allow(question, who?.person, decision)
    if (trouble instanceof Unavailable) return say.unavailable(question, refuse(trouble))
    if (trouble !== undefined) {
      const { checked, by, outage } = trouble
      if (checked.outcome === 'busy') return say.unavailable(question, checked)
      if (checked.outcome === 'unavailable') return say.unavailable(question, outage ?? {})
      return say.challenge(question, by)
    }
    if (said === 'forbidden') return say.forbid(question, who?.person, decision)
    const by = who === undefined ? challengerOf(endpoint, request.query) : who.by
    return by === null ? say.logIn(question) : say.challenge(question, by)
  }

  /** Whether a session's person is there, with the password that it was begun with. */
  function isStill(person: Person | undefined, session: Session, domain: CookieDomain): person is Person {
    if (person?.credential === session.credential) return true
    occasionally(`gone ${session.username}`, (ref, count) =>
      audit('session.person-gone', { ref, username: session.username, host: domain.domain, count }),
    )
    return false
  }

  /** A guess that cost a hash is told each time, for whoever counts them; what is cheap to cause, once in a while. Returns why nobody could be asked. */
  function tell(checked: BasicAnswer, typed: string, ip: string | undefined, { asked }: Question): Outage | undefined {
    const fields = { ...(ip === undefined ? {} : { ip }), host: asked.url.host, detail: 'basic' }
    switch (checked.outcome) {
      case 'accepted': {
        const { username } = checked.person
        if (!checked.fresh) return undefined
        occasionally(`basic ${username}`, (_ref, count) => audit('basic.accepted', { ...fields, username, count }))
        return undefined
      }
      case 'refused':
        if (checked.cause === 'implausible')
          occasionally('implausible', (_ref, count) =>
            audit('login.failed', { ...fields, reason: 'implausible', count }),
          )
        else audit('login.failed', { ...fields, username: typed, ...(checked.cause && { reason: checked.cause }) })
        return undefined
      case 'banned': {
        const until = untilField(checked.until)
        occasionally(`banned ${typed}`, (_ref, count) =>
          audit('login.banned', { ...fields, username: typed, ...until, count }),
        )
        return undefined
      }
      case 'busy':
        occasionally('busy', (_ref, count) => audit('login.busy', { ...fields, count }))
        return undefined
      case 'unavailable': {
        const outage = checked.cause && refuse(checked.cause)
        occasionally(`unavailable ${outage?.ref ?? ''}`, (ref, count) =>
          audit('login.unavailable', { ...fields, ref, ...outage, count }),
        )
        return outage
      }
    }
  }
}

/** What is asked for. A class: few rules want the address, and an accessor in an object literal costs more than the address itself. */
class Judged implements AccessObject {
  readonly host: string
  readonly target: string
  readonly method: string
  readonly #request: IncomingMessage
  readonly #proxies: TrustedProxies

  constructor({ url, method }: Asked, request: IncomingMessage, proxies: TrustedProxies) {
    this.host = url.host
    this.target = url.target
    this.method = method
    this.#request = request
    this.#proxies = proxies
  }

  get ip(): string | undefined {
    return clientOf(this.#request, this.#proxies).address
  }
}

/** Who was found, and by which header; null: by the cookie. */
interface Who {
  readonly person: Person
  readonly proof: Proof
  readonly by: HeaderStrategy | null
}

/** Why nobody was found although somebody may be there: nobody can be known by a cookie now, or credentials were not accepted. */
type Trouble =
  | Unavailable
  | {
      readonly by: HeaderStrategy
      readonly checked: Exclude<BasicAnswer, { outcome: 'accepted' }>
      readonly outage: Outage | undefined
    }

function challengerOf({ strategies, challengedBy }: Endpoint, query: unknown): HeaderStrategy | null {
  const insisting = strategies.filter(strategy => strategy !== 'cookie').find(strategy => strategy.insists(query))
  return insisting ?? challengedBy
}

function storeDown(error: unknown): StoreDown {
  if (error instanceof StoreDown) return error
  throw error
}

function directoryDown(error: unknown): DirectoryDown {
  if (error instanceof DirectoryDown) return error
  throw error
}
