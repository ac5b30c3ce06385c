import type { FastifyRequest } from 'fastify'
import type { Access } from '../access/access.ts'
import { type Clock, DAY, type Milliseconds, SECOND } from '../clock.ts'
import type { Config, CookieDomain } from '../config/schema.ts'
import type { Duo, Owner, PushView, RequestFacts } from '../duo/duo.ts'
import { browserName } from '../http/browser-name.ts'
import { clientOf, type TrustedProxies } from '../http/client-address.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import { cookieValues } from '../http/cookies.ts'
import { hostName } from '../http/host.ts'
import { type RateLimit, rateLimit } from '../http/rate-limit.ts'
import { newReference } from '../problems/reference.ts'
import type { Unavailable } from '../problems/unavailable.ts'
import { recent } from '../session/recent.ts'
import type { SecondFactor, Session, Sessions, Started } from '../session/session.ts'
import { type Audit, type AuditEvent, untilField } from '../telemetry/audit.ts'
import type { Deny } from '../telemetry/denials.ts'
import { type Occasional, occasional } from '../telemetry/occasional.ts'
import type { Refuse } from '../telemetry/outages.ts'
import type { Users } from '../users/users.ts'
import type { Claim, Limited, Login, SignIn, Site, Visit, Wanted } from './login.ts'
import type { LoginRecord, Logins } from './logins.ts'
import { openNext } from './next.ts'
import { judgeRedirect, portalHost } from './redirect.ts'
import { openSettings, whereUp } from './settings.ts'

interface Parts {
  readonly config: Config
  readonly sessions: Sessions
  readonly users: Users
  readonly access: Access
  /** Null: no second factor is configured. */
  readonly duo: Duo | null
  readonly logins: Logins
  readonly proxies: TrustedProxies
  readonly audit: Audit
  /** The gate's, so that a refusal which both show is written once. */
  readonly deny: Deny
  readonly refuse: Refuse
  readonly clock: Clock
}

