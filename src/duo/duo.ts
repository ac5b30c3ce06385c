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
  /** First character of the next passcode of the last SMS; null where none is unused. */
  readonly nextCode: string | null
}

/** One way to prove who one is: a factor, and the device where it needs one. A passcode is of an app, a token, an SMS or an administrator. */
export type Way = { readonly kind: 'push' | 'phone' | 'sms'; readonly device: string } | { readonly kind: 'passcode' }
/** A way that rings: its answer comes later, from the phone. */
export interface RingingWay {
  readonly kind: 'push' | 'phone'
  readonly device: string
}

/** What a person may do now, by Duo's preauth. */
export type Offer =
  | {
      readonly kind: 'choose'
      /** What preauth offers and `duo_api.factors` allows; never empty. By device in Duo's order, the passcode last. */
      readonly ways: readonly Way[]
      /** Those that a way names. */
      readonly devices: readonly Device[]
      /** One of `ways`: the one used last, or the only push. */
      readonly preferred: Way | null
      /** The device that was used last is gone from Duo, and forgotten now: say so. Told once. Its name, which may be empty. */
      readonly forgotten: string | null
    }
  /** Duo lets the person pass without a factor. */
  | { readonly kind: 'allow'; readonly said: string }
  /**
   * Duo cannot be asked, and `duo_api.failmode: safe` lets people pass then: raise as for `allow`, with `how: 'failmode'`, and audit
   * `duo.failmode`. Where the rule wants a factor of Duo's, show `trouble` instead.
   */
  | { readonly kind: 'failmode'; readonly trouble: DuoTrouble }
  | { readonly kind: 'deny'; readonly reason: 'duo-locked' | 'duo-disabled'; readonly said: string }
  | { readonly kind: 'enroll'; readonly portalUrl: string | null; readonly said: string }
  | {
      readonly kind: 'no-device'
      readonly reason: NoDeviceReason
      readonly device: string | null
      /** Whether a passcode may be tried all the same: a bypass code of an administrator works without a device. */
      readonly passcode: boolean
    }
  | DuoTrouble

export type NoDeviceReason =
  | 'duo-no-user'
  | 'duo-no-device'
  | 'duo-not-activated'
  /** Duo offers ways, and `duo_api.factors` allows none of them. */
  | 'duo-factors'
  /** `duo_api.username` makes no name of this person, or one that is somebody else's too: Duo was not asked. */
  | 'duo-name-empty'
  | 'duo-name-shared'

/** Duo cannot help now (`unavailable`), or refuses this server (`misconfigured`). */
export interface DuoTrouble {
  readonly kind: 'unavailable' | 'misconfigured'
  readonly reason: Reason
  /** For the log: Duo's code and words, or the system's error. */
  readonly detail: string
  /** With reason duo-clock: this machine's clock minus Duo's, in seconds. */
  readonly clockOffsetSeconds?: number
}

/** Whose factor it is, and which session may claim it. */
export interface Owner {
  readonly sessionKey: string
  readonly username: string
  readonly displayName: string
  /** For a `duo_api.username` with `{email}`. */
  readonly email: string | undefined
}

/** What the phone shows, and the waiting page beside it. */
export interface RequestFacts {
  /** Host that the visitor wants; null when the portal itself was opened. */
  readonly site: string | null
  /** Path that the visitor wants there; anything from a `?` on is dropped. */
  readonly path: string | null
  readonly ip: string | undefined
  /** `Firefox on Linux`. */
  readonly browser: string
  readonly at: Milliseconds
}

/** One transaction as anybody may see it who owns its session. Never a txid. */
export interface PushView {
  readonly id: string
  /** Grows with each change. */
  readonly seq: number
  readonly state: PushState
  /** `passcode`: only ever allowed or claimed, without a device. */
  readonly factor: 'push' | 'phone' | 'passcode'
  /** Shown large while it waits. `verified`: typed on the phone, Duo checks it. `matching`: the phone shows it too; advice, no proof. */
  readonly code: { readonly kind: 'verified' | 'matching'; readonly digits: string } | null
  readonly device: { readonly id: string; readonly name: string }
  readonly facts: RequestFacts
  readonly startedAt: Milliseconds
  /** An approval from here on is no approval. */
  readonly deadline: Milliseconds
  /** Duo's words, bounded, without control characters. */
  readonly said: string
  /** Why it failed, where that has a name: `duo-locked` when Duo locked the person out. */
  readonly reason: Reason | null
}

