import type { FastifyRequest } from 'fastify'
import type { Level } from '../../src/access/access.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Device, Offer, PasscodeOutcome, PushView, SmsOutcome, Way } from '../../src/duo/duo.ts'
import type { Limited, Login, Next, Visit } from '../../src/login/login.ts'
import type { FailedTries } from '../../src/login/logins.ts'
import { judgeRedirect } from '../../src/login/redirect.ts'
import type { Overview } from '../../src/login/settings.ts'
import type { Session, Started } from '../../src/session/session.ts'
import type { Banned } from '../../src/users/users.ts'

/** What a test may say about the world behind the portal. */
export interface Scene {
  level: Level
  person: { username: string; displayName: string; groups: string[] }
  ended: Visit['ended']
  offer: Awaited<ReturnType<Login['offer']>>
  push: PushView | null
  signIn: 'accepted' | Exclude<Awaited<ReturnType<Login['signIn']>>, { outcome: 'accepted' }>
  start: Awaited<ReturnType<Login['ring']>> | null
  passcode: PasscodeOutcome | Limited | null
  sms: SmsOutcome
  claim: 'raised' | 'nothing' | 'ended'
  /** What the rules want, where it is not the plain answer below. */
  next: Next | null
  /** Hosts that need the second factor. */
  secondFactorHosts: string[]
  sites: ReturnType<Login['sites']>
  simulated: boolean
  secondFactorConfigured: boolean
  secondFactor: Session['secondFactor']
  pausedUntil: Awaited<ReturnType<Login['pushPausedUntil']>>
  ban: Banned | null
  /** Whether Duo lets a browser be remembered. */
  remembers: boolean
  refusal: Awaited<ReturnType<Login['refusal']>>
  failedTries: FailedTries | null
  /** The settings; null: as they are with one session and nothing else. */
  overview: Overview | null
  /** Thrown by every visit. */
  failure: Error | null
  hostUnknown: boolean
}

export interface FakeLogin extends Login {
  /** Each call that changes something, in order. */
  readonly calls: string[]
  /** Changes the push and wakes whoever waits for it. */
  move(push: PushView | null): void
}

const AT = Date.UTC(2026, 10, 24, 14, 5)

export const pixel: Device = {
  id: 'DPHONE1',
  name: 'Pixel 9',
  number: '+XX XXX XXX 0100',
  capabilities: ['auto', 'push', 'phone', 'sms', 'mobile_otp'],
  nextCode: null,
}

/** A push for each device, and whatever else is given. */
export function choice(
  devices: readonly Device[],
  others: readonly Way[] = [],
  changes: Partial<Extract<Offer, { kind: 'choose' }>> = {},
): Extract<Offer, { kind: 'choose' }> {
  const ways: Way[] = [...devices.map(({ id }) => ({ kind: 'push' as const, device: id })), ...others]
  return { kind: 'choose', ways, devices, preferred: null, forgotten: null, ...changes }
}

export const defaultScene = (): Scene => ({
  level: 0,
  person: { username: 'alice', displayName: 'Alice Liddell', groups: ['dev', 'admins'] },
  ended: null,
  offer: choice([pixel]),
  push: null,
  signIn: 'accepted',
  start: null,
  passcode: null,
  sms: { outcome: 'sent', said: 'New SMS passcodes sent.', nextCode: '3' },
  next: null,
  ban: null,
  remembers: true,
  claim: 'raised',
  secondFactorHosts: ['two.example.com'],
  sites: [
    { name: 'Calendar', url: 'https://calendar.example.com/', host: 'calendar.example.com', needs: 'nothing' },
    { name: 'Payroll', url: 'https://two.example.com/', host: 'two.example.com', needs: 'second-factor' },
    { name: 'wiki.example.com', url: 'https://wiki.example.com/', host: 'wiki.example.com', needs: 'nothing' },
  ],
  simulated: false,
  secondFactorConfigured: true,
  secondFactor: { how: 'push', at: AT, said: 'Success. Logging you in…' },
  pausedUntil: null,
  refusal: null,
  failedTries: null,
  overview: null,
  failure: null,
  hostUnknown: false,
})

