import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { SECOND } from '../clock.ts'
import type { Device, Offer, PushView } from '../duo/duo.ts'
import { whileConnected } from '../http/while-connected.ts'
import type { Login, Next, Visit } from '../login/login.ts'
import { ko, OPERATION_FAILED, ok, RETRY_LATER, setCookie, targetFields, WRONG_CREDENTIALS } from './answers.ts'
import { read } from './json.ts'

export type Handler = (visit: Visit, request: FastifyRequest, reply: FastifyReply) => unknown

interface Parts {
  readonly login: Login
  /** A handler for whom somebody has signed in; others are 403. */
  signedIn(handler: Handler): (request: FastifyRequest, reply: FastifyReply) => unknown
  redirection(visit: Visit, targetURL: string | undefined): { redirect: string } | undefined
  /** Aborted when the server ends, so that no held answer holds it up. */
  readonly closing: AbortSignal
}

const HELD_AT_MOST = 25 * SECOND

/** The ways that this API can wait for. */
const methods = ['push', 'phone'] as const
const isMethod = (method: string): method is (typeof methods)[number] => methods.some(known => known === method)

const duoBody = z
  .strictObject({
    ...targetFields,
    passcode: z.string().max(64).optional(),
    // Beyond Authelia's: a way of one's own choice.
    device: z.string().min(1).max(64).optional(),
    method: z.enum(methods).optional(),
  })
  // Half a choice would ring what the program did not name.
  .refine(({ device, method }) => (device === undefined) === (method === undefined))
  .default({})
const duoDeviceBody = z.strictObject({ device: z.string().min(1).max(64), method: z.string().min(1).max(32) })

