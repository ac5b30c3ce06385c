import { stringify } from 'node:querystring'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { type Dispatcher, Pool } from 'undici'
import type { z } from 'zod'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { type AuthResult, type AuthStatus, answers, envelope, type Preauth } from './answers.ts'
import { duoPackage } from './duo-package.ts'
import { type DuoFailure, refusal, retryAfterSeconds, transportFailure, unavailable } from './failure.ts'
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
  close(): Promise<void>
}

/** Of each attempt, from before the connection until the last byte. */
const DEADLINES = { ping: 5, check: 5, preauth: 5, auth: 10, authSync: 10, authStatus: 65 } as const
/** Duo's longest answer, a preauth with hundreds of devices, stays below this. */
const MAX_BODY_BYTES = 512 * 1024
const MAX_THROTTLED_RETRIES = 2
/** A longer Retry-After is not waited for while a person looks at the page; it is told instead. */
const MAX_WAIT: Milliseconds = 3 * SECOND

const paths = {
  ping: 'ping',
  check: 'check',
  preauth: 'preauth',
  auth: 'auth',
  authSync: 'auth',
  authStatus: 'auth_status',
} as const satisfies Record<keyof typeof answers, string>

interface Call {
  readonly name: keyof typeof answers
  readonly method: 'GET' | 'POST'
  readonly parameters: Record<string, string>
  readonly signal?: AbortSignal
}

interface Parts {
  readonly config: Pick<NonNullable<Config['duo_api']>, 'hostname' | 'integration_key' | 'secret_key'>
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  /** PEM; trusted instead of Duo's pinned roots. */
  readonly rootCertificates?: string | undefined
  /** For tests: shortens the deadlines. */
  readonly deadline?: (name: keyof typeof answers) => Milliseconds
  /** For tests: the pause before another try. */
  readonly pause?: (duration: Milliseconds) => Promise<unknown>
}

