import { isIP } from 'node:net'
import { RE2JS } from 're2js'
import { z } from 'zod'
import { DAY, type Milliseconds } from '../clock.ts'
import { parseDuration } from './duration.ts'
import { looksSecret, printable } from './problem.ts'

// Building stones of the schema: each takes one notation of the file and gives plain data. `expected` is what an error and the documentation say.

const DURATION_AT_MOST = 10 * 365 * DAY
const durationWords = 'a duration such as 30s, 5m, 1h, 1M, 5 minutes or bare seconds'

/** More than nothing, ten years at most. */
export const duration = z
  .union([z.string(), z.number()])
  .transform((value, context): Milliseconds => {
    const parsed = parseDuration(value)
    if (parsed !== undefined && parsed > 0 && parsed <= DURATION_AT_MOST) return parsed
    context.addIssue({
      code: 'custom',
      message: parsed === undefined ? durationWords : 'a duration of more than nothing and at most ten years',
    })
    return z.NEVER
  })
  .meta({ expected: durationWords })

export const oneOrMany = <T extends z.ZodType>(item: T) =>
  z.union([item, z.array(item).min(1)]).transform(value => (Array.isArray(value) ? value : [value]))

/** A list of things or of lists of them; a thing alone is a list of one. */
export const listOfLists = <T extends z.ZodType>(item: T) =>
  z
    .array(z.union([item, z.array(item).min(1)]))
    .min(1)
    .transform(list => list.map(one => (Array.isArray(one) ? one : [one])))

/** `tcp://[host]:port/`, or `unix:///path`. */
export type ListenAddress = { kind: 'tcp'; host: string; port: number } | { kind: 'unix'; path: string }

const addressWords = 'an address such as tcp://:9091/ or unix:///run/postern.sock'

export const address = z
  .string()
  .transform((value, context): ListenAddress => {
    const parsed = parseAddress(value)
    if (typeof parsed !== 'string') return parsed
    context.addIssue({ code: 'custom', message: parsed })
    return z.NEVER
  })
  .meta({ expected: addressWords })

const metricsWords = 'an address such as tcp://:9959/metrics or unix:///run/postern-metrics.sock'

/** The same with Authelia's path behind it, which is the only one: `tcp://:9959/metrics`. */
export const metricsAddress = z
  .string()
  .refine(
    value => /^(?:unix:|[^/]*\/\/[^/]*(?:\/(?:metrics)?)?$)/.test(value),
    `${metricsWords}; its path is always /metrics`,
  )
  .transform(value => value.replace(/(^tcp[46]?:\/\/[^/]*)\/metrics$/, '$1/'))
  .pipe(address)
  .meta({ expected: metricsWords })

