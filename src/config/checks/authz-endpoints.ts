import { endpointName } from '../authz-endpoints.ts'
import type { Report } from './report.ts'

const AUTHZ = ['server', 'endpoints', 'authz'] as const
const takesPaths: ReadonlySet<unknown> = new Set(['ExtAuthz', 'Legacy'])
const legacyOnly = 'HeaderLegacy'

/** What Authelia refuses about `server.endpoints.authz`, and what would not do what it says. */
export function checkAuthzEndpoints(report: Report): void {
  const endpoints = report.value(AUTHZ)
  if (typeof endpoints !== 'object' || endpoints === null || Array.isArray(endpoints)) return
  const names = Object.keys(endpoints)
  for (const name of names) {
    const path = [...AUTHZ, name]
    const implementation = report.value([...path, 'implementation'])
    if (!endpointName.test(name))
      report.error(path, 'The name of an endpoint has letters, digits, - and _, with single slashes between parts.')
    if (name === 'legacy' && implementation !== undefined && implementation !== 'Legacy')
      report.error([...path, 'implementation'], 'The endpoint named legacy is /api/verify, and must be Legacy.')
    const around = [...new Set([...names, 'ext-authz'])].find(
      other => name.startsWith(`${other}/`) && takesPaths.has(implementationOf(report, other)),
    )
    if (around !== undefined)
      report.error(path, `It lies below ${around}, which answers for every path below it. Give it another name.`)
    checkStrategies(report, [...path, 'authn_strategies'], implementation)
  }
}

/** That of the built-in one where the file does not give it anew. */
function implementationOf(report: Report, name: string): unknown {
  if (name === 'legacy') return undefined // mounted elsewhere
  return report.value([...AUTHZ, name, 'implementation']) ?? (name === 'ext-authz' ? 'ExtAuthz' : undefined)
}

function checkStrategies(report: Report, path: readonly PropertyKey[], implementation: unknown): void {
  const seen = new Map<string, PropertyKey[]>()
  for (const index of report.list(path).keys()) {
    const here = [...path, index]
    const name = report.text([...here, 'name'])
    if (name === undefined) continue
    const earlier = seen.get(name)
    if (earlier !== undefined)
      report.error([...here, 'name'], `${name} is given twice; the first is on ${report.where(earlier)}.`)
    seen.set(name, here)
    const schemes = report.value([...here, 'schemes'])
    const lifespan = report.value([...here, 'scheme_basic_cache_lifespan'])
    if (name === 'CookieSession') {
      if (schemes !== undefined) report.error([...here, 'schemes'], 'CookieSession has no schemes. Take this out.')
      if (lifespan !== undefined)
        report.error(
          [...here, 'scheme_basic_cache_lifespan'],
          'CookieSession looks at no password, so there is nothing to keep. Take this out.',
        )
      continue
    }
    if (name === legacyOnly && schemes !== undefined)
      report.error([...here, 'schemes'], 'HeaderLegacy takes the scheme basic and no other. Take this out.')
    if (name === 'HeaderProxyAuthorization' && implementation === 'AuthRequest')
      report.warning(
        [...here, 'name'],
        'It answers 407, of which nginx makes 500. Use HeaderAuthRequestProxyAuthorization.',
      )
    for (const [at, scheme] of report.list([...here, 'schemes']).entries())
      if (typeof scheme === 'string' && scheme.toLowerCase() === 'bearer')
        report.warning([...here, 'schemes', at], 'Ignored: Postern issues no access tokens, so nobody gets in by one.')
    if (lifespan !== undefined && Array.isArray(schemes) && !schemes.some(one => /^basic$/i.test(String(one))))
      report.error(
        [...here, 'scheme_basic_cache_lifespan'],
        'The scheme basic is not among its schemes, so there is nothing to keep. Take this out.',
      )
  }
}
