import { type doubled, singleHeader } from '../http/headers.ts'
import { fromParts, type OriginalUrl, parseUrl, type UrlFault } from '../http/original-url.ts'
import type { Reason } from '../problems/problems.ts'
import type { ProxyHeaders } from './proxy-headers.ts'

/** The request that a proxy asks about. */
export interface Asked {
  readonly method: string
  readonly url: OriginalUrl
}

/** Why it can't be judged. `detail` is for the log: what was found, and what to change. */
export interface Refusal {
  readonly reason: Extract<Reason, `gate-${string}`>
  readonly detail: string
}

/** A proxy's request, as a dialect reads it. */
export interface Asking {
  readonly headers: ProxyHeaders
  readonly rawHeaders: readonly string[]
  /** Of the proxy's own request line. */
  readonly method: string
  readonly target: string
  /** Where the endpoint is mounted. */
  readonly mount: string
}

/** How one kind of proxy asks, and how it wants to hear a no. */
export interface Dialect {
  /** Its name in `server.endpoints.authz`. */
  readonly implementation: 'AuthRequest' | 'ForwardAuth' | 'ExtAuthz' | 'Legacy'
  /** The methods by which the proxy itself asks, others are 405; `any`: the visitor's, as it came. */
  readonly asksBy: readonly ('GET' | 'HEAD')[] | 'any'
  /** Whether anything may stand behind the endpoint's own path: see `routedUrl`. */
  readonly takesPaths: boolean
  read(asking: Asking): Asked | Refusal
  /** Parameters of the proxy's own query in which it may name the portal. `X-Authelia-URL` may in each dialect. */
  readonly portalParameters: readonly string[]
  /** Whether *log in first* has a Location only where the proxy names the portal. */
  readonly portalMustBeNamed: boolean
  /** The status of *log in first*. */
  loginStatus(method: string, wantsPage: boolean): 302 | 303 | 401
  /** The status of a question that can't be judged. */
  readonly refusedStatus: 400 | 401
  /** Whether the proxy may drop a refusal's body, so that the portal's page must be named by a header. */
  readonly dropsBody: boolean
}

const files = {
  nginx: 'deploy/nginx/snippets/postern-location.conf',
  forwardAuth: 'deploy/traefik/dynamic.yml, deploy/caddy/Caddyfile or deploy/haproxy/haproxy.cfg',
  envoy: 'deploy/envoy/envoy.yaml',
  any: 'a file from deploy/',
} as const

/** To the portal, where a page was wanted; a method that changes something is not repeated there. */
function redirectOr401(method: string, wantsPage: boolean): 302 | 303 | 401 {
  if (!wantsPage) return 401
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? 302 : 303
}

