import type { PushView } from '../../src/duo/duo.ts'
import type { LoginRecord } from '../../src/login/logins.ts'
import type { Overview } from '../../src/login/settings.ts'
import type { Message } from '../../src/portal/message.ts'
import type { SeenSession, Session } from '../../src/session/session.ts'
import { RedisDown } from '../../src/storage/redis/redis.ts'
import { choice, pixel, type Scene, waitingPush } from './fake-login.ts'

/** One state of the portal: a new one is tested, photographed and read by axe when it has a row here. */
export interface State {
  /** The page's id, and the name of its pictures. */
  readonly id: string
  /** How it is opened. */
  readonly url: string
  readonly status: number
  /** What the browser's tab says, before the name. */
  readonly title: string
  /** Where a reader starts: a selector, or null for the top. */
  readonly focus: string | null
  readonly scene?: (now: number) => Partial<Scene>
  /** What the POST before it left to say. */
  readonly message?: (now: number) => Message
  /** A body of the gate's, shown on an application's host. */
  readonly foreign?: 'denied' | 'bad'
  readonly portal?: object
  /** Keys of `duo_api`. */
  readonly duo?: object
  /** Where the browser was sent a moment ago. */
  readonly went?: string
}

const two = 'rd=https%3A%2F%2Ftwo.postern.localhost%2Freports%2F2026'
const signedIn =
  (changes: Partial<Scene> = {}) =>
  () => ({ level: 1 as const, ...changes })
const pushed =
  (changes: Partial<PushView> = {}) =>
  (now: number) => ({
    level: 1 as const,
    push: waitingPush(now, changes),
  })
const offered = (offer: Scene['offer']) => signedIn({ offer })
const phone = pixel
const tablet = { id: 'DPHONE2', name: 'iPad (living room)', number: '', capabilities: ['auto', 'push'], nextCode: null }
const work = { ...pixel, id: 'DPHONE3', name: 'Work phone', number: '+XX XXX XXX 0199' }
const passcode = { kind: 'passcode' } as const
const all = ['push', 'phone', 'sms'] as const
const everyWay = [...all.map(kind => ({ kind, device: 'DPHONE1' })), passcode]
const again = { to: 'prove', host: 'two.postern.localhost', maxAge: 900_000, factors: [] } as const
const forbidden = {
  to: 'site',
  url: 'https://two.postern.localhost/reports/2026',
  host: 'two.postern.localhost',
  forbidden: true,
} as const
const long = 'the-reporting-department.of-a-very-long-named.subsidiary'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/** A session in the settings. */
function seen(now: number, age: number, changes: Partial<Session> = {}): SeenSession {
  const session: Session = {
    key: 'key_2',
    username: 'alice',
    credential: 'c',
    level: 2,
    cookieDomain: 'postern.localhost',
    remember: false,
    passwordAt: now - age,
    secondFactor: { how: 'push', at: now - age, said: 'Success. Logging you in…' },
    expiresAt: now + 60 * MINUTE,
    browser: 'Firefox on Linux',
    ip: '203.0.113.7',
    ...changes,
  }
  return { session, seenAt: now - age / 3 }
}

const login = (at: number, changes: Partial<LoginRecord> = {}): LoginRecord => ({
  username: 'alice',
  at,
  ip: '203.0.113.7',
  browser: 'Firefox on Linux',
  outcome: 'accepted',
  factor: 'password',
  ...changes,
})

const stranger = { ip: '2001:db8:85a3:8d3:1319:8a2e:370:7348', browser: 'Samsung Internet on Android' }

const someSettings = (now: number): Overview => ({
  sessions: [
    seen(now, 5 * MINUTE),
    seen(now, 3 * DAY, { key: 'key_phone', browser: 'Safari on iPhone', ip: '198.51.100.44', remember: true }),
    seen(now, 2 * 60 * MINUTE, { key: 'key_work', ...stranger, level: 1, secondFactor: null }),
  ],
  way: { way: { kind: 'push', device: 'DPHONE1' }, name: 'Pixel 9' },
  remembered: [
    { id: 'browser_1', browser: 'Firefox on Linux', since: now - 12 * DAY, here: true },
    { id: 'browser_2', browser: 'Safari on iPad', since: now - 40 * DAY, here: false },
  ],
  logins: [
    login(now - 4 * MINUTE, { factor: 'push' }),
    login(now - 5 * MINUTE),
    login(now - 117 * MINUTE, { ...stranger, outcome: 'fraud', factor: 'push' }),
    login(now - 119 * MINUTE, { ...stranger, outcome: 'timed-out', factor: 'push' }),
    login(now - 2 * 60 * MINUTE, stranger),
    login(now - 121 * MINUTE, { ...stranger, outcome: 'banned' }),
    login(now - 122 * MINUTE, { ...stranger, outcome: 'refused' }),
    login(now - 3 * DAY, { ip: undefined, browser: 'Safari on iPhone', factor: 'passcode' }),
  ],
})

