import type { PushView } from '../../../src/duo/duo.ts'
import { waitingPush } from '../fake-login.ts'
import type { State } from '../states.ts'
import { signedIn, two } from './scenes.ts'

const pushed =
  (changes: Partial<PushView> = {}) =>
  (now: number) => ({
    level: 1 as const,
    push: waitingPush(now, changes),
  })

/** Of src/portal/pages/prove.tsx. */
export const proveStates: readonly State[] = [
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
  {
    id: 'end.denied',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Not approved',
    focus: 'h1',
    scene: pushed({ state: 'denied' }),
  },
  {
    id: 'end.timeout',
    url: `/prove/wait?${two}`,
    status: 200,
    title: 'Time ran out',
    focus: 'h1',
    scene: pushed({ state: 'timed-out' }),
  },
]
