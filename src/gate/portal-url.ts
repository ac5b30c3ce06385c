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

export function portalOf({ authelia_url }: CookieDomain): Portal {
  const own = parseUrl(authelia_url)
  // Configuration is checked before; what this parser can't read is compared as text and is no page's origin.
  const plain = typeof own === 'object' ? bare(own.href) : authelia_url
  const origin = typeof own === 'object' ? new URL(own.href).origin : "'none'"
  const isThis = (named: unknown) => {
    const url = typeof named === 'string' ? parseUrl(named) : undefined
    return typeof url === 'object' && bare(url.href) === plain
  }
  return {
    isNamedBy(query, headers) {
      const header = headers['x-authelia-url']
      if (header !== undefined && !isThis(header)) return false
      return !(typeof query === 'object' && query !== null && 'authelia_url' in query) || isThis(query.authelia_url)
    },
    isAskedFor(url) {
      if (typeof own !== 'object' || url.host !== own.host || portNumber(url) !== portNumber(own)) return false
      const folder = own.path.endsWith('/') ? own.path : `${own.path}/`
      return url.path.startsWith(folder) || `${url.path}/` === folder
    },
    pagePolicy: `default-src 'none'; style-src ${origin}; img-src ${origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  }
}

const bare = (href: string) => href.replace(/\/$/, '')

function portNumber({ port, scheme }: OriginalUrl): number {
  return port ?? (scheme === 'https' || scheme === 'wss' ? 443 : 80)
}
