import { isIP } from 'node:net'
import { invalidParameter, missingParameter } from './failure.ts'

/** Names and values as bytes: what is signed is bytes, and a client may sign bytes that are no UTF-8. */
export type Pairs = readonly (readonly [name: Buffer, value: Buffer])[]

/** Takes a query or a form body apart, each character of which is a byte. `+` is a space, hexadecimal digits may be in either case; a `%` that begins no pair of them stands for itself. */
export function parseForm(text: string): Pairs {
  return text
    .split('&')
    .filter(part => part !== '')
    .map(part => {
      const equals = part.indexOf('=')
      const [name, value] = equals === -1 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)]
      return [percentDecoded(Buffer.from(name, 'latin1')), percentDecoded(Buffer.from(value, 'latin1'))] as const
    })
}

function percentDecoded(bytes: Buffer): Buffer {
  const out = Buffer.alloc(bytes.length)
  let length = 0
  for (let i = 0; i < bytes.length; i++) {
    const pair = bytes[i] === 0x25 ? bytes.toString('latin1', i + 1, i + 3) : ''
    const escaped = /^[0-9A-Fa-f]{2}$/.test(pair)
    const byte = bytes[i] === 0x2b ? 0x20 : (bytes[i] ?? 0)
    out[length++] = escaped ? Number.parseInt(pair, 16) : byte
    if (escaped) i += 2
  }
  return out.subarray(0, length)
}

/** Duo's encoding: every byte but `A-Z a-z 0-9 _ . ~ -` becomes %XX, in upper case. */
function percentEncoded(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[^A-Za-z0-9_.~-]/g, byte => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

/**
 * The canonical lines that a client may have signed for these pairs: sorted by name, and for a name that is repeated either with its values
 * sorted too (Python, Go) or in the order given (Node). Whatever order they were sent in: Perl sends a form unsorted and signs it sorted.
 */
export function canonicalLines(pairs: Pairs): string[] {
  const encoded = pairs.map(([name, value]) => [percentEncoded(name), percentEncoded(value)] as const)
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  const line = (sorted: typeof encoded) => sorted.map(([name, value]) => `${name}=${value}`).join('&')
  const byName = encoded.toSorted(([a], [b]) => order(a, b))
  const byNameAndValue = encoded.toSorted(([a, x], [b, y]) => order(a, b) || order(x, y))
  return [...new Set([line(byNameAndValue), line(byName)])]
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Strict UTF-8. @throws DuoFailure 40002 with the parameter's name */
function text(bytes: Buffer, parameter: string): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw invalidParameter(parameter)
  }
}

export type Parameters = ReadonlyMap<string, string>

/**
 * The parameters of a request, from its query and its body; a client may put them in the query of a POST. JSON numbers and booleans count as their text.
 * @throws DuoFailure 40002: a name that comes twice with two values, a value that is no text, a body that is not what its type says
 */
export function parametersOf(query: Pairs, form: Pairs, json: string | undefined): Parameters {
  const parameters = new Map<string, string>()
  const add = (name: string, value: string) => {
    const earlier = parameters.get(name)
    if (earlier !== undefined && earlier !== value) throw invalidParameter(name)
    parameters.set(name, value)
  }
  for (const [name, value] of [...query, ...form]) {
    const key = text(name, 'name')
    add(key, text(value, key))
  }
  for (const [name, value] of jsonEntries(json)) {
    if (value === null) continue // Ruby and PHP send what they were not given
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      throw invalidParameter(name)
    add(name, typeof value === 'boolean' ? (value ? '1' : '0') : String(value))
  }
  return parameters
}

function jsonEntries(json: string | undefined): [string, unknown][] {
  if (json === undefined || json === '') return []
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw invalidParameter()
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidParameter()
  return Object.entries(value)
}

/** @throws DuoFailure 40002 when it is longer */
export function optional(parameters: Parameters, name: string, bytesAtMost: number): string | undefined {
  const value = parameters.get(name)
  if (value === undefined || value === '') return undefined
  if (Buffer.byteLength(value) > bytesAtMost) throw invalidParameter(name)
  return value
}

/** @throws DuoFailure 40001 when it is not there, 40002 when it is longer */
export function required(parameters: Parameters, name: string, bytesAtMost = 2000): string {
  const value = optional(parameters, name, bytesAtMost)
  if (value === undefined) throw missingParameter(name)
  return value
}

/** Python's client says `1`, others say `true`. */
export const isSet = (parameters: Parameters, name: string) => ['1', 'true'].includes(parameters.get(name) ?? '')

/** @throws DuoFailure 40002 when it is no address */
export function addressOf(parameters: Parameters): string | undefined {
  const address = optional(parameters, 'ipaddr', 64)
  if (address !== undefined && isIP(address) === 0) throw invalidParameter('ipaddr')
  return address
}

/** The details that a push carries: `name=value` pairs, encoded once more inside the parameter. @throws DuoFailure 40002 pushinfo */
export function pushDetails(pushinfo: string): [name: string, value: string][] {
  if (Buffer.byteLength(pushinfo) >= 20_000) throw invalidParameter('pushinfo')
  return pushinfo
    .split('&')
    .filter(part => part !== '')
    .map(part => {
      const [, name, value] = /^([^=]+)=(.*)$/s.exec(part) ?? []
      if (name === undefined || value === undefined || /%(?![0-9A-Fa-f]{2})/.test(part))
        throw invalidParameter('pushinfo')
      return [text(percentDecoded(Buffer.from(name)), 'pushinfo'), text(percentDecoded(Buffer.from(value)), 'pushinfo')]
    })
}
