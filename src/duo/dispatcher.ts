import { type Dispatcher, Pool, ProxyAgent } from 'undici'
import type { Milliseconds } from '../clock.ts'
import type { HttpProxy } from './proxy.ts'

/** Duo's longest answer, a preauth with hundreds of devices, stays below this. */
const MAX_BODY_BYTES = 512 * 1024

interface Target {
  /** `https://api-1234.duosecurity.com` */
  readonly origin: string
  /** PEM: the only roots that count. */
  readonly roots: string
  readonly proxy: HttpProxy | undefined
  /** For each step of a connection: to the proxy, its tunnel, TLS with Duo. */
  readonly connectWithin: Milliseconds
}

/**
 * Connections to Duo, kept while they are used. Through a proxy they are tunnels: TLS is with Duo itself, by the same roots, so that the
 * proxy reads and changes nothing.
 */
export function openDispatcher({ origin, roots, proxy, connectWithin }: Target): Dispatcher {
  // Said explicitly: NODE_TLS_REJECT_UNAUTHORIZED would weaken a connection that leaves it open.
  const tls = { ca: roots, rejectUnauthorized: true, timeout: connectWithin }
  const limits = {
    allowH2: false,
    headersTimeout: 0, // the deadline of the call rules, over all of it
    bodyTimeout: 0,
    maxResponseSize: MAX_BODY_BYTES, // beyond it the connection is cut, and the call fails as malformed
  }
  if (proxy === undefined) return new Pool(origin, { ...limits, connect: tls })
  return new ProxyAgent({
    ...limits,
    uri: proxy.address,
    ...(proxy.authorization === undefined ? {} : { token: proxy.authorization }),
    requestTls: tls,
    proxyTls: { rejectUnauthorized: true },
    // Else the socket to a proxy that says nothing would be kept for minutes.
    clientFactory: (address, options) => new Pool(address, { ...options, headersTimeout: connectWithin }),
  })
}