export const waitingPush = (now: number, changes: Partial<PushView> = {}): PushView => ({
  id: 'push_1',
  seq: 2,
  state: 'waiting',
  factor: 'push',
  code: null,
  reason: null,
  device: { id: 'DPHONE1', name: 'Pixel 9' },
  facts: {
    site: 'two.example.com',
    path: '/reports',
    ip: '203.0.113.7',
    browser: 'Firefox on Linux',
    at: now - 18_000,
  },
  startedAt: now - 18_000,
  deadline: now + 42_000,
  said: 'Pushed a login request to your device…',
  ...changes,
})

/** The face that the portal uses, over a scene in memory. Redirects are judged by the real rules. */
export function fakeLogin(config: Config, scene: Scene, clock: () => number): FakeLogin {
  const calls: string[] = []
  const watchers = new Set<() => void>()
  const [domain] = config.session.cookies
  if (domain === undefined) throw new Error('no cookie domain')
  const started = (level: 1 | 2): Started => ({
    session: {
      key: `key_${level}`,
      username: scene.person.username,
      credential: 'c',
      level,
      cookieDomain: domain.domain,
      remember: false,
      passwordAt: clock(),
      secondFactor: level === 2 ? scene.secondFactor : null,
      expiresAt: clock() + 3_600_000,
      browser: 'Firefox on Linux',
      ip: '203.0.113.7',
    },
    cookie: {
      name: domain.name,
      value: `session_${level}`,
      options: { domain: domain.domain, path: '/', secure: true, httpOnly: true, sameSite: 'lax' },
    },
  })
  const personOf = () => ({ ...scene.person, emails: ['alice@example.com'], credential: 'c' })
  function settingsOf(): Login['settings'] {
    const mayOpen: Login['settings']['mayOpen'] = ({ who, level }) =>
      who !== null && (!scene.secondFactorConfigured || (level === 2 && scene.secondFactor?.how !== 'failmode'))
    const overview = (): Overview =>
      scene.overview ?? {
        sessions: [{ session: started(scene.level === 2 ? 2 : 1).session, seenAt: clock() }],
        way: 'none',
        remembered: [],
        logins: [],
      }
    return {
      mayOpen,
      overview: async visit => (mayOpen(visit) ? overview() : null),
      async endSession(_visit, key) {
        calls.push(`endSession ${key}`)
        return overview().sessions.find(({ session }) => session.key === key)?.session ?? null
      },
      async endOthers() {
        calls.push('endOthers')
        return overview().sessions.length - 1
      },
      async endAll() {
        calls.push('endAll')
        return overview().sessions.length
      },
      async forgetWay() {
        calls.push('forgetWay')
      },
      async forgetBrowser(_visit, id) {
        calls.push(`forgetBrowser ${id}`)
        return overview().remembered?.find(browser => browser.id === id) ?? null
      },
      async forgetBrowsers() {
        calls.push('forgetBrowsers')
      },
      failedTries: async visit => (mayOpen(visit) ? scene.failedTries : null),
      async failedTriesSeen() {
        calls.push('failedTriesSeen')
        scene.failedTries = null
      },
    }
  }
  let references = 0
  return {
    calls,
    move(push) {
      scene.push = push
      for (const wake of watchers) wake()
    },
    async visit(_request: FastifyRequest) {
      if (scene.failure) throw scene.failure
      if (scene.hostUnknown) return undefined
      const facts = { domain, ip: '203.0.113.7', browser: 'Firefox on Linux', remembered: undefined }
      if (scene.level === 0) return { ...facts, who: null, level: 0, ended: scene.ended }
      const { session } = started(scene.level)
      return { ...facts, who: { session, person: personOf() }, level: scene.level, ended: null }
    },
    async signIn(_visit, entered) {
      calls.push(`signIn ${entered.username}${entered.remember ? ' remember' : ''}`)
      if (scene.signIn !== 'accepted') return scene.signIn
      scene.level = 1
      return { outcome: 'accepted', person: personOf(), started: started(1) }
    },
    next(visit, { rd }) {
      const redirect = judgeRedirect(rd, config.session.cookies)
      if (redirect.kind === 'none') return { to: 'home' }
      if (redirect.kind === 'unsafe') return { to: 'unsafe', host: redirect.host }
      if (scene.next !== null) return scene.next
      const { host, href } = redirect.url
      return scene.secondFactorHosts.includes(host) && visit.level < 2
        ? { to: 'prove', host, why: 'level', maxAge: null, factors: [] }
        : { to: 'site', url: href, host, forbidden: false }
    },
    denied() {
      calls.push('denied')
      return '7K4M-Q2XD'
    },
    wantedHost(rd) {
      const redirect = judgeRedirect(rd, config.session.cookies)
      return redirect.kind === 'safe' ? redirect.url.host : null
    },
    sites: () => scene.sites,
    offer: async () => scene.offer,
    async raiseByPolicy(_visit, { kind }) {
      calls.push(`raiseByPolicy ${kind}`)
      scene.level = 2
      return { outcome: 'raised', started: started(2), remembered: null }
    },
    async ring(_visit, way, { rd }) {
      const named = way === 'only-push' ? undefined : way
      calls.push(`ring ${named === undefined ? 'preferred' : `${named.kind}:${named.device}`} ${rd ?? ''}`.trim())
      if (scene.start) return scene.start
      scene.push ??= waitingPush(clock(), { factor: named?.kind ?? 'push' })
      return { outcome: 'started', push: scene.push }
    },
    async passcode(_visit, entered) {
      calls.push(`passcode ${entered}`)
      if (scene.passcode) return scene.passcode
      scene.push = waitingPush(clock(), { factor: 'passcode', state: 'allowed', device: { id: '', name: '' } })
      return { outcome: 'accepted', push: scene.push }
    },
    async sms(_visit, device) {
      calls.push(`sms ${device}`)
      return scene.sms
    },
    push: async () => scene.push,
    async pushChange(_visit, seq, within, signal) {
      calls.push(`held ${within}`)
      if (scene.push !== null && scene.push.seq > seq) return scene.push
      await new Promise<void>(resolve => {
        const end = () => {
          watchers.delete(end)
          clearTimeout(timer)
          resolve()
        }
        const timer = setTimeout(end, within)
        watchers.add(end)
        signal.addEventListener('abort', end)
      })
      return scene.push
    },
    async claim(_visit, remember = false) {
      calls.push(remember ? 'claim and remember' : 'claim')
      if (scene.claim !== 'raised') return { outcome: scene.claim }
      scene.level = 2
      const cookie = { name: '__Host-postern_browser', value: 'remembered', options: { path: '/' } }
      return { outcome: 'raised', started: started(2), remembered: remember && scene.remembers ? cookie : null }
    },
    async cancelPush() {
      calls.push('cancelPush')
    },
    ban: async () => scene.ban,
    pushPausedUntil: async () => scene.pausedUntil,
    refusal: async visit => (visit.level === 2 ? scene.refusal : null),
    async refusalSeen() {
      calls.push('refusalSeen')
      scene.refusal = null
    },
    settings: settingsOf(),
    keptWay: async () => null,
    async keepWay(_visit, way) {
      calls.push(`keepWay ${way.kind}`)
      return true
    },
    async signOut() {
      calls.push('signOut')
      scene.level = 0
      return { ...started(1).cookie, value: '', options: { ...started(1).cookie.options, maxAge: 0 } }
    },
    report(_visit, event, fields) {
      calls.push(`report ${event} ${fields.reason ?? fields.host ?? ''}`.trim())
      references += 1
      return `7K4M-Q2X${references % 10}`
    },
    get simulated() {
      return scene.simulated
    },
    get secondFactorConfigured() {
      return scene.secondFactorConfigured
    },
  }
}
