import type { Milliseconds } from '../clock.ts'
import type { Reason } from '../problems/problems.ts'
import type { PushState } from './push.ts'

export interface Device {
  readonly id: string
  /** What a person reads: the device's name, or Duo's display name. Bounded, without control characters. */
  readonly name: string
  /** Masked by Duo, may be empty. */
  readonly number: string
  readonly capabilities: readonly string[]
}

/** What a person may do now, by Duo's preauth. */
export type Offer =
  | { readonly kind: 'choose'; readonly devices: readonly Device[]; readonly preferred: string | null }
  /** Duo lets the person pass without a factor. */
  | { readonly kind: 'allow'; readonly said: string }
  | { readonly kind: 'deny'; readonly reason: 'duo-locked' | 'duo-disabled'; readonly said: string }
  | { readonly kind: 'enroll'; readonly portalUrl: string | null; readonly said: string }
  | {
      readonly kind: 'no-device'
      readonly reason: 'duo-no-user' | 'duo-no-device' | 'duo-not-activated'
      readonly device: string | null
    }
  | DuoTrouble

/** Duo cannot help now (`unavailable`), or refuses this server (`misconfigured`). */
export interface DuoTrouble {
  readonly kind: 'unavailable' | 'misconfigured'
  readonly reason: Reason
  /** For the log: Duo's code and words, or the system's error. */
  readonly detail: string
  /** With reason duo-clock: this machine's clock minus Duo's, in seconds. */
  readonly clockOffsetSeconds?: number
}

/** What the phone shows, and the waiting page beside it. */
export interface RequestFacts {
  /** Host that the visitor wants; null when the portal itself was opened. */
  readonly site: string | null
  readonly ip: string | undefined
  /** `Firefox on Linux`. */
  readonly browser: string
  readonly at: Milliseconds
}

/** One push as anybody may see it who owns its session. Never a txid. */
export interface PushView {
  readonly id: string
  /** Grows with each change. */
  readonly seq: number
  readonly state: PushState
  readonly device: { readonly id: string; readonly name: string }
  readonly facts: RequestFacts
  readonly startedAt: Milliseconds
  /** An approval from here on is no approval. */
  readonly deadline: Milliseconds
  /** Duo's words, bounded, without control characters. */
  readonly said: string
}

export type StartOutcome =
  | { readonly outcome: 'started' | 'joined'; readonly push: PushView }
  /** Another session of this person holds a push that still waits. */
  | { readonly outcome: 'busy'; readonly until: Milliseconds; readonly facts: RequestFacts }
  /** A pause after a denial, or the lock after a fraud report. */
  | { readonly outcome: 'paused'; readonly until: Milliseconds }
  /** The device is none of those that preauth listed. */
  | { readonly outcome: 'unknown-device' }
  /** Nothing was sent: Duo lets the person pass, refuses, or lists several devices and none is kept. */
  | { readonly outcome: 'offer'; readonly offer: Offer }

export interface Duo {
  /** Asks preauth. Only after a right password. */
  offer(username: string, ip: string | undefined): Promise<Offer>
  /**
   * Asks preauth, then sends one push and returns; the process follows it under a lease. A session whose push still waits joins it.
   * @param device undefined: the kept one, or the only one
   */
  start(
    owner: { sessionKey: string; username: string; displayName: string },
    device: string | undefined,
    facts: RequestFacts,
  ): Promise<StartOutcome>
  /** The newest push of this session. */
  newest(sessionKey: string): Promise<PushView | null>
  /** Resolves when the newest push of this session has moved past `seq`, is over, or `within` has passed. */
  change(sessionKey: string, seq: number, within: Milliseconds, signal: AbortSignal): Promise<PushView | null>
  /** Takes an approval, once: of many that try, one gets true. False unless the newest push of this session is allowed and unclaimed. */
  claim(sessionKey: string): Promise<boolean>
  /** The push of this session counts no more, whatever the phone says. Also at logout. */
  cancel(sessionKey: string): Promise<void>
  keptDevice(username: string): Promise<{ device: string; method: 'push' } | null>
  /** False: preauth does not list this device with push. */
  keepDevice(username: string, device: string, ip: string | undefined): Promise<boolean>
  /** Called when a phone reports fraud: login/ ends the person's sessions. */
  onFraud(listener: (username: string) => Promise<void>): void
  /** Whether the Duo at the other end is the simulator; null until it was asked. */
  readonly simulated: boolean | null
  close(): Promise<void>
}
