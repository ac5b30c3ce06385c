import type { Answer, Call } from './endpoints.ts'
import type { Enrolments } from './enrolment.ts'
import { invalidParameter, missingParameter } from './failure.ts'
import { addressOf, isSet, optional, type Parameters, pushDetails, required } from './parameters.ts'
import type { Passcodes } from './passcodes.ts'
import { isWithin, type Policy } from './policy.ts'
import { chosen, textPrompt, type Way } from './prompt.ts'
import { type Status, say } from './push.ts'
import type { Transactions } from './transactions.ts'
import type { TrustedDevices } from './trusted-devices.ts'
import {
  type Account,
  type AccountUser,
  isEnrolled,
  maskedNumber,
  offeredCapabilities,
  type SimulatedDevice,
} from './users.ts'
import type { Verifications } from './verified-push.ts'

/** The three endpoints of an authentication. */
export interface Authentication {
  preauth(call: Call): Answer
  auth(call: Call): Promise<Answer>
  authStatus(call: Call): Promise<Answer>
}

const deny = (status_msg: string, status = 'deny'): Status => ({ result: 'deny', status, status_msg })
const locked = deny(
  'Your account has been locked out due to excessive authentication failures. Please contact your administrator.',
  'locked_out',
)
const disabled = deny('Your account is disabled. Please contact your administrator.')
const wrongNetwork = deny('Access denied. Your organization does not allow access from this network.')
const notKnown = deny(
  'Access denied. The username you have entered cannot authenticate with Duo Security. Please contact your system administrator.',
)
const factors = ['auto', 'push', 'passcode', 'sms', 'phone', 'prompt'] as const