/** The way in, behind both faces: what the portal and the JSON API do is one thing, done here. */
export function openLogin({
  config,
  sessions,
  users,
  access,
  duo,
  logins,
  proxies,
  audit,
  clock,
  deny,
  refuse,
}: Parts): Login {
  const domains = config.session.cookies
  const occasionally = occasional(clock, newReference)
  const occasionallyOfAll = occasional(clock, newReference)
  const ofPeople = recent<Occasional>(PEOPLE_AT_MOST / 2)
  const { rate_limits } = config.server.endpoints
  const firstFactor = rateLimit(rate_limits.first_factor, clock)
  const secondFactor = rateLimit(rate_limits.second_factor_duo, clock)
  const ways = openNext({ access, domains, clock })
  const domainOfPortal = new Map(domains.map(domain => [portalHost(domain), domain]))

  // What a phone reports as fraud ends everything that this person has open: whoever holds the password may be in one of them.
  duo?.onFraud(async username => {
    const count = await sessions.endAllOf(username)
    audit('session.ended-by-fraud', { username, count })
  })

  // So that somebody whose password is known to another sees it.
  duo?.onUnapproved(({ username, factor, how, facts: { ip, browser } }) =>
    logins.note({ username, at: clock(), ip, browser, outcome: how, factor }),
  )

  async function visit(request: FastifyRequest): Promise<Visit | undefined> {
    const { rawHeaders } = request.raw
    const domain = domainOfPortal.get(hostName(request.raw) ?? '')
    if (domain === undefined) return undefined
    const client = {
      ip: clientOf(request.raw, proxies).address,
      browser: browserName(request.headers['user-agent']),
      remembered: cookieValues(rawHeaders, rememberedName(domain))[0],
    }
    const { record } = request.session
    // Asked again for nobody: why a session that this browser had is over, or that the store is down.
    const found =
      record === undefined ? await sessions.find(rawHeaders, domain) : { state: 'live' as const, session: record }
    const nobody = { domain, who: null, level: 0, ...client } as const
    if (found.state === 'anonymous') return { ...nobody, ended: found.ended }
    const person = await users.find(found.session.username)
    // Gone, disabled, or with another password since: what was begun before is over.
    if (person?.credential !== found.session.credential) return { ...nobody, ended: 'revoked' }
    return { domain, who: { session: found.session, person }, level: found.session.level, ended: null, ...client }
  }

  /** Who is to be proved, and what the phone shows of it. */
  function asked({ who, ip, browser }: Visit, { rd }: Wanted): { owner: Owner; facts: RequestFacts } | null {
    if (who === null) return null
    const wanted = judgeRedirect(rd, domains)
    const url = wanted.kind === 'safe' ? wanted.url : null
    return {
      owner: ownerOf(who),
      facts: { site: url?.host ?? null, path: url?.path ?? null, ip, browser, at: clock() },
    }
  }

  async function raise(visitor: Visit, session: Session, factor: SecondFactor, device: string): Promise<Claim> {
    const started = await sessions.raise(session, factor)
    if (started === 'ended') return { outcome: 'ended' }
    audit('level.raised', { ...factsOf(visitor), ...(device === '' ? {} : { device }), reason: factor.how })
    note(visitor, { username: session.username, at: factor.at, outcome: 'accepted', factor: factor.how })
    return { outcome: 'raised', started, remembered: null }
  }

  const note = ({ ip, browser }: Visit, login: Omit<LoginRecord, 'ip' | 'browser'>): void =>
    logins.note({ ...login, ip, browser })

  function limitedTo(limit: RateLimit, name: string, { ip, who }: Visit): Limited | null {
    const until = limit.take(ip)
    if (until === null) return null
    const from = { ...(ip === undefined ? {} : { ip }), ...(who === null ? {} : { username: who.person.username }) }
    occasionally(`${name} ${ip}`, (_ref, count) =>
      audit('limit.exceeded', { ...from, reason: name, ...untilField(until), ...(count > 0 ? { count } : {}) }),
    )
    return { outcome: 'limited', until }
  }

  /** Each person's for itself: a flood of one hides nothing of another. */
  function occasionallyOf(username: string): Occasional {
    const known = ofPeople.get(username)
    if (known !== undefined) return known
    const fresh = occasional(clock, newReference)
    ofPeople.set(username, fresh)
    return fresh
  }

  /** Whoever tries meets it: told once an outage and minute, without the names that were typed. */
  function unavailable({ ip }: Visit, cause: Unavailable | undefined): Extract<SignIn, { outcome: 'unavailable' }> {
    const outage = cause && refuse(cause)
    const ref = occasionally(`unavailable ${outage?.ref ?? ''}`, (ref, count) =>
      audit('login.unavailable', {
        ref,
        ...outage,
        ...(ip === undefined ? {} : { ip }),
        ...(count > 0 ? { count } : {}),
      }),
    )
    return { outcome: 'unavailable', ref, ...outage }
  }

  /** Asked at the last moment: much may have happened to the person while the phone rang. */
  async function mayBeRaised({ who, ip }: Visit): Promise<boolean> {
    if (who === null) return false
    const { username, credential } = who.session
    const person = await users.find(username)
    if (person?.credential === credential && (await users.ban(username, { ip })) === null) return true
    await duo?.cancel(who.session.key)
    audit('level.refused', { username, reason: 'person-changed', ...(ip === undefined ? {} : { ip }) })
    return false
  }

  return {
    visit,
    next: ways.next,
    settings: openSettings({ sessions, duo, logins, audit }),
    secondFactorConfigured: duo !== null,
    get simulated() {
      return duo?.simulated === true
    },

    async signIn(visitor, { username, password, remember }) {
      const limited = limitedTo(firstFactor, 'first_factor', visitor)
      if (limited !== null) return limited
      const answer = await users.checkPassword(username, password, { ip: visitor.ip })
      const facts = { ...factsOf(visitor), username: answer.outcome === 'accepted' ? answer.person.username : username }
      if (answer.outcome === 'unavailable') return unavailable(visitor, answer.cause)
      if (answer.outcome !== 'accepted') {
        const until = answer.outcome === 'banned' ? untilField(answer.until) : {}
        const cause = answer.outcome === 'refused' && answer.cause !== undefined ? { reason: answer.cause } : {}
        const event = signInFailure[answer.outcome]
        // No name can look like this, and it may be long: nobody fills the disk with it.
        if (answer.outcome === 'refused' && answer.cause === 'implausible')
          occasionally('implausible', (_ref, count) =>
            audit(event, { ...factsOf(visitor), ...cause, ...(count > 0 ? { count } : {}) }),
          )
        else audit(event, { ...facts, ...until, ...cause })
        if (answer.outcome === 'refused' || answer.outcome === 'banned')
          note(visitor, { username: answer.username, at: clock(), outcome: answer.outcome, factor: 'password' })
        return answer
      }
      const replaces = visitor.who?.session ?? null
      if (replaces !== null) await duo?.cancel(replaces.key)
      const started = await sessions.start(
        visitor.domain,
        {
          username: answer.person.username,
          credential: answer.person.credential,
          remember,
          browser: visitor.browser,
          ip: visitor.ip,
        },
        replaces,
      )
      // Whoever bans a person ends their sessions after that: this one may have come too late for it.
      const ban = await users.ban(answer.person.username, { ip: visitor.ip })
      if (ban?.by === 'administrator') {
        await sessions.end(started.session)
        audit('login.banned', { ...facts, ...untilField(ban.until) })
        note(visitor, { username: answer.person.username, at: clock(), outcome: 'banned', factor: 'password' })
        return { outcome: 'banned', ...ban }
      }
      audit('login.succeeded', facts)
      const { username: name, passwordAt: at } = started.session
      note(visitor, { username: name, at, outcome: 'accepted', factor: 'password' })
      return { ...answer, started }
    },

    denied(visitor, wanted) {
      const decision = ways.decisionOn(visitor, wanted)
      const { who, ip } = visitor
      return deny({
        username: who?.person.username,
        ip,
        host: decision?.host ?? '',
        rule: decision?.rule ?? null,
        why: decision?.why ?? 'no rule of this cookie domain',
      })
    },

    wantedHost(rd) {
      const redirect = judgeRedirect(rd, domains)
      return redirect.kind === 'safe' ? redirect.url.host : null
    },

    sites(visitor) {
      const { domain } = visitor
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
          const needs = ways.needs(visitor, site.host)
          return needs === null ? [] : [{ ...site, needs }]
        })
        .sort((a, b) => a.name.localeCompare(b.name, 'en'))
    },

    async offer(visitor, wanted) {
      const about = asked(visitor, wanted)
      if (duo === null || about === null) return { kind: 'no-second-factor' }
      return duo.offer(about.owner, about.facts, visitor.remembered)
    },

    async raiseByPolicy(visitor, offer) {
      if (visitor.who === null || !(await mayBeRaised(visitor))) return { outcome: 'nothing' }
      const facts = factsOf(visitor)
      const how = offer.kind === 'allow' ? 'duo-allow' : 'failmode'
      const said = offer.kind === 'allow' ? offer.said : offer.trouble.detail
      const claim = await raise(visitor, visitor.who.session, { how, at: clock(), said }, '')
      if (claim.outcome === 'raised')
        audit(
          offer.kind === 'allow' ? 'duo.bypass' : 'duo.failmode',
          offer.kind === 'allow'
            ? { ...facts, detail: said }
            : { ...facts, reason: offer.trouble.reason, detail: said },
        )
      return claim
    },

    async ring(visitor, way, wanted) {
      const about = asked(visitor, wanted)
      if (duo === null || about === null) return { outcome: 'no-second-factor' }
      const limited = limitedTo(secondFactor, 'second_factor_duo', visitor)
      if (limited !== null) return limited
      return duo.start(about.owner, way, about.facts, visitor.remembered)
    },

    async passcode(visitor, passcode, wanted) {
      const about = asked(visitor, wanted)
      if (duo === null || about === null) return { outcome: 'no-second-factor' }
      const limited = limitedTo(secondFactor, 'second_factor_duo', visitor)
      if (limited !== null) return limited
      const tried = await duo.passcode(about.owner, passcode, about.facts)
      if (tried.outcome === 'wrong' || tried.outcome === 'banned') {
        const outcome = tried.outcome === 'wrong' ? 'refused' : 'banned'
        note(visitor, { username: about.owner.username, at: clock(), outcome, factor: 'passcode' })
      }
      return tried
    },

    async sms(visitor, device, wanted) {
      const about = asked(visitor, wanted)
      if (duo === null || about === null) return { outcome: 'no-second-factor' }
      const limited = limitedTo(secondFactor, 'second_factor_duo', visitor)
      if (limited !== null) return limited
      return duo.sms(about.owner, device, about.facts)
    },

    async push({ who }): Promise<PushView | null> {
      return duo === null || who === null ? null : duo.newest(who.session.key)
    },

    async pushChange({ who }, seq, within, signal) {
      return duo === null || who === null ? null : duo.change(who.session.key, seq, within, signal)
    },

    async claim(visitor, remember = false) {
      if (duo === null || visitor.who === null) return { outcome: 'nothing' }
      const { session } = visitor.who
      if (!(await mayBeRaised(visitor))) return { outcome: 'nothing' }
      const claimed = await duo.claim(session.key)
      if (claimed === null) return { outcome: 'nothing' }
      const { how, said, push } = claimed
      const claim = await raise(visitor, session, { how, at: clock(), said }, push.device.name)
      if (claim.outcome === 'raised' && how === 'duo-allow') audit('duo.bypass', { ...factsOf(visitor), detail: said })
      if (claim.outcome !== 'raised' || !remember) return claim
      const value = await duo.remember(claimed)
      return { ...claim, remembered: value === null ? null : rememberedCookie(visitor.domain, value) }
    },

    async cancelPush({ who }) {
      if (who !== null) await duo?.cancel(who.session.key)
    },

    async pushPausedUntil({ who }) {
      return duo === null || who === null ? null : duo.pausedUntil(who.person.username)
    },

    ban: async ({ who, ip }) => (who === null ? null : users.ban(who.person.username, { ip })),

    async refusal({ who, level }) {
      return duo === null || who === null || level < 2 ? null : whereUp(duo.refusal(who.person.username))
    },

    async refusalSeen({ who, level }) {
      if (who !== null && level === 2) await duo?.refusalsSeen(who.person.username)
    },

    async keptWay({ who }) {
      return duo === null || who === null ? null : ((await duo.keptWay(who.person.username))?.way ?? null)
    },

    async keepWay(visitor, way) {
      const about = asked(visitor, { rd: undefined })
      return duo !== null && about !== null && (await duo.keepWay(about.owner, way, about.facts))
    },

    async signOut(visitor) {
      if (visitor.who !== null) {
        // The push first: an approval that comes between the two must find nothing to raise. Records that do not answer keep nobody in.
        await whereUp(duo?.cancel(visitor.who.session.key))
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
      // Once in a while, so that nobody fills the disk or hides among his own lines, and a page that is loaded again shows what it showed.
      const kind = `${event} ${fields.reason ?? ''} ${fields.host ?? ''}`
      if (visitor === undefined || visitor.who === null) return occasionally(kind, write)
      if (ofAll.has(event)) return occasionallyOfAll(`${event} ${fields.reason ?? ''}`, write)
      return occasionallyOf(visitor.who.person.username)(kind, write)
    },
  }
}

