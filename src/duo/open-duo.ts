import type { FastifyBaseLogger } from 'fastify'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { problems } from '../problems/problems.ts'
import { newReference } from '../problems/reference.ts'
import type { Redis } from '../storage/redis/redis.ts'
import type { Storage } from '../storage/storage.ts'
import type { Audit } from '../telemetry/audit.ts'
import { occasional } from '../telemetry/occasional.ts'
import { redisAsked } from './asked-redis.ts'
import { sqlAsked } from './asked-sql.ts'
import { openAsking } from './asking.ts'
import { openCodes } from './codes.ts'
import { checkDuo, connectDuo } from './connect.ts'
import type {
  Duo,
  Offer,
  Owner,
  People,
  RequestFacts,
  RingingWay,
  SmsOutcome,
  StartOutcome,
  Unapproved,
  Way,
} from './duo.ts'
import { pausedUntil } from './guard.ts'
import { keptWays } from './kept-ways.ts'
import { isSameWay, troubleFrom } from './offer.ts'
import { redisPushRecords } from './push-records-redis.ts'
import { sqlPushRecords } from './push-records-sql.ts'
import { openPushes } from './pushes.ts'
import { newestRefusal } from './refusals.ts'
import { openRemembered } from './remembered.ts'
import { isPlain } from './text.ts'

interface Parts {
  readonly config: NonNullable<Config['duo_api']>
  readonly storage: Pick<Storage, 'records'>
  /** Where pushes are shared by several Posterns; null: they are among the records. */
  readonly redis: Redis | null
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
  /** Of users/. */
  readonly people: People
  /** What the phone shows as the name of all this: `portal.name`. */
  readonly application: string
  /** `storage.encryption_key`: for what is encrypted or sealed. */
  readonly encryptionKey: string
}

/** Between two tries to learn whether Duo is the simulator, while it does not answer. */
const ASK_AGAIN_AFTER: Milliseconds = 30 * SECOND

/**
 * Duo as the second factor. Asks Duo in the background whether it takes these keys, and logs what it finds: never a reason not to serve.
 * @throws when `duo_api.hostname` is no host name, `ca_file` holds no certificate, or Duo's package is not as expected
 */
