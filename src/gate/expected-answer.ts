import { type Access, type Proof, type Subject, verdict } from '../access/access.ts'
import type { CookieDomain } from '../config/schema.ts'
import type { OriginalUrl } from '../http/original-url.ts'
import type { Endpoint } from './endpoint.ts'
import { portalOf } from './portal-url.ts'

/** What is asked, and by whom. */
export interface Judged {
  readonly access: Pick<Access, 'decide'>
  readonly url: OriginalUrl
  readonly method: string
  readonly ip: string | undefined
  readonly domain: CookieDomain
  /** The person, and what the session has proved; null: nobody. */
  readonly who: { readonly subject: Subject; readonly proof: Proof } | null
}

export interface ExpectedAnswer {
  readonly status: number
  readonly location: string | null
}

/**
 * What an endpoint will answer, without a request: for who asks beforehand. Nothing is down, and the proxy does not name the portal.
 * @param wantsPage whether a browser opens a page; else a script or a program asks
 */
export function expectedAnswer(endpoint: Endpoint, judged: Judged, wantsPage: boolean): ExpectedAnswer {
  const { access, url, method, ip, domain } = judged
  const { dialect, strategies, challengedBy } = endpoint
  const only = (status: number) => ({ status, location: null })
  const byCookie = strategies.includes('cookie')
  const byHeader = strategies.filter(strategy => strategy !== 'cookie').find(({ takesBasic }) => takesBasic)
  const who = byCookie || byHeader ? judged.who : null
  // Where no cookie is looked at, a password with each request is all that anybody can prove.
  const proof = who && (byCookie ? who.proof : ({ ...who.proof, level: 1, secondFactor: null } as const))
  const decision = access.decide(who?.subject ?? null, { host: url.host, target: url.target, method, ip })
  if (decision.unclear) return only(dialect.refusedStatus)
  const said = verdict(decision, proof, proof?.passwordAt ?? 0)
  if (said === 'allowed') return only(200)
  if (said === 'forbidden') return only(403)
  const challenger = proof === null ? challengedBy : byCookie ? null : byHeader
  if (challenger) return only(challenger.challenge.status)
  const portal = portalOf(domain)
  if (portal.isAskedFor(url)) return only(dialect.refusedStatus)
  if (dialect.portalMustBeNamed) return only(401)
  return { status: dialect.loginStatus(method, wantsPage), location: portal.loginUrl(url, method) }
}
