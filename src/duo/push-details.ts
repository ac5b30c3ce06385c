import type { RequestFacts } from './duo.ts'
import { plainText } from './text.ts'

const VALUE_LIMIT = 200

/** What the phone shows beside the facts of the request. */
export interface Shown {
  /** `portal.name`. */
  readonly application: string
  /** To be compared with the page; the first line, where there is one. */
  readonly matchingCode: string | null
}

/**
 * The details that the phone shows, in Duo's form: `Site=one.example.com&From=192.0.2.1`, the values percent-encoded (the whole is
 * encoded once more as a parameter). A visitor's words can make no further pair and no further line. Stays below Duo's 20 000 bytes.
 */
export function pushinfo({ site, path, ip, browser, at }: RequestFacts, { application, matchingCode }: Shown): string {
  const pairs: [string, string | undefined | null][] = [
    ['Code in the browser', matchingCode],
    ['Application', application],
    // Never the query: it may hold a secret, and words that look like details.
    ['Site', site === null ? null : /^[^/?#\s]*/.exec(site)?.[0]],
    ['Page', site === null || path === null ? null : /^[^?#\s]*/.exec(path)?.[0]],
    ['From', ip],
    ['Browser', browser],
    ['Time', `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`],
  ]
  return pairs
    .map(([name, value]) => [name, plainText(value ?? '', VALUE_LIMIT)] as const)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .join('&')
}

/** Every byte but the unreserved ones. RFC 3986, section 2.3. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
