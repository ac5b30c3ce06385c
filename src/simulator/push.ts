import type { Milliseconds } from '../clock.ts'
import { maskedNumber, type SimulatedDevice } from './users.ts'

/** What auth_status says. */
export type Status = {
  readonly result: 'waiting' | 'allow' | 'deny'
  readonly status: string
  readonly status_msg: string
  readonly trusted_device_token?: string
}

export type PushState = 'pending' | 'approved' | 'denied' | 'fraud' | 'timed-out'

/**
 * What a person does with the phone. On a call `approve` presses the key (and picks up, when that was not done), `deny` hangs up, and
 * `fraud` presses the key for that.
 */
export const pushAnswers = ['approve', 'deny', 'fraud', 'pick-up'] as const
export type PushAnswer = (typeof pushAnswers)[number]

/** What a phone received: a push, or a call. */
export interface Push {
  readonly id: string
  readonly factor: 'push' | 'phone'
  readonly username: string
  readonly displayUsername: string
  readonly device: SimulatedDevice
  /** The word before *request*: `Login`. */
  readonly type: string
  /** In the order in which they came. */
  readonly pushinfo: readonly (readonly [name: string, value: string])[]
  readonly ipaddr: string | undefined
  /** Verified Push: what the person must enter before an approval counts. */
  readonly verificationCode: string | undefined
  /** How many times something else was entered. */
  readonly wrongCodes: number
  /** A call was. */
  readonly pickedUp: boolean
  readonly sentAt: Milliseconds
  /** From here on no answer counts. */
  readonly deadline: Milliseconds
  readonly state: PushState
  readonly answeredAt: Milliseconds | undefined
}

/** Duo's words (the well-known ones; an open set). */
export const say = {
  pushed: { result: 'waiting', status: 'pushed', status_msg: 'Pushed a login request to your device...' },
  pushFailed: {
    result: 'waiting',
    status: 'push_failed',
    status_msg: 'Could not deliver the login request to your device.',
  },
  answered: { result: 'waiting', status: 'answered', status_msg: "Answered. Press '#' on your phone to log in." },
  allowed: { result: 'allow', status: 'allow', status_msg: 'Success. Logging you in...' },
  bypassed: { result: 'allow', status: 'bypass', status_msg: 'Success. Logging you in...' },
  denied: { result: 'deny', status: 'deny', status_msg: 'Login request denied.' },
  noKeypress: { result: 'deny', status: 'deny', status_msg: 'No keypress detected. Please try again.' },
  wrongPasscode: { result: 'deny', status: 'deny', status_msg: 'Incorrect passcode. Please try again.' },
  fraud: { result: 'deny', status: 'fraud', status_msg: 'Login request reported as fraudulent.' },
  timedOut: { result: 'deny', status: 'timeout', status_msg: 'Login timed out.' },
  textsSent: { result: 'deny', status: 'sent', status_msg: 'New SMS passcodes sent.' },
} as const satisfies Record<string, Status>

const calling = (device: SimulatedDevice): Status => ({
  result: 'waiting',
  status: 'calling',
  status_msg: `Dialing ${maskedNumber(device.number)}...`,
})

/** What is said when a push or a call has begun. duo_unix shows nothing else of a Verified Push, so its code is in the words. */
export function beginning({ factor, device, verificationCode }: Push): Status {
  if (factor === 'phone') return calling(device)
  if (!device.reachable) return say.pushFailed
  if (verificationCode === undefined) return say.pushed
  return { ...say.pushed, status_msg: `Please enter verification code ${verificationCode} into Duo Mobile...` }
}

/** How a push ends. `expire`: the time was over. */
export function ending(
  push: Push,
  how: Exclude<PushAnswer, 'pick-up'> | 'expire',
): { state: PushState; status: Status } {
  switch (how) {
    case 'approve':
      return { state: 'approved', status: say.allowed }
    case 'deny':
      return { state: 'denied', status: push.factor === 'phone' ? say.noKeypress : say.denied }
    case 'fraud':
      return { state: 'fraud', status: say.fraud }
    case 'expire':
      return { state: 'timed-out', status: push.pickedUp ? say.noKeypress : say.timedOut }
  }
}
