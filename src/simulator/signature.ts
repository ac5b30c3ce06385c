import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { MINUTE, type Milliseconds } from '../clock.ts'
import { doubled, headerLines, singleHeader } from '../http/headers.ts'
import { badTimestamp, missingCredentials, missingTimestamp, unknownIntegrationKey, wrongSignature } from './failure.ts'
import { canonicalLines, type Pairs } from './parameters.ts'

export interface SignedRequest {
  readonly method: string
  /** As sent, without the query. */
  readonly path: string
  readonly query: Pairs
  /** Empty unless the body is a form. */
  readonly form: Pairs
  readonly body: Buffer
  readonly rawHeaders: readonly string[]
  readonly port: number
}

export interface Keys {
  readonly integrationKey: string
  readonly secretKey: string
}

/** How far a client's clock may be off, in either direction. From Duo's own test server in duo_unix. */
const CLOCK_TOLERANCE: Milliseconds = 5 * MINUTE

/**
 * Checks a request's credentials in Duo's order: present, integration key, timestamp, signature. Versions 2 (SHA-1 and SHA-512), 4 and 5
 * are accepted; a client may sign the host with or without its port.
 * @throws DuoFailure 40101 to 40105
 */
export function requireSignature(request: SignedRequest, keys: Keys, now: Milliseconds): void {
  const { integrationKey, signature } = credentials(request.rawHeaders)
  if (!sameBytes(integrationKey, keys.integrationKey)) throw unknownIntegrationKey()
  const dates = requireTimestamps(request.rawHeaders, now)
  const digest = signature.length === 40 ? 'sha1' : 'sha512'
  // All of them are computed and compared, whichever matches: the time taken says nothing about a guess.
  const matches = canonicalForms(request, dates, digest).map(canonical =>
    sameBytes(createHmac(digest, keys.secretKey).update(canonical).digest('hex'), signature),
  )
  if (!matches.includes(true)) throw wrongSignature()
}

function credentials(rawHeaders: readonly string[]): { integrationKey: string; signature: string } {
  const header = singleHeader(rawHeaders, 'authorization')
  if (header === undefined || header === doubled) throw missingCredentials()
  const [, encoded] = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header) ?? []
  const [, integrationKey, signature] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? []
  if (integrationKey === undefined || signature === undefined) throw missingCredentials()
  return { integrationKey, signature }
}

/** Constant in time for texts of any length: their digests are compared. */
function sameBytes(a: string, b: string): boolean {
  const digest = (value: string) => createHash('sha256').update(value).digest()
  return timingSafeEqual(digest(a), digest(b))
}

/** The literal texts that may have been signed. X-Duo-Date stands in for Date where a client can't set that; both may be there, saying one time. */
function requireTimestamps(rawHeaders: readonly string[], now: Milliseconds): string[] {
  const texts = [...new Set([...headerLines(rawHeaders, 'x-duo-date'), ...headerLines(rawHeaders, 'date')])]
  if (texts.length === 0) throw missingTimestamp()
  const times = new Set(texts.map(parseDate))
  const [time] = times
  if (times.size !== 1 || time === undefined || Math.abs(now - time) > CLOCK_TOLERANCE) throw badTimestamp()
  return texts
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const rfc5322 =
  /^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:GMT|UTC?|([+-])(\d{2})(\d{2}))$/

/** RFC 5322, section 3.3, with the zones that clients send: GMT, ±hhmm, -0000. Undefined when it is no date. */
function parseDate(text: string): Milliseconds | undefined {
  const [whole, day, month, year, hours, minutes, seconds, sign, zoneHours, zoneMinutes] = rfc5322.exec(text) ?? []
  const index = months.indexOf(month ?? '')
  if (whole === undefined || index === -1) return undefined
  const local = Date.UTC(Number(year), index, Number(day), Number(hours), Number(minutes), Number(seconds))
  const offset = (Number(zoneHours ?? 0) * 60 + Number(zoneMinutes ?? 0)) * MINUTE
  return local - (sign === '-' ? -offset : offset)
}

function canonicalForms(request: SignedRequest, dates: readonly string[], digest: 'sha1' | 'sha512'): string[] {
  const { method, path, query, form, body } = request
  const writes = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const bodyHash = sha512(writes ? body : '')
  const hosts = hostCandidates(request)
  const heads = dates.flatMap(date => hosts.map(host => [date, method, host, path].join('\n')))
  const version2 = writes ? [...canonicalLines(form), ...canonicalLines([...query, ...form])] : canonicalLines(query)
  const version4 = canonicalLines(query).map(line => `${line}\n${bodyHash}`)
  const version5 = version4.map(line => `${line}\n${duoHeadersHash(request.rawHeaders)}`)
  const tails = digest === 'sha1' ? version2 : [...version2, ...version4, ...version5]
  return heads.flatMap(head => tails.map(tail => `${head}\n${tail}`))
}

function hostCandidates({ rawHeaders, port }: SignedRequest): string[] {
  const header = (headerLines(rawHeaders, 'host')[0] ?? '').toLowerCase()
  const bare = header.replace(/:\d+$/, '')
  return [...new Set([header, bare, `${bare}:${port}`])]
}

/** Version 5 signs all x-duo headers: names in lower case, sorted, each with its value, joined by NUL bytes. */
function duoHeadersHash(rawHeaders: readonly string[]): string {
  const headers: [string, string][] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? ''
    if (name.startsWith('x-duo-')) headers.push([name, rawHeaders[i + 1] ?? ''])
  }
  return sha512(
    headers
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .flat()
      .join('\0'),
  )
}

const sha512 = (data: string | Buffer) => createHash('sha512').update(data).digest('hex')
