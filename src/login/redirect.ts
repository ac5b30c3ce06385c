import type { CookieDomain } from '../config/schema.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import { type OriginalUrl, parseUrl } from '../http/original-url.ts'

export type Redirect =
  /** Nothing was asked for, or the portal itself: stay. */
  | { readonly kind: 'none' }
  | { readonly kind: 'safe'; readonly url: OriginalUrl }
  /** Must not be followed. `host` is text to show, bounded; empty where none can be read. */
  | { readonly kind: 'unsafe'; readonly host: string }

const HOST_SHOWN_AT_MOST = 100

/**
 * Judges where a visitor wants to return to: absolute, https (or http on *.localhost), a host under a cookie domain, by the parser that
 * the gate uses. What is sent is put together from what was judged. The portal itself counts as nothing: no loop, no forced logout.
 */
export function judgeRedirect(rd: string | undefined, domains: readonly CookieDomain[]): Redirect {
  if (rd === undefined || rd === '') return { kind: 'none' }
  const url = parseUrl(rd)
  if (url === 'too-long') return { kind: 'none' }
  if (typeof url === 'string' || url.scheme === 'wss' || url.scheme === 'ws')
    return { kind: 'unsafe', host: shownHost(rd) }
  if (cookieDomainOf(url.host, domains) === undefined) return { kind: 'unsafe', host: shownHost(rd) }
  return domains.some(domain => portalHost(domain) === url.host) ? { kind: 'none' } : { kind: 'safe', url }
}

/** Host name of a domain's portal, lower case, without port. */
export function portalHost(domain: CookieDomain): string {
  return new URL(domain.authelia_url).hostname
}

// Only for a person to read, after the link was refused; here the lenient parser is right: it says where a browser would have gone.
function shownHost(rd: string): string {
  return URL.canParse(rd) ? new URL(rd).hostname.slice(0, HOST_SHOWN_AT_MOST) : ''
}
