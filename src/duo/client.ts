import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { z } from 'zod'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { type AuthResult, type AuthStatus, answers, type Preauth } from './answers.ts'
import { openBreaker } from './breaker.ts'
import { openDispatcher } from './dispatcher.ts'
import { duoClock } from './duo-clock.ts'
import { duoPackage } from './duo-package.ts'
import { type Exchanged, openExchange } from './exchange.ts'
import { type DuoFailure, unavailable } from './failure.ts'
import type { HttpProxy } from './proxy.ts'
import { isPlain } from './text.ts'

export type DuoAnswer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: DuoFailure }

/** In every call about a person, so that Duo's own policies (networks, locations) work. */
interface Whence {
  /** The visitor's address. */
  readonly ipaddr?: string | undefined
  readonly hostname?: string | undefined
}

export interface PreauthRequest extends Whence {
  readonly username: string
  /** As Duo gave it with an earlier allow. */
  readonly trustedDeviceToken?: string | undefined
  /** Tells Duo that this client can show a code; the answer holds it where the policy wants Verified Push. */
  readonly verifiedPush?: boolean
}

/** A factor that rings: the phone answers later. */
export type RingingRequest = Whence & { readonly username: string; readonly device: string } & (
    | {
        readonly factor: 'push'
        /** The word that the phone shows before *request*; Duo's own is Login. */
        readonly type?: string | undefined
        readonly displayUsername?: string | undefined
        /** `key=value&…`, the values percent-encoded. */
        readonly pushinfo?: string | undefined
        /** Of preauth's Verified Push. */
        readonly txid?: string | undefined
      }
    | { readonly factor: 'phone' }
  )

/** A factor that Duo answers at once. The answer to `sms` is deny with the status `sent`: codes are on their way. */
export type ImmediateRequest = Whence & { readonly username: string } & (
    | { readonly factor: 'passcode'; readonly passcode: string }
    | { readonly factor: 'sms'; readonly device: string }
  )

/** Duo's Auth API v2. Nothing here throws or rejects: a failure is a value. */
export interface DuoClient {
  /** Duo's time in seconds; and whether the other end says that it is a simulator. */
  ping(): Promise<DuoAnswer<{ readonly time: number; readonly simulator: boolean }>>
  check(): Promise<DuoAnswer<{ readonly time: number }>>
  preauth(request: PreauthRequest): Promise<DuoAnswer<Preauth>>
  /** Asks for a push or a phone call, asynchronously. Sent at most once: a second push by itself would teach people to approve. */
  auth(request: RingingRequest): Promise<DuoAnswer<{ readonly txid: string }>>
  /** Tries a passcode, or sends a batch of them by SMS. Sent at most once, as `auth`: each wrong one counts at Duo. */
  authSync(request: ImmediateRequest): Promise<DuoAnswer<AuthResult>>
  /** Waits at Duo until the transaction changes, a minute at most. */
  authStatus(txid: string, signal: AbortSignal): Promise<DuoAnswer<AuthStatus>>
  /** This machine's clock minus Duo's, in seconds, when Duo last told its time; undefined until then. */
  readonly clockOffsetSeconds: number | undefined
  close(): Promise<void>
}

type Name = keyof typeof answers

const endpoints = {
  ping: { method: 'GET', path: '/auth/v2/ping' },
  check: { method: 'GET', path: '/auth/v2/check' },
  preauth: { method: 'POST', path: '/auth/v2/preauth' },
  auth: { method: 'POST', path: '/auth/v2/auth' },
  authSync: { method: 'POST', path: '/auth/v2/auth' },
  authStatus: { method: 'GET', path: '/auth/v2/auth_status' },
} as const satisfies Record<Name, { method: 'GET' | 'POST'; path: string }>

const USUAL_TIMEOUT: Milliseconds = 5 * SECOND
/** A push whose answer is given up may ring all the same: its answer is worth a longer wait. */
const FACTOR_TIMEOUT: Milliseconds = 10 * SECOND
/** A ping may come before a factor: both together must end before the lease of a push that is being sent. */
const PING_AT_MOST: Milliseconds = 5 * SECOND
/** Duo holds a poll for so long. */
const POLL_HELD: Milliseconds = 60 * SECOND
const MAX_THROTTLED_RETRIES = 2
/** A longer Retry-After is not waited for while a person looks at the page; it is told instead. */
const MAX_WAIT: Milliseconds = 3 * SECOND
const BEFORE_RECONNECTING: Milliseconds = 200

