import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { FastifyBaseLogger } from 'fastify'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { problems, type Reason } from '../problems/problems.ts'
import type { Storage } from '../storage/storage.ts'
import type { Audit } from '../telemetry/audit.ts'
import { duoClient, parseApiHost } from './client.ts'
import { pausedUntil, readGuard } from './guard.ts'
import { keptDevices } from './kept-devices.ts'
import { offerFrom, troubleFrom } from './offer.ts'
import type { PushState } from './push.ts'
import { openPushes } from './pushes.ts'
import { newestRefusal, refusalsSeen } from './refusals.ts'
import { isPlain } from './text.ts'

export interface Device {
  readonly id: string
  /** What a person reads: the device's name, or Duo's display name. Bounded, without control characters. */
  readonly name: string
  /** Masked by Duo, may be empty. */
  readonly number: string
  readonly capabilities: readonly string[]
}

/** What a person may do now, by Duo's preauth. */
export type Offer =
  | { readonly kind: 'choose'; readonly devices: readonly Device[]; readonly preferred: string | null }
  /** Duo lets the person pass without a factor. */
  | { readonly kind: 'allow'; readonly said: string }
  | { readonly kind: 'deny'; readonly reason: 'duo-locked' | 'duo-disabled'; readonly said: string }
  | { readonly kind: 'enroll'; readonly portalUrl: string | null; readonly said: string }
  | {
      readonly kind: 'no-device'
      readonly reason: 'duo-no-user' | 'duo-no-device' | 'duo-not-activated'
      readonly device: string | null
    }
  | DuoTrouble

/** Duo cannot help now (`unavailable`), or refuses this server (`misconfigured`). */
export interface DuoTrouble {
  readonly kind: 'unavailable' | 'misconfigured'
  readonly reason: Reason
  /** For the log: Duo's code and words, or the system's error. */
  readonly detail: string
  /** With reason duo-clock: this machine's clock minus Duo's, in seconds. */
  readonly clockOffsetSeconds?: number
}

/** What the phone shows, and the waiting page beside it. */
export interface RequestFacts {
  /** Host that the visitor wants; null when the portal itself was opened. */
  readonly site: string | null
  readonly ip: string | undefined
  /** `Firefox on Linux`. */
  readonly browser: string
  readonly at: Milliseconds
}

/** One push as anybody may see it who owns its session. Never a txid. */
export interface PushView {
  readonly id: string
  /** Grows with each change. */
  readonly seq: number
  readonly state: PushState
  readonly device: { readonly id: string; readonly name: string }
  readonly facts: RequestFacts
  readonly startedAt: Milliseconds
  /** An approval from here on is no approval. */
  readonly deadline: Milliseconds
  /** Duo's words, bounded, without control characters. */
  readonly said: string
}

/** Somebody who knew the password asked, and the phone said no. */
export interface Refusal {
  readonly how: 'denied' | 'fraud'
  readonly at: Milliseconds
  readonly facts: RequestFacts
}

export type StartOutcome =
  | { readonly outcome: 'started' | 'joined'; readonly push: PushView }
  /** Another session of this person holds a push that still waits. */
  | { readonly outcome: 'busy'; readonly until: Milliseconds; readonly facts: RequestFacts }
  /** A pause after a denial, or the lock after a fraud report. */
  | { readonly outcome: 'paused'; readonly until: Milliseconds }
  /** The device is none of those that preauth listed. */
  | { readonly outcome: 'unknown-device' }
  /** Nothing was sent: Duo lets the person pass, refuses, or lists several devices and none is kept. */
  | { readonly outcome: 'offer'; readonly offer: Offer }

export interface Duo {
  /** Asks preauth. Only after a right password. */
  offer(username: string, ip: string | undefined): Promise<Offer>
  /**
   * Asks preauth, then sends one push and returns; the process follows it under a lease. A session whose push still waits joins it.
   * @param device undefined: the kept one, or the only one
   */
  start(
    owner: { sessionKey: string; username: string; displayName: string },
    device: string | undefined,
    facts: RequestFacts,
  ): Promise<StartOutcome>
  /** The newest push of this session. */
  newest(sessionKey: string): Promise<PushView | null>
  /** Resolves when the newest push of this session has moved past `seq`, is over, or `within` has passed. */
  change(sessionKey: string, seq: number, within: Milliseconds, signal: AbortSignal): Promise<PushView | null>
  /** Takes an approval, once: of many that try, one gets true. False unless the newest push of this session is allowed and unclaimed. */
  claim(sessionKey: string): Promise<boolean>
  /** The push of this session counts no more, whatever the phone says. Also at logout. */
  cancel(sessionKey: string): Promise<void>
  /** Until when no push of this person may go out: after a denial, or a fraud report. Null: one may. */
  pausedUntil(username: string): Promise<Milliseconds | null>
  /** The newest push that this person's phone denied or reported, until it was marked as seen. */
  refusal(username: string): Promise<Refusal | null>
  refusalsSeen(username: string): Promise<void>
  keptDevice(username: string): Promise<{ device: string; method: 'push' } | null>
  /** False: preauth does not list this device with push. */
  keepDevice(username: string, device: string, ip: string | undefined): Promise<boolean>
  /** Called when a phone reports fraud: login/ ends the person's sessions. */
  onFraud(listener: (username: string) => Promise<void>): void
  /** Whether the Duo at the other end is the simulator; null until it was asked. */
  readonly simulated: boolean | null
  close(): Promise<void>
}

