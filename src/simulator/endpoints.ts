import { type Clock, SECOND } from '../clock.ts'
import type { Authentication } from './authentication.ts'
import type { Enrolments } from './enrolment.ts'
import { DuoFailure } from './failure.ts'
import type { Parameters } from './parameters.ts'
import type { Policy } from './policy.ts'
import type { EndpointName } from './scenarios.ts'

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

/** Duo's Auth API v2. https://duo.com/docs/authapi @param parts.clock Duo's */
export function makeEndpoints(parts: {
  authentication: Authentication
  enrolments: Enrolments
  policy: () => Policy
  clock: Clock
}): Record<EndpointName, Endpoint> {
  const { authentication, enrolments, policy, clock } = parts
  const time = () => ({ time: Math.floor(clock() / SECOND) })
  return {
    ping: { method: 'GET', signed: false, answer: time },
    check: { method: 'GET', signed: true, answer: time },
    logo: {
      method: 'GET',
      signed: true,
      answer() {
        if (!policy().logo) throw new DuoFailure(40002, 'Logo not found')
        return logo
      },
    },
    preauth: { method: 'POST', signed: true, answer: authentication.preauth },
    auth: { method: 'POST', signed: true, answer: authentication.auth },
    auth_status: { method: 'GET', signed: true, answer: authentication.authStatus },
    enroll: { method: 'POST', signed: true, answer: ({ parameters, host }) => enrolments.enroll(parameters, host) },
    enroll_status: { method: 'POST', signed: true, answer: ({ parameters }) => enrolments.status(parameters) },
  }
}

const logo = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkSAv7DwACxgGkyEiyHAAAAABJRU5ErkJggg==',
  'base64',
)
