import type { PushView } from '../../src/duo/duo.ts'
import type { Message } from '../../src/portal/message.ts'
import { type Scene, waitingPush } from './fake-login.ts'

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
const phone = { id: 'DPHONE1', name: 'Pixel 9', number: '+XX XXX XXX 0100', capabilities: ['auto', 'push'] }
const tablet = { id: 'DPHONE2', name: 'iPad (living room)', number: '', capabilities: ['auto', 'push'] }
const work = { id: 'DPHONE3', name: 'Work phone', number: '+XX XXX XXX 0199', capabilities: ['auto', 'push'] }
const long = 'the-reporting-department.of-a-very-long-named.subsidiary'

export const states: readonly State[] = [
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
    message: now => ({ kind: 'banned', username: 'alice', until: now + 297_000 }),
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
        facts: { site: null, ip: '198.51.100.23', browser: 'Chrome on Windows', at: now - 3_660_000 },
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
          needsSecondFactor: true,
        },
        {
          name: `${long}.postern.localhost`,
          url: `https://${long}.postern.localhost/x`,
          host: `${long}.postern.localhost`,
          needsSecondFactor: false,
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
    scene: offered({ kind: 'choose', devices: [phone, tablet, work], preferred: 'DPHONE2' }),
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
    scene: offered({ kind: 'choose', devices: [phone, work], preferred: null }),
    message: () => ({ kind: 'unknown-device' }),
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
    message: now => ({ kind: 'paused', until: now + 118_000 }),
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
    scene: offered({ kind: 'no-device', reason: 'duo-no-user', device: null }),
  },
  {
    id: 'nodevice.duo-no-device',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-device', reason: 'duo-no-device', device: null }),
  },
  {
    id: 'nodevice.duo-not-activated',
    url: `/prove?${two}`,
    status: 200,
    title: 'No compatible device',
    focus: '.notice',
    scene: offered({ kind: 'no-device', reason: 'duo-not-activated', device: 'Work phone' }),
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
    url: `/enroll?${two}`,
    status: 200,
    title: 'Set up your phone',
    focus: null,
    scene: offered({ kind: 'enroll', portalUrl: 'https://api-12345678.duosecurity.com/portal?code=x', said: '' }),
  },
  {
    id: 'enrol.unseen',
    url: `/enroll?${two}&m=1`,
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
    scene: () => ({ level: 2 }),
  },
  { id: 'denied.anonymous', url: `/denied?${two}&rm=GET`, status: 403, title: 'No access', focus: 'h1' },
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
    id: 'error',
    url: '/',
    status: 500,
    title: 'Something broke',
    focus: 'h1',
    scene: () => ({ failure: new TypeError('a bug') }),
  },
]
