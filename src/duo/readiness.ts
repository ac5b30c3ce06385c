import { setTimeout as sleep } from 'node:timers/promises'
import { type Milliseconds, SECOND } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { Reason } from '../problems/problems.ts'
import type { Preauth } from './answers.ts'
import type { DuoAnswer, DuoClient } from './client.ts'
import type { Offer } from './duo.ts'
import { duoName, type Named, namesakes } from './names.ts'
import { offerFrom } from './offer.ts'

/** Whether somebody could confirm a sign-in now, as preauth sees it from here. */
export interface Readiness {
  readonly username: string
  /** What Duo is asked for; null where `duo_api.username` makes no name, or one that is somebody else's too. */
  readonly duoName: string | null
  readonly offer: Offer
  /** Duo does not know the name, but this one of the same person's: an alias, or another `duo_api.username`, would do. */
  readonly knownAs: string | null
}

interface Parts {
  readonly client: Pick<DuoClient, 'preauth'>
  readonly config: Pick<
    NonNullable<Config['duo_api']>,
    'username' | 'verified_push' | 'enable_self_enrollment' | 'factors'
  >
  /** The configured API host, without port. */
  readonly apiHost: string
  /** For tests: the wait after a 429. */
  readonly pause?: (duration: Milliseconds) => Promise<unknown>
}

const AT_ONCE = 4
/** Nobody's page waits for this: a Duo that is asked too much is asked again later. */
const PATIENCE = { tries: 5, usual: 5 * SECOND, longest: 60 * SECOND }

/** Asks preauth for each of these people, some at a time. Sends no push and changes nothing. In their order. */
export async function readiness(people: readonly Named[], parts: Parts): Promise<Readiness[]> {
  const { config } = parts
  const shared = new Set(namesakes(config.username, people).flatMap(({ usernames }) => usernames))
  const found: Readiness[] = []
  const waiting = people.entries()
  const work = async () => {
    for (const [at, person] of waiting) found[at] = await readinessOf(person, shared.has(person.username), parts)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return found
}

async function readinessOf(person: Named, isShared: boolean, parts: Parts): Promise<Readiness> {
  const { config, apiHost } = parts
  const { username } = person
  const name = duoName(config.username, person)
  if (name === null || isShared) {
    const reason = isShared ? 'duo-name-shared' : 'duo-name-empty'
    return {
      username,
      duoName: null,
      offer: { kind: 'no-device', reason, device: null, passcode: false },
      knownAs: null,
    }
  }
  const offerFor = async (asked: string) =>
    offerFrom(await patiently(asked, parts), {
      apiHost,
      selfEnrollment: config.enable_self_enrollment,
      factors: config.factors,
      kept: null,
    })
  const offer = await offerFor(name)
  if (!isUnknown(offer)) return { username, duoName: name, offer, knownAs: null }
  for (const other of otherNames(person, name))
    if ((await offerFor(other)).kind === 'choose') return { username, duoName: name, offer, knownAs: other }
  return { username, duoName: name, offer, knownAs: null }
}

function isUnknown(offer: Offer): boolean {
  return offer.kind === 'enroll' || (offer.kind === 'no-device' && offer.reason === 'duo-no-user')
}

/** What else Duo may know this person by. */
function otherNames({ username, email }: Named, asked: string): string[] {
  const local = (address: string) => address.replace(/@.*$/, '')
  const names = [username, ...(email ? [email, local(email)] : []), local(username)]
  return [...new Set(names)].filter(name => name !== '' && name !== asked)
}

async function patiently(username: string, { client, config, pause = sleep }: Parts): Promise<DuoAnswer<Preauth>> {
  for (let tries = 1; ; tries += 1) {
    const answer = await client.preauth({ username, verifiedPush: config.verified_push })
    if (answer.ok || answer.failure.reason !== 'duo-throttled' || tries === PATIENCE.tries) return answer
    const { retryAfterSeconds } = answer.failure
    await pause(
      retryAfterSeconds === undefined ? PATIENCE.usual : Math.min(retryAfterSeconds * SECOND, PATIENCE.longest),
    )
  }
}

/** The catalogue's entry for what keeps this person from confirming, or lets them pass without; undefined when nothing does. */
export function reasonOf(offer: Offer): Reason | undefined {
  switch (offer.kind) {
    case 'choose':
      return undefined
    case 'allow':
      return 'duo-allow'
    case 'enroll':
      return offer.portalUrl === null ? 'duo-enroll' : undefined
    case 'failmode':
      return offer.trouble.reason
    default:
      return offer.reason
  }
}
