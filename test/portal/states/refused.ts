import { RedisDown } from '../../../src/storage/redis/redis.ts'
import type { State } from '../states.ts'
import { two } from './scenes.ts'

const forbidden = {
  to: 'site',
  url: 'https://two.postern.localhost/reports/2026',
  host: 'two.postern.localhost',
  forbidden: true,
} as const

/** Of src/portal/pages/refused.tsx. */
export const refusedStates: readonly State[] = [
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
