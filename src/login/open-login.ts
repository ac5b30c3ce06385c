import type { FastifyRequest } from 'fastify'
import { type Access, verdict } from '../access/access.ts'
import type { Clock } from '../clock.ts'
import type { Config, CookieDomain } from '../config/schema.ts'
import type { Duo, PushView } from '../duo/duo.ts'
import { browserName } from '../http/browser-name.ts'
import { clientOf, type TrustedProxies } from '../http/client-address.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import { hostName } from '../http/host.ts'
import type { Session, Sessions, Started } from '../session/session.ts'
import type { Audit } from '../telemetry/audit.ts'
import { occasional } from '../telemetry/occasional.ts'
import { newReference } from '../telemetry/reference.ts'
import type { Users } from '../users/users.ts'
import type { Claim, Login, Next, Site, Visit } from './login.ts'
import { judgeRedirect, portalHost } from './redirect.ts'

interface Parts {
  readonly config: Config
  readonly sessions: Sessions
  readonly users: Users
  readonly access: Access
  /** Null: no second factor is configured. */
  readonly duo: Duo | null
  readonly proxies: TrustedProxies
  readonly audit: Audit
  readonly clock: Clock
}

/** The way in, behind both faces: what the portal and the JSON API do is one thing, done here. */
export function openLogin({ config, sessions, users, access, duo, proxies, audit, clock }: Parts): Login {
  const domains = config.session.cookies
  const occasionally = occasional(clock, newReference)
  const domainOfPortal = new Map(domains.map(domain => [portalHost(domain), domain]))

  // What a phone reports as fraud ends everything that this person has open: whoever holds the password may be in one of them.
  duo?.onFraud(async username => {
    const count = await sessions.endAllOf(username)
    audit('session.ended-by-fraud', { username, count })
  })

  async function visit(request: FastifyRequest): Promise<Visit | undefined> {
    const { rawHeaders } = request.raw
    const domain = domainOfPortal.get(hostName(request.raw) ?? '')
    if (domain === undefined) return undefined
    const client = { ip: clientOf(request.raw, proxies).address, browser: browserName(request.headers['user-agent']) }
    const { record } = request.session
    // Asked again for nobody: why a session that this browser had is over, or that the store is down.
    const found =
      record === undefined ? await sessions.find(rawHeaders, domain) : { state: 'live' as const, session: record }
    const nobody = { domain, who: null, level: 0, ...client } as const
    if (found.state === 'anonymous') return { ...nobody, ended: found.ended }
    const person = users.find(found.session.username)
    // Gone, disabled, or with another password since: what was begun before is over.
    if (person?.credential !== found.session.credential) return { ...nobody, ended: 'revoked' }
    return { domain, who: { session: found.session, person }, level: found.session.level, ended: null, ...client }
  }

  function next({ domain, who, level }: Visit, rd: string | undefined): Next {
    const wanted = judgeRedirect(rd, domains)
    const redirect = wanted.kind === 'none' ? judgeRedirect(domain.default_redirection_url, domains) : wanted
    if (redirect.kind === 'none') return { to: 'home' }
    if (redirect.kind === 'unsafe') return { to: 'unsafe', host: redirect.host }
    const { host, path, href } = redirect.url
    // This session proves nothing to the sites of another cookie domain: the gate there sends to the portal there.
    if (cookieDomainOf(host, domains) !== domain) return { to: 'site', url: href, host }
    const { policy } = access.decide(who?.person ?? null, { host, path, method: 'GET' })
    return verdict(policy, level) === 'log-in' ? { to: 'prove', host } : { to: 'site', url: href, host }
  }

  async function raise(session: Session, factor: Parameters<Sessions['raise']>[1], facts: Facts): Promise<Claim> {
    const started = await sessions.raise(session, factor)
    if (started === 'ended') return { outcome: 'ended' }
    audit('level.raised', { ...facts, reason: factor.how })
    return { outcome: 'raised', started }
  }

  /** Asked at the last moment: much may have happened to the person while the phone rang. */
  async function mayBeRaised({ who, ip }: Visit): Promise<boolean> {
    if (who === null) return false
    const { username, credential } = who.session
    if (users.find(username)?.credential === credential && !users.isBanned(username)) return true
    await duo?.cancel(who.session.key)
    audit('level.refused', { username, reason: 'person-changed', ...(ip === undefined ? {} : { ip }) })
    return false
  }

  return {
    visit,
    next,
    secondFactorConfigured: duo !== null,
    get simulated() {
      return duo?.simulated === true
    },

    async signIn(visitor, { username, password, remember }) {
      const answer = await users.checkPassword(username, password, { ip: visitor.ip })
      const facts = { ...factsOf(visitor), username: answer.outcome === 'accepted' ? answer.person.username : username }
      if (answer.outcome !== 'accepted') {
        const until = answer.outcome === 'banned' ? { until: new Date(answer.until).toISOString() } : {}
        const cause = answer.outcome === 'refused' && answer.cause !== undefined ? { reason: answer.cause } : {}
        audit(signInFailure[answer.outcome], { ...facts, ...until, ...cause })
        return answer
      }
      const replaces = visitor.who?.session ?? null
      if (replaces !== null) await duo?.cancel(replaces.key)
      const started = await sessions.start(
        visitor.domain,
        { username: answer.person.username, credential: answer.person.credential, remember },
        replaces,
      )
      audit('login.succeeded', facts)
      return { ...answer, started }
    },

    wantedHost(rd) {
      const redirect = judgeRedirect(rd, domains)
      return redirect.kind === 'safe' ? redirect.url.host : null
    },

    sites({ domain, who }) {
      const portal = new URL(domain.authelia_url)
      const named = access.namedHosts
        .filter(host => !domainOfPortal.has(host))
        .map(host => ({
          name: host,
          url: `${portal.protocol}//${host}${portal.port === '' ? '' : `:${portal.port}`}/`,
          host,
        }))
      const listed = config.portal.sites.map(({ name, url }) => ({ name, url, host: new URL(url).hostname }))
      const listedHosts = new Set(listed.map(({ host }) => host))
      return [...listed, ...named.filter(({ host }) => !listedHosts.has(host))]
        .filter(({ host }) => cookieDomainOf(host, domains) === domain)
        .flatMap((site): Site[] => {
          const { policy } = access.decide(who?.person ?? null, { host: site.host, path: '/', method: 'GET' })
          return policy === 'deny' ? [] : [{ ...site, needsSecondFactor: policy === 'two_factor' }]
        })
        .sort((a, b) => a.name.localeCompare(b.name, 'en'))
    },

    async offer({ who, ip }) {
      if (duo === null || who === null) return { kind: 'no-second-factor' }
      return duo.offer(who.person.username, ip)
    },

    async raiseByPolicy(visitor, said) {
      if (visitor.who === null || !(await mayBeRaised(visitor))) return { outcome: 'nothing' }
      const facts = factsOf(visitor)
      const claim = await raise(visitor.who.session, { how: 'duo-allow', at: clock(), said }, facts)
      if (claim.outcome === 'raised') audit('duo.bypass', { ...facts, detail: said })
      return claim
    },

    async sendPush({ who, ip, browser }, device, rd) {
      if (duo === null || who === null) return { outcome: 'no-second-factor' }
      const wanted = judgeRedirect(rd, domains)
      const owner = { sessionKey: who.session.key, username: who.person.username, displayName: who.person.displayName }
      return duo.start(owner, device, {
        site: wanted.kind === 'safe' ? wanted.url.host : null,
        ip,
        browser,
        at: clock(),
      })
    },

    async push({ who }): Promise<PushView | null> {
      return duo === null || who === null ? null : duo.newest(who.session.key)
    },

    async pushChange({ who }, seq, within, signal) {
      return duo === null || who === null ? null : duo.change(who.session.key, seq, within, signal)
    },

    async claim(visitor) {
      if (duo === null || visitor.who === null || visitor.level === 2) return { outcome: 'nothing' }
      const { session } = visitor.who
      if (!(await mayBeRaised(visitor))) return { outcome: 'nothing' }
      const push = await duo.newest(session.key)
      if (push === null || !(await duo.claim(session.key))) return { outcome: 'nothing' }
      return raise(
        session,
        { how: 'push', at: clock(), said: push.said },
        { ...factsOf(visitor), device: push.device.name },
      )
    },

    async cancelPush({ who }) {
      if (who !== null) await duo?.cancel(who.session.key)
    },

    async pushPausedUntil({ who }) {
      return duo === null || who === null ? null : duo.pausedUntil(who.person.username)
    },

    async refusal({ who, level }) {
      return duo === null || who === null || level < 2 ? null : duo.refusal(who.person.username)
    },

    async refusalSeen({ who, level }) {
      if (who !== null && level === 2) await duo?.refusalsSeen(who.person.username)
    },

    async keptDevice({ who }) {
      return duo === null || who === null ? null : duo.keptDevice(who.person.username)
    },

    async keepDevice({ who, ip }, device) {
      return duo !== null && who !== null && (await duo.keepDevice(who.person.username, device, ip))
    },

    async signOut(visitor) {
      if (visitor.who !== null) {
        // The push first: an approval that comes between the two must find nothing to raise.
        await duo?.cancel(visitor.who.session.key)
        await sessions.end(visitor.who.session)
        audit('logout', factsOf(visitor))
      }
      return endedCookie(visitor.domain)
    },

    report(visitor, event, fields) {
      const write = (ref: string, count: number) =>
        audit(event, {
          ref,
          ...(visitor === undefined ? {} : factsOf(visitor)),
          ...fields,
          ...(count > 0 ? { count } : {}),
        })
      // What anybody can cause is written once in a while, so that nobody fills the disk or hides among his own lines.
      if (visitor === undefined || visitor.who === null)
        return occasionally(`${event} ${fields.reason ?? ''} ${fields.host ?? ''}`, write)
      const ref = newReference()
      write(ref, 0)
      return ref
    },
  }
}

const signInFailure = {
  refused: 'login.failed',
  banned: 'login.banned',
  busy: 'login.busy',
  unavailable: 'login.unavailable',
} as const

interface Facts {
  readonly username?: string
  readonly ip?: string
  readonly device?: string
}

function factsOf({ who, ip }: Visit): Facts {
  return { ...(who === null ? {} : { username: who.person.username }), ...(ip === undefined ? {} : { ip }) }
}

function endedCookie({ name, domain, same_site }: CookieDomain): Started['cookie'] {
  return {
    name,
    value: '',
    options: { domain, path: '/', secure: true, httpOnly: true, sameSite: same_site, maxAge: 0 },
  }
}