interface Parts {
  readonly config: NonNullable<Config['duo_api']>
  readonly storage: Pick<Storage, 'records'>
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly audit: Audit
}

/** Between two tries to learn whether Duo is the simulator, while it does not answer. */
const ASK_AGAIN_AFTER: Milliseconds = 30 * SECOND

/**
 * Duo as the second factor. Asks Duo in the background whether it takes these keys, and logs what it finds: never a reason not to serve.
 * @throws when `duo_api.hostname` is no host name, `ca_file` holds no certificate, or Duo's package is not as expected
 */
export async function openDuo({ config, storage, clock, log, audit }: Parts): Promise<Duo> {
  const rootCertificates = config.ca_file === undefined ? undefined : await readCertificates(config.ca_file)
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    log.warn('NODE_TLS_REJECT_UNAUTHORIZED=0 is set: calls to Duo are verified all the same; remove it for the rest')
  const client = duoClient({ config, clock, log, rootCertificates })
  const { name: apiHost } = parseApiHost(config.hostname)
  const kept = keptDevices(storage.records)
  const listeners: ((username: string) => Promise<void>)[] = []
  const alarm = async (username: string) => {
    for (const listener of listeners) await listener(username)
  }
  const pushes = openPushes({ db: storage.records, client, clock, log, audit, alarm })
  let simulated: boolean | null = null
  let asking = false
  let askedAt = Number.NEGATIVE_INFINITY

  /** Never rejects. */
  async function askWhoIsThere(): Promise<void> {
    if (asking || simulated !== null || clock() < askedAt + ASK_AGAIN_AFTER) return
    asking = true
    askedAt = clock()
    const answer = await client.ping()
    asking = false
    if (!answer.ok) return
    simulated = answer.value.simulator
    if (simulated) log.warn('this Duo is the simulator: it proves nothing about anybody')
  }

  async function checkOnce(): Promise<void> {
    await askWhoIsThere()
    const answer = await client.check()
    if (closed) return
    if (answer.ok) {
      const seconds = Math.round(clock() / SECOND) - answer.value.time
      log.info({ clockOffsetSeconds: seconds }, 'Duo answers, and takes these keys')
      return
    }
    const { kind, reason, detail } = troubleFrom(answer.failure)
    const { title, mend } = problems[reason]
    log.warn({ reason, clockOffsetSeconds: answer.failure.clockOffsetSeconds }, `${title}. ${mend}`)
    audit(kind === 'misconfigured' ? 'duo.misconfigured' : 'duo.unavailable', { reason, detail })
  }

  async function offer(username: string, ip: string | undefined): Promise<Offer> {
    void askWhoIsThere()
    const [answer, device] = await Promise.all([client.preauth({ username, ipaddr: ip }), kept.of(username)])
    const circumstances = { apiHost, selfEnrollment: config.enable_self_enrollment, kept: device }
    const offered = offerFrom(answer, circumstances)
    // Only an answer that lists devices says that one is gone: Duo being down, or a policy, does not.
    const isGone = offered.kind === 'choose' && device !== null && !offered.devices.some(({ id }) => id === device)
    if (isGone) await kept.forget(username, device)
    return offered
  }

  let closed = false
  const checking = checkOnce().catch((err: unknown) => log.error({ err }, 'Duo could not be checked'))
  return {
    offer,
    get simulated() {
      return simulated
    },

    start(owner, device, facts) {
      return pushes.start(owner, device, facts, async () => {
        const offered = await offer(owner.username, facts.ip)
        if (offered.kind !== 'choose') return offered
        if (device === undefined && offered.preferred === null) return offered
        const wanted = device ?? offered.preferred
        const chosen = offered.devices.find(({ id }) => id === wanted)
        if (chosen === undefined) return 'unknown-device'
        await kept.keep(owner.username, chosen.id)
        return chosen
      })
    },

    newest: pushes.newest,
    change: pushes.change,
    claim: pushes.claim,
    cancel: pushes.cancel,

    pausedUntil: async username => pausedUntil(await readGuard(storage.records, username), clock()),
    refusal: username => newestRefusal(storage.records, username),
    refusalsSeen: username => refusalsSeen(storage.records, username, clock()),

    async keptDevice(username) {
      const device = await kept.of(username)
      return device === null ? null : { device, method: 'push' }
    },

    async keepDevice(username, device, ip) {
      if (!isPlain(device)) return false
      const offered = await offer(username, ip)
      if (offered.kind !== 'choose' || !offered.devices.some(({ id }) => id === device)) return false
      await kept.keep(username, device)
      return true
    },

    onFraud(listener) {
      listeners.push(listener)
    },

    async close() {
      closed = true
      await pushes.close()
      await client.close()
      await checking
    },
  }
}

/** @throws when the file cannot be read or holds no certificate */
async function readCertificates(path: string): Promise<string> {
  const pem = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new Error(`duo_api.ca_file cannot be read: ${path}`, { cause })
  })
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    for (const block of blocks) new X509Certificate(block)
  } catch (cause) {
    throw new Error(`duo_api.ca_file holds something that is no certificate: ${path}`, { cause })
  }
  if (blocks.length === 0) throw new Error(`duo_api.ca_file holds no certificate: ${path}`)
  return blocks.join('\n')
}
