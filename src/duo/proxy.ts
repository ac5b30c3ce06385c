import { isIP } from 'node:net'
import { parseProxyUrl } from '../config/proxy-url.ts'

/** An HTTP proxy on the way to Duo. */
export interface HttpProxy {
  /** `http://proxy.example.com:3128`: without user name and password, for the log too. */
  readonly address: string
  readonly setBy: 'duo_api.proxy' | 'HTTPS_PROXY'
  /** Value of Proxy-Authorization; a secret. */
  readonly authorization: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy to reach Duo by: the configured one, else HTTPS_PROXY of the environment unless NO_PROXY excepts the host. This machine itself is never
 * asked for by a proxy of the environment. `unusable`: HTTPS_PROXY holds no HTTP proxy.
 * @param duo `proxy` is one that the schema took; `name` is the API host without a port
 */
export function proxyFor(
  duo: { readonly proxy?: string | undefined; readonly name: string; readonly port: number },
  env: Environment,
): HttpProxy | 'unusable' | undefined {
  if (duo.proxy !== undefined) return from(duo.proxy, 'duo_api.proxy') ?? 'unusable'
  const given = (env.https_proxy ?? env.HTTPS_PROXY ?? '').trim()
  if (given === '' || isLoopback(duo.name) || isExcepted(duo, env.no_proxy ?? env.NO_PROXY ?? '')) return undefined
  return from(given.includes('://') ? given : `http://${given}`, 'HTTPS_PROXY') ?? 'unusable'
}

function from(text: string, setBy: HttpProxy['setBy']): HttpProxy | undefined {
  const url = parseProxyUrl(text)
  if (url === undefined) return undefined
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  const authorization = credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`
  return { address: url.origin, setBy, authorization }
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || (isIP(name) === 4 && name.startsWith('127.'))
}

/** NO_PROXY as curl and Go read it: names with all that is below them, `*` for everything, a port where one is given. */
function isExcepted({ name, port }: { name: string; port: number }, noProxy: string): boolean {
  return noProxy.split(/[\s,]+/).some(entry => {
    if (entry === '*') return true
    const [, host = '', only] = /^(?:\*?\.)?([^:]+)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
    if (host === '' || (only !== undefined && Number(only) !== port)) return false
    return name === host || name.endsWith(`.${host}`)
  })
}
