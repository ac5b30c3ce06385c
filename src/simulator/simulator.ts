import type { AddressInfo } from 'node:net'
import { type Clock, SECOND } from '../clock.ts'
import { makeApi } from './api.ts'
import { makeAuthentication } from './authentication.ts'
import { makeCertificate } from './certificate.ts'
import { makeEndpoints } from './endpoints.ts'
import { openEnrolments } from './enrolment.ts'
import { openNews } from './news.ts'
import { openPasscodes, type TextMessage } from './passcodes.ts'
import { makePhone } from './phone.tsx'
import { type Policy, type PolicyInput, policySchema } from './policy.ts'
import type { Push, PushAnswer } from './push.ts'
import { openRateLimit } from './rate-limit.ts'
import { openScenarios, type ScenarioInput } from './scenarios.ts'
import { openTransactions } from './transactions.ts'
import { openTrustedDevices } from './trusted-devices.ts'
import { openAccount, type SimulatedUser } from './users.ts'
import { openVerifications } from './verified-push.ts'

export interface SimulatorOptions {
  /** Where both ports listen. Loopback unless told otherwise: whoever reaches the phone approves. */
  host?: string
  /** The API's; 0 takes a free one. */
  port?: number
  /** The phone's; 0 takes a free one. */
  phonePort?: number
  integrationKey: string
  secretKey: string
  users: readonly SimulatedUser[]
  /** Judges dates and the life of a push. */
  clock?: Clock
  /** Phones answer by themselves. */
  answer?: 'allow' | 'deny'
  /** Further host names under which the phone's page may be opened. */
  phoneHosts?: readonly string[]
}

export interface Simulator {
  readonly apiPort: number
  readonly phonePort: number
  readonly phoneUrl: string
  /** PEM: the authority that signed the API's certificate. */
  readonly ca: string
  /** All pushes and calls there ever were, oldest first, answered ones too. */
  pushes(): readonly Push[]
  /** Whether a client waits for what becomes of this push. */
  isAsked(pushId: string): boolean
  /**
   * Answers as the person would. False when it does not count: the push or call is unknown, answered or older than a minute, the code of a
   * Verified Push is wrong (`Push.verificationCode` is the right one), or only a call can be picked up.
   */
  answer(pushId: string, answer: PushAnswer, verificationCode?: string): boolean
  /** The next passcode that Duo Mobile or a token shows; each is right once. @throws when there is no such device, or it makes none */
  passcode(deviceId: string): string
  /** The text messages of a phone, oldest first. Only the passcodes of the newest are good, each once. */
  messages(deviceId: string): readonly TextMessage[]
  /** A person activates a phone with what preauth (`enroll_portal_url`) or `enroll` gave. Its id; undefined when nobody waits for that code. */
  activate(code: string, number?: string): string | undefined
  /** Adds a scenario behind those that are set; null clears them. @throws ZodError */
  setScenario(scenario: ScenarioInput | null): void
  /** @throws ZodError */
  setUsers(users: readonly SimulatedUser[]): void
  /** Changes the given settings. @throws ZodError */
  setPolicy(change: PolicyInput): void
  /** Tells that the clock was moved: what is past its time ends now. (While somebody waits this is noticed within 50 ms anyway.) */
  clockMoved(): void
  close(): Promise<void>
}

/** A Duo Auth API v2 on this machine, and the phone that answers it. Resolves when both ports listen. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { host = '127.0.0.1', port = 0, phonePort = 0, clock = Date.now, phoneHosts = [] } = options
  let policy: Policy = policySchema.parse({ answer: options.answer ?? null })
  const setPolicy = (change: PolicyInput) => {
    policy = policySchema.parse({ ...policy, ...change })
  }
  const currentPolicy = () => policy
  const duoClock: Clock = () => clock() + policy.clockAheadSeconds * SECOND
  const account = openAccount(options.users, currentPolicy, clock)
  const news = openNews()
  const trustedDevices = openTrustedDevices(clock, currentPolicy)
  const transactions = openTransactions({
    account,
    clock,
    news,
    deliver: () => policy.deliver,
    trust: trustedDevices.token,
  })
  const passcodes = openPasscodes(clock, news)
  const scenarios = openScenarios()
  const enrolments = openEnrolments({ account, policy: currentPolicy, news, clock: duoClock })
  const authentication = makeAuthentication({
    account,
    transactions,
    passcodes,
    verifications: openVerifications(duoClock),
    trustedDevices,
    enrolments,
    count: openRateLimit(clock, currentPolicy),
    policy: currentPolicy,
  })
  const endpoints = makeEndpoints({ authentication, enrolments, policy: currentPolicy, clock: duoClock })
  const certificate = await makeCertificate(host)
  const { integrationKey, secretKey } = options
  const phoneUrl = () => {
    const shown = host === '0.0.0.0' ? '127.0.0.1' : host
    return `http://${shown.includes(':') ? `[${shown}]` : shown}:${(phone.server.address() as AddressInfo).port}`
  }
  const keys = { integrationKey, secretKey }
  const api = makeApi({ certificate, keys, endpoints, scenarios, clock: duoClock, phoneUrl })
  const phone = makePhone({
    account,
    transactions,
    passcodes,
    news,
    scenarios,
    enrolments,
    policy: currentPolicy,
    setPolicy,
    clock,
    hosts: ['localhost', '127.0.0.1', 'phone.postern.localhost', ...phoneHosts],
  })
  const close = async () => {
    transactions.close()
    news.close()
    await Promise.all([api.close(), phone.close()])
  }
  try {
    await api.listen({ host, port })
    await phone.listen({ host, port: phonePort })
  } catch (error) {
    await close()
    throw error
  }
  return {
    apiPort: (api.server.address() as AddressInfo).port,
    phonePort: (phone.server.address() as AddressInfo).port,
    phoneUrl: phoneUrl(),
    ca: certificate.ca,
    pushes: transactions.pushes,
    isAsked: transactions.isAsked,
    answer: transactions.answer,
    passcode(deviceId) {
      const device = account.byDevice(deviceId)?.device
      const passcode = device && passcodes.next(device)
      if (passcode === undefined) throw new Error(`${deviceId} shows no passcodes.`)
      return passcode
    },
    messages: passcodes.messages,
    activate: (code, number) => enrolments.activate(code, number)?.id,
    setScenario: scenario => (scenario === null ? scenarios.clear() : scenarios.add(scenario)),
    setUsers: account.replace,
    setPolicy,
    clockMoved: transactions.expire,
    close,
  }
}