export const dialects = {
  // nginx: a body and every status but 2xx, 401 and 403 are lost; it takes the Location from a 401.
  AuthRequest: {
    implementation: 'AuthRequest',
    asksBy: ['GET', 'HEAD'],
    takesPaths: false,
    read({ headers }) {
      const url = headers['x-original-url']
      if (typeof url !== 'string') {
        const other = headers['x-forwarded-host'] !== undefined && url === undefined
        return lacking(url, 'x-original-url', files.nginx, other ? '/api/authz/forward-auth' : undefined)
      }
      const method = headers['x-original-method']
      if (typeof method !== 'string') return lacking(method, 'x-original-method', files.nginx)
      return asked(method, 'x-original-method', parseUrl(url), () => `X-Original-URL says ${shown(url)}`, files.nginx)
    },
    portalParameters: ['authelia_url'],
    portalMustBeNamed: false,
    loginStatus: () => 401,
    refusedStatus: 400,
    dropsBody: true,
  },
  // Traefik, Caddy, HAProxy: the answer goes to the browser as it stands.
  ForwardAuth: {
    implementation: 'ForwardAuth',
    asksBy: ['GET', 'HEAD'],
    takesPaths: false,
    read({ headers }) {
      const other = headers['x-original-url'] !== undefined && headers['x-forwarded-host'] === undefined
      const url = forwardedUrl(headers, files.forwardAuth, other ? '/api/authz/auth-request' : undefined)
      if ('reason' in url) return url
      const method = headers['x-forwarded-method']
      if (typeof method !== 'string') return lacking(method, 'x-forwarded-method', files.forwardAuth)
      return asked(method, 'x-forwarded-method', url.url, url.said, files.forwardAuth)
    },
    portalParameters: ['authelia_url'],
    portalMustBeNamed: false,
    loginStatus: redirectOr401,
    refusedStatus: 400,
    dropsBody: false,
  },
  // Envoy: the visitor's own request line and Host, with the endpoint's path put before the visitor's.
  ExtAuthz: {
    implementation: 'ExtAuthz',
    asksBy: 'any',
    takesPaths: true,
    read({ headers, rawHeaders, method, target, mount }) {
      const scheme = headers['x-forwarded-proto']
      if (typeof scheme !== 'string') return lacking(scheme, 'x-forwarded-proto', files.envoy)
      const host = singleHeader(rawHeaders, 'host')
      if (typeof host !== 'string') return lacking(host, 'host', files.envoy)
      const path = pathBehind(mount, target, host)
      if (typeof path !== 'string') return path
      const said = () => `X-Forwarded-Proto says ${shown(scheme)}, Host ${shown(host)}, the path is ${shown(path)}`
      return asked(method, 'the request line', fromParts(scheme, host, path), said, files.envoy)
    },
    portalParameters: [], // the query is the visitor's
    portalMustBeNamed: false,
    loginStatus: redirectOr401,
    refusedStatus: 400,
    dropsBody: false,
  },
  // What older files ask: by X-Original-URL or by X-Forwarded-*.
  Legacy: {
    implementation: 'Legacy',
    asksBy: 'any',
    takesPaths: true,
    read({ headers }) {
      const url = legacyUrl(headers)
      if ('reason' in url) return url
      const other = headers['x-original-method']
      // The method of the proxy's own request says nothing: nginx asks by GET whatever the visitor sent.
      const method = headers['x-forwarded-method'] ?? other
      if (typeof method !== 'string') return lacking(method, 'x-forwarded-method', files.any)
      if (other !== undefined && other !== method) return contradicting('x-original-method', 'x-forwarded-method')
      return asked(method, 'x-forwarded-method', url.url, url.said, files.any)
    },
    portalParameters: ['rd', 'authelia_url'],
    portalMustBeNamed: true,
    loginStatus: redirectOr401,
    refusedStatus: 401,
    dropsBody: true,
  },
} as const satisfies { readonly [Name in Dialect['implementation']]: Dialect & { implementation: Name } }

type Header = string | undefined | typeof doubled
interface Read {
  readonly url: OriginalUrl | UrlFault
  /** What the headers said, for the log. */
  readonly said: () => string
}

function forwardedUrl(headers: ProxyHeaders, file: string, rightPath?: string): Read | Refusal {
  const scheme = headers['x-forwarded-proto']
  const host = headers['x-forwarded-host']
  const target = headers['x-forwarded-uri']
  if (typeof scheme !== 'string') return lacking(scheme, 'x-forwarded-proto', file, rightPath)
  if (typeof host !== 'string') return lacking(host, 'x-forwarded-host', file, rightPath)
  if (typeof target !== 'string') return lacking(target, 'x-forwarded-uri', file, rightPath)
  const said = () =>
    `X-Forwarded-Proto says ${shown(scheme)}, X-Forwarded-Host ${shown(host)}, X-Forwarded-URI ${shown(target)}`
  return { url: fromParts(scheme, host, target), said }
}

/**
 * Where a proxy sends both kinds of headers they must agree: one that sends only X-Forwarded-* passes on an X-Original-URL that the
 * visitor made up, and the other way round. (Authelia believes X-Original-URL.)
 */
function legacyUrl(headers: ProxyHeaders): Read | Refusal {
  const original = headers['x-original-url']
  if (original === undefined) return forwardedUrl(headers, files.any)
  if (typeof original !== 'string') return lacking(original, 'x-original-url', files.any)
  const url = parseUrl(original)
  const read = { url, said: () => `X-Original-URL says ${shown(original)}` }
  if (typeof url === 'string') return read
  for (const [name, of] of [
    ['x-forwarded-proto', (text: string) => fromParts(text, hostOf(url), url.target)],
    ['x-forwarded-host', (text: string) => fromParts(url.scheme, text, url.target)],
    ['x-forwarded-uri', (text: string) => fromParts(url.scheme, hostOf(url), text)],
  ] as const) {
    const said = headers[name]
    if (said === undefined) continue
    if (typeof said !== 'string') return lacking(said, name, files.any)
    const same = of(said)
    // Not the port: no rule depends on it, and one proxy writes $host here and $http_host there.
    const agrees =
      typeof same === 'object' && same.scheme === url.scheme && same.host === url.host && same.target === url.target
    if (!agrees) return contradicting('x-original-url', name)
  }
  return read
}