/** The address, or what was expected in its place. */
function parseAddress(value: string): ListenAddress | string {
  const unix = /^unix:\/\/(\/[^?#]+)$/.exec(value)?.[1]
  if (unix !== undefined) return { kind: 'unix', path: unix }
  if (/^unix:\/\/\/[^?#]+\?/.test(value)) return `${addressWords}; options after a ? are not supported`
  if (/^fd:/.test(value)) return `${addressWords}; file descriptors are not supported`
  const [, scheme, host = '', digits, path] =
    /^(tcp[46]?):\/\/(\[[0-9a-fA-F:.]*\]|[^:/?#[\]@]*)(?::(\d*))?(.*)$/.exec(value) ?? []
  if (scheme === undefined) return addressWords
  if (path !== '' && path !== '/')
    return `${addressWords}; a path is not supported, serve the portal on a host of its own`
  const port = digits === undefined ? 9091 : Number(digits)
  if (digits === '' || port > 65_535) return `${addressWords}, with a port from 0 to 65535`
  const bare = host.replace(/^\[|\]$/g, '')
  const known =
    bare === '' || isIP(bare) !== 0 || /^(?!\d+(?:\.\d+)*$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(bare)
  return known && (isIP(bare) === 6) === host.startsWith('[') ? { kind: 'tcp', host: bare, port } : addressWords
}

const proxyWords = 'an address or range such as 10.1.2.3 or 172.18.0.0/16, or unix'

/** One entry of `server.trusted_proxies`: an address, a CIDR that is not half of the Internet, or `unix`. */
export const trustedProxy = z
  .string()
  .superRefine((entry, context) => {
    const wrong = trustedProxyFault(entry)
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: wrong })
  })
  .meta({ expected: proxyWords })

function trustedProxyFault(entry: string): string | undefined {
  if (entry === 'unix') return undefined
  const [, ip = '', digits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const family = isIP(ip)
  if (family === 0) return proxyWords
  const bits = family === 4 ? 32 : 128
  const prefix = digits === undefined ? bits : Number(digits)
  if (prefix > bits) return `${proxyWords}; the number after / is at most ${bits} here`
  // Whoever is trusted chooses the client's address and the site that is judged. 10.0.0.0/8 and fc00::/7 are the widest private ranges.
  const mapped = /^::(?:ffff:|$)/i.test(ip) ? 96 : 0
  const narrowest = family === 4 ? 8 : mapped > 0 ? mapped + 8 : 7
  return prefix < narrowest
    ? `${proxyWords}; this range would trust everybody: name the addresses of your proxies only`
    : undefined
}

const networkWords = 'an address or range such as 10.1.2.3 or 10.0.0.0/8'

/** An address or a CIDR. Bits behind the prefix are allowed, as in Authelia. */
export function isNetwork(text: string): boolean {
  const [, ip = '', digits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = isIP(ip)
  return family !== 0 && (digits === undefined || Number(digits) <= (family === 4 ? 32 : 128))
}

export const network = z.string().refine(isNetwork).meta({ expected: networkWords })

/** In a rule: a name of `definitions.network` too. Whether there is such a one is told by checks/rule-criteria.ts. */
export const networkOrName = z
  .string()
  .min(1)
  .meta({ expected: `${networkWords}, or a name of definitions.network` })

/** As Authelia's, which proxies and applications know: of WebDAV's those that are in use. */
const methods: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK'.split(' '),
)

export const method = z
  .string()
  .transform(text => text.toUpperCase())
  .refine(text => methods.has(text))
  .meta({ expected: 'a method such as GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS or PROPFIND' })

export const subject = z
  .string()
  .superRefine((text, context) => {
    const wrong = subjectFault(text)
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: wrong })
  })
  .meta({ expected: 'user:NAME or group:NAME' })

function subjectFault(text: string): string | undefined {
  if (/^oauth2:/.test(text))
    return 'user:NAME or group:NAME; Postern is no OpenID Connect provider and knows no clients'
  return /^(?:user|group):./s.test(text) ? undefined : 'user:NAME or group:NAME'
}

const PATTERNS_AT_MOST = 100
const PATTERN_CHARACTERS_AT_MOST = 1000
const PATTERN_STEPS_AT_MOST = 1500
const patternWords = 'a regular expression in the syntax of RE2'

/** RE2 takes linear time, but in the length of the expression too, and a counted repetition multiplies it: both are bounded. */
const pattern = z
  .string()
  .superRefine((text, context) => {
    const wrong = examine(text).fault
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: wrong })
  })
  .meta({ expected: patternWords })

export const patterns = z
  .union([pattern, z.array(pattern).min(1).max(PATTERNS_AT_MOST)])
  .transform(value => (Array.isArray(value) ? value : [value]))
  .meta({ expected: 'a regular expression, or a list of at most 100' })

interface Examined {
  /** What was expected in its place; undefined where it is fine. */
  readonly fault: string | undefined
  readonly groups: readonly string[]
}

// Each is asked about several times, and thousands of them take seconds.
const EXAMINED_AT_MOST = 10_000
const examined = new Map<string, Examined>()

function examine(text: string): Examined {
  const known = examined.get(text)
  if (known !== undefined) return known
  if (examined.size >= EXAMINED_AT_MOST) examined.clear()
  const found = examineAnew(text)
  examined.set(text, found)
  return found
}

function examineAnew(text: string): Examined {
  const faulty = (fault: string): Examined => ({ fault: `${patternWords}${fault}`, groups: [] })
  if (text === '') return faulty(', not an empty one, which would match everything')
  if (text.length > PATTERN_CHARACTERS_AT_MOST) return faulty(`, of at most ${PATTERN_CHARACTERS_AT_MOST} characters`)
  try {
    const expression = RE2JS.compile(text)
    return expression.programSize() > PATTERN_STEPS_AT_MOST
      ? faulty(', with fewer repetitions: written out, they make this one too long')
      : { fault: undefined, groups: Object.keys(expression.namedGroups()) }
  } catch (error) {
    // Its text quotes the expression.
    const why = error instanceof Error && !looksSecret(text) ? printable(error.message) : 'it has an error'
    return faulty(` (${why})`)
  }
}

/** What was expected in place of this expression; undefined where it is fine. */
export const patternFault = (text: string): string | undefined => examine(text).fault

/** Names of the groups of an expression; none where it is no expression. */
export const namedGroups = (text: string): readonly string[] => examine(text).groups

const cookieNameWords = 'a cookie name: letters, digits, - and _, at most 64 characters, not beginning with __Host-'

/** RFC 6265, section 4.1.1: a token. `__Host-` forbids the Domain that a session needs. */
export const cookieName = z
  .string()
  .regex(/^(?!__host-)[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/i)
  .meta({ expected: cookieNameWords })

/**
 * An http or https URL that needs no repair: URL() forgives backslashes, spaces and lost slashes, and other programs read them otherwise.
 * Another scheme (`javascript:`) has no place in a link, nor has a password.
 */
export function isWebUrl(text: string): boolean {
  return /^https?:\/\/[^\s\\/@?#]+(?:[/?#][^\s\\]*)?$/i.test(text) && URL.canParse(text)
}

export const webUrl = z
  .string()
  .refine(isWebUrl)
  .meta({ expected: 'an http or https URL such as https://www.example.com, without a user name' })

export const name = z.string().min(1)
export const filePath = name.meta({ expected: 'the path of a file' })