/** `api-1234.duosecurity.com`, or with a port; the name is signed in lower case and without the port. */
export function parseApiHost(hostname: string): { name: string; origin: string } {
  const [, name, port] = /^([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?$/i.exec(hostname) ?? []
  if (name === undefined || Number(port ?? 443) > 65_535 || Number(port ?? 443) === 0)
    throw new Error(
      'duo_api.hostname must be a host name such as api-1234abcd.duosecurity.com, without https:// or path',
    )
  return { name: name.toLowerCase(), origin: `https://${name.toLowerCase()}${port === undefined ? '' : `:${port}`}` }
}

/**
 * A client of Duo's Auth API: signed by Duo's own package, sent by undici.
 * @throws when the hostname is none, or Duo's package is not as expected
 */
export function duoClient({ config, clock, log, rootCertificates, deadline, pause }: Parts): DuoClient {
  const { sign, roots, userAgent } = duoPackage()
  const { name: host, origin } = parseApiHost(config.hostname)
  const deadlineOf = deadline ?? (name => DEADLINES[name] * SECOND)
  const wait = pause ?? (duration => sleep(duration, undefined, { ref: false }))
  const pool = new Pool(origin, {
    // Said explicitly: NODE_TLS_REJECT_UNAUTHORIZED would weaken a connection that leaves it open.
    connect: { ca: rootCertificates ?? roots, rejectUnauthorized: true, timeout: 5 * SECOND },
    allowH2: false,
    headersTimeout: 0, // the deadline of the call rules, over all of it
    bodyTimeout: 0,
    maxResponseSize: MAX_BODY_BYTES, // beyond it the connection is cut, and the call fails as malformed
  })

  async function send(call: Call): Promise<DuoAnswer<{ value: unknown; headers: Dispatcher.ResponseData['headers'] }>> {
    const path = `/auth/v2/${paths[call.name]}`
    const date = new Date(clock()).toUTCString()
    const encoded = stringify(call.parameters)
    const isPost = call.method === 'POST'
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), deadlineOf(call.name))
    const giveUp = () => stop.abort()
    call.signal?.addEventListener('abort', giveUp)
    if (call.signal?.aborted === true) giveUp()
    try {
      const response = await pool.request({
        path: isPost || encoded === '' ? path : `${path}?${encoded}`,
        method: call.method,
        headers: {
          date,
          authorization: sign(
            config.integration_key,
            config.secret_key,
            call.method,
            host,
            path,
            call.parameters,
            date,
          ),
          'user-agent': userAgent,
          accept: 'application/json',
          ...(isPost ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
        },
        body: isPost ? encoded : null,
        signal: stop.signal,
      })
      return await read(response)
    } catch (error) {
      const late = stop.signal.aborted
      const failure = late ? unavailable('duo-timeout', `no answer to ${call.name} in time`) : transportFailure(error)
      return { ok: false, failure }
    } finally {
      clearTimeout(timer)
      call.signal?.removeEventListener('abort', giveUp)
    }
  }

  /** HTTP status, then content type, then stat: each must be right before the next is looked at. */
  async function read({ statusCode, headers, body }: Dispatcher.ResponseData) {
    const failed = (failure: DuoFailure) => {
      body.on('error', () => {}) // nobody reads on; a late error of the socket must not reach the process
      body.destroy()
      return { ok: false as const, failure }
    }
    if (statusCode === 429) {
      const seconds = retryAfterSeconds(headerOf(headers, 'retry-after') ?? headerOf(headers, 'x-retry-after'), clock)
      const failure = unavailable('duo-throttled', 'Duo answered HTTP 429')
      return failed(seconds === undefined ? failure : { ...failure, retryAfterSeconds: seconds })
    }
    if (statusCode >= 500) return failed(unavailable('duo-server-error', `Duo answered HTTP ${statusCode}`))
    if (statusCode !== 200 && (statusCode < 400 || statusCode > 499))
      return failed(unavailable('duo-malformed', `HTTP ${statusCode}, which is none of Duo’s answers`))
    const type = headerOf(headers, 'content-type') ?? 'no content type'
    if (!/^application\/json\s*(;|$)/i.test(type) || headers['content-encoding'] !== undefined)
      return failed(
        unavailable(
          'duo-malformed',
          `HTTP ${statusCode} with ${type}, encoding ${headers['content-encoding'] ?? 'none'}`,
        ),
      )
    const parsed = envelope.safeParse(jsonOf(await body.text()))
    if (!parsed.success)
      return failed(unavailable('duo-malformed', `HTTP ${statusCode} with a body that is no answer of Duo’s`))
    const { stat, response, code, message, message_detail } = parsed.data
    if (statusCode === 200 && stat === 'OK') return { ok: true as const, value: { value: response, headers } }
    if (stat === 'OK') return failed(unavailable('duo-malformed', `HTTP ${statusCode} with stat OK`))
    // Duo's codes begin with the HTTP status; one that does not is not believed over the status.
    const numeric = Number(code)
    const believable = Number.isInteger(numeric) && numeric >= 40_000 && numeric < 60_000 ? numeric : statusCode * 100
    return failed(refusal({ code: believable, message: textual(message), detail: textual(message_detail) }))
  }

  async function call<T extends z.ZodType>(schema: T, request: Call, idempotent: boolean) {
    const odd = Object.entries(request.parameters).find(([, value]) => !isPlain(value))
    if (odd !== undefined)
      return failedCall(request, {
        kind: 'request',
        reason: 'duo-refused',
        detail: `the parameter ${odd[0]} has characters that cannot be signed`,
        sent: false,
        parameter: odd[0],
      })
    for (let throttled = 0, reconnected = false; ; ) {
      const sent = await send(request)
      if (sent.ok) {
        const answer = schema.safeParse(sent.value.value)
        if (answer.success) return { ok: true as const, value: answer.data, headers: sent.value.headers }
        const what = answer.error.issues[0]?.path.join('.')
        return failedCall(
          request,
          unavailable('duo-malformed', `an answer to ${request.name} without a valid ${what || 'response'}`),
        )
      }
      const { failure } = sent
      const over = !idempotent || request.signal?.aborted === true
      if (failure.reason === 'duo-throttled' && !over && throttled < MAX_THROTTLED_RETRIES) {
        const duration = (failure.retryAfterSeconds ?? 2 ** throttled) * SECOND
        if (duration <= MAX_WAIT) {
          throttled += 1
          await wait(duration + Math.random() * 0.2 * SECOND)
          continue
        }
      }
      // A refused connection, or one that a server closed while it lay idle.
      if (failure.reason === 'duo-unreachable' && !over && !reconnected) {
        reconnected = true
        continue
      }
      return failedCall(request, failure)
    }
  }

  async function failedCall(request: Call, failure: DuoFailure): Promise<{ ok: false; failure: DuoFailure }> {
    const told = failure.reason === 'duo-clock' && request.name !== 'ping' ? await withOffset(failure) : failure
    if (request.signal?.aborted !== true) log.debug({ call: request.name, ...told }, 'Duo call failed')
    return { ok: false, failure: told }
  }

  async function withOffset(failure: DuoFailure): Promise<DuoFailure> {
    const answer = await ping()
    if (!answer.ok) return failure
    return { ...failure, clockOffsetSeconds: Math.round(clock() / SECOND) - answer.value.time }
  }

  async function ping(): Promise<DuoAnswer<{ time: number; simulator: boolean }>> {
    const answer = await call(answers.ping, { name: 'ping', method: 'GET', parameters: {} }, true)
    if (!answer.ok) return answer
    return { ok: true, value: { ...answer.value, simulator: answer.headers['x-postern-simulator'] !== undefined } }
  }

  return {
    ping,
    check: () => call(answers.check, { name: 'check', method: 'GET', parameters: {} }, true),
    preauth: ({ username, ipaddr, hostname, trustedDeviceToken, verifiedPush }) => {
      const verified = verifiedPush === true ? '1' : undefined
      const parameters = stated({
        username,
        ipaddr,
        hostname,
        trusted_device_token: trustedDeviceToken,
        client_supports_verified_push: verified,
      })
      return call(answers.preauth, { name: 'preauth', method: 'POST', parameters }, true)
    },
    auth: request => {
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
      return call(answers.auth, { name: 'auth', method: 'POST', parameters }, false)
    },
    authSync: request => {
      const { username, factor, ipaddr, hostname } = request
      const how = request.factor === 'sms' ? { device: request.device } : { passcode: request.passcode }
      const parameters = stated({ username, factor, ...how, ipaddr, hostname })
      return call(answers.authSync, { name: 'authSync', method: 'POST', parameters }, false)
    },
    authStatus: (txid, signal) =>
      call(answers.authStatus, { name: 'authStatus', method: 'GET', parameters: { txid }, signal }, true),
    close: () => pool.destroy(),
  }
}

/** Without those that are undefined or, but for the name, empty: Duo reads an empty one as given. */
function stated(parameters: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined || (value === '' && name !== 'username') ? [] : [[name, value]],
    ),
  )
}

function headerOf(headers: Dispatcher.ResponseData['headers'], name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function textual(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
