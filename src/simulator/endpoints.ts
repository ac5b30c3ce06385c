import { createHash, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { type Clock, DAY, type Milliseconds, SECOND } from '../clock.ts'
import { DuoFailure, invalidParameter, missingParameter } from './failure.ts'
import { type Parameters, pushDetails } from './parameters.ts'
import type { Passcodes } from './passcodes.ts'
import type { Policy } from './policy.ts'
import { type Status, say } from './push.ts'
import type { EndpointName } from './scenarios.ts'
import type { Transactions } from './transactions.ts'
import {
  type Account,
  type AccountUser,
  isEnrolled,
  maskedNumber,
  offeredCapabilities,
  type SimulatedDevice,
} from './users.ts'

export interface Call {
  readonly parameters: Parameters
  /** As the client wrote it, for the addresses in an answer. */
  readonly host: string
  readonly signal: AbortSignal
}

/** What `response` holds; bytes are sent as a picture. `left`: the client is gone. */
export type Answer = object | string | Buffer | 'left'

export interface Endpoint {
  readonly method: 'GET' | 'POST'
  readonly signed: boolean
  answer(call: Call): Answer | Promise<Answer>
}

export interface Enrolments {
  /** A person scanned the code: the user gets a phone. False when nobody waits for it. */
  activate(activationCode: string): boolean
}

interface Enrolment {
  readonly userId: string
  readonly code: string
  readonly expiration: Milliseconds
  done: boolean
}

const accountLocked: Status = {
  result: 'deny',
  status: 'locked_out',
  status_msg:
    'Your account has been locked out due to excessive authentication failures. Please contact your administrator.',
}
const accountDisabled = 'Your account is disabled. Please contact your administrator.'
const notKnown =
  'Access denied. The username you have entered cannot authenticate with Duo Security. Please contact your system administrator.'
const factors = ['auto', 'push', 'passcode', 'sms', 'phone'] as const

/** Duo's Auth API v2. https://duo.com/docs/authapi */
export function makeEndpoints(parts: {
  account: Account
  transactions: Transactions
  passcodes: Passcodes
  policy: () => Policy
  clock: Clock
}): Record<EndpointName, Endpoint> & { enrolments: Enrolments } {
  const { account, transactions, passcodes, policy, clock } = parts
  const enrolments = new Map<string, Enrolment>()
  const seconds = () => Math.floor(clock() / SECOND)

  function requireUserNamed(parameters: Parameters): { user: AccountUser | undefined; by: 'username' | 'user_id' } {
    const username = optional(parameters, 'username', 1024)
    const userId = optional(parameters, 'user_id', 20)
    if (username !== undefined && userId !== undefined) throw invalidParameter('username')
    if (userId !== undefined) return { user: account.byId(userId), by: 'user_id' }
    if (username === undefined) throw missingParameter('username')
    return { user: account.byName(username, policy().usernameNormalization), by: 'username' }
  }

  function preauth({ parameters, host }: Call): Answer {
    const { user, by } = requireUserNamed(parameters)
    requireAddress(parameters)
    if (!user && by === 'user_id') throw invalidParameter('user_id')
    if (user?.status === 'bypass') return { result: 'allow', status_msg: 'Account is in bypass mode' }
    if (user?.status === 'disabled') return { result: 'deny', status_msg: accountDisabled }
    if (user?.status === 'locked out') return { result: 'deny', status_msg: accountLocked.status_msg }
    if (user && isEnrolled(user))
      return {
        result: 'auth',
        status_msg: 'Account is active',
        devices: user.devices.map(device => describeDevice(device, passcodes.unused(device.id))),
      }
    const { newUser } = policy()
    if (newUser === 'allow') return { result: 'allow', status_msg: 'Allowing unknown user' }
    if (newUser === 'deny') return { result: 'deny', status_msg: notKnown }
    return {
      result: 'enroll',
      status_msg: 'Enroll an authentication device to proceed',
      enroll_portal_url: `https://${host}/portal?code=${randomBytes(8).toString('hex')}&akey=DA${randomBytes(9).toString('hex').toUpperCase()}`,
    }
  }

  async function auth(call: Call): Promise<Answer> {
    const { parameters, signal } = call
    const { user, by } = requireUserNamed(parameters)
    if (!user) throw invalidParameter(by)
    const txid = begin(user, parameters)
    if (['1', 'true'].includes(parameters.get('async') ?? '')) return { txid }
    const status = await transactions.final(txid, signal)
    return status === 'left' || status === 'unknown' ? 'left' : status
  }

  /** Starts an authentication and returns its txid. */
  function begin(user: AccountUser, parameters: Parameters): string {
    const factor = factors.find(name => name === required(parameters, 'factor'))
    if (!factor) throw invalidParameter('factor')
    const request = {
      type: optional(parameters, 'type', 255) ?? 'Login',
      displayUsername: optional(parameters, 'display_username', 1024),
      pushinfo: pushDetails(parameters.get('pushinfo') ?? ''),
      ipaddr: requireAddress(parameters),
      verificationCode: undefined,
    }
    const passcode = factor === 'passcode' ? required(parameters, 'passcode') : ''
    const wanted = factor === 'passcode' ? undefined : required(parameters, 'device')
    if (wanted !== undefined && wanted !== 'auto' && !user.devices.some(({ id }) => id === wanted))
      throw invalidParameter('device')
    if (user.status === 'bypass') return transactions.over(say.bypassed)
    if (user.status === 'disabled')
      return transactions.over({ result: 'deny', status: 'deny', status_msg: accountDisabled })
    if (user.status === 'locked out') return transactions.over(accountLocked)
    if (factor === 'passcode') return passcodeGiven(user, passcode)
    const { device, way } = choose(user, wanted ?? 'auto', factor)
    if (way === 'sms') {
      passcodes.text(device, policy().smsBatch)
      return transactions.over(say.textsSent)
    }
    const { txid, pushId } = transactions.send(user, device, way, request)
    const { answer } = policy()
    if (answer) transactions.answer(pushId, answer === 'allow' ? 'approve' : 'deny')
    return txid
  }

  function passcodeGiven(user: AccountUser, passcode: string): string {
    const right = passcodes.take(user, passcode)
    account.record(user, right ? 'success' : 'failure')
    return transactions.over(right ? say.allowed : say.wrongPasscode)
  }

  async function authStatus({ parameters, signal }: Call): Promise<Answer> {
    const status = await transactions.next(required(parameters, 'txid'), signal)
    if (status === 'unknown') throw invalidParameter('txid')
    return status
  }

  function enroll({ parameters, host }: Call): Answer {
    const username = optional(parameters, 'username', 1024) ?? randomBytes(16).toString('hex')
    const validSeconds = Number(parameters.get('valid_secs') ?? DAY / SECOND)
    if (!Number.isInteger(validSeconds) || validSeconds < 1 || validSeconds > 30 * 86_400)
      throw invalidParameter('valid_secs')
    if (account.byName(username, policy().usernameNormalization)) throw invalidParameter('username already exists')
    const user = account.add({ username })
    const secret = randomBytes(15).toString('base64url')
    const code = `duo://${secret}-${Buffer.from(host).toString('base64url')}`
    const expiration = seconds() + validSeconds
    enrolments.set(code, { userId: user.id, code, expiration: expiration * SECOND, done: false })
    return {
      activation_barcode: `https://${host}/frame/qr?value=${encodeURIComponent(code)}`,
      activation_code: code,
      activation_url: `https://${host}/activate/${secret}`,
      expiration,
      user_id: user.id,
      username,
    }
  }

  function enrollStatus({ parameters }: Call): Answer {
    const userId = required(parameters, 'user_id')
    const enrolment = enrolments.get(required(parameters, 'activation_code'))
    if (enrolment?.userId !== userId) return 'invalid'
    if (enrolment.done) return 'success'
    return clock() < enrolment.expiration ? 'waiting' : 'invalid'
  }

  return {
    ping: { method: 'GET', signed: false, answer: () => ({ time: seconds() }) },
    check: { method: 'GET', signed: true, answer: () => ({ time: seconds() }) },
    logo: {
      method: 'GET',
      signed: true,
      answer() {
        if (!policy().logo) throw new DuoFailure(40002, 'Logo not found')
        return logo
      },
    },
    preauth: { method: 'POST', signed: true, answer: preauth },
    auth: { method: 'POST', signed: true, answer: auth },
    auth_status: { method: 'GET', signed: true, answer: authStatus },
    enroll: { method: 'POST', signed: true, answer: enroll },
    enroll_status: { method: 'POST', signed: true, answer: enrollStatus },
    enrolments: {
      activate(code) {
        const enrolment = enrolments.get(code)
        const user = enrolment && account.byId(enrolment.userId)
        if (!enrolment || !user || enrolment.done || clock() >= enrolment.expiration) return false
        enrolment.done = true
        user.devices.push({
          id: `DP${createHash('sha256').update(code).digest('hex').toUpperCase().slice(0, 18)}`,
          name: '',
          type: 'phone',
          number: '',
          platform: 'iOS',
          capabilities: ['push', 'mobile_otp'],
        })
        return true
      },
    },
  }
}

const logo = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkSAv7DwACxgGkyEiyHAAAAABJRU5ErkJggg==',
  'base64',
)