/** Authelia's `/api/secondfactor/duo…`: the answer comes when the phone's has. */
export function secondFactorRoutes(app: FastifyInstance, { login, signedIn, redirection, closing }: Parts): void {
  app.get(
    '/api/secondfactor/duo',
    signedIn(async visit => {
      const way = await login.keptWay(visit)
      return ok({
        result: 'auth',
        ...(way === null || way.kind === 'passcode' || way.kind === 'sms'
          ? {}
          : { preferred_device: way.device, preferred_method: way.kind }),
      })
    }),
  )

  app.get(
    '/api/secondfactor/duo_devices',
    signedIn(
      async visit => offered(await login.offer(visit, { rd: undefined })) ?? { status: 'KO', message: RETRY_LATER },
    ),
  )

  app.post(
    '/api/secondfactor/duo_device',
    signedIn(async (visit, request) => {
      const { device, method } = read(duoDeviceBody, request.body)
      return isMethod(method) && (await login.keepWay(visit, { kind: method, device }))
        ? ok()
        : { status: 'KO', message: OPERATION_FAILED }
    }),
  )

  app.post(
    '/api/secondfactor/duo',
    signedIn(async (visit, request, reply) => {
      const { targetURL, passcode, device, method } = read(duoBody, request.body ?? undefined)
      const next = login.next(visit, { rd: targetURL })
      // Proved already, and well enough for where the program wants to go.
      if (visit.level === 2 && next.to !== 'prove') return ok(redirection(visit, targetURL))
      if (passcode !== undefined) return tryPasscode(visit, passcode, targetURL, reply)
      const way = method === undefined || device === undefined ? 'only-push' : { kind: method, device }
      const sent = await login.ring(visit, way, { rd: targetURL })
      if ('push' in sent) return finish(visit, await ended(visit, sent.push, request), targetURL, reply)
      return notAsked(visit, sent, next, targetURL, reply)
    }),
  )

  /** Follows the push to its end. Null: the program that asked is gone, the server ends, or too many ask for this push already. */
  async function ended(visit: Visit, push: PushView, request: FastifyRequest): Promise<PushView | null> {
    return whileConnected(request.raw, async gone => {
      const signal = AbortSignal.any([gone, closing])
      let seen = push
      while (seen.state === 'sending' || seen.state === 'waiting') {
        const asked = performance.now()
        const later = await login.pushChange(visit, seen.seq, HELD_AT_MOST, signal)
        if (later === null) return null
        // Answered early and without news: asking again at once would only go round and round.
        if (later.seq === seen.seq && performance.now() - asked < HELD_AT_MOST / 2) return null
        seen = later
      }
      return seen
    })
  }

  /** Nothing rings and nothing was tried: Duo lets the person pass or refuses, or a guard says wait. */
  async function notAsked(
    visit: Visit,
    held: Exclude<Awaited<ReturnType<Login['ring']>>, { push: PushView }>,
    next: Next,
    targetURL: string | undefined,
    reply: FastifyReply,
  ) {
    switch (held.outcome) {
      case 'offer': {
        const { offer } = held
        if (offer.kind !== 'allow' && offer.kind !== 'failmode') return offered(offer) ?? ko(reply, 401, RETRY_LATER)
        if (next.to !== 'prove' || next.factors.length === 0)
          return raised(visit, await login.raiseByPolicy(visit, offer), targetURL, reply)
        login.report(visit, 'level.refused', { reason: 'duo-not-asked', host: next.host })
        return ko(reply, 401, RETRY_LATER)
      }
      case 'busy':
      case 'paused':
      case 'limited':
      case 'banned':
        // Without an end there is nothing to wait for.
        if (held.until === null) return ko(reply, 403, 'Forbidden')
        return ko(reply.header('retry-after', new Date(held.until).toUTCString()), 429, 'Too Many Requests')
      case 'unknown-device':
      case 'no-second-factor':
        return ko(reply, 401, RETRY_LATER)
    }
  }

  async function tryPasscode(visit: Visit, passcode: string, targetURL: string | undefined, reply: FastifyReply) {
    const wanted = { rd: targetURL }
    const tried = await login.passcode(visit, passcode, wanted)
    switch (tried.outcome) {
      case 'accepted':
        return raised(visit, await login.claim(visit), targetURL, reply)
      case 'wrong':
      case 'malformed':
      case 'locked':
        return ko(reply, 401, WRONG_CREDENTIALS)
      default:
        return notAsked(visit, tried, login.next(visit, wanted), targetURL, reply)
    }
  }

  async function finish(visit: Visit, push: PushView | null, targetURL: string | undefined, reply: FastifyReply) {
    return push?.state === 'allowed'
      ? raised(visit, await login.claim(visit), targetURL, reply)
      : ko(reply, 401, RETRY_LATER)
  }

  function raised(
    visit: Visit,
    claim: Awaited<ReturnType<Login['claim']>>,
    targetURL: string | undefined,
    reply: FastifyReply,
  ) {
    if (claim.outcome !== 'raised' || visit.who === null) return ko(reply, 401, RETRY_LATER)
    setCookie(reply, claim.started)
    return ok(redirection({ ...visit, who: { ...visit.who, session: claim.started.session }, level: 2 }, targetURL))
  }
}

/** What Duo offers, in Authelia's form; undefined where Duo could not say. */
function offered(offer: Offer | { kind: 'no-second-factor' }) {
  switch (offer.kind) {
    case 'choose':
      return ok(listOf(offer))
    case 'allow':
    case 'failmode':
      return ok({ result: 'allow' })
    case 'deny':
      return ok({ result: 'deny' })
    case 'enroll':
      return ok({ result: 'enroll', ...(offer.portalUrl === null ? {} : { enroll_url: offer.portalUrl }) })
    case 'no-device':
      return ok({ result: 'enroll' })
    default:
      return undefined
  }
}

/** As Authelia: the devices that take a push, and of their capabilities that one. Beside it, in `ways`, all that Duo and the configuration allow. */
function listOf({ devices, ways }: Extract<Offer, { kind: 'choose' }>) {
  const takesPush = (device: Device) => ways.some(way => way.kind === 'push' && way.device === device.id)
  const listed = devices
    .filter(takesPush)
    .map(({ id, name }) => ({ device: id, display_name: name, capabilities: ['push'] }))
  return listed.length === 0 ? { result: 'enroll', ways } : { result: 'auth', devices: listed, ways }
}
