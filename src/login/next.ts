import { type Access, type Decision, verdict } from '../access/access.ts'
import type { Clock, Milliseconds } from '../clock.ts'
import type { CookieDomain } from '../config/schema.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import type { Next, Visit, Wanted } from './login.ts'
import { judgeRedirect } from './redirect.ts'

interface Parts {
  readonly access: Access
  readonly domains: readonly CookieDomain[]
  readonly clock: Clock
}

type Who = Pick<Visit, 'who' | 'ip'>

/** Asks the rules what the gate asks them, for the same person, address and method. */
export function openNext({ access, domains, clock }: Parts) {
  const decide = ({ who, ip }: Who, host: string, target: string, method: string): Decision =>
    access.decide(who?.person ?? null, { host, target, method, ip })
  const judge = ({ who }: Who, decision: Decision) => verdict(decision, who?.session ?? null, clock())

  function next(visit: Visit, { rd, rm = 'GET' }: Wanted): Next {
    const { domain } = visit
    const wanted = judgeRedirect(rd, domains)
    const redirect = wanted.kind === 'none' ? judgeRedirect(domain.default_redirection_url, domains) : wanted
    if (redirect.kind === 'none') return { to: 'home' }
    if (redirect.kind === 'unsafe') return { to: 'unsafe', host: redirect.host }
    const { host, target, href } = redirect.url
    // This session proves nothing to the sites of another cookie domain: the gate there sends to the portal there.
    if (cookieDomainOf(host, domains) !== domain) return { to: 'site', url: href, host, forbidden: false }
    const decision = decide(visit, host, target, rm.toUpperCase())
    const said = judge(visit, decision)
    const { maxAge, factors } = decision
    if (said === 'password') return { to: 'password', host, maxAge }
    if (said === 'second-factor') return { to: 'prove', host, why: whyAgain(visit, decision, clock()), maxAge, factors }
    return { to: 'site', url: href, host, forbidden: said === 'forbidden' }
  }

  return {
    next,
    /** What the rules say of a URL of this portal's cookie domain; null for any other. */
    decisionOn(visit: Visit, { rd, rm = 'GET' }: Wanted): (Decision & { readonly host: string }) | null {
      const wanted = judgeRedirect(rd, domains)
      if (wanted.kind !== 'safe' || cookieDomainOf(wanted.url.host, domains) !== visit.domain) return null
      const { host, target } = wanted.url
      return { ...decide(visit, host, target, rm.toUpperCase()), host }
    },
    /** What opening the first page of a host asks of the person; null where the rules refuse it. */
    needs(visit: Who, host: string): 'nothing' | 'password' | 'second-factor' | null {
      const said = judge(visit, decide(visit, host, '/', 'GET'))
      return said === 'forbidden' ? null : said === 'allowed' ? 'nothing' : said
    },
  }
}

/** Of a session whose second factor is not enough. */
function whyAgain({ who }: Who, decision: Decision, now: Milliseconds): 'level' | 'age' | 'factor' {
  if (who === null || who.session.level < 2) return 'level'
  return verdict({ ...decision, factors: [] }, who.session, now) === 'allowed' ? 'factor' : 'age'
}
