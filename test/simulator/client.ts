import { createHash, createHmac } from 'node:crypto'
import { Agent, request } from 'undici'
import { onTestFinished } from 'vitest'
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts'

export const keys = { integrationKey: 'DIPOSTERNTEST0000001', secretKey: 'aVerySecretKeyOfFortyCharactersForTests1' }

export const users: SimulatorOptions['users'] = [
  {
    username: 'alice',
    aliases: ['alice.liddell'],
    devices: [
      {
        id: 'DPALICE0000000000001',
        name: 'Alice’s phone',
        number: '+1 555 010 0100',
        capabilities: ['push', 'phone', 'sms', 'mobile_otp'],
      },
    ],
  },
  {
    username: 'bob',
    devices: [
      { id: 'DPBOB000000000000001', name: 'Work', number: '+1 555 010 0123', platform: 'Android' },
      { id: 'DPBOB000000000000002', name: 'Tablet' },
      { id: 'DHBOB000000000000003', type: 'token', capabilities: [] },
    ],
  },
  { username: 'bypassed', status: 'bypass' },
  { username: 'disabled', status: 'disabled', devices: [{ id: 'DPDISABLED0000000001' }] },
  { username: 'locked', status: 'locked out', devices: [{ id: 'DPLOCKED000000000001' }] },
  { username: 'newcomer' },
  { username: 'callonly', devices: [{ id: 'DPCALL00000000000001', number: '5550100999', capabilities: ['phone'] }] },
  { username: 'unactivated', devices: [{ id: 'DPUNACTIVE0000000001', capabilities: [] }] },
]

/** A simulator that ends with the test. */
export async function simulator(
  options: Partial<SimulatorOptions> = {},
  cleanup: (end: () => Promise<void>) => void = onTestFinished,
): Promise<Simulator> {
  const running = await startSimulator({ ...keys, users, ...options })
  cleanup(() => running.close())
  return running
}

export type Signature = 'v2-sha1' | 'v2-sha512' | 'v4' | 'v5'
type Params = Record<string, string>

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
export const canonical = (params: Params) =>
  Object.entries(params)
    .map(([key, value]) => [encode(key), encode(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(pair => pair.join('='))
    .join('&')
const sha512 = (text: string) => createHash('sha512').update(text).digest('hex')

export interface Sent {
  signature?: Signature
  /** The texts that are signed; what is sent may differ. */
  signed?: { params?: Params; host?: string; date?: string; integrationKey?: string; secretKey?: string }
  /** Replaces or removes (null) headers; a list sends one line each. */
  headers?: Record<string, string | string[] | null>
  signal?: AbortSignal
}

export interface Reply {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever a Duo client would find
  json: any
}

/** A small Duo client of its own: signs as Duo's documents say, so that server and tests share no line. */
export function client(simulated: Simulator, hostname = 'localhost') {
  const agent = new Agent({ connect: { ca: simulated.ca } })
  onTestFinished(() => agent.destroy())
  const host = `${hostname}:${simulated.apiPort}`
  return async (method: string, path: string, params: Params = {}, sent: Sent = {}): Promise<Reply> => {
    const { signature = 'v2-sha512', signed = {} } = sent
    const writes = method === 'POST'
    const json = signature === 'v4' || signature === 'v5'
    const date = signed.date ?? new Date().toUTCString()
    const signedParams = signed.params ?? params
    const sortedJson = (value: Params) => JSON.stringify(value, Object.keys(value).sort())
    const lines = [date, method, (signed.host ?? hostname).toLowerCase(), path]
    if (json) lines.push(writes ? '' : canonical(signedParams), sha512(writes ? sortedJson(signedParams) : ''))
    else lines.push(canonical(signedParams))
    if (signature === 'v5') lines.push(sha512(''))
    const mac = createHmac(signature === 'v2-sha1' ? 'sha1' : 'sha512', signed.secretKey ?? keys.secretKey)
    const hex = mac.update(lines.join('\n')).digest('hex')
    const credentials = Buffer.from(`${signed.integrationKey ?? keys.integrationKey}:${hex}`).toString('base64')
    const headers: Record<string, string | string[] | null> = {
      host,
      date,
      authorization: `Basic ${credentials}`,
      ...(writes && { 'content-type': json ? 'application/json' : 'application/x-www-form-urlencoded' }),
      ...sent.headers,
    }
    const flat = Object.entries(headers).flatMap(([name, value]) =>
      value === null ? [] : [value].flat().flatMap(line => [name, line]),
    )
    const query = new URLSearchParams(params).toString()
    const response = await request(
      `https://127.0.0.1:${simulated.apiPort}${path}${!writes && query ? `?${query}` : ''}`,
      {
        method: method as 'GET',
        headers: flat,
        dispatcher: agent,
        ...(writes && { body: json ? sortedJson(params) : query }),
        ...(sent.signal && { signal: sent.signal }),
      },
    )
    const text = await response.body.text()
    return {
      status: response.statusCode,
      headers: response.headers,
      text,
      get json() {
        return JSON.parse(text)
      },
    }
  }
}
