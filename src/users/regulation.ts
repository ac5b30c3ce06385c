import { createHash } from 'node:crypto'
import type { Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { keyOfClient } from '../http/client-address.ts'
import type { Ban, Counted, Counter, OpenCounter } from './counter.ts'
import type { Banned } from './users.ts'

/** One try, counted already. One of its two ends may be called, or none: then it counts as failed. */
export interface CountedTry {
  /** After this one; null where regulation is off. */
  readonly triesLeft: number | null
  /** The ban that this try brings when it fails; null when it brings none. */
  readonly brings: Banned | null
  /** It was right: the tries up to this one are forgotten, and a ban that this one brought is lifted. */
  succeeded(): Promise<void>
  /** It was never evaluated: this one is not counted. */
  givenBack(): Promise<void>
}

/** One try at a password. Its tries are those of the name as typed, and of the address. */
export interface Try extends CountedTry {
  /** False: the person is banned under another spelling of the name. The password must not be evaluated, and nothing may show it. */
  readonly mayBeEvaluated: boolean
}

/** Whose tries count, and from where. */
interface Who {
  readonly person: string
  /** The client's address; undefined where it is not known. */
  readonly ip: string | undefined
}

/** Every operation rejects when the counters do not answer; then nothing is counted, or it is given back. */
export interface Regulation {
  /**
   * The ban of this person (after wrong passwords, under whatever spelling, after wrong passcodes, or an administrator's).
   * @param from whether the address is banned is asked too; without it the person alone counts
   */
  ban(person: string, from?: { ip: string | undefined }): Banned | null | Promise<Banned | null>
  /**
   * Counts a try at a passcode before it is made, apart from the passwords: a right password, which a new session takes, forgets none.
   * Its ban does not keep the person from signing in, only from proving more.
   */
  beginPasscode(who: Who): Promise<CountedTry | { readonly banned: Banned }>
  /**
   * Counts a try before the password is looked at, so that parallel tries cannot pass the limit, and a crash while hashing gives none back.
   * @param names `typed`: what was entered, which is what the visitor may see counted; `person`: whose it is, if anybody's
   */
  begin(names: {
    typed: string
    person: string | undefined
    ip: string | undefined
  }): Promise<Try | { readonly banned: Banned }>
}

/** The four counters of a house; what an administrator bans and lifts is in them too. */
export interface Counters {
  readonly typedNames: Counter
  readonly people: Counter
  readonly passcodes: Counter
  readonly addresses: Counter
}

export function openCounters(open: OpenCounter, limits: Config['regulation']): Counters {
  return {
    typedNames: open('typed-names', limits),
    people: open('people', limits),
    passcodes: open('passcodes', limits),
    addresses: open('addresses', limits),
  }
}

/** What a typed name is counted by: of one length, and a password that was typed into the wrong field does not stand there to be read. */
export const keyOfTyped = (typed: string): string => createHash('sha256').update(typed).digest('base64url')

/** One try as it stands in one counter. */
interface Entry extends Counted {
  readonly whose: Banned['whose']
  forget(): Promise<void>
  takeBack(): Promise<void>
}

/**
 * Authelia's `regulation`: after `max_retries` failures within `find_time` a ban of `ban_time`, of the name (`user`) or the address (`ip`).
 * An administrator's bans hold whatever the modes.
 */
export function openRegulation(open: OpenCounter, settings: Config['regulation']): Regulation {
  const { modes, max_retries } = settings
  const { typedNames, people, passcodes, addresses } = openCounters(open, settings)
  const byUser = max_retries > 0 && modes.includes('user')
  const byAddress = max_retries > 0 && modes.includes('ip')

  /** One counter's part of a try. Where it does not count, only its bans are asked for. */
  async function enter(
    counter: Counter,
    key: string,
    counts: boolean,
    whose: Banned['whose'],
  ): Promise<Entry | Banned | null> {
    if (!counts) {
      const ban = await counter.banned(key)
      return ban === null ? null : shown(ban, whose)
    }
    const counted = await counter.count(key)
    if ('ban' in counted) return shown(counted.ban, whose)
    return {
      ...counted,
      whose,
      forget: () => counter.forget(key, counted.id),
      takeBack: () => counter.takeBack(key, counted.id),
    }
  }

  // A success forgets nothing of an address: who has one account must not guess at others between their own sign-ins.
  const enterAddress = async (ip: string | undefined): Promise<Entry | Banned | null> => {
    const entry = await enter(addresses, keyOfClient(ip), byAddress, 'address')
    return entry !== null && isEntry(entry) ? { ...entry, forget: entry.takeBack } : entry
  }

  /** What fails fails whole: what was counted before it is taken back. */
  async function orTakeBack<Result>(entries: readonly Entry[], work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      await each(entries, 'takeBack').catch(() => undefined) // the first failure is the one to tell
      throw error
    }
  }

  /** All of the parts or none: where one refuses or fails, those before it are taken back. */
  async function enterAll(parts: readonly (() => Promise<Entry | Banned | null>)[]): Promise<Entry[] | Banned> {
    const entries: Entry[] = []
    for (const part of parts) {
      const entry = await orTakeBack(entries, part)
      if (entry === null) continue
      if (!isEntry(entry)) {
        await each(entries, 'takeBack')
        return entry
      }
      entries.push(entry)
    }
    return entries
  }

  return {
    ban(person, from) {
      const byPassword = people.banned(person)
      const byPasscode = passcodes.banned(person)
      const ofAddress = from === undefined ? null : addresses.banned(keyOfClient(from.ip))
      return byPassword instanceof Promise || byPasscode instanceof Promise || ofAddress instanceof Promise
        ? Promise.all([byPassword, byPasscode, ofAddress]).then(bans => weightiest(...bans))
        : weightiest(byPassword, byPasscode, ofAddress)
    },

    async beginPasscode({ person, ip }) {
      const entered = await enterAll([() => enterAddress(ip), () => enter(passcodes, person, byUser, 'name')])
      return Array.isArray(entered) ? tryOf(entered, entered) : { banned: entered }
    },

    async begin({ typed, person, ip }) {
      // The address first: a banned one must not count against a name.
      const entered = await enterAll([
        () => enterAddress(ip),
        () => enter(typedNames, keyOfTyped(typed), byUser, 'name'),
      ])
      if (!Array.isArray(entered)) return { banned: entered }
      const hidden =
        person === undefined ? null : await orTakeBack(entered, () => enter(people, person, byUser, 'name'))
      if (hidden === null) return { ...tryOf(entered, entered), mayBeEvaluated: true }
      const mayBeEvaluated = isEntry(hidden)
      return { ...tryOf(entered, mayBeEvaluated ? [...entered, hidden] : entered), mayBeEvaluated }
    },
  }
}

