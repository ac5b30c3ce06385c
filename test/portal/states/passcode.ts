import { choice } from '../fake-login.ts'
import type { State } from '../states.ts'
import { everyWay, offered, passcode, phone, two, work } from './scenes.ts'

/** Of src/portal/pages/passcode.tsx. */
export const passcodeStates: readonly State[] = [
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
]
