import type { FastifyBaseLogger } from 'fastify'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import { problems } from '../problems/problems.ts'
import { newReference } from '../problems/reference.ts'
import type { Directory } from './ldap-directory.ts'
import { directoryDown, EntryUnclear, type LdapReason, reasonOf, sayingOf } from './ldap-fault.ts'
import { createPool } from './pool.ts'
import { DirectoryDown, type Person, type Users } from './users.ts'

export interface LdapPeople extends Pick<Users, 'fault' | 'find' | 'everybody'> {
  /** Asks the directory something else, and learns from that whether it answers. @throws {DirectoryDown} and {EntryUnclear}, which is about one entry */
  ask<T>(question: () => Promise<T>): Promise<T>
  /** The directory has just said this of somebody. */
  learn(person: Person): void
  close(): void
}

interface Parts {
  readonly directory: Pick<Directory, 'person'>
  /** How long what the directory said is believed; `disable`: until the person signs in again. */
  readonly refreshInterval: Milliseconds | 'always' | 'disable'
  /** How long it is believed while the directory does not answer. */
  readonly grace: Milliseconds
  readonly clock: Clock
  readonly log: FastifyBaseLogger
}

/** What the directory said of a name, and when. */
interface Known {
  readonly person: Person | undefined
  readonly at: Milliseconds
}

/** The directory did not answer when it was asked last. */
interface Down {
  readonly ref: string
  readonly error: DirectoryDown
  readonly reason: LdapReason
  readonly text: string
  readonly at: Milliseconds
  /** Somebody is asking it again now. */
  probing: boolean
}

const PEOPLE_AT_MOST = 10_000
const AT_ONCE = 8
const QUEUE = 1000
/** A directory that does not answer is asked again after so long, by one request. */
const PAUSE: Milliseconds = 2 * SECOND

/**
 * What is known of the people of a directory. The gate is answered at once from what the directory said within `refreshInterval`; of
 * each person at most one question is on its way. While the directory does not answer, who is known stays in for `grace`.
 */
export function ldapPeople({ directory, refreshInterval, grace, clock, log }: Parts): LdapPeople {
  const known = new Map<string, Known>()
  const underWay = new Map<string, Promise<Person | undefined>>()
  const pool = createPool({ concurrency: AT_ONCE, queue: QUEUE }, clock)
  let down: Down | undefined
  let everybody: ReturnType<Users['everybody']> = []
  let isEverybodyOld = false

  function answers(): void {
    if (down !== undefined) log.info({ ref: down.ref }, 'the directory answers again')
    down = undefined
  }

  function fails(cause: unknown): DirectoryDown {
    const ref = down?.ref ?? newReference()
    const error = Object.assign(directoryDown(cause), { ref })
    const reason = reasonOf(cause)
    const { title, mend } = problems[reason]
    const text = `${title}: ${sayingOf(cause)}`
    // Once for each state: what is asked meanwhile says nothing new.
    if (down?.reason !== reason)
      log.error(
        { ref, err: cause, reason },
        `${text}. ${mend} Nobody new can sign in; who is signed in stays for a while.`,
      )
    down = { ref, error, reason, text, at: clock(), probing: false }
    return error
  }

  /** One asks a directory that is down, and not all the time: the others would only wait for the same. */
  function isHeldBack(): boolean {
    if (down === undefined) return false
    const since = clock() - down.at
    return down.probing || (since >= 0 && since < PAUSE)
  }

  async function ask<T>(question: () => Promise<T>): Promise<T> {
    if (down !== undefined) {
      if (isHeldBack()) throw down.error
      down.probing = true
    }
    try {
      const answer = await question()
      answers()
      return answer
    } catch (error) {
      if (!(error instanceof EntryUnclear)) throw fails(error)
      answers()
      throw error
    }
  }

  function note(username: string, person: Person | undefined): void {
    const before = known.get(username)?.person
    known.delete(username)
    known.set(username, { person, at: clock() })
    const oldest = known.size > PEOPLE_AT_MOST ? known.keys().next().value : undefined
    if (oldest !== undefined) known.delete(oldest)
    if (before?.username !== person?.username || before?.emails[0] !== person?.emails[0] || oldest !== undefined)
      isEverybodyOld = true
  }

  function refresh(username: string): Promise<Person | undefined> {
    const joined = underWay.get(username)
    if (joined !== undefined) return joined
    const place = pool.admit()
    if ('retryAfterSeconds' in place) return Promise.reject(new DirectoryDown('too many people are looked up already'))
    const asked = place
      .run(() => ask(() => directory.person(username)))
      .then(
        person => {
          note(username, person)
          return person
        },
        error => {
          throw directoryDown(error)
        },
      )
      .finally(() => underWay.delete(username))
    underWay.set(username, asked)
    return asked
  }

  const age = ({ at }: Known) => clock() - at
  const isFresh = (one: Known) =>
    refreshInterval === 'disable' || (refreshInterval !== 'always' && age(one) >= 0 && age(one) < refreshInterval)
  /** A clock that was set back makes nobody's time longer than one more `grace`. */
  const isWithinGrace = (one: Known) => Math.abs(age(one)) < grace

  return {
    ask,

    get fault() {
      return down?.text
    },

    find(username) {
      const one = known.get(username)
      if (one !== undefined && isFresh(one)) return one.person
      const old = one !== undefined && isWithinGrace(one) ? one : undefined
      if (down === undefined) {
        const asked = refresh(username)
        return old === undefined ? asked : asked.catch(() => old.person)
      }
      if (old === undefined) return refresh(username)
      // Asked beside: nobody whom we know waits for a directory that may not answer.
      if (!isHeldBack()) refresh(username).catch(() => {})
      return old.person
    },

    everybody() {
      if (isEverybodyOld)
        everybody = [...known.values()].flatMap(({ person }) =>
          person === undefined ? [] : [{ username: person.username, email: person.emails[0] }],
        )
      isEverybodyOld = false
      return everybody
    },

    learn: person => note(person.username, person),
    close: () => pool.close(),
  }
}
