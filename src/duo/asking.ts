import type { FastifyBaseLogger } from 'fastify'
import type { Clock, Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { problems } from '../problems/problems.ts'
import { newReference } from '../problems/reference.ts'
import { occasional } from '../telemetry/occasional.ts'
import type { Preauth } from './answers.ts'
import type { Asked } from './asked.ts'
import type { DuoAnswer, DuoClient } from './client.ts'
import type { NoDeviceReason, Offer, Owner, People, RequestFacts } from './duo.ts'
import { isOutage } from './failure.ts'
import type { KeptWays } from './kept-ways.ts'
import { duoName, namesakes } from './names.ts'
import { offerFrom } from './offer.ts'

/** What preauth said of a person. */
export interface Preauthorized {
  readonly offer: Offer
  /** The name that Duo knows the person by; empty where Duo was not asked. */
  readonly name: string
  /** Verified Push: the person types the digits on the phone, and the push goes out under this transaction. */
  readonly verified: { readonly txid: string; readonly digits: string } | null
}

/** Asks preauth: what a person may do now. */
export interface Asking {
  ask(owner: Owner, facts: RequestFacts, remembered: string | undefined): Promise<Preauthorized>
  /** Since when people pass because Duo cannot be asked; null: they do not. */
  readonly passingSince: Milliseconds | null
}

interface Parts {
  readonly config: NonNullable<Config['duo_api']>
  readonly client: Pick<DuoClient, 'preauth'>
  /** The configured API host, without port. */
  readonly apiHost: string
  readonly kept: KeptWays
  readonly asked: Pick<Asked, 'everIn'>
  readonly people: Pick<People, 'everybody'>
  /** Whether nothing of this person's is held back by a denial or a fraud report. */
  readonly isUnguarded: (username: string) => Promise<boolean>
  /** Duo's token for this browser, if it has one of this person's. */
  readonly tokenOf: (username: string, cookie: string) => Promise<string | null>
  readonly clock: Clock
  readonly log: FastifyBaseLogger
}

export function openAsking(parts: Parts): Asking {
  const { config, client, apiHost, kept, asked, people, isUnguarded, tokenOf, clock, log } = parts
  let passingSince: Milliseconds | null = null
  let shared: { among: unknown; names: ReadonlyMap<string, readonly string[]> } = { among: undefined, names: new Map() }
  const occasionally = occasional(clock, newReference)

  function unasked(reason: NoDeviceReason): Preauthorized {
    return { offer: { kind: 'no-device', reason, device: null, passcode: false }, name: '', verified: null }
  }

  /** By each person who shares a name: all who do. */
  function sharedNames(): ReadonlyMap<string, readonly string[]> {
    const everybody = people.everybody()
    if (everybody !== shared.among)
      shared = {
        among: everybody,
        names: new Map(
          namesakes(config.username, everybody).flatMap(({ usernames }) =>
            usernames.map(username => [username, usernames] as const),
          ),
        ),
      }
    return shared.names
  }

  function nameOf({ username, email }: Owner): string | Preauthorized {
    const name = duoName(config.username, { username, email })
    if (name === null) return unasked('duo-name-empty')
    const namesake = sharedNames().get(username)
    if (namesake === undefined) return name
    const { title, mend } = problems['duo-name-shared']
    occasionally(`shared ${namesake[0]}`, () =>
      log.warn({ usernames: namesake, reason: 'duo-name-shared' }, `${title}. ${mend}`),
    )
    return unasked('duo-name-shared')
  }

  /** An outage of Duo's may let people pass, where the configuration says so, until a factor was asked for. */
  async function withFailmode(offer: Offer, answer: DuoAnswer<Preauth>, owner: Owner): Promise<Offer> {
    const isDown = !answer.ok && isOutage(answer.failure)
    if (offer.kind === 'unavailable' && config.failmode === 'safe' && isDown) {
      if ((await asked.everIn(owner.sessionKey)) || !(await isUnguarded(owner.username))) return offer
      passingSince ??= clock()
      occasionally('failmode', () =>
        log.error(
          { reason: offer.reason, detail: offer.detail },
          `Duo cannot be asked, and duo_api.failmode is safe: a password alone opens what wants two factors. ${problems[offer.reason].mend}`,
        ),
      )
      return { kind: 'failmode', trouble: offer }
    }
    if (!isDown) passingSince = null
    return offer
  }

  return {
    get passingSince() {
      return passingSince
    },

    async ask(owner, { ip, site }, remembered) {
      const name = nameOf(owner)
      if (typeof name !== 'string') return name
      const [before, token] = await Promise.all([
        kept.of(owner.username),
        remembered === undefined ? null : tokenOf(owner.username, remembered),
      ])
      const answer = await client.preauth({
        username: name,
        ipaddr: ip,
        hostname: site ?? undefined,
        trustedDeviceToken: token ?? undefined,
        verifiedPush: config.verified_push,
      })
      const selfEnrollment = config.enable_self_enrollment
      const offer = offerFrom(answer, { apiHost, selfEnrollment, factors: config.factors, kept: before })
      if (offer.kind === 'choose' && offer.forgotten !== null && before !== null)
        await kept.forget(owner.username, before.way)
      // Not its `expiration`: that is by Duo's clock, the push goes out at once, and Duo itself ends what is too old.
      const { txid, verification_code: digits } = answer.ok ? answer.value : {}
      const verified = txid !== undefined && digits !== undefined && config.verified_push ? { txid, digits } : null
      return { offer: await withFailmode(offer, answer, owner), name, verified }
    },
  }
}
