import type { LoginRecord } from '../../../src/login/logins.ts'
import type { Overview } from '../../../src/login/settings.ts'
import type { Message } from '../../../src/portal/message.ts'
import type { SeenSession, Session } from '../../../src/session/session.ts'
import { choice } from '../fake-login.ts'
import type { State } from '../states.ts'
import { DAY, everyWay, MINUTE, phone, signedIn } from './scenes.ts'

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

/** Of src/portal/pages/settings.tsx. */
export const settingsStates: readonly State[] = [
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
]