interface Call {
  readonly name: Name
  readonly parameters: Record<string, string>
  readonly signal?: AbortSignal
}

interface Answered<T> {
  readonly answer: T
  readonly headers: Exchanged['headers']
}

interface Parts {
  readonly config: Pick<NonNullable<Config['duo_api']>, 'hostname' | 'integration_key' | 'secret_key'> & {
    readonly timeout?: Milliseconds
  }
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  /** PEM; trusted instead of Duo's pinned roots. */
  readonly rootCertificates?: string | undefined
  readonly proxy?: HttpProxy | undefined
  /** For tests: shortens the deadlines. */
  readonly deadline?: (name: Name) => Milliseconds
  /** For tests: the pause before another try. */
  readonly pause?: (duration: Milliseconds) => Promise<unknown>
  /** For tests: how long an open breaker fails calls at once. */
  readonly breakerPause?: Milliseconds
}

/** `api-1234.duosecurity.com`, or with a port; the name is signed in lower case and without the port. */
export function parseApiHost(hostname: string): { name: string; port: number; origin: string } {
  const [, given, digits] = /^([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?$/i.exec(hostname) ?? []
  const port = Number(digits ?? 443)
  if (given === undefined || port > 65_535 || port === 0)
    throw new Error(
      'duo_api.hostname must be a host name such as api-1234abcd.duosecurity.com, without https:// or path',
    )
  const name = given.toLowerCase()
  return { name, port, origin: `https://${name}${digits === undefined ? '' : `:${port}`}` }
}

/**
 * A client of Duo's Auth API: signed by Duo's own package, sent by undici. A clock that is wrong is corrected for; while Duo is down, calls fail at
 * once. A factor is asked for at most once: only a connection that was refused before anything went is tried again.
 * @throws when the hostname is none, or Duo's package is not as expected
 */
export function duoClient(parts: Parts): DuoClient {
  const { config, log, proxy, pause = duration => sleep(duration) } = parts
  const { sign, roots, userAgent } = duoPackage()
  const { name: host, origin } = parseApiHost(config.hostname)
  const { timeout = USUAL_TIMEOUT } = config
  const deadlineOf = parts.deadline ?? (name => usualDeadline(name, timeout))
  const duosClock = duoClock(parts.clock, log)
  const dispatcher = openDispatcher({
    origin,
    roots: parts.rootCertificates ?? roots,
    proxy,
    connectWithin: timeout,
  })
  const exchange = openExchange({
    dispatcher,
    origin,
    proxy,
    userAgent,
    authorization: ({ method, path, parameters }, date) =>
      sign(config.integration_key, config.secret_key, method, host, path, parameters, date),
    now: duosClock.now,
  })
  const breaker = openBreaker({ probe: askTime, log, pause: parts.breakerPause })

  /** One try, its answer checked against what such an answer must have. */
  async function once<T extends z.ZodType>(schema: T, call: Call): Promise<DuoAnswer<Answered<z.infer<T>>>> {
    const exchanged = await exchange({ ...endpoints[call.name], ...call, deadline: deadlineOf(call.name) })
    if (!exchanged.ok) return exchanged
    const answer = schema.safeParse(exchanged.value.value)
    if (answer.success) return { ok: true, value: { answer: answer.data, headers: exchanged.value.headers } }
    const what = answer.error.issues[0]?.path.join('.')
    const failure = unavailable('duo-malformed', `an answer to ${call.name} without a valid ${what || 'response'}`)
    return { ok: false, failure }
  }

  /** Duo's time needs no signature, so that a wrong clock can ask for it. */
  async function askTime() {
    const answer = await once(answers.ping, { name: 'ping', parameters: {} })
    if (answer.ok) duosClock.learn(answer.value.answer.time)
    return answer
  }

  /** Tries until there is an answer, or a failure that another try would not mend or must not follow. */
  async function tries<T extends z.ZodType>(schema: T, call: Call): Promise<DuoAnswer<Answered<z.infer<T>>>> {
    const repeatable = call.name !== 'auth' && call.name !== 'authSync'
    let throttled = 0
    let reconnected = false
    let redated = false
    for (;;) {
      const dated = duosClock.correction
      const answer = await once(schema, call)
      if (answer.ok || call.signal?.aborted === true) return answer
      const { failure } = answer
      if (failure.reason === 'duo-throttled' && repeatable && throttled < MAX_THROTTLED_RETRIES) {
        const duration = (failure.retryAfterSeconds ?? 2 ** throttled) * SECOND
        if (duration > MAX_WAIT) return answer
        throttled += 1
        await pause(duration + Math.random() * 0.2 * SECOND)
      } else if (failure.reason === 'duo-unreachable' && (repeatable || !failure.sent) && !reconnected) {
        // Refused; or, where a second time does no harm, closed by a server while it lay idle.
        reconnected = true
        if (!failure.sent) await pause(BEFORE_RECONNECTING)
      } else if (failure.reason === 'duo-clock' && !redated) {
        redated = true
        // Another call may have learnt the time meanwhile.
        if (duosClock.correction === dated) await askTime()
        if (duosClock.correction === dated || !repeatable) return answer
      } else return answer
    }
  }

  async function call<T extends z.ZodType>(schema: T, request: Call): Promise<DuoAnswer<Answered<z.infer<T>>>> {
    const odd = Object.entries(request.parameters).find(([, value]) => !isPlain(value))?.[0]
    // A poll goes to Duo in any case: what rings is listened to, and whoever follows it keeps a pace of its own.
    const answer =
      odd !== undefined
        ? { ok: false as const, failure: unsignable(odd) }
        : request.name === 'authStatus'
          ? await tries(schema, request)
          : await breaker.through(() => tries(schema, request))
    if (answer.ok) return answer
    const { offsetSeconds } = duosClock
    const failure =
      answer.failure.reason === 'duo-clock' && offsetSeconds !== undefined
        ? { ...answer.failure, clockOffsetSeconds: offsetSeconds }
        : answer.failure
    if (request.signal?.aborted !== true) log.debug({ call: request.name, ...failure }, 'Duo call failed')
    return { ok: false, failure }
  }

  async function ask<T extends z.ZodType>(schema: T, request: Call): Promise<DuoAnswer<z.infer<T>>> {
    const answered = await call(schema, request)
    return answered.ok ? { ok: true, value: answered.value.answer } : answered
  }

  return {
    async ping() {
      const answered = await call(answers.ping, { name: 'ping', parameters: {} })
      if (!answered.ok) return answered
      const { answer, headers } = answered.value
      duosClock.learn(answer.time)
      return { ok: true, value: { ...answer, simulator: headers['x-postern-simulator'] !== undefined } }
    },
    async check() {
      const answer = await ask(answers.check, { name: 'check', parameters: {} })
      if (answer.ok) duosClock.learn(answer.value.time)
      return answer
    },
    preauth({ username, ipaddr, hostname, trustedDeviceToken, verifiedPush }) {
      const parameters = stated({
        username,
        ipaddr,
        hostname,
        trusted_device_token: trustedDeviceToken,
        client_supports_verified_push: verifiedPush === true ? '1' : undefined,
      })
      return ask(answers.preauth, { name: 'preauth', parameters })
    },
    auth(request) {
      const { username, factor, device, ipaddr, hostname } = request
      const push = request.factor === 'push' ? request : undefined
      const parameters = stated({
        username,
        factor,
        device,
        async: '1',
        ipaddr,
        hostname,
        type: push?.type,
        display_username: push?.displayUsername,
        pushinfo: push?.pushinfo,
        txid: push?.txid,
      })
      return ask(answers.auth, { name: 'auth', parameters })
    },
    authSync(request) {
      const { username, factor, ipaddr, hostname } = request
      const how = request.factor === 'sms' ? { device: request.device } : { passcode: request.passcode }
      const parameters = stated({ username, factor, ...how, ipaddr, hostname })
      return ask(answers.authSync, { name: 'authSync', parameters })
    },
    authStatus: (txid, signal) => ask(answers.authStatus, { name: 'authStatus', parameters: { txid }, signal }),
    get clockOffsetSeconds() {
      return duosClock.offsetSeconds
    },
    close: () => dispatcher.destroy(),
  }
}

function usualDeadline(name: Name, timeout: Milliseconds): Milliseconds {
  if (name === 'authStatus') return POLL_HELD + timeout
  if (name === 'ping') return Math.min(timeout, PING_AT_MOST)
  return name === 'auth' || name === 'authSync' ? FACTOR_TIMEOUT : timeout
}

function unsignable(parameter: string): DuoFailure {
  const detail = `the parameter ${parameter} has characters that cannot be signed`
  return { kind: 'request', reason: 'duo-refused', detail, sent: false, parameter }
}

/** Without those that are undefined or, but for the name, empty: Duo reads an empty one as given. */
function stated(parameters: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined || (value === '' && name !== 'username') ? [] : [[name, value]],
    ),
  )
}
