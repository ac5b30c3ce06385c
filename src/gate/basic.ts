import { createHmac, randomBytes } from 'node:crypto'
import type { Clock, Milliseconds } from '../clock.ts'
import { keyOfClient } from '../http/client-address.ts'
import { recent } from '../session/recent.ts'
import type { Banned, FirstFactor, Person, Users } from '../users/users.ts'
import type { Credentials } from './strategy.ts'

/** What came of a name and a password in a header. Accepted is level 1, never more. */
export type BasicAnswer =
  | {
      readonly outcome: 'accepted'
      readonly person: Person
      readonly passwordAt: Milliseconds
      readonly fresh: boolean
    }
  | Exclude<FirstFactor, { outcome: 'accepted' }>

export interface BasicChecks {
  /**
   * @param from the client's address; undefined where it is not known
   * @param lifespan how long a right password is believed without another look at its hash; 0: not at all
   */
  check(credentials: Credentials, from: string | undefined, lifespan: Milliseconds): BasicAnswer | Promise<BasicAnswer>
}

interface Believed {
  readonly username: string
  readonly credential: string
  readonly passwordAt: Milliseconds
}

const BELIEVED_AT_MOST = 10_000
/** Checks that one client, by its network, may have under way: a quarter of the places where passwords wait for their hash. */
const AT_ONCE_FROM_ONE_CLIENT = 8
const BUSY_RETRY_SECONDS = 1

/**
 * Passwords that come with every request. Each is hashed by `users`, counted and bounded there as at the portal; here it is seen to that
 * equal ones of one client wait for one hash, that a client who guesses fills neither the queue nor the memory, and that a cache forgets with the password.
 */
export function basicChecks(users: Pick<Users, 'find' | 'ban' | 'checkPassword'>, clock: Clock): BasicChecks {
  const key = randomBytes(32)
  const believed = recent<Believed>(BELIEVED_AT_MOST / 2)
  const underWay = new Map<string, Promise<BasicAnswer>>()
  const perClient = new Map<string, number>()

  async function ask(
    { username, password }: Credentials,
    from: string | undefined,
    lifespan: Milliseconds,
    id: string,
  ): Promise<BasicAnswer> {
    const client = keyOfClient(from)
    perClient.set(client, (perClient.get(client) ?? 0) + 1)
    try {
      const answer = await users.checkPassword(username, password, { ip: from })
      if (answer.outcome !== 'accepted') return answer
      const passwordAt = clock()
      const { person } = answer
      if (lifespan > 0) believed.set(id, { username: person.username, credential: person.credential, passwordAt })
      return { outcome: 'accepted', person, passwordAt, fresh: true }
    } finally {
      const left = (perClient.get(client) ?? 1) - 1
      if (left === 0) perClient.delete(client)
      else perClient.set(client, left)
    }
  }

  /** Looks at the password: together with whoever brings the same one now. */
  function look(
    credentials: Credentials,
    from: string | undefined,
    lifespan: Milliseconds,
    id: string,
  ): BasicAnswer | Promise<BasicAnswer> {
    // Each address for itself: the answer is also about where it came from, and counted there.
    const asking = `${id} ${from ?? ''}`
    const same = underWay.get(asking)
    if (same !== undefined) return same
    if ((perClient.get(keyOfClient(from)) ?? 0) >= AT_ONCE_FROM_ONE_CLIENT)
      return { outcome: 'busy', retryAfterSeconds: BUSY_RETRY_SECONDS }
    const asked = ask(credentials, from, lifespan, id).finally(() => underWay.delete(asking))
    underWay.set(asking, asked)
    return asked
  }

  function lately(id: string, lifespan: Milliseconds): Believed | undefined {
    const known = lifespan > 0 ? believed.get(id) : undefined
    if (known === undefined) return undefined
    const age = clock() - known.passwordAt
    return age >= 0 && age < lifespan ? known : undefined
  }

  /** Undefined: the password has to be looked at, which also tells and logs it where directory or counters do not answer. */
  function stillGood(
    known: Believed,
    from: string | undefined,
  ): BasicAnswer | undefined | Promise<BasicAnswer | undefined> {
    const { username, credential, passwordAt } = known
    const judge = (person: Person | undefined, ban: Banned | null): BasicAnswer | undefined =>
      person?.credential === credential && ban === null
        ? { outcome: 'accepted', person, passwordAt, fresh: false }
        : undefined
    try {
      const person = users.find(username)
      const ban = users.ban(username, { ip: from })
      if (!(person instanceof Promise || ban instanceof Promise)) return judge(person, ban)
      return Promise.all([person, ban]).then(
        both => judge(...both),
        () => undefined,
      )
    } catch {
      return undefined
    }
  }

  return {
    check(credentials, from, lifespan) {
      const id = idOf(key, credentials)
      const known = lately(id, lifespan)
      const good = known && stillGood(known, from)
      if (good instanceof Promise) return good.then(answer => answer ?? look(credentials, from, lifespan, id))
      return good ?? look(credentials, from, lifespan, id)
    },
  }
}

/**
 * What the cache knows name and password by: an HMAC under a key that dies with the process, so that a dump of the memory holds no password
 * that could be guessed offline. The lengths stand before the parts: `ab` and `c` are not `a` and `bc`.
 */
function idOf(key: Buffer, { username, password }: Credentials): string {
  const hmac = createHmac('sha256', key)
  for (const part of [username, password]) {
    const bytes = Buffer.from(part)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hmac.update(length).update(bytes)
  }
  return hmac.digest('base64url')
}
