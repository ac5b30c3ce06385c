import { createHash } from 'node:crypto'
import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Clock, MINUTE, SECOND } from '../clock.ts'
import type { Config, CookieDomain } from '../config/schema.ts'
import { cookieValues } from '../http/cookies.ts'
import { isSameOrigin } from '../http/same-origin.ts'
import type { Login, Next, Visit } from '../login/login.ts'
import type { Started } from '../session/session.ts'
import type { Assets } from './assets.ts'
import type { FormTokens } from './form-token.ts'
import { MESSAGE_LIFETIME, type Message, type Messages } from './message.ts'
import { renderPage } from './pages/frame.tsx'
import type { Shell, View } from './pages/view.ts'
import { queryOf } from './parameters.ts'
import type { Words } from './words/words.ts'

/** What the portal's routes are made of. */
export interface Portal {
  readonly login: Login
  readonly config: Config
  readonly clock: Clock
  readonly words: Words
  readonly assets: Assets
  readonly tokens: FormTokens
  readonly messages: Messages
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
}

/** One request of a person's browser: who it is, what it asks for, and the ways to answer. */
export interface Context {
  readonly visit: Visit
  readonly query: ReadonlyMap<string, string>
  readonly rd: string | undefined
  readonly rm: string | undefined
  readonly next: Next
  /** Nothing more is to be proved: for the wanted site, or for the settings where those are wanted. */
  readonly provedEnough: boolean
  /** The settings are wanted, and they want a factor that was proved. */
  readonly wantsSettings: boolean
  /** How often in a row this browser was sent to the wanted page, the last time a moment ago; and it is here again. */
  readonly cameBack: number
  /** What the POST before this page left to say. */
  readonly message: Message | undefined
  /** Whether the browser sent any cookie of ours that is set with every form. */
  readonly keepsCookies: boolean
  readonly shell: Shell
  show(view: View): FastifyReply
  /** 303 to a page of the portal; `rd` and `rm` go along. */
  goTo(path: string, extra?: Readonly<Record<string, string>>): FastifyReply
  /** 303 to a page that has this to say. */
  goSaying(path: string, message: Message): FastifyReply
  /** Leaves a message for a page that is opened with `m=1`. */
  leave(message: Message): void
  /** 303 to where somebody goes next. */
  goOn(next: Next): FastifyReply
  /** Remembers in the browser, for a moment, that it was sent to the wanted page. */
  leaveFor(url: string): void
  /** 303 to another site, after a GET only: form-action does not let a POST end there. */
  goAway(url: string): FastifyReply
  /** The person wants this browser to be remembered, once this push is approved. */
  wishToRemember(pushId: string): void
  wishesToRemember(pushId: string): boolean
  setCookie(cookie: Started['cookie']): void
  setHeader(name: string, value: string): void
}

const RD_CHARACTERS_AT_MOST = 4096

/** The parameters of a URL; rd and rm, bounded. An `rd` that is too long is none: the visitor ends at home. @throws {BadParameters} */
function wanted(request: FastifyRequest) {
  const query = queryOf(request.raw.url ?? '/')
  const rd = query.get('rd')
  const rm = query.get('rm')
  return {
    query,
    rd: rd === undefined || rd === '' || rd.length > RD_CHARACTERS_AT_MOST ? undefined : rd,
    rm: rm !== undefined && /^[A-Za-z]{1,20}$/.test(rm) ? rm : undefined,
  }
}

export function withParameters(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  const text = new URLSearchParams(given).toString()
  return text === '' ? path : `${path}?${text}`
}

// A sibling host cannot set a cookie that has this prefix. Browsers refuse the prefix over http, which only the demo speaks.
const cookieName = (domain: CookieDomain, name: 'form' | 'message' | 'went' | 'wish') =>
  domain.authelia_url.startsWith('https:') ? `__Host-postern_${name}` : `postern_${name}`
const cookieOptions = {
  path: '/',
  secure: true,
  httpOnly: true,
  sameSite: 'lax',
} as const satisfies CookieSerializeOptions

// A push rings for a minute, and may be claimed for some time after.
const lifetimes = { message: MESSAGE_LIFETIME, went: 20 * SECOND, wish: 10 * MINUTE } as const

