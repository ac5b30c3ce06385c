import type { FastifyRequest } from 'fastify'
import type { Level } from '../access/access.ts'
import type { Milliseconds } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import type { Offer, PushView, Refusal, StartOutcome } from '../duo/duo.ts'
import type { Session, Started } from '../session/session.ts'
import type { AuditEvent } from '../telemetry/audit.ts'
import type { FirstFactor, Person } from '../users/users.ts'

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
}

export type SignedIn = Extract<FirstFactor, { outcome: 'accepted' }> & { readonly started: Started }
export type SignIn = SignedIn | Exclude<FirstFactor, { outcome: 'accepted' }>

/** Where somebody goes next. */
export type Next =
  | { readonly to: 'site'; readonly url: string; readonly host: string }
  | { readonly to: 'home' }
  /** The wanted site needs a second factor that this session has not proved. */
  | { readonly to: 'prove'; readonly host: string }
  /** `rd` was given and must not be followed. */
  | { readonly to: 'unsafe'; readonly host: string }

export interface Site {
  readonly name: string
  readonly url: string
  readonly host: string
  readonly needsSecondFactor: boolean
}

export type Claim =
  | { readonly outcome: 'raised'; readonly started: Started }
  | { readonly outcome: 'nothing' | 'ended' }

export interface Login {
  /** Undefined: the request's Host is no portal of the configuration. @throws {StoreDown} */
  visit(request: FastifyRequest): Promise<Visit | undefined>
  /** Checks the password and starts a session in place of the visit's. Every outcome is audited here. */
  signIn(visit: Visit, entered: { username: string; password: string; remember: boolean }): Promise<SignIn>
  /** @param rd as given by the visitor; judged here, each time it is used */
  next(visit: Visit, rd: string | undefined): Next
  /** The host of a safe `rd`, to show; null where there is none or it is unsafe. */
  wantedHost(rd: string | undefined): string | null
  sites(visit: Visit): readonly Site[]
  /** Needs `visit.who`. Not configured: `'no-second-factor'`. */
  offer(visit: Visit): Promise<Offer | { kind: 'no-second-factor' }>
  /** Duo said `allow` at preauth: raises without a factor, audited as such. */
  raiseByPolicy(visit: Visit, said: string): Promise<Claim>
  sendPush(
    visit: Visit,
    device: string | undefined,
    rd: string | undefined,
  ): Promise<StartOutcome | { outcome: 'no-second-factor' }>
  push(visit: Visit): Promise<PushView | null>
  pushChange(visit: Visit, seq: number, within: Milliseconds, signal: AbortSignal): Promise<PushView | null>
  /** Raises the level when this session's newest push is allowed. Idempotent: one raise. */
  claim(visit: Visit): Promise<Claim>
  cancelPush(visit: Visit): Promise<void>
  /** Until when this person cannot send a push; null: now. */
  pushPausedUntil(visit: Visit): Promise<Milliseconds | null>
  /** What the person must know: the phone said no to somebody with the password. Only at level 2: at level 1 that somebody could be here. */
  refusal(visit: Visit): Promise<Refusal | null>
  refusalSeen(visit: Visit): Promise<void>
  keptDevice(visit: Visit): Promise<{ readonly device: string; readonly method: 'push' } | null>
  /** False: Duo does not list this device with push for this person. */
  keepDevice(visit: Visit, device: string): Promise<boolean>
  /** Ends the session and its push, where there is one. Returns the cookie that makes the browser forget it. */
  signOut(visit: Visit): Promise<Started['cookie']>
  /** Writes the event under a fresh reference and returns the reference, for a page's reference block. Of what nobody in particular causes, only the first in a minute is written. */
  report(
    visit: Visit | undefined,
    event: AuditEvent,
    fields: { reason?: string; host?: string; detail?: string; device?: string },
  ): string
  readonly simulated: boolean
  readonly secondFactorConfigured: boolean
}
