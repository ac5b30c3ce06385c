import { access, constants, lstat } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { SECOND } from '../../clock.ts'
import { listenOptions, shownAddress, whyNotListening } from '../../config/listen-address.ts'
import type { Config, ListenAddress } from '../../config/schema.ts'
import { isListenedOn } from '../../config/stale-socket.ts'
import type { Finding } from './finding.ts'

/** What only Postern answers there: to a host that is none of its portals, and in its metrics. */
const answered = {
  'server.address': { path: '/api/transaction', by: /"Unknown host"/ },
  'telemetry.metrics.address': { path: '/metrics', by: /^postern_/m },
} as const
const ANSWER_WITHIN = 2 * SECOND

/** Whether Postern could listen where it is to, or does so already. Listens there itself for a moment, but makes no socket. */
export async function addressFindings({ server, telemetry: { metrics } }: Config): Promise<Finding[]> {
  return [
    await addressFinding('server.address', server.address),
    ...(metrics.enabled ? [await addressFinding('telemetry.metrics.address', metrics.address)] : []),
  ]
}

async function addressFinding(key: keyof typeof answered, address: ListenAddress): Promise<Finding> {
  const place = `${key} ${shownAddress(address)}`
  const wrong = await (address.kind === 'unix' ? inTheWayOf(address.path) : whatListeningSays(address))
  if (wrong === null) return { area: 'address', severity: 'ok', what: `${place} is free` }
  if (await isPostern(key, address)) return { area: 'address', severity: 'ok', what: `Postern listens on ${place}` }
  const what = `Postern could not listen on ${place}: ${whyNotListening(address, wrong)}`
  return { area: 'address', severity: 'error', what, mend: `Stop what is in the way, or give another ${key}.` }
}

async function whatListeningSays(address: ListenAddress): Promise<unknown> {
  const server = createServer(socket => void socket.destroy())
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(listenOptions(address), resolve))
    return null
  } catch (error) {
    return error
  } finally {
    server.close()
  }
}

async function inTheWayOf(path: string): Promise<unknown> {
  const found = await lstat(path).catch(() => undefined)
  if (found !== undefined)
    return found.isSocket() && !(await isListenedOn(path)) ? null : Object.assign(new Error(), { code: 'EADDRINUSE' })
  const may = access(dirname(path), constants.W_OK | constants.X_OK)
  return may.then(
    () => null,
    () => Object.assign(new Error(), { code: 'EACCES' }),
  )
}

const loopbackOf: Readonly<Record<string, string>> = { '': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1' }

async function isPostern(key: keyof typeof answered, address: ListenAddress): Promise<boolean> {
  const { path, by } = answered[key]
  const at =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: loopbackOf[address.host] ?? address.host, port: address.port }
  const signal = AbortSignal.timeout(ANSWER_WITHIN)
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      get({ ...at, path, signal, agent: false, headers: { host: 'postern.invalid' } }, resolve).once('error', reject),
    )
    return by.test(await text(response))
  } catch {
    return false // it speaks otherwise, or not at all
  }
}
