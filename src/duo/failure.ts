import { closeSync, openSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import type { Reason } from '../problems/problems.ts'
import type { HttpProxy } from './proxy.ts'
import { plainText } from './text.ts'

/**
 * Why Duo gave no answer to go by.
 * - `unavailable`: network, TLS, 5xx, HTML, nonsense, 429. Time may mend it; not all of it is an outage (`isOutage`).
 * - `misconfigured`: 401xx and 403xx, or a proxy's 407. An administrator has to mend it; never a reason to let anybody in.
 * - `request`: Duo refuses this user, device or transaction (400xx).
 */
export interface DuoFailure {
  readonly kind: 'unavailable' | 'misconfigured' | 'request'
  readonly reason: Reason
  /** For the log: Duo's code and words, or the system's error. */
  readonly detail: string
  /** False: the request provably never reached Duo. */
  readonly sent: boolean
  /** This machine has no file handle or port left: that says nothing of Duo, and whoever opens connections can bring it about. */
  readonly exhausted?: true
  /** With kind request: what Duo's message_detail names, such as `username`, `device`, `txid`. */
  readonly parameter?: string
  /** With reason duo-clock: this machine's clock minus Duo's. */
  readonly clockOffsetSeconds?: number
  /** With reason duo-throttled: what Duo asked for, bounded. */
  readonly retryAfterSeconds?: number
}

const DETAIL_LIMIT = 300
const MAX_RETRY_AFTER_SECONDS = 300

const certificateWords: Record<string, string> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the chain ends in a root that is not one of Duo’s',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate was issued by an authority that is not one of Duo’s',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate was issued by an authority that is not one of Duo’s',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate was issued by an authority that is not one of Duo’s',
  CERT_SIGNATURE_FAILURE: 'the signature of the certificate is wrong',
}

const network: Record<string, { reason: Reason; sent: boolean }> = {
  ENOTFOUND: { reason: 'duo-dns', sent: false },
  EAI_AGAIN: { reason: 'duo-dns', sent: false },
  EAI_FAIL: { reason: 'duo-dns', sent: false },
  EAI_NODATA: { reason: 'duo-dns', sent: false },
  EAI_NONAME: { reason: 'duo-dns', sent: false },
  ECONNREFUSED: { reason: 'duo-unreachable', sent: false },
  EHOSTUNREACH: { reason: 'duo-unreachable', sent: false },
  ENETUNREACH: { reason: 'duo-unreachable', sent: false },
  EACCES: { reason: 'duo-unreachable', sent: false },
  EPERM: { reason: 'duo-unreachable', sent: false },
  UND_ERR_CONNECT_TIMEOUT: { reason: 'duo-timeout', sent: false },
  ETIMEDOUT: { reason: 'duo-timeout', sent: true },
  UND_ERR_HEADERS_TIMEOUT: { reason: 'duo-timeout', sent: true },
  UND_ERR_BODY_TIMEOUT: { reason: 'duo-timeout', sent: true },
  HPE_INVALID_CONSTANT: { reason: 'duo-malformed', sent: true },
  UND_ERR_HEADERS_OVERFLOW: { reason: 'duo-malformed', sent: true },
  UND_ERR_RES_EXCEEDED_MAX_SIZE: { reason: 'duo-malformed', sent: true },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { reason: 'duo-malformed', sent: true },
}

const exhaustion: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL'])

/** An error of the transport, by its code; whatever has none counts as sent, for then nobody knows. */
export function transportFailure(error: unknown, proxy?: HttpProxy): DuoFailure {
  const { code, message, codes } = codeOf(error)
  // A look-up without a handle for its files and sockets says that there is no such name.
  if (exhaustion.has(code) || (network[code]?.reason === 'duo-dns' && !isAnyHandleFree()))
    return { ...unavailable('duo-unreachable', `${code} ${message}`, false), exhausted: true }
  if (proxy !== undefined) {
    const refused = /^Proxy response \((\d{3})\)/.exec(message)?.[1]
    // The deadline of a call sets no limit of undici's: this one is the tunnel's.
    const silent = code === 'UND_ERR_HEADERS_TIMEOUT'
    const missed = silent || network[code]?.sent === false || codes.some(one => one.startsWith('UND_ERR_PRX_'))
    if (refused !== undefined || missed) {
      const what = refused === undefined ? `${code} ${message}` : `it answered ${refused}`
      const failure = unavailable('duo-proxy', `the proxy ${proxy.address} of ${proxy.setBy}: ${what}`, false)
      // A proxy that wants another password is for an administrator, as Duo's keys are: nothing that may let people pass.
      return refused === '407' ? { ...failure, kind: 'misconfigured' } : failure
    }
  }
  const words = certificateWords[code]
  if (words !== undefined || isOfTls(code))
    return unavailable('duo-tls', words === undefined ? `${code} ${message}` : `${words} (${code})`, false)
  const known = network[code] ?? {
    reason: code.startsWith('HPE_') ? ('duo-malformed' as const) : ('duo-unreachable' as const),
    sent: true,
  }
  return unavailable(known.reason, `${code} ${message}`, known.sent)
}