export async function openDuo(parts: Parts): Promise<Duo> {
  const { config, storage, redis, clock, log, audit, people, application, encryptionKey } = parts
  const { records: db } = storage
  const { client, apiHost, proxy, ignored } = await connectDuo({ config, clock, log })
  for (const sentence of ignored) log.warn(sentence)
  if (proxy !== undefined) log.info({ proxy: proxy.address, setBy: proxy.setBy }, 'Duo is asked through a proxy')
  const kept = keptWays(db)
  const listeners: ((username: string) => Promise<void>)[] = []
  const unapprovedListeners: ((unapproved: Unapproved) => void)[] = []
  const remembered = openRemembered(db, encryptionKey, clock)
  const hold: typeof remembered.hold = async (from, token) => {
    if (config.remembered_devices) await remembered.hold(from, token)
  }
  const alarm = async (username: string) => {
    for (const listener of listeners) await listener(username)
    // Last: no session is left then that could have a browser remembered anew.
    await remembered.forget(username)
  }
  const unapproved = (one: Unapproved) => {
    for (const listener of unapprovedListeners) listener(one)
  }
  const records =
    redis === null
      ? sqlPushRecords(db, config.guard, encryptionKey)
      : redisPushRecords(redis, config.guard, encryptionKey)
  const asked = redis === null ? sqlAsked(db, config.guard, clock) : redisAsked(redis, config.guard, clock)
  const pause = async (username: string) => pausedUntil(await records.guardOf(username, clock()), clock())
  const asking = openAsking({
    config,
    client,
    apiHost,
    kept,
    asked,
    people,
    isUnguarded: async username => (await pause(username)) === null,
    tokenOf: async (username, cookie) => (config.remembered_devices ? remembered.tokenOf(username, cookie) : null),
    clock,
    log,
  })
  const pushes = openPushes({ config, application, records, asked, client, clock, log, audit, alarm, unapproved, hold })
  const codes = openCodes({ asking, client, asked, kept, people, approve: pushes.approve, hold, log, audit })
  const occasionally = occasional(clock, newReference)
  let simulated: boolean | null = null
  let isAsking = false
  let askedAt = Number.NEGATIVE_INFINITY

  /** Never rejects. */
  async function askWhoIsThere(): Promise<void> {
    if (isAsking || simulated !== null || clock() < askedAt + ASK_AGAIN_AFTER) return
    isAsking = true
    askedAt = clock()
    const answer = await client.ping()
    isAsking = false
    if (answer.ok) learnWhoIsThere(answer.value.simulator)
  }

  function learnWhoIsThere(simulator: boolean): void {
    simulated = simulator
    if (simulator) log.warn('this Duo is the simulator: it proves nothing about anybody')
  }

  async function checkOnce(): Promise<void> {
    isAsking = true
    askedAt = clock()
    const finding = await checkDuo(client)
    isAsking = false
    if (finding.simulator !== null) learnWhoIsThere(finding.simulator)
    if (closed) return
    if (finding.ok) {
      log.info({ clockOffsetSeconds: finding.clockOffsetSeconds }, 'Duo answers, and takes these keys')
      return
    }
    const { kind, reason, detail } = troubleFrom(finding.failure)
    const { title, mend } = problems[reason]
    log.warn({ reason, clockOffsetSeconds: finding.failure.clockOffsetSeconds }, `${title}. ${mend}`)
    audit(kind === 'misconfigured' ? 'duo.misconfigured' : 'duo.unavailable', { reason, detail })
  }

  /** Somebody who has the password asks on and on: the administrator should know, and the log should not be filled by it. */
  function tellHeld({ username }: Owner, { ip }: RequestFacts, outcome: StartOutcome | SmsOutcome): void {
    if (outcome.outcome !== 'paused') return
    const { why, until } = outcome
    occasionally(`${why} ${username}`, (_, count) =>
      audit('push.held', {
        username,
        ...(ip === undefined ? {} : { ip }),
        reason: why,
        until: new Date(until).toISOString(),
        ...(count > 0 ? { count } : {}),
      }),
    )
  }

  let closed = false
  const checking = checkOnce().catch((err: unknown) => log.error({ err }, 'Duo could not be checked'))
  return {
    async offer(owner, facts, remembered) {
      void askWhoIsThere()
      return (await asking.ask(owner, facts, remembered)).offer
    },
    get simulated() {
      return simulated
    },
    get passingSince() {
      return asking.passingSince
    },

    async start(owner, way, facts, remembered) {
      const banned = await people.ban(owner.username, { ip: facts.ip })
      if (banned !== null) return { outcome: 'banned', ...banned }
      const named = way === 'only-push' ? undefined : way
      const outcome = await pushes.start(owner, named, facts, async () => {
        const { offer, name, verified } = await asking.ask(owner, facts, remembered)
        if (offer.kind !== 'choose') return offer
        // A device that is gone is told first: another must not ring in its place unasked.
        const preferred = offer.forgotten === null && isRinging(offer.preferred) ? offer.preferred : undefined
        const wanted = named ?? preferred ?? (way === 'only-push' ? onlyPush(offer) : undefined)
        if (wanted === undefined) return offer
        const device = offer.devices.find(({ id }) => id === wanted.device)
        if (device === undefined || !offer.ways.some(one => isSameWay(one, wanted))) return 'unknown-device'
        await kept.keep(owner.username, wanted, device.name)
        return { factor: wanted.kind, device, name, verified: wanted.kind === 'push' ? verified : null }
      })
      tellHeld(owner, facts, outcome)
      return outcome
    },

    passcode: codes.passcode,

    async sms(owner, device, facts) {
      const outcome = await codes.sms(owner, device, facts)
      tellHeld(owner, facts, outcome)
      return outcome
    },

    newest: pushes.newest,
    change: pushes.change,
    claim: pushes.claim,
    cancel: pushes.cancel,

    pausedUntil: async username => (await pause(username))?.until ?? null,
    refusal: username => newestRefusal(records, username, clock()),
    refusalsSeen: username => records.markRefusalsSeen(username, clock()),

    keptWay: kept.of,
    forgetWay: kept.forget,

    async keepWay(owner, way, facts) {
      if (way.kind !== 'passcode' && !isPlain(way.device)) return false
      const { offer: offered } = await asking.ask(owner, facts, undefined)
      if (offered.kind !== 'choose' || !offered.ways.some(one => isSameWay(one, way))) return false
      await kept.keep(owner.username, way, nameOf(way, offered))
      return true
    },

    remember: async ({ push }) => (config.remembered_devices ? remembered.give(push.id) : null),
    rememberedBrowsers: remembered.list,
    forgetRemembered: remembered.forget,

    onFraud(listener) {
      listeners.push(listener)
    },
    onUnapproved(listener) {
      unapprovedListeners.push(listener)
    },

    async close() {
      closed = true
      await pushes.close()
      await client.close()
      await checking
    },
  }
}

function isRinging(way: Way | null): way is RingingWay {
  return way?.kind === 'push' || way?.kind === 'phone'
}

function onlyPush({ ways }: Extract<Offer, { kind: 'choose' }>): RingingWay | undefined {
  const [first, second] = ways.filter(isRinging).filter(({ kind }) => kind === 'push')
  return second === undefined ? first : undefined
}

function nameOf(way: Way, { devices }: Extract<Offer, { kind: 'choose' }>): string {
  return way.kind === 'passcode' ? '' : (devices.find(({ id }) => id === way.device)?.name ?? '')
}