const remembers = { remembered_devices: true }
const inSettings = (now: number) => ({ level: 2 as const, overview: someSettings(now) })
const settingsState = (id: string, message: () => Message): State => ({
  id,
  url: '/settings?m=1',
  status: 200,
  title: 'Settings',
  focus: '.notice',
  scene: inSettings,
  message,
})

export const states: readonly State[] = [
  { id: 'settings', url: '/settings', status: 200, title: 'Settings', focus: null, scene: inSettings, duo: remembers },
  {
    id: 'settings.bare',
    url: '/settings',
    status: 200,
    title: 'Settings',
    focus: null,
    scene: now => ({
      level: 2,
      overview: { sessions: [seen(now, 5 * MINUTE)], way: 'none', remembered: [], logins: [] },
    }),
    duo: remembers,
  },
  {
    id: 'settings.down',
    url: '/settings',
    status: 200,
    title: 'Settings',
    focus: null,
    scene: now => ({
      level: 2,
      overview: { ...someSettings(now), way: null, remembered: null, logins: null },
    }),
    duo: remembers,
  },
  settingsState('settings.ended', () => ({ kind: 'settings', news: { did: 'ended', browser: 'Safari on iPhone' } })),
  settingsState('settings.gone', () => ({ kind: 'settings', news: { did: 'gone' } })),
  settingsState('settings.others', () => ({ kind: 'settings', news: { did: 'others', count: 2 } })),
  {
    id: 'settings.everywhere',
    url: '/settings/everywhere',
    status: 200,
    title: 'Sign out everywhere',
    focus: null,
    scene: inSettings,
  },
  {
    id: 'settings.way',
    url: '/settings/way',
    status: 200,
    title: 'How you confirm',
    focus: null,
    scene: now => ({
      ...inSettings(now),
      offer: choice([phone], everyWay.slice(1), { preferred: everyWay[0] ?? null }),
    }),
  },
  {
    id: 'choose.settings',
    url: '/prove?to=settings',
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: signedIn(),
  },
  {
    id: 'home.failed',
    url: '/',
    status: 200,
    title: 'Signed in',
    focus: '.notice',
    scene: now => ({ level: 2, failedTries: { count: 4, since: now - 2 * DAY } }),
  },
  {
    id: 'signout.everywhere',
    url: '/logout/done?m=1',
    status: 200,
    title: 'Signed out',
    focus: 'h1',
    message: () => ({ kind: 'everywhere', count: 3 }),
  },
  { id: 'signin', url: `/?${two}`, status: 200, title: 'Sign in', focus: '#username' },
  {
    id: 'signin.plain',
    url: '/',
    status: 200,
    title: 'Sign in',
    focus: '#username',
    scene: () => ({ simulated: true }),
  },
  {
    id: 'signin.wrong',
    url: `/?${two}&m=1`,
    status: 200,
    title: 'Error: Sign in',
    focus: '.notice',
    message: () => ({ kind: 'wrong', username: 'alice', triesLeft: 2 }),
  },
  {
    id: 'signin.empty',
    url: `/?m=1`,
    status: 200,
    title: 'Error: Sign in',
    focus: '.notice',
    message: () => ({ kind: 'empty', username: '', missing: 'both' }),
  },
  {
    id: 'signin.banned',
    url: '/?m=1',
    status: 429,
    title: 'Paused – Sign in',
    focus: 'h1',
    message: now => ({ kind: 'banned', username: 'alice', until: now + 297_000, whose: 'name', by: 'regulation' }),
  },
  {
    id: 'signin.banned.endless',
    url: '/?m=1',
    status: 403,
    title: 'Paused – Sign in',
    focus: 'h1',
    message: () => ({ kind: 'banned', username: 'alice', until: null, whose: 'name', by: 'administrator' }),
  },
  {
    id: 'signin.expired',
    url: `/?${two}`,
    status: 200,
    title: 'Sign in',
    focus: '.notice',
    scene: () => ({ ended: 'inactive' }),
  },
  {
    id: 'signin.stale',
    url: '/?m=1',
    status: 200,
    title: 'Sign in',
    focus: '.notice',
    message: () => ({ kind: 'stale' }),
  },
  { id: 'signin.cookies', url: '/?m=1', status: 200, title: 'Sign in', focus: '.notice' },
  {
    id: 'signin.again',
    url: `/?${two}`,
    status: 200,
    title: 'Sign in',
    focus: '#password',
    scene: signedIn({ next: { to: 'password', host: 'two.postern.localhost', maxAge: 3_600_000 } }),
  },
  {
    id: 'help',
    url: '/help',
    status: 200,
    title: 'Help',
    focus: null,
    portal: {
      help: {
        text: 'Call the service desk, Monday to Friday from 8 to 18.',
        email: 'help@example.com',
        phone: '+44 20 7946 0000',
        url: 'https://example.com/help',
      },
    },
  },
  { id: 'home', url: '/', status: 200, title: 'Signed in', focus: null, scene: () => ({ level: 2 }) },
  {
    id: 'home.refusal',
    url: '/',
    status: 200,
    title: 'Signed in',
    focus: '.notice',
    scene: now => ({
      level: 2,
      refusal: {
        how: 'fraud',
        at: now - 3_600_000,
        facts: { site: null, path: null, ip: '198.51.100.23', browser: 'Chrome on Windows', at: now - 3_660_000 },
      },
    }),
  },
  { id: 'home.password', url: '/', status: 200, title: 'Signed in', focus: null, scene: signedIn() },
  { id: 'home.none', url: '/', status: 200, title: 'Signed in', focus: null, scene: signedIn({ sites: [] }) },
  {
    id: 'home.allowed',
    url: '/',
    status: 200,
    title: 'Signed in',
    focus: null,
    scene: () => ({ level: 2, secondFactor: { how: 'duo-allow', at: 0, said: 'Allowing unknown user' } }),
  },
  {
    id: 'home.failmode',
    url: '/',
    status: 200,
    title: 'Signed in',
    focus: null,
    scene: () => ({ level: 2, secondFactor: { how: 'failmode', at: 0, said: 'ECONNREFUSED' } }),
  },
  {
    id: 'home.long',
    url: '/',
    status: 200,
    title: 'Signed in',
    focus: null,
    scene: signedIn({
      person: {
        username: 'wolfeschlegelsteinhausenbergerdorff@example.com',
        displayName: 'Hubert Blaine Wolfeschlegelsteinhausenbergerdorff',
        groups: [],
      },
      sites: [
        {
          name: 'An application with a name that nobody could remember',
          url: `https://${long}.postern.localhost/`,
          host: `${long}.postern.localhost`,
          needs: 'second-factor',
        },
        {
          name: `${long}.postern.localhost`,
          url: `https://${long}.postern.localhost/x`,
          host: `${long}.postern.localhost`,
          needs: 'password',
        },
      ],
    }),
  },
  {
    id: 'choose',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: offered(choice([phone, tablet, work], [], { preferred: { kind: 'push', device: 'DPHONE2' } })),
  },
  { id: 'choose.one', url: `/prove?${two}`, status: 200, title: 'Confirm it’s you', focus: null, scene: signedIn() },
  {
    id: 'choose.allow',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: offered({ kind: 'allow', said: 'Allowing unknown user' }),
  },
  {
    id: 'choose.cancelled',
    url: `/prove?${two}&m=1`,
    status: 200,
    title: 'Cancelled',
    focus: '.notice',
    scene: signedIn(),
    message: () => ({ kind: 'cancelled' }),
  },
  {
    id: 'choose.failed',
    url: `/prove?${two}&m=1`,
    status: 200,
    title: 'Didn’t work',
    focus: '.notice',
    scene: signedIn(),
    message: () => ({ kind: 'failed', ref: '7K4M-Q2XD' }),
  },
  {
    id: 'choose.unknown-device',
    url: `/prove?${two}&m=1`,
    status: 200,
    title: 'Confirm it’s you',
    focus: '.notice',
    scene: offered(choice([phone, work])),
    message: () => ({ kind: 'unknown-device' }),
  },
  {
    id: 'choose.ways',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: offered(choice([phone], everyWay.slice(1))),
    duo: { remembered_devices: true },
  },
  {
    id: 'choose.many',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: offered(choice([phone, tablet], everyWay.slice(1), { preferred: { kind: 'phone', device: 'DPHONE1' } })),
    duo: { remembered_devices: true },
  },
  {
    id: 'choose.age',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: () => ({ level: 2, next: { ...again, why: 'age' } }),
  },
  {
    id: 'choose.factor',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: () => ({ level: 2, next: { ...again, why: 'factor', factors: ['duo'] } }),
  },
  {
    id: 'choose.forgotten',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: '.notice',
    scene: offered(choice([tablet], [passcode], { forgotten: 'Pixel 9' })),
  },
  {
    id: 'choose.sms-refused',
    url: `/prove?${two}&m=1`,
    status: 200,
    title: 'Confirm it’s you',
    focus: '.notice',
    scene: offered(choice([phone], everyWay.slice(1))),
    message: () => ({ kind: 'sms-refused', said: 'Error sending SMS' }),
  },
  {
    id: 'choose.failmode',
    url: `/prove?${two}`,
    status: 200,
    title: 'Confirm it’s you',
    focus: null,
    scene: offered({
      kind: 'failmode',
      trouble: { kind: 'unavailable', reason: 'duo-unreachable', detail: 'ECONNREFUSED' },
    }),
  },
  {
    id: 'prove.banned',
    url: `/prove?${two}`,
    status: 429,
    title: 'Paused – Confirm it’s you',
    focus: 'h1',
    scene: now => ({ level: 1, ban: { until: now + 297_000, whose: 'name', by: 'regulation' } }),
  },
  {
    id: 'prove.banned.endless',
    url: `/prove?${two}`,
    status: 403,
    title: 'Paused – Confirm it’s you',
    focus: 'h1',
    scene: () => ({ level: 1, ban: { until: null, whose: 'address', by: 'administrator' } }),
  },
  {
    id: 'passcode',
    url: `/prove/passcode?${two}`,
    status: 200,
    title: 'Enter a passcode',
    focus: '#passcode',
    scene: offered(choice([phone], everyWay.slice(1))),
    duo: { remembered_devices: true },
  },
  {
    id: 'passcode.sms-sent',
    url: `/prove/passcode?${two}&m=1`,
    status: 200,
    title: 'Enter a passcode',
    focus: '#passcode',
    scene: offered(choice([phone, work], [{ kind: 'sms', device: 'DPHONE3' }, ...everyWay.slice(1)])),
    message: () => ({ kind: 'sms-sent', device: 'DPHONE1', nextCode: '3' }),
  },
  {
    id: 'passcode.sms-wait',
    url: `/prove/passcode?${two}&m=1`,
    status: 200,
    title: 'Enter a passcode',
    focus: '#passcode',
    scene: offered(choice([phone], everyWay.slice(1))),
    message: now => ({ kind: 'sms-wait', until: now + 24_000 }),
  },
  {
    id: 'passcode.wrong',
    url: `/prove/passcode?${two}&m=1`,
    status: 200,
    title: 'Error: Enter a passcode',
    focus: '.notice',
    scene: offered(choice([phone], everyWay.slice(1))),
    message: () => ({ kind: 'passcode-wrong', triesLeft: 2 }),
  },
  {
    id: 'passcode.empty',
    url: `/prove/passcode?${two}&m=1`,
    status: 200,
    title: 'Error: Enter a passcode',
    focus: '.notice',
    scene: offered(choice([phone], [passcode])),
    message: () => ({ kind: 'passcode-empty' }),
  },
  {
    id: 'passcode.malformed',
    url: `/prove/passcode?${two}&m=1`,
    status: 200,
    title: 'Error: Enter a passcode',
    focus: '.notice',
    scene: offered(choice([phone], [passcode])),
    message: () => ({ kind: 'passcode-malformed' }),
  },
  {
    id: 'passcode.stale',
    url: `/prove/passcode?${two}&m=1`,
    status: 200,
    title: 'Enter a passcode',
    focus: '.notice',
    scene: offered(choice([phone], [passcode])),
    message: () => ({ kind: 'stale' }),
  },
  {
    id: 'wait.verified',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Check your phone',
    focus: null,
    scene: pushed({ code: { kind: 'verified', digits: '482913' } }),
  },
  {
    id: 'wait.matching',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Check your phone',
    focus: null,
    scene: pushed({ code: { kind: 'matching', digits: '739' } }),
  },
  {
    id: 'wait.call',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Answer your phone',
    focus: null,
    scene: pushed({ factor: 'phone', said: 'Calling your phone…' }),
  },
  {
    id: 'wait.locked',
    url: `/prove/wait?${two}&m=1`,
    status: 200,
    title: 'One moment',
    focus: 'h1',
    scene: signedIn(),
    message: now => ({ kind: 'paused', until: now + 3_540_000, why: 'fraud' }),
  },
  {
    id: 'wait.budget',
    url: `/prove/wait?${two}&m=1`,
    status: 200,
    title: 'One moment',
    focus: 'h1',
    scene: signedIn(),
    message: now => ({ kind: 'paused', until: now + 540_000, why: 'budget' }),
  },
  {
    id: 'end.timeout-call',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Time ran out',
    focus: 'h1',
    scene: pushed({ state: 'timed-out', factor: 'phone' }),
  },
  {
    id: 'end.denied-paused',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Not approved',
    focus: 'h1',
    scene: now => ({ ...pushed({ state: 'denied', factor: 'phone' })(now), pausedUntil: now + 60_000 }),
  },
  {
    id: 'duo.not-asked',
    url: `/prove?${two}`,
    status: 200,
    title: 'No confirmation',
    focus: 'h1',
    scene: () => ({
      level: 2,
      next: { ...again, why: 'factor', factors: ['duo'] },
      offer: { kind: 'allow', said: 'Allowing unknown user' },
    }),
  },
  {
    id: 'nodevice.duo-factors',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-device', reason: 'duo-factors', device: null, passcode: false }),
  },
  {
    id: 'nodevice.duo-name-empty',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-device', reason: 'duo-name-empty', device: null, passcode: false }),
  },
  {
    id: 'go.back',
    url: `/?${two}`,
    status: 200,
    title: 'Sent back',
    focus: 'h1',
    scene: () => ({ level: 2 }),
    went: 'https://two.postern.localhost/reports/2026',
  },
  { id: 'wait.push', url: `/prove/wait?${two}`, status: 200, title: 'Check your phone', focus: null, scene: pushed() },
  {
    id: 'wait.busy',
    url: `/prove/wait?${two}&m=1`,
    status: 200,
    title: 'One moment',
    focus: 'h1',
    scene: signedIn(),
    message: now => ({ kind: 'busy', until: now + 38_000 }),
  },
  {
    id: 'wait.paused',
    url: `/prove/wait?${two}&m=1`,
    status: 200,
    title: 'One moment',
    focus: 'h1',
    scene: signedIn(),
    message: now => ({ kind: 'paused', until: now + 118_000, why: 'denied' }),
  },
  { id: 'go', url: `/go?${two}`, status: 200, title: 'Approved', focus: null, scene: () => ({ level: 2 }) },
  {
    id: 'go.unsent',
    url: `/go?${two}&rm=POST`,
    status: 200,
    title: 'Approved',
    focus: null,
    scene: () => ({ level: 2 }),
  },
  {
    id: 'end.denied',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Not approved',
    focus: 'h1',
    scene: pushed({ state: 'denied' }),
  },
  {
    id: 'end.fraud',
    url: '/?m=1',
    status: 200,
    title: 'Sign-in stopped',
    focus: 'h1',
    message: () => ({ kind: 'fraud', username: 'alice', ref: '7K4M-Q2XD' }),
  },
  {
    id: 'end.timeout',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Time ran out',
    focus: 'h1',
    scene: pushed({ state: 'timed-out' }),
  },
  {
    id: 'end.locked',
    url: `/prove?${two}`,
    status: 200,
    title: 'Locked by Duo',
    focus: 'h1',
    scene: offered({ kind: 'deny', reason: 'duo-locked', said: 'Your account is locked out' }),
  },
  {
    id: 'duo.deny',
    url: `/prove?${two}`,
    status: 200,
    title: 'Not allowed by Duo',
    focus: 'h1',
    scene: offered({
      kind: 'deny',
      reason: 'duo-disabled',
      said: 'Your account is disabled and cannot access this application. Please contact your administrator.',
    }),
  },
  {
    id: 'nodevice.duo-no-user',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-device', reason: 'duo-no-user', device: null, passcode: false }),
  },
  {
    id: 'nodevice.duo-no-device',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-device', reason: 'duo-no-device', device: null, passcode: true }),
  },
  {
    id: 'nodevice.duo-not-activated',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-device', reason: 'duo-not-activated', device: 'Work phone', passcode: false }),
  },
  {
    id: 'nodevice.no-second-factor',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-second-factor' }),
  },
  {
    id: 'enrol.self',
    url: `/prove?${two}`,
    status: 200,
    title: 'Set up your phone',
    focus: null,
    scene: offered({ kind: 'enroll', portalUrl: 'https://api-12345678.duosecurity.com/portal?code=x', said: '' }),
  },
  {
    id: 'enrol.unseen',
    url: `/prove?${two}&m=1`,
    status: 200,
    title: 'Set up your phone',
    focus: '.notice',
    scene: offered({ kind: 'enroll', portalUrl: 'https://api-12345678.duosecurity.com/portal?code=x', said: '' }),
    message: () => ({ kind: 'not-enrolled' }),
  },
  {
    id: 'enrol.ask',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'enroll', portalUrl: null, said: '' }),
  },
  {
    id: 'duo.down',
    url: `/prove?${two}`,
    status: 503,
    title: 'Duo can’t be reached',
    focus: 'h1',
    scene: offered({ kind: 'unavailable', reason: 'duo-unreachable', detail: 'ECONNREFUSED' }),
  },
  {
    id: 'duo.setup',
    url: `/prove?${two}`,
    status: 503,
    title: 'Set-up problem',
    focus: 'h1',
    scene: offered({ kind: 'misconfigured', reason: 'duo-signature', detail: '40103' }),
  },
  {
    id: 'duo.clock',
    url: `/prove?${two}`,
    status: 503,
    title: 'Clock problem',
    focus: 'h1',
    scene: offered({ kind: 'misconfigured', reason: 'duo-clock', detail: '40105', clockOffsetSeconds: -720 }),
  },
  {
    id: 'denied',
    url: `/denied?${two}&rm=GET`,
    status: 403,
    title: 'No access',
    focus: 'h1',
    scene: () => ({ level: 2, next: forbidden }),
  },
  {
    id: 'denied.anonymous',
    url: `/denied?${two}&rm=GET`,
    status: 403,
    title: 'No access',
    focus: 'h1',
    scene: () => ({ next: forbidden }),
  },
  { id: 'denied.foreign', url: '/', status: 403, title: 'No access', focus: 'h1', foreign: 'denied' },
  { id: 'gate.bad', url: '/', status: 400, title: 'Wrong address', focus: 'h1', foreign: 'bad' },
  { id: 'signout.ask', url: '/logout', status: 200, title: 'Sign out', focus: null, scene: signedIn() },
  { id: 'signout.done', url: `/logout/done?${two}`, status: 200, title: 'Signed out', focus: 'h1' },
  {
    id: 'unsafe',
    url: '/go?rd=https%3A%2F%2Fevil.example%2F',
    status: 200,
    title: 'Link not followed',
    focus: 'h1',
    scene: () => ({ level: 2 }),
  },
  {
    id: 'limited',
    url: '/?m=1',
    status: 429,
    title: 'Too many requests',
    focus: 'h1',
    message: now => ({ kind: 'limited', until: now + 5_000 }),
  },
  { id: 'notfound', url: '/nothing/here', status: 404, title: 'Not found', focus: 'h1' },
  { id: 'bad', url: '/?rd=a&rd=b', status: 400, title: 'Not understood', focus: 'h1' },
  {
    id: 'down',
    url: '/',
    status: 503,
    title: 'Can’t sign in now',
    focus: 'h1',
    scene: () => ({ failure: new RedisDown('redis-down', 'connect ECONNREFUSED') }),
  },
  {
    id: 'error',
    url: '/',
    status: 500,
    title: 'Something broke',
    focus: 'h1',
    scene: () => ({ failure: new TypeError('a bug') }),
  },
]