function describeDevice(device: SimulatedDevice, [nextPasscode]: readonly string[]) {
  if (device.type === 'token') return { device: device.id, name: device.name, type: 'token' }
  const number = maskedNumber(device.number)
  return {
    capabilities: offeredCapabilities(device),
    device: device.id,
    display_name: number === '' ? device.platform : `${device.platform} (${number})`,
    name: device.name,
    number,
    sms_nextcode: nextPasscode?.charAt(0),
    type: 'phone',
  }
}

/** The device and the way that a factor means; `auto` is push where that is possible, then a call. @throws DuoFailure 40002 no capable device */
function choose(
  user: AccountUser,
  wanted: string,
  factor: Exclude<(typeof factors)[number], 'passcode'>,
): { device: SimulatedDevice; way: 'push' | 'phone' | 'sms' } {
  const devices = user.devices.filter(({ id }) => wanted === 'auto' || id === wanted)
  for (const way of factor === 'auto' ? (['push', 'phone'] as const) : [factor]) {
    const device = devices.find(({ capabilities }) => capabilities.includes(way))
    if (device) return { device, way }
  }
  throw invalidParameter('no capable device')
}

function optional(parameters: Parameters, name: string, bytesAtMost: number): string | undefined {
  const value = parameters.get(name)
  if (value === undefined || value === '') return undefined
  if (Buffer.byteLength(value) > bytesAtMost) throw invalidParameter(name)
  return value
}

function required(parameters: Parameters, name: string): string {
  const value = parameters.get(name)
  if (value === undefined || value === '') throw missingParameter(name)
  return value
}

function requireAddress(parameters: Parameters): string | undefined {
  const address = optional(parameters, 'ipaddr', 64)
  if (address !== undefined && isIP(address) === 0) throw invalidParameter('ipaddr')
  return address
}
