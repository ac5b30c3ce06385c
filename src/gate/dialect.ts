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

/** How one kind of proxy asks, and how it wants to hear a no. */
export interface Dialect {
  readonly path: string
  /** The method by which the proxy itself asks. Others are 405. */
  readonly asksBy: readonly ('GET' | 'HEAD')[]
  read(headers: ProxyHeaders): Asked | Refusal
  /** The status of *log in first*. Each carries the portal's URL as Location. */
  loginStatus(method: string, wantsPage: boolean): 302 | 303 | 401
  /** Whether the proxy drops a refusal's body, so that the portal's page must be named by a header. */
  readonly dropsBody: boolean
}

const nginxFile = 'deploy/nginx/postern-location.conf'
const forwardAuthFiles = 'deploy/traefik/dynamic.yml or deploy/caddy/Caddyfile'

export const dialects = [
  {
    // nginx: a body and every status but 2xx, 401 and 403 are lost; it takes the Location from a 401.
    path: '/api/authz/auth-request',
    asksBy: ['GET', 'HEAD'],
    read(headers) {
      const url = headers['x-original-url']
      if (typeof url !== 'string') {
        const other = headers['x-forwarded-host'] !== undefined && url === undefined
        return lacking(headers, 'x-original-url', nginxFile, other ? '/api/authz/forward-auth' : undefined)
      }
      return asked(headers, 'x-original-method', parseUrl(url), () => `X-Original-URL says ${shown(url)}`, nginxFile)
    },
    loginStatus: () => 401,
    dropsBody: true,
  },
  {
    // Traefik, Caddy: the answer goes to the browser as it stands.
    path: '/api/authz/forward-auth',
    asksBy: ['GET', 'HEAD'],
    read(headers) {
      const scheme = headers['x-forwarded-proto']
      const host = headers['x-forwarded-host']
      const target = headers['x-forwarded-uri']
      const other = headers['x-original-url'] !== undefined && host === undefined
      const right = other ? '/api/authz/auth-request' : undefined
      if (typeof scheme !== 'string') return lacking(headers, 'x-forwarded-proto', forwardAuthFiles, right)
      if (typeof host !== 'string') return lacking(headers, 'x-forwarded-host', forwardAuthFiles, right)
      if (typeof target !== 'string') return lacking(headers, 'x-forwarded-uri', forwardAuthFiles, right)
      const said = () =>
        `X-Forwarded-Proto says ${shown(scheme)}, X-Forwarded-Host ${shown(host)}, X-Forwarded-URI ${shown(target)}`
      return asked(headers, 'x-forwarded-method', fromParts(scheme, host, target), said, forwardAuthFiles)
    },
    loginStatus(method, wantsPage) {
      if (!wantsPage) return 401
      return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? 302 : 303
    },
    dropsBody: false,
  },
] as const satisfies readonly Dialect[]

const methodForm = /^[A-Z]{1,32}$/

function asked(
  headers: ProxyHeaders,
  methodHeader: 'x-original-method' | 'x-forwarded-method',
  url: OriginalUrl | UrlFault,
  said: () => string,
  file: string,
): Asked | Refusal {
  const method = headers[methodHeader]
  if (typeof method !== 'string') return lacking(headers, methodHeader, file, undefined)
  if (!methodForm.test(method))
    return { reason: 'gate-method', detail: `${methodHeader} says ${shown(method)}, which is no method. Use ${file}.` }
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
function lacking(
  headers: ProxyHeaders,
  name: keyof ProxyHeaders,
  file: string,
  rightPath: string | undefined,
): Refusal {
  const fault = headers[name] === undefined ? 'is missing' : 'came in more than one line'
  const mend =
    rightPath === undefined
      ? `The proxy must send it, once: use ${file}.`
      : `The other headers are those of another kind of proxy: let this one ask ${rightPath}.`
  return { reason: 'gate-headers', detail: `${name} ${fault}. ${mend}` }
}

/** What a header said, for the log: without what may hold a secret (query, fragment, userinfo), and cut. */
function shown(value: string): string {
  const bare = value.replace(/([?#]).*$/s, '$1…').replace(/[^/]*@/, '…@')
  return JSON.stringify(bare.length > 200 ? `${bare.slice(0, 200)}…` : bare)
}
