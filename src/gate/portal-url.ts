import type { CookieDomain } from '../config/schema.ts'
import { type OriginalUrl, parseUrl } from '../http/original-url.ts'
import type { ProxyHeaders } from './proxy-headers.ts'

/** The portal of one cookie domain, as the gate needs it. */
export interface Portal {
  /**
   * Which portal a proxy names, in one of these parameters of its query or in `X-Authelia-URL`. Another one would be an open redirect:
   * Authelia takes each that lies in the cookie domain.
   */
  named(query: unknown, headers: ProxyHeaders, parameters: readonly string[]): 'this' | 'none' | 'another'
  /** Whether the judged URL is the portal itself: a redirect to it would come back here. */
  isAskedFor(url: OriginalUrl): boolean
  /** Where to log in for this URL, and to come back from. */
  loginUrl(url: OriginalUrl, method: string): string
  /** The page that says no for this URL. */
  deniedUrl(url: OriginalUrl, method: string): string
  /** For a page that is shown on an application's host and takes style and pictures from the portal. */
  readonly pagePolicy: string
}

export function portalOf({ authelia_url: origin }: CookieDomain): Portal {
  const isThis = (named: unknown) => {
    const url = typeof named === 'string' ? parseUrl(named) : undefined
    return typeof url === 'object' && url.target === '/' && originOf(url) === origin
  }
  const about = (url: OriginalUrl, method: string) => `rd=${encodeURIComponent(url.href)}&rm=${method}`
  return {
    named(query, headers, parameters) {
      let named: 'this' | 'none' = 'none'
      const header = headers['x-authelia-url']
      if (header !== undefined) {
        if (!isThis(header)) return 'another'
        named = 'this'
      }
      for (const name of parameters) {
        if (typeof query !== 'object' || query === null || !Object.hasOwn(query, name)) continue
        if (!isThis(Reflect.get(query, name))) return 'another'
        named = 'this'
      }
      return named
    },
    isAskedFor: url => originOf(url) === origin,
    loginUrl: (url, method) => `${origin}/?${about(url, method)}`,
    deniedUrl: (url, method) => `${origin}/denied?${about(url, method)}`,
    pagePolicy: `default-src 'none'; style-src ${origin}; img-src ${origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  }
}

/** As the configuration holds it: without the port that the scheme implies. */
function originOf({ scheme, host, port }: OriginalUrl): string {
  const secure = scheme === 'https' || scheme === 'wss'
  return `${secure ? 'https' : 'http'}://${host}${port === undefined || port === (secure ? 443 : 80) ? '' : `:${port}`}`
}