export function makeAuthentication(parts: {
  account: Account
  transactions: Transactions
  passcodes: Passcodes
  verifications: Verifications
  trustedDevices: TrustedDevices
  enrolments: Enrolments
  /** @throws DuoFailure 42901 */
  count: (userId: string) => void
  policy: () => Policy
}): Authentication {
  const { account, transactions, passcodes, verifications, trustedDevices, enrolments, count, policy } = parts

  function requireUserNamed(parameters: Parameters): { user: AccountUser | undefined; by: 'username' | 'user_id' } {
    const username = optional(parameters, 'username', 1024)
    const userId = optional(parameters, 'user_id', 20)
    if (username !== undefined && userId !== undefined) throw invalidParameter('username')
    if (userId !== undefined) return { user: account.byId(userId), by: 'user_id' }
    if (username === undefined) throw missingParameter('username')
    return { user: account.byName(username, policy().usernameNormalization), by: 'username' }
  }

  /** What the user's status and the networks say before any factor is asked for; undefined when a factor decides. */
  function decided(user: AccountUser | undefined, ipaddr: string | undefined): Status | undefined {
    const { networks } = policy()
    if (user?.status === 'disabled') return disabled
    if (user?.status === 'locked out') return locked
    if (isWithin(ipaddr, networks.deny)) return wrongNetwork
    if (user?.status === 'bypass') return say.bypassed
    return user && isEnrolled(user) && isWithin(ipaddr, networks.allow) ? say.allowed : undefined
  }

  /** Whether a device can be asked in this way. @param verified whether the client shows the code of a Verified Push */
  const able =
    (verified: boolean) =>
    ({ factor, device }: Way): boolean =>
      device.capabilities.includes(factor) &&
      (factor !== 'push' || verified || policy().verifiedPush === 'off' || policy().withoutVerifiedPush === 'push')

  function preauth({ parameters, host }: Call): Answer {
    const { user, by } = requireUserNamed(parameters)
    const ipaddr = addressOf(parameters)
    const token = optional(parameters, 'trusted_device_token', 4096)
    if (!user && by === 'user_id') throw invalidParameter('user_id')
    const decision = decided(user, ipaddr)
    if (decision) {
      const words = user?.status === 'bypass' ? 'Account is in bypass mode' : 'Allowed from this network'
      return { result: decision.result, status_msg: decision.result === 'allow' ? words : decision.status_msg }
    }
    if (!user || !isEnrolled(user))
      return notEnrolled(user?.username ?? parameters.get('username') ?? '', parameters, host)
    if (token !== undefined && trustedDevices.accepts(token, user.username, ipaddr))
      return { result: 'allow', status_msg: 'Trusted device' }
    const verified = isSet(parameters, 'client_supports_verified_push')
    const can = able(verified)
    const willVerify =
      verified && policy().verifiedPush === 'required' && user.devices.some(device => can({ factor: 'push', device }))
    const nextCode = (deviceId: string) => passcodes.unused(deviceId)[0]?.charAt(0)
    return {
      result: 'auth',
      status_msg: 'Account is active',
      devices: user.devices.map(device => describeDevice(device, can, nextCode(device.id))),
      ...(isSet(parameters, 'text_prompt') && {
        prompt: textPrompt(user.username, user.devices, can, willVerify, nextCode),
      }),
      ...(willVerify && verifications.announce(user, policy().verificationDigits)),
    }
  }

  function notEnrolled(username: string, parameters: Parameters, host: string): Answer {
    const { newUser } = policy()
    if (newUser === 'allow') return { result: 'allow', status_msg: 'Allowing unknown user' }
    if (newUser === 'deny') return { result: 'deny', status_msg: notKnown.status_msg }
    const url = enrolments.portalUrl(username, host)
    return {
      result: 'enroll',
      status_msg: 'Enroll an authentication device to proceed',
      enroll_portal_url: url,
      ...(isSet(parameters, 'text_prompt') && { prompt: { text: `Please enroll at ${url}` } }),
    }
  }

  async function auth({ parameters, signal }: Call): Promise<Answer> {
    const { user, by } = requireUserNamed(parameters)
    if (!user) throw invalidParameter(by)
    const txid = begin(user, parameters)
    if (isSet(parameters, 'async')) return { txid }
    const status = await transactions.final(txid, signal)
    return status === 'left' || status === 'unknown' ? 'left' : status
  }

  /** Starts an authentication and returns its txid. All of the parameters are judged before anything is done. */
  function begin(user: AccountUser, parameters: Parameters): string {
    const request = {
      type: optional(parameters, 'type', 255) ?? 'Login',
      displayUsername: optional(parameters, 'display_username', 1024),
      pushinfo: pushDetails(parameters.get('pushinfo') ?? ''),
      ipaddr: addressOf(parameters),
    }
    const announced = optional(parameters, 'txid', 64)
    const wanted = wantedWay(user, parameters, able(announced !== undefined))
    count(user.id)
    const decision = decided(user, request.ipaddr)
    if (decision) return transactions.over(decision)
    if (wanted === 'nobody is able') throw invalidParameter('no capable device')
    if (wanted.factor === 'passcode') return passcodeGiven(user, wanted.passcode, request.ipaddr)
    const { device, factor } = wanted
    if (factor === 'sms') {
      passcodes.text(device, policy().smsBatch)
      return transactions.over(say.textsSent)
    }
    const verification = factor === 'push' && announced !== undefined ? verifications.take(user, announced) : undefined
    if (factor === 'push' && announced !== undefined && !verification) throw invalidParameter('txid')
    const { txid, pushId } = transactions.send(user, device, factor, { ...request, verification })
    const { answer } = policy()
    if (answer) transactions.answer(pushId, answer === 'allow' ? 'approve' : 'deny', verification?.code)
    return txid
  }

  /** The way that the parameters mean. `auto` is push where that is possible, then a call. */
  function wantedWay(
    user: AccountUser,
    parameters: Parameters,
    can: (way: Way) => boolean,
  ): Way | { factor: 'passcode'; passcode: string } | 'nobody is able' {
    const factor = factors.find(name => name === required(parameters, 'factor'))
    if (!factor) throw invalidParameter('factor')
    if (factor === 'passcode') return { factor, passcode: required(parameters, 'passcode') }
    if (factor === 'prompt') return chosen(required(parameters, 'prompt'), user.devices, can)
    const wanted = required(parameters, 'device')
    const devices = user.devices.filter(({ id }) => wanted === 'auto' || id === wanted)
    if (wanted !== 'auto' && devices.length === 0) throw invalidParameter('device')
    for (const name of factor === 'auto' ? (['push', 'phone'] as const) : [factor]) {
      const device = devices.find(candidate => can({ factor: name, device: candidate }))
      if (device) return { factor: name, device }
    }
    return 'nobody is able'
  }

  function passcodeGiven(user: AccountUser, passcode: string, ipaddr: string | undefined): string {
    const right = passcodes.take(user, passcode)
    account.record(user, right ? 'success' : 'failure')
    if (!right) return transactions.over(say.wrongPasscode)
    const token = trustedDevices.token(user.username, ipaddr)
    return transactions.over(token === undefined ? say.allowed : { ...say.allowed, trusted_device_token: token })
  }

  async function authStatus({ parameters, signal }: Call): Promise<Answer> {
    const status = await transactions.next(required(parameters, 'txid'), signal)
    if (status === 'unknown') throw invalidParameter('txid')
    return status
  }

  return { preauth, auth, authStatus }
}

function describeDevice(device: SimulatedDevice, can: (way: Way) => boolean, nextCode: string | undefined) {
  if (device.type === 'token') return { device: device.id, name: device.name, type: 'token' }
  const number = maskedNumber(device.number)
  return {
    capabilities: offeredCapabilities(
      device.capabilities.filter(name => name !== 'push' || can({ factor: 'push', device })),
    ),
    device: device.id,
    display_name: number === '' ? device.platform : `${device.platform} (${number})`,
    name: device.name,
    number,
    sms_nextcode: nextCode,
    type: 'phone',
  }
}
