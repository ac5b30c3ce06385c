import type { State } from '../states.ts'
import { DAY, signedIn, two } from './scenes.ts'

const long = 'the-reporting-department.of-a-very-long-named.subsidiary'

/** Of src/portal/pages/home.tsx. */
export const homeStates: readonly State[] = [
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
    id: 'go.back',
    url: `/?${two}`,
    status: 200,
    title: 'Sent back',
    focus: 'h1',
    scene: () => ({ level: 2 }),
    went: 'https://two.postern.localhost/reports/2026',
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
]
