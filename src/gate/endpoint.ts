import type { IncomingMessage } from 'node:http'
import type { AuthzEndpoints } from '../config/authz-endpoints.ts'
import { type Dialect, dialects, originForm } from './dialect.ts'
import { type HeaderStrategy, headerStrategy, type Strategy } from './strategy.ts'

/** One address at which proxies ask. */
export interface Endpoint {
  /** In `server.endpoints.authz`. */
  readonly name: string
  readonly path: string
  readonly dialect: Dialect
  /** Who asks is looked for in this order; the first that finds somebody wins. */
  readonly strategies: readonly Strategy[]
  /** How somebody is told to log in whom no strategy found: by this one's challenge, or (null) at the portal. */
  readonly challengedBy: HeaderStrategy | null
}

const basic = { schemes: ['basic'], scheme_basic_cache_lifespan: 0 } as const

const builtIn = [
  ['auth-request', 'AuthRequest'],
  ['forward-auth', 'ForwardAuth'],
  ['ext-authz', 'ExtAuthz'],
  ['legacy', 'Legacy'],
] as const satisfies readonly (readonly [name: string, implementation: Dialect['implementation']])[]

/**
 * The built-in endpoints, as far as the configuration does not give them anew, and those of the operator. Whoever is sent to log in goes to the
 * portal by default; with an order of strategies of the operator's own the last one tells, as in Authelia.
 */
export function endpointsOf(configured: AuthzEndpoints): Endpoint[] {
  const unchanged = builtIn
    .filter(([name]) => !Object.hasOwn(configured, name))
    .map(([name, implementation]) => endpoint(name, { implementation }))
  return [...unchanged, ...Object.entries(configured).map(([name, settings]) => endpoint(name, settings))]
}

function endpoint(
  name: string,
  {
    implementation,
    authn_strategies,
  }: Pick<AuthzEndpoints[string], 'implementation'> & Partial<AuthzEndpoints[string]>,
): Endpoint {
  const dialect: Dialect = dialects[implementation]
  const path = name === 'legacy' ? '/api/verify' : `/api/authz/${name}`
  if (authn_strategies === undefined) {
    // The cookie first, unlike Authelia: an application's own Authorization header shuts nobody out who is signed in.
    const header = headerStrategy(implementation === 'Legacy' ? 'HeaderLegacy' : 'HeaderAuthorization', basic)
    return { name, path, dialect, strategies: ['cookie', header], challengedBy: null }
  }
  const strategies = authn_strategies.map(({ name, ...settings }) =>
    name === 'CookieSession' ? 'cookie' : headerStrategy(name, settings),
  )
  const last = strategies.at(-1)
  return { name, path, dialect, strategies, challengedBy: last === undefined || last === 'cookie' ? null : last }
}

/**
 * Fastify's `rewriteUrl`: whatever stands behind an endpoint that takes paths is the visitor's, and not for the router to judge. It would
 * refuse escapes that are no UTF-8, which applications of old still have. The whole target stays in `request.originalUrl`.
 */
export function routedUrl(configured: AuthzEndpoints): (request: IncomingMessage) => string {
  const around = endpointsOf(configured).filter(({ dialect }) => dialect.takesPaths)
  return ({ url = '/' }) => {
    const origin = url.startsWith('/') ? url : originForm(url).path
    if (!origin.startsWith('/api/')) return url
    const endpoint = around.find(({ path }) => origin.startsWith(path) && /^[/?]|^$/.test(origin.slice(path.length)))
    if (endpoint === undefined) return url
    const question = endpoint.dialect.implementation === 'Legacy' ? origin.indexOf('?') : -1
    return question === -1 ? endpoint.path : `${endpoint.path}${origin.slice(question)}`
  }
}
