import type { CookieDomain } from '../config/schema.ts'

/** The entry whose domain is this host or an ancestor of it, label by label. @param host lower case, without port */
export function cookieDomainOf(host: string, domains: readonly CookieDomain[]): CookieDomain | undefined {
  return domains.find(
    ({ domain }) => host === domain || (host.endsWith(domain) && host[host.length - domain.length - 1] === '.'),
  )
}
