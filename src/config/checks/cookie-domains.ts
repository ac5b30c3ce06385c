import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { parse } from 'tldts'
import { isWebUrl } from '../notations.ts'
import { described } from '../schema-problems.ts'
import type { Report } from './report.ts'

export const COOKIES = ['session', 'cookies'] as const

/** What a browser would refuse about a session's cookie, and what would send people in a circle: told at the start instead of at the login. */
export function checkCookieDomains(report: Report): void {
  const usable: { domain: string; path: PropertyKey[] }[] = []
  for (const index of report.list(COOKIES).keys()) {
    const path = [...COOKIES, index, 'domain']
    const written = report.text(path)
    const domain = written?.toLowerCase()
    const fault = domain === undefined ? undefined : cookieDomainFault(domain)
    if (fault !== undefined) report.error(path, `${described(written ?? '')} cannot be a cookie domain: ${fault}`)
    const good = fault === undefined ? domain : undefined
    if (good !== undefined) {
      for (const other of usable) {
        const [inner, outer] = isWithin(good, other.domain) ? [good, other.domain] : [other.domain, good]
        if (good === other.domain)
          report.error(path, `${good} is given twice; the first is on ${report.where(other.path)}.`)
        else if (isWithin(inner, outer))
          report.error(
            path,
            `${inner} lies inside ${outer} (${report.where(good === inner ? other.path : path)} and ${report.where(good === inner ? path : other.path)}): a browser would send both cookies. Keep ${outer} alone.`,
          )
      }
      usable.push({ domain: good, path })
    }
    checkPortal(report, index, good)
  }
}

/** Why a browser takes no cookie for this domain, or takes it for too many sites; undefined where it is fine. */
function cookieDomainFault(domain: string): string | undefined {
  if (/^[a-z]+:\/\//.test(domain)) return 'write the bare domain, without https://.'
  if (domain.startsWith('*.')) return `it covers all hosts below it by itself. Write ${domain.slice(2)}.`
  if (domain.startsWith('.')) return `write it without the leading dot: ${domain.replace(/^\.+/, '')}.`
  if (domain.endsWith('.')) return `write it without the final dot: ${domain.replace(/\.+$/, '')}.`
  if (isIP(domain.replace(/^\[|\]$/g, '')) !== 0 || /^[\d.]+$|\.\d+$/.test(domain))
    return 'it is an IP address, and a browser shares no cookie between the hosts of one. Use a domain name.'
  if (/[:/]/.test(domain)) return 'write the bare domain, without port or path.'
  const ascii = /[^\u0020-\u007e]/.test(domain) ? domainToASCII(domain) : ''
  if (ascii !== '') return `write it as it travels, in ASCII: ${ascii}.`
  const labels = domain.split('.')
  if (!labels.every(label => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) || domain.length > 253)
    return 'a domain has letters, digits, hyphens and single dots only.'
  if (labels.length === 1)
    return domain === 'localhost'
      ? 'a browser takes no cookie for a name without a dot. For a trial, use a name such as postern.localhost.'
      : 'it is a name without a dot, and a browser takes no cookie for one.'
  if (parse(domain, { allowPrivateDomains: true }).publicSuffix === domain)
    return 'it is a public suffix: everybody can have a name below it, so a browser takes no cookie for it. Use your own domain below it.'
  return undefined
}

function checkPortal(report: Report, index: number, domain: string | undefined): void {
  const portalPath = [...COOKIES, index, 'authelia_url']
  const homePath = [...COOKIES, index, 'default_redirection_url']
  const portal = checkedUrl(report, portalPath, domain)
  if (portal && (portal.pathname !== '/' || portal.search !== '' || portal.hash !== ''))
    report.error(
      portalPath,
      'A portal under a path is not supported yet; give it a host of its own, such as https://auth.example.com.',
    )
  const home = checkedUrl(report, homePath, domain)
  if (home && portal && home.host === portal.host)
    report.error(
      homePath,
      `It leads back to the portal (${report.where(portalPath)}). Name the site where people go after signing in.`,
    )
}

function checkedUrl(report: Report, path: PropertyKey[], domain: string | undefined): URL | undefined {
  const written = report.text(path)
  if (written === undefined || !isWebUrl(written)) return undefined // the schema tells
  const url = new URL(written)
  const trial = url.hostname.endsWith('.localhost')
  if (url.protocol === 'http:' && !trial)
    report.error(
      path,
      'It must be https: over http everybody on the way could take the session. (Only names under .localhost may have http.)',
    )
  if (domain !== undefined && !isWithin(url.hostname, domain))
    report.error(
      path,
      `Its host ${described(url.hostname)} is outside the cookie domain ${domain} (${report.where([...path.slice(0, -1), 'domain'])}): the browser would not give it the session’s cookie.`,
    )
  return url
}

/** Equal, or below it, label by label. */
export function isWithin(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`)
}