const hostOf = ({ host, port }: OriginalUrl) => (port === undefined ? host : `${host}:${port}`)

/**
 * What stands behind the endpoint's path on the request line, query and all. Envoy puts its `path_prefix`, which ends with a slash, before
 * a path that begins with one; a path without that second slash is taken too.
 * @param host of the Host header: an absolute form (RFC 9112, section 3.2.2) must name the same
 */
function pathBehind(mount: string, target: string, host: string): string | Refusal {
  const { authority, path: origin } = originForm(target)
  if (authority !== undefined && authority.toLowerCase() !== host.toLowerCase())
    return { reason: 'gate-headers', detail: 'The request line names another host than the Host header.' }
  const path = origin.slice(mount.length)
  // The router decodes a path before it compares: /%61pi would come here as well.
  if (!origin.startsWith(mount) || !/^(?:[/?]|$)/.test(path))
    return { reason: 'gate-url', detail: `The path on the request line does not begin with ${mount}.` }
  if (path.startsWith('//')) return path.slice(1)
  return path.startsWith('?') ? `/${path}` : path
}

/** A request's target without the host that an absolute form names. */
export function originForm(target: string): { authority: string | undefined; path: string } {
  const [, authority, path] = /^https?:\/\/([^/?#]*)(.*)$/is.exec(target) ?? []
  return { authority, path: path ?? target }
}

const methodForm = /^[A-Z]{1,32}$/

function asked(
  method: string,
  methodFrom: string,
  url: OriginalUrl | UrlFault,
  said: () => string,
  file: string,
): Asked | Refusal {
  if (!methodForm.test(method))
    return { reason: 'gate-method', detail: `${methodFrom} says ${shown(method)}, which is no method. Use ${file}.` }
  if (typeof url === 'object') return { method, url }
  if (url === 'not-secure')
    return {
      reason: 'gate-scheme',
      detail: `${said()}, and a session cookie is sent over https only. Where TLS ends one hop before this proxy, let the proxy trust that hop and pass its scheme on.`,
    }
  return {
    reason: 'gate-url',
    detail: `${said()}: ${url === 'too-long' ? 'longer than 4 KB' : 'no URL that a browser sends'}.`,
  }
}

/** @param rightPath where this proxy's kind should ask, when its headers tell that it is of another kind */
function lacking(header: Header, name: string, file: string, rightPath?: string): Refusal {
  const fault = header === undefined ? 'is missing' : 'came in more than one line'
  const mend =
    rightPath === undefined
      ? `The proxy must send it, once: use ${file}.`
      : `The other headers are those of another kind of proxy: let this one ask ${rightPath}.`
  return { reason: 'gate-headers', detail: `${name} ${fault}. ${mend}` }
}

function contradicting(one: string, other: string): Refusal {
  const detail = `${one} and ${other} contradict each other. The proxy must set both, or take out the one that it does not set.`
  return { reason: 'gate-headers', detail }
}

/** What a header said, for the log: without what may hold a secret (query, fragment, userinfo), and cut. */
function shown(value: string): string {
  const end = value.search(/[?#]/)
  const bare = withoutUserinfo(end === -1 ? value : `${value.slice(0, end + 1)}…`)
  return JSON.stringify(bare.length > 200 ? `${bare.slice(0, 200)}…` : bare)
}

// No expression: one that looks for an @ from each letter holds the event loop for a second over a header of 15 KB.
function withoutUserinfo(url: string): string {
  const first = url.indexOf('@')
  if (first === -1) return url
  const begin = url.lastIndexOf('/', first) + 1
  const slash = url.indexOf('/', first)
  const last = url.lastIndexOf('@', slash === -1 ? url.length : slash)
  return `${url.slice(0, begin)}…${url.slice(last)}`
}