/** @param visible those whose counts the visitor may see */
function tryOf(visible: readonly Entry[], all: readonly Entry[]): CountedTry {
  const bans = visible.flatMap(({ bannedUntil: until, whose }) =>
    until === null ? [] : [{ until, whose, by: 'regulation' } satisfies Banned],
  )
  return {
    triesLeft: visible.length === 0 ? null : Math.min(...visible.map(({ left }) => left)),
    // The wider one: with another name it would go on.
    brings: bans.find(({ whose }) => whose === 'address') ?? bans[0] ?? null,
    succeeded: () => each(all, 'forget'),
    givenBack: () => each(all, 'takeBack'),
  }
}

const isEntry = (entry: Entry | Banned): entry is Entry => 'id' in entry

const shown = ({ until, by }: Ban, whose: Banned['whose']): Banned => ({ until, whose, by })

function weightiest(byPassword: Ban | null, byPasscode: Ban | null, ofAddress: Ban | null): Banned | null {
  const bans = [
    ...(byPassword === null ? [] : [shown(byPassword, 'name')]),
    ...(byPasscode === null ? [] : [shown(byPasscode, 'name')]),
    ...(ofAddress === null ? [] : [shown(ofAddress, 'address')]),
  ]
  return bans.reduce<Banned | null>((worst, ban) => (worst === null || outlasts(ban, worst) ? ban : worst), null)
}

/** What an administrator said goes before what was counted. */
function outlasts(one: Banned, other: Banned): boolean {
  const end = ({ until }: Banned): Milliseconds => until ?? Number.POSITIVE_INFINITY
  return one.by === other.by ? end(one) > end(other) : one.by === 'administrator'
}

async function each(entries: readonly Entry[], how: 'forget' | 'takeBack'): Promise<void> {
  for (const entry of entries) await entry[how]()
}