/** An approval that was taken: what raises the level. */
export interface Claimed {
  /** `duo-allow`: Duo let the person pass without the factor that was asked for. */
  readonly how: 'push' | 'phone' | 'passcode' | 'duo-allow'
  readonly said: string
  readonly push: PushView
}

/** Somebody who knew the password asked, and the phone said no. */
export interface Refusal {
  readonly how: 'denied' | 'fraud'
  readonly at: Milliseconds
  readonly facts: RequestFacts
}

/** Why nothing was sent or tried. */
export type Held =
  /** `denied`: after a denial, or while an earlier one may still ring; `fraud`: the lock after a fraud report; `budget`: too many in a while. */
  | { readonly outcome: 'paused'; readonly until: Milliseconds; readonly why: 'denied' | 'fraud' | 'budget' }
  /** Too many wrong passcodes, or passwords. */
  | ({ readonly outcome: 'banned' } & Banned)
  /** The device is none of those that preauth listed for this way. */
  | { readonly outcome: 'unknown-device' }
  /** Duo lets the person pass, refuses, cannot be asked, or offers other ways than this one; without a way given: none is preferred. */
  | { readonly outcome: 'offer'; readonly offer: Offer }

export type StartOutcome =
  | { readonly outcome: 'started' | 'joined'; readonly push: PushView }
  /** Another session of this person holds a push that still waits. */
  | { readonly outcome: 'busy'; readonly until: Milliseconds }
  | Held

export type PasscodeOutcome =
  /** `claim` takes it, once. */
  | { readonly outcome: 'accepted'; readonly push: PushView }
  /** Duo's words, and how many tries are left before a ban; null where regulation is off. */
  | { readonly outcome: 'wrong'; readonly said: string; readonly triesLeft: number | null }
  /** Duo has locked the person out. */
  | { readonly outcome: 'locked'; readonly said: string }
  /** No passcode can look like this: neither sent nor counted. */
  | { readonly outcome: 'malformed' }
  | Held

export type SmsOutcome =
  /** `nextCode`: with which character the passcode begins; null where Duo does not say. */
  | { readonly outcome: 'sent'; readonly said: string; readonly nextCode: string | null }
  | { readonly outcome: 'cool-down'; readonly until: Milliseconds }
  | { readonly outcome: 'refused'; readonly said: string }
  | Held

/** A browser that Duo's *remembered devices* lets pass for a while. */
export interface RememberedBrowser {
  readonly id: string
  /** `Firefox on Linux`. */
  readonly browser: string
  readonly since: Milliseconds
  /** The one whose cookie was shown. */
  readonly here: boolean
}

/** A push or a call that ended without an approval: the phone said no, reported it, or nobody answered. */
export interface Unapproved {
  readonly username: string
  readonly factor: 'push' | 'phone'
  readonly how: 'denied' | 'fraud' | 'timed-out'
  readonly facts: RequestFacts
}

