import type { CookieDomain } from '../config/schema.ts'
import { type OriginalUrl, parseUrl } from '../http/original-url.ts'
import type { ProxyHeaders } from './proxy-headers.ts'

/** The portal of one cookie domain, as the gate needs it. */
export interface Portal {
  /**
   * Whether a proxy that names a portal (`authelia_url` in the query, `X-Authelia-URL`) names this one; true when it names none. Any other
   * would be an open redirect: Authelia takes each that lies in the cookie domain.
   */
  isNamedBy(query: unknown, headers: ProxyHeaders): boolean
  /** Whether the judged URL is the portal itself: a redirect to it would come back here. */
  isAskedFor(url: OriginalUrl): boolean
  /** For a page that is shown on an application's host and takes style and pictures from the portal. */
  readonly pagePolicy: string
}

export function portalOf({ authelia_url: origin }: CookieDomain): Portal {
  const isThis = (named: unknown) => {
    const url = typeof named === 'string' ? parseUrl(named) : undefined
    return typeof url === 'object' && url.target === '/' && originOf(url) === origin
  }
  return {
    isNamedBy(query, headers) {
      const header = headers['x-authelia-url']
      if (header !== undefined && !isThis(header)) return false
      return !(typeof query === 'object' && query !== null && 'authelia_url' in query) || isThis(query.authelia_url)
    },
    isAskedFor: url => originOf(url) === origin,
    pagePolicy: `default-src 'none'; style-src ${origin}; img-src ${origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  }
}

/** As the configuration holds it: without the port that the scheme implies. */
function originOf({ scheme, host, port }: OriginalUrl): string {
  const secure = scheme === 'https' || scheme === 'wss'
  return `${secure ? 'https' : 'http'}://${host}${port === undefined || port === (secure ? 443 : 80) ? '' : `:${port}`}`
}
