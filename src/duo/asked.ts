import { DAY, MINUTE, type Milliseconds } from '../clock.ts'

/** Between two text messages to one person. */
export const SMS_COOL_DOWN: Milliseconds = MINUTE
/** So long it is known that a session was asked for a factor: a day, and a level-1 session that is older proves as little as a new one. */
export const KEPT: Milliseconds = DAY

export type Refused =
  | { readonly outcome: 'paused'; readonly until: Milliseconds; readonly why: 'budget' }
  | { readonly outcome: 'cool-down'; readonly until: Milliseconds }

/** The factors that were asked for, of everybody: budgets are counted here, in the store that all processes share. */
export interface Asked {
  /** Counts one that is about to reach a phone, before it does; or says until when it may not. */
  take(
    who: { username: string; sessionKey: string; ip: string | undefined },
    kind: 'push' | 'phone' | 'sms',
  ): Promise<Refused | null>
  /** A passcode is about to be tried; users/ counts those. */
  note(who: { username: string; sessionKey: string }): Promise<void>
  /** Whether this session was ever asked for a factor. */
  everIn(sessionKey: string): Promise<boolean>
}