function isAnyHandleFree(): boolean {
  try {
    closeSync(openSync('/dev/null', 'r'))
    return true
  } catch {
    return false
  }
}

/** OpenSSL's words for a certificate have no prefix in common, and new ones come: what is neither the system's, undici's nor Node's is TLS's. */
function isOfTls(code: string): boolean {
  if (code === 'EPROTO' || /^ERR_(SSL|TLS)_/.test(code)) return true
  return code !== '' && !/^(E[A-Z0-9]+$|EAI_|UND_ERR_|HPE_|ERR_)/.test(code)
}

/**
 * No answer, a server's error, or one that is none of Duo's. Not 429: whoever has the keys of a user's patience could bring that about. And not
 * TLS that fails: somebody answers there who is not Duo, and nothing of his may let people pass.
 */
export function isOutage({ kind, reason, exhausted }: DuoFailure): boolean {
  return kind === 'unavailable' && reason !== 'duo-throttled' && reason !== 'duo-tls' && exhausted !== true
}

/** Whether Duo may have done what it was asked for, though nobody heard of it. */
export function mayHaveActed(failure: DuoFailure): boolean {
  return failure.sent && isOutage(failure)
}

export function unavailable(reason: Reason, detail: string, sent = true): DuoFailure {
  return { kind: 'unavailable', reason, detail: plainText(detail, DETAIL_LIMIT), sent }
}

/** The innermost error that has a code: undici wraps what the socket said. */
function codeOf(error: unknown): { code: string; message: string; codes: readonly string[] } {
  let current = error
  const codes: string[] = []
  let found = { code: '', message: String(error) }
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    const code: unknown = Reflect.get(current, 'code')
    if (typeof code === 'string') {
      found = { code, message: current.message }
      codes.push(code)
    }
    current = current.cause
  }
  return { ...found, codes }
}

/** What Duo means by a FAIL: the code rules, as the Auth API documents it. */
export function refusal(answer: { code: number; message: string; detail: string }): DuoFailure {
  const { code, message, detail: parameter } = answer
  const detail = plainText(`Duo answered ${code}: ${message}${parameter === '' ? '' : ` (${parameter})`}`, DETAIL_LIMIT)
  const misconfigured = (reason: Reason): DuoFailure => ({ kind: 'misconfigured', reason, detail, sent: true })
  if (code === 40102) return misconfigured('duo-ikey')
  if (code === 40103) return misconfigured('duo-signature')
  if (code === 40105) return misconfigured('duo-clock')
  if (code === 40301 && /deprecated|no longer supported/i.test(message)) return misconfigured('duo-client-too-old')
  if (code === 40301 && /integration type/i.test(`${message} ${parameter}`)) return misconfigured('duo-application')
  const group = Math.floor(code / 100)
  if (group === 429) return unavailable('duo-throttled', detail)
  if (group >= 500 && group < 600) return unavailable('duo-server-error', detail)
  if (group !== 400) return misconfigured('duo-refused')
  const reason =
    parameter === 'username' ? 'duo-no-user' : /no capable device/i.test(parameter) ? 'duo-no-device' : 'duo-refused'
  return { kind: 'request', reason, detail, sent: true, parameter: plainText(parameter, 60) }
}

/** Seconds of a Retry-After header, bounded; undefined when it is none, negative or nonsense. RFC 9110, section 10.2.3. */
export function retryAfterSeconds(header: string | undefined, clock: Clock): number | undefined {
  if (header === undefined) return undefined
  const date = /[a-z]{3}/i.test(header) ? Date.parse(header) : Number.NaN
  const seconds = /^\d{1,12}$/.test(header.trim()) ? Number(header) : Math.ceil((date - clock()) / 1000)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, MAX_RETRY_AFTER_SECONDS) : undefined
}
