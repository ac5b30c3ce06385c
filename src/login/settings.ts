import type { Duo, RememberedBrowser, Way } from '../duo/duo.ts'
import { Unavailable } from '../problems/unavailable.ts'
import type { SeenSession, Session, Sessions } from '../session/session.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Visit } from './login.ts'
import type { FailedTries, LoginRecord, Logins } from './logins.ts'

/** What a person is shown of what is theirs. */
export interface Overview {
  /** This browser's first, then the one that was used last. */
  readonly sessions: readonly SeenSession[]
  /** The way that was used or chose last, with the device's name (empty for a passcode); null: the records do not answer. */
  readonly way: { readonly way: Way; readonly name: string } | 'none' | null
  /** This browser first; null: the records do not answer. */
  readonly remembered: readonly RememberedBrowser[] | null
  /** The newest first; null: the records do not answer. */
  readonly logins: readonly LoginRecord[] | null
}

/** Null where what is asked does not answer now: what is shown beside it, and what has to be done all the same, does not wait for it. */
export async function whereUp<T>(asked: Promise<T> | undefined): Promise<T | null> {
  try {
    return (await asked) ?? null
  } catch (error) {
    if (error instanceof Unavailable) return null
    throw error
  }
}

/**
 * What a person sees and ends of their own. Where a second factor is configured, only after it was proved: whoever has the password alone
 * must not learn from where the owner works, nor sign the owner out. What may not be done is not done, whoever calls.
 */
export interface Settings {
  /** At level 2, unless that came from an outage of Duo; where no second factor is configured, with the password. */
  mayOpen(visit: Visit): boolean
  /** Null: may not be opened. @throws {Unavailable} */
  overview(visit: Visit): Promise<Overview | null>
  /** Ends one session of this person; the one that it ended, or null where there is none of that key. */
  endSession(visit: Visit, key: string): Promise<Session | null>
  /** All but this browser's. Returns how many. */
  endOthers(visit: Visit): Promise<number>
  /** This browser's too. Null: may not be done. */
  endAll(visit: Visit): Promise<number | null>
  forgetWay(visit: Visit): Promise<void>
  /** Null: there is none of that id. */
  forgetBrowser(visit: Visit, id: string): Promise<RememberedBrowser | null>
  forgetBrowsers(visit: Visit): Promise<void>
  /** Those since the last sign-in, where there are enough of them to be told; null also where the records do not answer. */
  failedTries(visit: Visit): Promise<FailedTries | null>
  failedTriesSeen(visit: Visit): Promise<void>
}

const LOGINS_SHOWN = 10
/** Fewer are slips of the owner's own fingers. */
const TOLD_FROM = 3

interface Parts {
  readonly sessions: Sessions
  readonly duo: Duo | null
  readonly logins: Logins
  readonly audit: Audit
}

/** This browser first. */
async function remembered(duo: Duo, username: string, cookie: string | undefined) {
  const all = await duo.rememberedBrowsers(username, cookie)
  return [...all.filter(({ here }) => here), ...all.filter(({ here }) => !here)]
}

export function openSettings({ sessions, duo, logins, audit }: Parts): Settings {
  /** Whose settings this visit may open. */
  function ownerOf({ who, level }: Visit): { readonly session: Session; readonly username: string } | null {
    if (who === null) return null
    const proved = duo === null || (level === 2 && who.session.secondFactor?.how !== 'failmode')
    return proved ? { session: who.session, username: who.person.username } : null
  }

  function told({ ip }: Visit, username: string, count: number, reason: 'one' | 'others' | 'all'): void {
    audit('session.ended-by-owner', { username, count, reason, ...(ip === undefined ? {} : { ip }) })
  }

  /** The pushes first: an approval that comes between the two must find nothing to raise. Records that do not answer keep no session alive. */
  async function cancelPushes(of: readonly SeenSession[]): Promise<void> {
    for (const { session } of of) await whereUp(duo?.cancel(session.key))
  }

  return {
    mayOpen: visit => ownerOf(visit) !== null,

    async overview(visit) {
      const owner = ownerOf(visit)
      if (owner === null) return null
      const { username, session } = owner
      const listed = await sessions.list(username)
      const isHere = ({ session: { key } }: SeenSession) => key === session.key
      return {
        sessions: [...listed.filter(isHere), ...listed.filter(one => !isHere(one))],
        way: duo === null ? 'none' : await whereUp(duo.keptWay(username).then(kept => kept ?? ('none' as const))),
        remembered: duo === null ? [] : await whereUp(remembered(duo, username, visit.remembered)),
        logins: await whereUp(logins.latest(username, LOGINS_SHOWN)),
      }
    },

    async endSession(visit, key) {
      const owner = ownerOf(visit)
      if (owner === null) return null
      // Only among this person's own: a key of somebody else's is none.
      const found = (await sessions.list(owner.username)).find(({ session }) => session.key === key)
      if (found === undefined) return null
      await cancelPushes([found])
      await sessions.end(found.session)
      told(visit, owner.username, 1, 'one')
      return found.session
    },

    async endOthers(visit) {
      const owner = ownerOf(visit)
      if (owner === null) return 0
      const others = (await sessions.list(owner.username)).filter(({ session }) => session.key !== owner.session.key)
      await cancelPushes(others)
      const count = await sessions.endAllOf(owner.username, { except: owner.session.key })
      told(visit, owner.username, count, 'others')
      return count
    },

    async endAll(visit) {
      const owner = ownerOf(visit)
      if (owner === null) return null
      await cancelPushes(await sessions.list(owner.username))
      const count = await sessions.endAllOf(owner.username)
      told(visit, owner.username, count, 'all')
      return count
    },

    async forgetWay(visit) {
      const owner = ownerOf(visit)
      if (owner !== null) await duo?.forgetWay(owner.username)
    },

    async forgetBrowser(visit, id) {
      const owner = ownerOf(visit)
      if (owner === null || duo === null) return null
      const found = (await duo.rememberedBrowsers(owner.username)).find(browser => browser.id === id)
      if (found !== undefined) await duo.forgetRemembered(owner.username, id)
      return found ?? null
    },

    async forgetBrowsers(visit) {
      const owner = ownerOf(visit)
      if (owner !== null) await duo?.forgetRemembered(owner.username)
    },

    async failedTries(visit) {
      const owner = ownerOf(visit)
      if (owner === null) return null
      const { secondFactor, passwordAt } = owner.session
      const counted = await whereUp(
        logins.failedTries(
          owner.username,
          secondFactor === null ? 'password' : 'second-factor',
          secondFactor?.at ?? passwordAt,
        ),
      )
      return counted === null || counted.count < TOLD_FROM ? null : counted
    },

    async failedTriesSeen(visit) {
      const owner = ownerOf(visit)
      if (owner !== null) await logins.failedTriesSeen(owner.username)
    },
  }
}
