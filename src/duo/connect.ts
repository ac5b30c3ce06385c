import { readFile } from 'node:fs/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'
import { certificatesIn } from '../config/ca-files.ts'
import type { Config } from '../config/schema.ts'
import { type DuoClient, duoClient, parseApiHost } from './client.ts'
import type { DuoFailure } from './failure.ts'
import { type HttpProxy, proxyFor } from './proxy.ts'

interface Parts {
  readonly config: NonNullable<Config['duo_api']>
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  /** For HTTPS_PROXY, NO_PROXY and NODE_TLS_REJECT_UNAUTHORIZED. */
  readonly env?: NodeJS.ProcessEnv
}

export interface Connection {
  readonly client: DuoClient
  /** The configured host, without port. */
  readonly apiHost: string
  readonly proxy: HttpProxy | undefined
  /** What of the environment is left aside, each a sentence for an administrator. */
  readonly ignored: readonly string[]
}

/**
 * A client of the configured Duo, by the configured way: CA file, proxy.
 * @throws when `duo_api.hostname` is no host name, `ca_file` holds no certificate, or Duo's package is not as expected
 */
export async function connectDuo({ config, clock, log, env = process.env }: Parts): Promise<Connection> {
  const rootCertificates = config.ca_file === undefined ? undefined : await readCertificates(config.ca_file)
  const { name: apiHost, port } = parseApiHost(config.hostname)
  const found = proxyFor({ proxy: config.proxy, name: apiHost, port }, env)
  const proxy = found === 'unusable' ? undefined : found
  const ignored = [
    ...(env.NODE_TLS_REJECT_UNAUTHORIZED === '0'
      ? ['NODE_TLS_REJECT_UNAUTHORIZED=0 is set: calls to Duo are verified all the same; remove it for the rest']
      : []),
    ...(found === 'unusable' ? ['HTTPS_PROXY is set, but names no HTTP proxy: Duo is asked without one'] : []),
  ]
  return { client: duoClient({ config, clock, log, rootCertificates, proxy }), apiHost, proxy, ignored }
}

export type DuoFinding = { readonly simulator: boolean | null } & (
  | { readonly ok: true; readonly clockOffsetSeconds: number }
  | { readonly ok: false; readonly failure: DuoFailure }
)

/** Whether Duo is there and takes the keys. A clock that is wrong is learnt first, so that it does not hide what is wrong besides. */
export async function checkDuo(client: Pick<DuoClient, 'ping' | 'check' | 'clockOffsetSeconds'>): Promise<DuoFinding> {
  const there = await client.ping()
  if (!there.ok && there.failure.kind === 'unavailable') return { ok: false, simulator: null, failure: there.failure }
  const simulator = there.ok ? there.value.simulator : null
  const taken = await client.check()
  if (!taken.ok) return { ok: false, simulator, failure: taken.failure }
  return { ok: true, simulator, clockOffsetSeconds: client.clockOffsetSeconds ?? 0 }
}

/** @throws when the file cannot be read or holds no certificate */
async function readCertificates(path: string): Promise<string> {
  const pem = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new Error(`duo_api.ca_file cannot be read: ${path}`, { cause })
  })
  let certificates: readonly string[]
  try {
    certificates = certificatesIn(pem)
  } catch (cause) {
    throw new Error(`duo_api.ca_file holds something that is no certificate: ${path}`, { cause })
  }
  if (certificates.length === 0) throw new Error(`duo_api.ca_file holds no certificate: ${path}`)
  return certificates.join('\n')
}
