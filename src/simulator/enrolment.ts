import { createHash, randomBytes, randomInt } from 'node:crypto'
import { type Clock, DAY, MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import { invalidParameter } from './failure.ts'
import type { News } from './news.ts'
import { optional, type Parameters, required } from './parameters.ts'
import type { Policy } from './policy.ts'
import type { Account, SimulatedDevice } from './users.ts'

/** Two ways to a phone: Duo's portal, whose address preauth gives, and the activation code of `enroll`. */
export interface Enrolments {
  /** The portal's address for somebody who has no device. Good for five minutes. @param host as the client wrote it */
  portalUrl(username: string, host: string): string
  /** The endpoints. */
  enroll(parameters: Parameters, host: string): object
  status(parameters: Parameters): 'success' | 'waiting' | 'invalid'
  /** Whose phone a code would activate; `done` when it did. Undefined when nobody waits for it. */
  find(code: string): { username: string; device: SimulatedDevice | undefined } | undefined
  /** The person has a phone from now on: with a number it can be called and sent texts. Undefined when nobody waits for the code, or it was used. */
  activate(code: string, number?: string): SimulatedDevice | undefined
}

interface Enrolment {
  readonly username: string
  readonly userId: string | undefined
  readonly until: Milliseconds
  device: SimulatedDevice | undefined
}

const PORTAL_GOOD_FOR: Milliseconds = 5 * MINUTE
const ENROLMENTS_AT_MOST = 10_000

export function openEnrolments(parts: {
  account: Account
  policy: () => Policy
  news: News
  clock: Clock
}): Enrolments {
  const { account, policy, news, clock } = parts
  const enrolments = new Map<string, Enrolment>()

  function begin(enrolment: Enrolment): string {
    const code = randomBytes(15).toString('hex')
    enrolments.set(code, enrolment)
    for (const old of enrolments.keys()) {
      if (enrolments.size <= ENROLMENTS_AT_MOST) break
      enrolments.delete(old)
    }
    return code
  }

  const found = (code: string) => enrolments.get(secretOf(code))

  return {
    portalUrl(username, host) {
      const code = begin({ username, userId: undefined, until: clock() + PORTAL_GOOD_FOR, device: undefined })
      return `https://${host}/portal?code=${code}&akey=DA${randomBytes(9).toString('hex').toUpperCase()}`
    },
    enroll(parameters, host) {
      const username = optional(parameters, 'username', 1024) ?? randomBytes(16).toString('hex')
      const validSeconds = Number(parameters.get('valid_secs') ?? DAY / SECOND)
      if (!Number.isInteger(validSeconds) || validSeconds < 1 || validSeconds > (30 * DAY) / SECOND)
        throw invalidParameter('valid_secs')
      if (account.byName(username, policy().usernameNormalization)) throw invalidParameter('username already exists')
      const codes = Number(parameters.get('bypass_codes') ?? 0)
      if (!Number.isInteger(codes) || codes < 0 || codes > 10) throw invalidParameter('bypass_codes')
      const bypassCodes = Array.from({ length: codes }, () => String(randomInt(1e8, 1e9)))
      const user = account.add({ username, passcode: null, bypassCodes })
      const expiration = Math.floor(clock() / SECOND) + validSeconds
      const code = begin({ username, userId: user.id, until: expiration * SECOND, device: undefined })
      const activationCode = `duo://${code}-${Buffer.from(host).toString('base64url')}`
      return {
        activation_barcode: `https://${host}/frame/qr?value=${encodeURIComponent(activationCode)}`,
        activation_code: activationCode,
        activation_url: `https://${host}/activate/${code}`,
        ...(codes > 0 && { bypass_codes: bypassCodes }),
        expiration,
        user_id: user.id,
        username,
      }
    },
    status(parameters) {
      const userId = required(parameters, 'user_id')
      const enrolment = found(required(parameters, 'activation_code'))
      if (enrolment?.userId !== userId) return 'invalid'
      if (enrolment.device) return 'success'
      return clock() < enrolment.until ? 'waiting' : 'invalid'
    },
    find(code) {
      const enrolment = found(code)
      return enrolment && (enrolment.device || clock() < enrolment.until) ? enrolment : undefined
    },
    activate(code, number = '') {
      const enrolment = found(code)
      if (!enrolment || enrolment.device || clock() >= enrolment.until) return undefined
      const { username, userId } = enrolment
      const known =
        userId === undefined ? account.byName(username, policy().usernameNormalization) : account.byId(userId)
      const user = known ?? (userId === undefined ? account.add({ username, passcode: null }) : undefined)
      if (!user) return undefined
      const device: SimulatedDevice = {
        id: `DP${createHash('sha256').update(secretOf(code)).digest('hex').toUpperCase().slice(0, 18)}`,
        name: '',
        type: 'phone',
        number,
        platform: 'iOS',
        reachable: true,
        capabilities: number === '' ? ['push', 'mobile_otp'] : ['push', 'phone', 'sms', 'mobile_otp'],
      }
      user.devices.push(device)
      user.enrolled = undefined
      enrolment.device = device
      news.changed()
      return device
    },
  }
}

/** The secret in an activation code (`duo://…`), an activation address or a portal's; what is none of them may be one itself. */
export function secretOf(code: string): string {
  return /^duo:\/\/([0-9a-f]+)-/.exec(code)?.[1] ?? /(?:\/activate\/|[?&]code=)([0-9a-f]+)/.exec(code)?.[1] ?? code
}