function ownerOf({ session, person }: NonNullable<Visit['who']>): Owner {
  const { username, displayName, emails } = person
  return { sessionKey: session.key, username, displayName, email: emails[0] }
}

/** Whose events of the last minute are known. */
const PEOPLE_AT_MOST = 1_000

/** What is wrong for everybody who meets it. */
const ofAll: ReadonlySet<AuditEvent> = new Set(['duo.unavailable', 'duo.misconfigured'])

const signInFailure = {
  refused: 'login.failed',
  banned: 'login.banned',
  busy: 'login.busy',
} as const

interface Facts {
  readonly username?: string
  readonly ip?: string
  readonly device?: string
}

function factsOf({ who, ip }: Visit): Facts {
  return { ...(who === null ? {} : { username: who.person.username }), ...(ip === undefined ? {} : { ip }) }
}

// A sibling host cannot set a cookie that has this prefix, and no other host gets it. Browsers refuse the prefix over http (the demo).
const rememberedName = ({ authelia_url }: CookieDomain) =>
  authelia_url.startsWith('https:') ? '__Host-postern_browser' : 'postern_browser'

/** Duo decides how long it is good for; the browser keeps it at most for as long as Duo ever does. */
const REMEMBERED_AT_MOST: Milliseconds = 365 * DAY

function rememberedCookie(domain: CookieDomain, value: string): Started['cookie'] {
  return {
    name: rememberedName(domain),
    value,
    options: { path: '/', secure: true, httpOnly: true, sameSite: 'lax', maxAge: REMEMBERED_AT_MOST / SECOND },
  }
}

function endedCookie({ name, domain, same_site }: CookieDomain): Started['cookie'] {
  return {
    name,
    value: '',
    options: { domain, path: '/', secure: true, httpOnly: true, sameSite: same_site, maxAge: 0 },
  }
}
