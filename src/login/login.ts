import type { FastifyRequest } from 'fastify'
import type { Factor, Level } from '../access/access.ts'
import type { Milliseconds } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import type {
  Offer,
  PasscodeOutcome,
  PushView,
  Refusal,
  RingingWay,
  SmsOutcome,
  StartOutcome,
  Way,
} from '../duo/duo.ts'
import type { Reason } from '../problems/problems.ts'
import type { Session, Started } from '../session/session.ts'
import type { AuditEvent } from '../telemetry/audit.ts'
import type { Banned, FirstFactor, Person } from '../users/users.ts'
import type { Settings } from './settings.ts'

/** Who is at the portal or the API, worked out once a request. */
export interface Visit {
  readonly domain: CookieDomain
  /** The session and its person, both or neither. */
  readonly who: { readonly session: Session; readonly person: Person } | null
  readonly level: Level
  /** Why a session that this browser had is over; null when it had none. */
  readonly ended: 'inactive' | 'expired' | 'revoked' | null
  readonly ip: string | undefined
  /** `Firefox on Linux`. */
  readonly browser: string
  /** What this browser brings of an earlier approval, so that Duo may let it pass; bound to it and to one person, worth nothing by itself. */
  readonly remembered: string | undefined
}

export type SignedIn = Extract<FirstFactor, { outcome: 'accepted' }> & { readonly started: Started }
export type SignIn =
  | SignedIn
  | Exclude<FirstFactor, { outcome: 'accepted' | 'unavailable' }>
  /** Nobody looked at the password. `reason` is missing for a bug. */
  | { readonly outcome: 'unavailable'; readonly ref: string; readonly reason?: Reason }
  | Limited

/** Where somebody goes next: what the gate would say of the wanted site, so that the two never send a person back and forth. */
export type Next =
  /** `forbidden`: the rules have no access for this person; the gate says so there. */
  | { readonly to: 'site'; readonly url: string; readonly host: string; readonly forbidden: boolean }
  | { readonly to: 'home' }
  /** The wanted site needs the password: of nobody yet, or again, since the last proof is older than `maxAge`. */
  | { readonly to: 'password'; readonly host: string; readonly maxAge: Milliseconds | null }
  /** The wanted site needs a second factor that this session has not proved; `why`: none yet, one too old, or one that Duo did not ask for. */
  | {
      readonly to: 'prove'
      readonly host: string
      readonly why: 'level' | 'age' | 'factor'
      readonly maxAge: Milliseconds | null
      readonly factors: readonly Factor[]
    }
  /** `rd` was given and must not be followed. */
  | { readonly to: 'unsafe'; readonly host: string }

/** What a visitor was doing when the gate sent him here. Judged each time it is used. */
export interface Wanted {
  /** As given by the visitor. */
  readonly rd: string | undefined
  /** The method; GET where it is not known. */
  readonly rm?: string | undefined
}

export interface Site {
  readonly name: string
  readonly url: string
  readonly host: string
  /** What the portal asks for when the person opens it. */
  readonly needs: 'nothing' | 'password' | 'second-factor'
}

export type Claim =
  | {
      readonly outcome: 'raised'
      readonly started: Started
      /** The cookie that lets this browser pass for a while, where that was asked for and Duo allows it. */
      readonly remembered: Started['cookie'] | null
    }
  | { readonly outcome: 'nothing' | 'ended' }

/** Too many requests came from this address. */
export interface Limited {
  readonly outcome: 'limited'
  readonly until: Milliseconds
}

/** `duo_api` is missing. */
type NoSecondFactor = { readonly outcome: 'no-second-factor' }

export interface Login {
  /** Undefined: the request's Host is no portal of the configuration. @throws {Unavailable} */
  visit(request: FastifyRequest): Promise<Visit | undefined>
  /** Checks the password and starts a session in place of the visit's. Every outcome is audited here. */
  signIn(visit: Visit, entered: { username: string; password: string; remember: boolean }): Promise<SignIn>
  next(visit: Visit, wanted: Wanted): Next
  /** Writes which rule refuses the wanted page to this visitor, once; returns the reference. Behind nginx the gate has written it already: the same one. */
  denied(visit: Visit, wanted: Wanted): string
  /** The host of a safe `rd`, to show; null where there is none or it is unsafe. */
  wantedHost(rd: string | undefined): string | null
  sites(visit: Visit): readonly Site[]
  /** Asks Duo. Needs `visit.who`. */
  offer(visit: Visit, wanted: Wanted): Promise<Offer | { kind: 'no-second-factor' }>
  /** Duo lets the person pass, or cannot be asked and the failmode is safe: raises without a factor, audited as such. */
  raiseByPolicy(visit: Visit, offer: Extract<Offer, { kind: 'allow' | 'failmode' }>): Promise<Claim>
  /** Sends a push or makes a call. @param way undefined: the one used last, where it rings; `only-push`: or else the push that is the only one */
  ring(
    visit: Visit,
    way: RingingWay | 'only-push' | undefined,
    wanted: Wanted,
  ): Promise<StartOutcome | NoSecondFactor | Limited>
  /** Tries a passcode; `claim` takes one that was accepted. */
  passcode(visit: Visit, passcode: string, wanted: Wanted): Promise<PasscodeOutcome | NoSecondFactor | Limited>
  /** Lets Duo send passcodes to a phone. */
  sms(visit: Visit, device: string, wanted: Wanted): Promise<SmsOutcome | NoSecondFactor | Limited>
  push(visit: Visit): Promise<PushView | null>
  pushChange(visit: Visit, seq: number, within: Milliseconds, signal: AbortSignal): Promise<PushView | null>
  /**
   * Raises the level when this session's newest push, call or passcode is allowed. Idempotent: one raise.
   * @param remember whether this browser need not be confirmed for a while, as far as Duo's policy goes
   */
  claim(visit: Visit, remember?: boolean): Promise<Claim>
  cancelPush(visit: Visit): Promise<void>
  /** Until when this person cannot send a push; null: now. */
  pushPausedUntil(visit: Visit): Promise<Milliseconds | null>
  /** Why this person can prove nothing now, or nobody can from there: too many wrong passwords or passcodes, or an administrator; null: may. */
  ban(visit: Visit): Promise<Banned | null>
  /** What the person must know: the phone said no to somebody with the password. Only at level 2: at level 1 that somebody could be here. */
  refusal(visit: Visit): Promise<Refusal | null>
  refusalSeen(visit: Visit): Promise<void>
  /** The way that this person used or chose last. */
  keptWay(visit: Visit): Promise<Way | null>
  /** False: Duo does not offer this way to this person. */
  keepWay(visit: Visit, way: Way): Promise<boolean>
  /** Ends the session and its push, where there is one. Returns the cookie that makes the browser forget it. */
  signOut(visit: Visit): Promise<Started['cookie']>
  /** Writes the event and returns its reference, for a page's reference block: once a minute for each person, and for all together of what nobody in particular causes. */
  report(
    visit: Visit | undefined,
    event: AuditEvent,
    fields: { reason?: string; host?: string; detail?: string; device?: string },
  ): string
  /** What a person sees and ends of their own. */
  readonly settings: Settings
  readonly simulated: boolean
  readonly secondFactorConfigured: boolean
}