/** @throws {BadParameters} */
export function contextOf(portal: Portal, request: FastifyRequest, reply: FastifyReply, visit: Visit): Context {
  const { query, rd, rm } = wanted(request)
  const { rawHeaders } = request.raw
  const to = rd === undefined && query.get('to') === 'settings' ? 'settings' : undefined
  const formCookies = cookieValues(rawHeaders, cookieName(visit.domain, 'form')).filter(portal.tokens.isCookie)
  let formCookie = formCookies[0]
  const url: Shell['url'] = (path, extra) => withParameters(path, { rd, rm, to, ...extra })
  const shell: Shell = {
    words: portal.words,
    config: portal.config,
    domain: visit.domain,
    assets: portal.assets,
    simulated: portal.login.simulated,
    now: portal.clock(),
    level: visit.level,
    username: visit.who?.person.username ?? null,
    site: portal.login.wantedHost(rd),
    wantsSettings: to !== undefined,
    foreign: false,
    url,
    plainUrl: path => path,
    token() {
      if (formCookie === undefined) {
        formCookie = portal.tokens.newCookie()
        reply.setCookie(cookieName(visit.domain, 'form'), formCookie, cookieOptions)
      }
      return portal.tokens.issue(formCookie)
    },
  }
  type Sealed = keyof typeof lifetimes
  const setMessage = (name: Sealed, message: Message) =>
    reply.setCookie(cookieName(visit.domain, name), portal.messages.seal(message), {
      ...cookieOptions,
      maxAge: lifetimes[name] / SECOND,
    })
  const messageIn = (name: Sealed) =>
    portal.messages.open(cookieValues(rawHeaders, cookieName(visit.domain, name)), lifetimes[name])
  const leave = (message: Message) => setMessage('message', message)
  const next = portal.login.next(visit, { rd, rm })
  const timesSentTo = (url: string) => {
    const went = messageIn('went')
    return went?.kind === 'went' && went.to === digestOf(url) ? went.times : 0
  }
  // Only where the redirect said that there is one: a page that is opened anew has nothing to say.
  const message = query.has('m') ? messageIn('message') : undefined
  const goTo: Context['goTo'] = (path, extra) => reply.redirect(url(path, extra), 303)
  return {
    visit,
    query,
    rd,
    rm,
    next,
    wantsSettings: to !== undefined,
    provedEnough: to === undefined ? visit.level === 2 && next.to !== 'prove' : portal.login.settings.mayOpen(visit),
    get cameBack() {
      return next.to === 'site' ? timesSentTo(next.url) : 0
    },
    shell,
    keepsCookies: formCookies.length > 0,
    message,
    show: view => send(reply, shell, message?.kind === 'stale' ? { ...view, stale: true } : view),
    goTo,
    leave,
    goSaying(path, message) {
      leave(message)
      return goTo(path, { m: '1' })
    },
    goAway: target => reply.redirect(target, 303),
    goOn(next) {
      // They send whoever has not proved enough on by themselves.
      if (to !== undefined) return reply.redirect('/settings', 303)
      if (next.to === 'prove') return goTo('/prove')
      if (next.to === 'password') return goTo('/')
      return next.to === 'home' ? reply.redirect('/', 303) : goTo('/go')
    },
    leaveFor: url => void setMessage('went', { kind: 'went', to: digestOf(url), times: timesSentTo(url) + 1 }),
    wishToRemember: push => void setMessage('wish', { kind: 'remember', push }),
    wishesToRemember(push) {
      const wish = messageIn('wish')
      return wish?.kind === 'remember' && wish.push === push
    },
    setHeader: (name, value) => void reply.header(name, value),
    setCookie: ({ name, value, options }) => void reply.setCookie(name, value, options),
  }
}

/** The URL may be longer than a cookie. */
const digestOf = (url: string) => createHash('sha256').update(url).digest('base64url')

/** Answers with a page. */
export function send(reply: FastifyReply, shell: Shell, view: View): FastifyReply {
  const html = renderPage(shell, view) // first: it may set the form cookie
  return reply
    .code(view.status)
    .headers(view.headers ?? {})
    .type('text/html; charset=utf-8')
    .send(html)
}

/** Whether a request was sent by a page of the portal itself; asked before a token is looked at. */
export function isFromPortal(request: FastifyRequest, domain: CookieDomain): boolean {
  return isSameOrigin(request.raw, new URL(domain.authelia_url).origin)
}

/** Whether the form's token belongs to this browser. */
export function hasToken(portal: Portal, request: FastifyRequest, domain: CookieDomain): boolean {
  const cookies = cookieValues(request.raw.rawHeaders, cookieName(domain, 'form'))
  return portal.tokens.accepts(cookies, formOf(request).get('token'))
}

/** The form's fields; none where the body was empty. */
export function formOf(request: FastifyRequest): ReadonlyMap<string, string> {
  const { body } = request
  const fields = typeof body === 'object' && body !== null && 'fields' in body ? body.fields : undefined
  return fields instanceof Map ? fields : new Map()
}
