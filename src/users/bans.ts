import type { Ban } from './counter.ts'
import { type Counters, keyOfTyped } from './regulation.ts'

/** Whom an administrator means. */
export type Whom =
  /** `typed`: spellings of the name as they are counted; the canonical one is always among them. */
  | { readonly kind: 'user'; readonly username: string; readonly typed: readonly string[] }
  /** An IPv4 address, or an IPv6 network of 64 bits. */
  | { readonly kind: 'address'; readonly network: string }

export interface SeenBan extends Ban {
  /** `typed-name`: of a spelling that somebody typed, whose digest alone is kept. */
  readonly kind: Whom['kind'] | 'typed-name'
  /** Null for a typed name. */
  readonly name: string | null
  /** After wrong passcodes a person may still sign in, and only prove no more. */
  readonly stops: 'signing in' | 'confirming'
}

/** Bans for administrators. Each operation rejects when the counters do not answer. */
export interface Bans {
  /** Those in force, the newest first. @param limit at most so many of each kind */
  list(limit: number): Promise<readonly SeenBan[]>
  add(whom: Whom, ban: { readonly until: Ban['until']; readonly reason: Ban['reason'] }): Promise<void>
  /** Lifts whatever ban there is, and forgets the tries. False: there was none. */
  revoke(whom: Whom): Promise<boolean>
}

export function openBans({ typedNames, people, passcodes, addresses }: Counters): Bans {
  return {
    async list(limit) {
      const [ofPeople, ofPasscodes, ofAddresses, ofTyped] = await Promise.all(
        [people, passcodes, addresses, typedNames].map(counter => counter.bans(limit)),
      )
      const users = (ofPeople ?? []).map(ban => seen('user', ban.key, 'signing in', ban))
      const known = new Set(users.map(({ name }) => keyOfTyped(name)))
      return [
        ...users,
        ...(ofPasscodes ?? []).map(ban => seen('user', ban.key, 'confirming', ban)),
        ...(ofAddresses ?? []).map(ban => seen('address', ban.key, 'signing in', ban)),
        // The same ban, as visitors see it.
        ...(ofTyped ?? []).filter(({ key }) => !known.has(key)).map(ban => seen('typed-name', null, 'signing in', ban)),
      ].sort((a, b) => b.began - a.began)
    },

    async add(whom, ban) {
      if (whom.kind === 'address') return addresses.ban(whom.network, ban)
      // The person first: that is what holds. The typed names are what a visitor is told by.
      await people.ban(whom.username, ban)
      for (const typed of spellings(whom)) await typedNames.ban(keyOfTyped(typed), ban)
    },

    async revoke(whom) {
      if (whom.kind === 'address') return addresses.lift(whom.network)
      const lifted = [await people.lift(whom.username), await passcodes.lift(whom.username)]
      for (const typed of spellings(whom)) lifted.push(await typedNames.lift(keyOfTyped(typed)))
      return lifted.includes(true)
    },
  }
}

const spellings = ({ username, typed }: Extract<Whom, { kind: 'user' }>) => new Set([username, ...typed])

function seen<Name extends string | null>(
  kind: SeenBan['kind'],
  name: Name,
  stops: SeenBan['stops'],
  { began, until, by, reason }: Ban,
): SeenBan & { readonly name: Name } {
  return { kind, name, stops, began, until, by, reason }
}
