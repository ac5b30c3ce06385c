import { stringify } from 'node:querystring'
import type { Dispatcher } from 'undici'
import type { Clock, Milliseconds } from '../clock.ts'
import { envelope } from './answers.ts'
import type { DuoAnswer } from './client.ts'
import { type DuoFailure, refusal, retryAfterSeconds, transportFailure, unavailable } from './failure.ts'
import type { HttpProxy } from './proxy.ts'

export interface SignedRequest {
  /** For words about it. */
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly path: `/auth/v2/${string}`
  readonly parameters: Record<string, string>
  readonly signal?: AbortSignal | undefined
  /** From before the connection until the last byte. */
  readonly deadline: Milliseconds
}

export interface Exchanged {
  /** The envelope's response, not looked at yet. */
  readonly value: unknown
  readonly headers: Dispatcher.ResponseData['headers']
}

interface Parts {
  readonly dispatcher: Dispatcher
  readonly origin: string
  readonly proxy: HttpProxy | undefined
  readonly userAgent: string
  /** The Authorization header of a request with this Date. */
  readonly authorization: (request: SignedRequest, date: string) => string
  /** Duo's time, as far as it is known. */
  readonly now: Clock
}

/** One request, signed and dated afresh, and what Duo's envelope says. Never tries again, never rejects. */
export function openExchange({ dispatcher, origin, proxy, userAgent, authorization, now }: Parts) {
  return async function exchange(request: SignedRequest): Promise<DuoAnswer<Exchanged>> {
    const date = new Date(now()).toUTCString()
    const encoded = stringify(request.parameters)
    const isPost = request.method === 'POST'
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), request.deadline)
    const giveUp = () => stop.abort()
    request.signal?.addEventListener('abort', giveUp)
    if (request.signal?.aborted === true) giveUp()
    try {
      const response = await dispatcher.request({
        origin,
        path: isPost || encoded === '' ? request.path : `${request.path}?${encoded}`,
        method: request.method,
        headers: {
          date,
          authorization: authorization(request, date),
          'user-agent': userAgent,
          accept: 'application/json',
          ...(isPost ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
        },
        body: isPost ? encoded : null,
        signal: stop.signal,
      })
      return await read(response, now)
    } catch (error) {
      const late = stop.signal.aborted
      const failure = late
        ? unavailable('duo-timeout', `no answer to ${request.name} in time`)
        : transportFailure(error, proxy)
      return { ok: false, failure }
    } finally {
      clearTimeout(timer)
      request.signal?.removeEventListener('abort', giveUp)
    }
  }
}

/** HTTP status, then content type, then stat: each must be right before the next is looked at. */
async function read({ statusCode, headers, body }: Dispatcher.ResponseData, now: Clock): Promise<DuoAnswer<Exchanged>> {
  const failed = (failure: DuoFailure) => {
    body.on('error', () => {}) // nobody reads on; a late error of the socket must not reach the process
    body.destroy()
    return { ok: false as const, failure }
  }
  if (statusCode === 429) {
    const seconds = retryAfterSeconds(headerOf(headers, 'retry-after') ?? headerOf(headers, 'x-retry-after'), now)
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
  if (statusCode === 200 && stat === 'OK') return { ok: true, value: { value: response, headers } }
  if (stat === 'OK') return failed(unavailable('duo-malformed', `HTTP ${statusCode} with stat OK`))
  // Duo's codes begin with the HTTP status; one that does not is not believed over the status.
  const numeric = Number(code)
  const believable = Number.isInteger(numeric) && numeric >= 40_000 && numeric < 60_000 ? numeric : statusCode * 100
  return failed(refusal({ code: believable, message: textual(message), detail: textual(message_detail) }))
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
