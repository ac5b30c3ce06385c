/** A URL that was parsed strictly, once: what is judged is what is sent. */
export interface OriginalUrl {
  readonly scheme: 'https' | 'wss' | 'http' | 'ws'
  /** Lower case ASCII, without port. */
  readonly host: string
  readonly port: number | undefined
  /** As sent: path and query, beginning with `/`. */
  readonly target: string
  /** As sent, up to the `?`. */
  readonly path: string
  /** The whole URL again, from its parts. */
  readonly href: string
}

export type UrlFault = 'malformed' | 'not-secure' | 'too-long'

const URL_BYTES_AT_MOST = 4096
// RFC 3986, section 4.3, narrowed: no userinfo, no fragment, a port of one to five digits without leading zero.
const absoluteForm = /^([A-Za-z]+):\/\/([^/?#\\@\s]*)([/?][^#]*)?$/
const hostAndPort =
  /^((?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)\.?(?::([1-9]\d{0,4}))?$/i
// A browser reads such a host as an address: `2130706433` and `a.0x7f` (WHATWG URL, "ends in a number").
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/
// A target holds visible ASCII only, and each % begins a pair of hexadecimal digits; %00 is in no path of a browser.
const target = /^(?:[!"$&-~]|%(?!00)[0-9A-Fa-f]{2})*$/

/**
 * Parses an absolute URL as one string. No URL() here: it forgives tabs, backslashes, userinfo and lost slashes, so that the application
 * behind may read another path or host than the one that was judged.
 * `not-secure` is everything but https and wss; http and ws count as secure on `*.localhost`, as in browsers.
 */
export function parseUrl(text: string): OriginalUrl | UrlFault {
  if (text.length > URL_BYTES_AT_MOST) return 'too-long'
  const [, scheme, authority, rest] = absoluteForm.exec(text) ?? []
  if (scheme === undefined || authority === undefined) return 'malformed'
  // `https://host?x=1` asks for the path `/`.
  return fromParts(scheme, authority, rest?.startsWith('?') ? `/${rest}` : (rest ?? ''))
}

/** The same from parts that came in headers of their own. @param targetText empty, or beginning with `/` */
export function fromParts(schemeText: string, authority: string, targetText: string): OriginalUrl | UrlFault {
  // Before any expression runs: what is longer costs nothing.
  if (schemeText.length + authority.length + targetText.length > URL_BYTES_AT_MOST) return 'too-long'
  const at = placeOf(authority)
  if (at === undefined) return 'malformed'
  if (!target.test(targetText)) return 'malformed'
  const full = targetText === '' ? '/' : targetText
  if (!full.startsWith('/')) return 'malformed'
  const { host, port } = at
  const scheme = schemeText.toLowerCase()
  const local = host.endsWith('.localhost')
  if (!(scheme === 'https' || scheme === 'wss' || (local && (scheme === 'http' || scheme === 'ws'))))
    return 'not-secure'
  const question = full.indexOf('?')
  return {
    scheme,
    host,
    port,
    target: full,
    path: question === -1 ? full : full.slice(0, question),
    href: `${scheme}://${host}${port === undefined ? '' : `:${port}`}${full}`,
  }
}

interface Place {
  readonly host: string
  readonly port: number | undefined
}

// The hosts of a proxy are few. Bounded, since those that a visitor makes up are not.
const PLACES_AT_MOST = 1000
const places = new Map<string, Place>()

function placeOf(authority: string): Place | undefined {
  const known = places.get(authority)
  if (known !== undefined) return known
  const [, name, digits] = hostAndPort.exec(authority) ?? []
  if (name === undefined || name.length > 253) return undefined
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && port > 65_535) return undefined
  const host = name.toLowerCase()
  if (endsInNumber.test(host)) return undefined
  if (places.size >= PLACES_AT_MOST) places.clear()
  const place = { host, port }
  places.set(authority, place)
  return place
}
