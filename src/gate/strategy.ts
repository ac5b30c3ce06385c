import type { Milliseconds } from '../clock.ts'
import type { AuthzEndpoints, StrategyName } from '../config/authz-endpoints.ts'
import { singleHeader } from '../http/headers.ts'

/** Where to look for who asks: in the session's cookie, or in a header. */
export type Strategy = 'cookie' | HeaderStrategy

/** Name and password in a header (RFC 7617). */
export interface HeaderStrategy {
  /** Which header. @param query the proxy's own */
  header(query: unknown): 'authorization' | 'proxy-authorization'
  /** Whether the proxy wants a challenge where the header is missing, whatever the endpoint would do else. */
  insists(query: unknown): boolean
  readonly challenge: { readonly status: 401 | 407; readonly header: 'www-authenticate' | 'proxy-authenticate' }
  readonly takesBasic: boolean
  /** How long a right password is believed without another look at its hash; 0: not at all. */
  readonly cacheLifespan: Milliseconds
}

const unauthorized = { status: 401, header: 'www-authenticate' } as const
const never = () => false
const asksForBasic = (query: unknown) =>
  typeof query === 'object' && query !== null && 'auth' in query && query.auth === 'basic'

// As Authelia's. `auth=basic` of the legacy dialect is how a proxy asks for the one header, and for a challenge.
const kinds = {
  HeaderAuthorization: { header: () => 'authorization', insists: never, challenge: unauthorized },
  HeaderProxyAuthorization: {
    header: () => 'proxy-authorization',
    insists: never,
    challenge: { status: 407, header: 'proxy-authenticate' },
  },
  HeaderAuthRequestProxyAuthorization: {
    header: () => 'proxy-authorization',
    insists: never,
    challenge: unauthorized,
  },
  HeaderLegacy: {
    header: query => (asksForBasic(query) ? 'authorization' : 'proxy-authorization'),
    insists: asksForBasic,
    challenge: unauthorized,
  },
} as const satisfies Record<
  Exclude<StrategyName, 'CookieSession'>,
  Pick<HeaderStrategy, 'header' | 'insists' | 'challenge'>
>

type Settings = NonNullable<AuthzEndpoints[string]['authn_strategies']>[number]

export function headerStrategy(
  name: Exclude<StrategyName, 'CookieSession'>,
  {
    schemes,
    scheme_basic_cache_lifespan,
  }: Readonly<Pick<Settings, 'scheme_basic_cache_lifespan'>> & {
    readonly schemes: readonly string[]
  },
): HeaderStrategy {
  return {
    ...kinds[name],
    takesBasic: name === 'HeaderLegacy' || schemes.includes('basic'),
    cacheLifespan: scheme_basic_cache_lifespan,
  }
}

/** What somebody typed, as their program sent it. */
export interface Credentials {
  readonly username: string
  readonly password: string
}

const CHARACTERS_AT_MOST = 4096
const form = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Name and password of one Basic header. Undefined when it is missing, doubled, of another scheme or malformed: applications have
 * Authorization headers of their own, and such a one says nothing here.
 */
export function basicCredentials(
  rawHeaders: readonly string[],
  name: 'authorization' | 'proxy-authorization',
): Credentials | undefined {
  const value = singleHeader(rawHeaders, name)
  if (typeof value !== 'string' || value.length > CHARACTERS_AT_MOST) return undefined
  const [, encoded] = form.exec(value) ?? []
  if (encoded === undefined) return undefined
  let text: string
  try {
    text = utf8.decode(Buffer.from(encoded, 'base64'))
  } catch {
    return undefined
  }
  const colon = text.indexOf(':')
  if (colon < 1) return undefined
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}