export interface Duo {
  /**
   * Asks preauth. Only after a right password.
   * @param remembered the value that `remember` gave this browser, if it brings one; anybody else's is ignored
   */
  offer(owner: Owner, facts: RequestFacts, remembered?: string): Promise<Offer>
  /**
   * Asks preauth, then sends one push or makes one call and returns; the process follows it under a lease. A session whose push still
   * waits joins it.
   * @param way undefined: the preferred one, where it rings; `only-push`: if that does not ring, the push that is the only one
   */
  start(
    owner: Owner,
    way: RingingWay | 'only-push' | undefined,
    facts: RequestFacts,
    remembered?: string,
  ): Promise<StartOutcome>
  /** Tries a passcode. Counted for the person, over all sessions, before Duo is asked; Duo counts by itself too. */
  passcode(owner: Owner, passcode: string, facts: RequestFacts): Promise<PasscodeOutcome>
  /** Lets Duo send new passcodes by SMS; they are entered by `passcode`. */
  sms(owner: Owner, device: string, facts: RequestFacts): Promise<SmsOutcome>
  /** The newest push of this session. */
  newest(sessionKey: string): Promise<PushView | null>
  /** Resolves when the newest push of this session has moved past `seq`, is over, or `within` has passed. */
  change(sessionKey: string, seq: number, within: Milliseconds, signal: AbortSignal): Promise<PushView | null>
  /** Takes an approval, once: of many that try, one gets it. Null unless the newest push of this session is allowed and unclaimed. */
  claim(sessionKey: string): Promise<Claimed | null>
  /** The push of this session counts no more, whatever the phone says. Also at logout. */
  cancel(sessionKey: string): Promise<void>
  /** Until when no push of this person may go out: after a denial, or a fraud report. Null: one may. */
  pausedUntil(username: string): Promise<Milliseconds | null>
  /** The newest push that this person's phone denied or reported, until it was marked as seen. */
  refusal(username: string): Promise<Refusal | null>
  refusalsSeen(username: string): Promise<void>
  /** The way that this person used or chose last, and its device's name; that of a passcode is empty. */
  keptWay(username: string): Promise<{ readonly way: Way; readonly name: string } | null>
  /** No way is preferred any more, until one is used. */
  forgetWay(username: string): Promise<void>
  /** False: preauth does not offer this way. */
  keepWay(owner: Owner, way: Way, facts: RequestFacts): Promise<boolean>
  /**
   * After a claim: the value of a cookie that lets this browser pass for as long as Duo's policy says. Null: Duo gave none, or
   * `duo_api.remembered_devices` is off. Of one claim, once.
   */
  remember(claimed: Claimed): Promise<string | null>
  /** @param cookie of the browser that asks, if it brings one */
  rememberedBrowsers(username: string, cookie?: string): Promise<readonly RememberedBrowser[]>
  /** @param id undefined: all of this person's */
  forgetRemembered(username: string, id?: string): Promise<void>
  /** Called when a phone reports fraud: login/ ends the person's sessions. After it the person's browsers are forgotten. */
  onFraud(listener: (username: string) => Promise<void>): void
  /** Called once for each, in the process that wrote its end down. It must not throw. */
  onUnapproved(listener: (unapproved: Unapproved) => void): void
  /** Whether the Duo at the other end is the simulator; null until it was asked. */
  readonly simulated: boolean | null
  /** Since when people may pass without a factor, because Duo cannot be asked and the failmode is safe; null: they may not. For health. */
  readonly passingSince: Milliseconds | null
  close(): Promise<void>
}

/** What users/ knows of people, bans and counts, for the second factor. */
export interface People {
  /** All who may sign in, the same list until that changes: two of them whom Duo would take for one are refused. */
  everybody(): readonly { readonly username: string; readonly email: string | undefined }[]
  /** Why this person may prove nothing now, or nobody may from there; null: they may. */
  ban(username: string, from: { ip: string | undefined }): Banned | null | Promise<Banned | null>
  /** Counts a try at a passcode, before it is made. Rejects when the counters do not answer: nothing may be tried then. */
  tryPasscode(username: string, from: { ip: string | undefined }): Promise<PasscodeTry | { readonly banned: Banned }>
}

/** As users/ shows it. */
interface Banned {
  /** Null: until an administrator lifts it. */
  readonly until: Milliseconds | null
  readonly whose: 'name' | 'address'
  readonly by: 'regulation' | 'administrator'
}

export interface PasscodeTry {
  /** After this one; null where regulation is off. */
  readonly triesLeft: number | null
  /** The ban that this try brings when it fails; null when it brings none. */
  readonly brings: Banned | null
  /** It was right: this person's tries are forgotten. */
  succeeded(): Promise<void>
  /** Nobody looked at it: it is not counted. */
  givenBack(): Promise<void>
}
