import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { SECOND } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { Device, Offer, PushView, RingingWay } from '../duo/duo.ts'
import { jsonHeaders } from '../http/json-headers.ts'
import { isSameOrigin } from '../http/same-origin.ts'
import { whileConnected } from '../http/while-connected.ts'
import type { Login, Next, Visit } from '../login/login.ts'
import { type Started, StoreDown } from '../session/session.ts'
import { newReference } from '../telemetry/reference.ts'
import { isPlausibleName, PASSWORD_BYTES_AT_MOST } from '../users/names.ts'
import { acceptOnlyJson, BadRequest } from './json.ts'

interface Options {
  readonly login: Login
  readonly config: Config
  readonly log: FastifyBaseLogger
  /** Whether any rule wants a second factor. */
  readonly wantsSecondFactor: () => boolean
  /** Names of what went wrong in the background, for the status page. */
  readonly notices: () => readonly string[]
  /** Aborted when the server ends, so that no held answer holds it up. */
  readonly closing: AbortSignal
}

// Authelia's words: its front end and other programs show or match them.
const WRONG_CREDENTIALS = 'Authentication failed. Check your credentials.'
const RETRY_LATER = 'Authentication failed, please retry later.'
const OPERATION_FAILED = 'Operation failed.'

const HELD_AT_MOST = 25 * SECOND

const firstFactorBody = z.strictObject({
  username: z.string().refine(isPlausibleName),
  password: z
    .string()
    .min(1)
    .refine(password => Buffer.byteLength(password) <= PASSWORD_BYTES_AT_MOST),
  keepMeLoggedIn: z.boolean().default(false),
  targetURL: z.string().optional(),
  requestMethod: z.string().max(20).optional(),
  // Authelia's front end may send these for its OpenID Connect flows, which Postern has not.
  workflow: z.string().optional(),
  workflowID: z.string().optional(),
  flow: z.string().optional(),
  flowID: z.string().optional(),
  subflow: z.string().optional(),
  userCode: z.string().optional(),
})
const duoBody = firstFactorBody
  .omit({ username: true, password: true, keepMeLoggedIn: true, requestMethod: true })
  // Beyond Authelia's: a way of one's own choice.
  .extend({
    passcode: z.string().max(64).optional(),
    device: z.string().min(1).max(64).optional(),
    method: z.enum(['push', 'phone']).optional(),
  })
  .default({})
const duoDeviceBody = z.strictObject({ device: z.string().min(1).max(64), method: z.string().min(1).max(32) })
const methodBody = z.strictObject({ method: z.string().max(32) })
const logoutBody = z.strictObject({ targetURL: z.string().optional() }).default({})
const safeRedirectionBody = z.strictObject({ uri: z.string() })

/**
 * The JSON API: Authelia's endpoints, bodies, statuses and envelopes, over the same login/ as the portal. Unlike Authelia it answers
 * a JSON envelope everywhere, and refuses pages of other origins. Source: Authelia's OpenAPI document and front end.
 */
export async function api(
  app: FastifyInstance,
  { login, config, log, wantsSecondFactor, notices, closing }: Options,
): Promise<void> {
  acceptOnlyJson(app)
  const portalOrigin = new Map(config.session.cookies.map(domain => [domain, new URL(domain.authelia_url).origin]))

  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(jsonHeaders)
    done()
  })
  app.setNotFoundHandler((_request, reply) => ko(reply, 404, 'Not Found'))
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    if (error instanceof StoreDown) return ko(reply.header('retry-after', '5'), 503, OPERATION_FAILED)
    const status = error instanceof BadRequest || error instanceof z.ZodError ? 400 : (error.statusCode ?? 500)
    if (status >= 400 && status < 500) return ko(reply, status, publicText[status] ?? 'Bad Request')
    const ref = newReference()
    log.error({ err: error, ref }, 'the API failed on a request')
    return ko(reply, 500, `Internal error ${ref}`)
  })

  app.route({
    method: ['GET', 'HEAD'],
    url: '/api/health',
    // 200 while the process serves; what went wrong in the background stands beside it.
    handler: () => {
      const names = notices()
      return names.length === 0 ? { status: 'OK' } : { status: 'OK', notices: names }
    },
  })

  type Handler = (visit: Visit, request: FastifyRequest, reply: FastifyReply) => unknown
  const anybody = (handler: Handler) => async (request: FastifyRequest, reply: FastifyReply) => {
    const visit = await login.visit(request)
    if (visit === undefined) return ko(reply, 400, 'The Host header names none of the portals in session.cookies.')
    if (!isSameOrigin(request.raw, portalOrigin.get(visit.domain) ?? '')) {
      login.report(visit, 'form.refused', { reason: 'origin' })
      return ko(reply, 403, 'Forbidden')
    }
    return handler(visit, request, reply)
  }
  const signedIn = (handler: Handler) =>
    anybody((visit, request, reply) =>
      visit.who === null ? ko(reply, 403, 'Forbidden') : handler(visit, request, reply),
    )

  app.get(
    '/api/state',
    anybody(({ who, level, domain }) =>
      ok({
        username: who?.person.username ?? '',
        authentication_level: level,
        factor_knowledge: who !== null,
        ...(domain.default_redirection_url === undefined
          ? {}
          : { default_redirection_url: domain.default_redirection_url }),
      }),
    ),
  )

  app.get(
    '/api/configuration',
    signedIn(() =>
      ok({
        available_methods: login.secondFactorConfigured && wantsSecondFactor() ? ['mobile_push'] : [],
        password_change_disabled: true,
        password_reset_disabled: config.authentication_backend.password_reset.custom_url === undefined,
      }),
    ),
  )

  app.post(
    '/api/firstfactor',
    anybody(async (visit, request, reply) => {
      const entered = firstFactorBody.parse(request.body)
      const answer = await login.signIn(visit, { ...entered, remember: entered.keepMeLoggedIn })
      if (answer.outcome === 'busy') return ko(reply.header('retry-after', answer.retryAfterSeconds), 503, RETRY_LATER)
      if (answer.outcome === 'unavailable') return ko(reply.header('retry-after', '5'), 503, RETRY_LATER)
      if (answer.outcome !== 'accepted') return ko(reply, 401, WRONG_CREDENTIALS)
      setCookie(reply, answer.started)
      const { started, person } = answer
      return ok(
        redirection(
          { ...visit, who: { session: started.session, person }, level: 1 },
          entered.targetURL,
          entered.requestMethod,
        ),
      )
    }),
  )

  app.route({
    method: ['GET', 'POST'],
    url: '/api/user/info',
    handler: signedIn(async visit => ok(await userInfo(visit))),
  })

  app.post(
    '/api/user/info/2fa_method',
    signedIn((_visit, request) =>
      // Duo is the only method there is, so that there is nothing to remember.
      methodBody.parse(request.body).method === 'mobile_push' ? ok() : { status: 'KO', message: OPERATION_FAILED },
    ),
  )

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
      const { device, method } = duoDeviceBody.parse(request.body)
      return isMethod(method) && (await login.keepWay(visit, { kind: method, device }))
        ? ok()
        : { status: 'KO', message: OPERATION_FAILED }
    }),
  )

  app.post(
    '/api/secondfactor/duo',
    signedIn(async (visit, request, reply) => {
      const { targetURL, passcode, device, method } = duoBody.parse(request.body ?? undefined)
      const next = login.next(visit, { rd: targetURL })
      // Proved already, and well enough for where the program wants to go.
      if (visit.level === 2 && next.to !== 'prove') return ok(redirection(visit, targetURL))
      if (passcode !== undefined) return tryPasscode(visit, passcode, targetURL, reply)
      const way = method === undefined || device === undefined ? undefined : { kind: method, device }
      let sent = await login.ring(visit, way, { rd: targetURL })
      const only = way === undefined && sent.outcome === 'offer' ? onlyPush(sent.offer) : undefined
      if (only !== undefined) sent = await login.ring(visit, only, { rd: targetURL })
      if ('push' in sent) return finish(visit, await ended(visit, sent.push, request), targetURL, reply)
      return notAsked(visit, sent, next, targetURL, reply)
    }),
  )

  app.post(
    '/api/checks/safe-redirection',
    anybody((visit, request, reply) => {
      const { uri } = safeRedirectionBody.parse(request.body)
      return visit.who === null ? ko(reply, 401, 'Unauthorized') : ok({ ok: isSafe(uri) })
    }),
  )

  app.post(
    '/api/logout',
    anybody(async (visit, request, reply) => {
      const { targetURL } = logoutBody.parse(request.body ?? undefined)
      const cookie = await login.signOut(visit)
      if (visit.who !== null) reply.setCookie(cookie.name, cookie.value, cookie.options)
      return ok({ safeTargetURL: targetURL !== undefined && isSafe(targetURL) })
    }),
  )

  const isSafe = (uri: string) => login.wantedHost(uri) !== null

  /** `{redirect}` where the target is safe and this level is enough for it; nothing else. */
  function redirection(
    visit: Visit,
    targetURL: string | undefined,
    requestMethod?: string,
  ): { redirect: string } | undefined {
    const next = login.next(visit, { rd: targetURL, rm: requestMethod })
    if (next.to === 'unsafe') login.report(visit, 'redirect.refused', { host: next.host })
    return next.to === 'site' ? { redirect: next.url } : undefined
  }

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
      case 'banned':
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

  async function userInfo(visit: Visit) {
    const person = visit.who?.person
    return {
      display_name: person?.displayName ?? '',
      emails: (person?.emails ?? []).map(redactedEmail),
      method: 'mobile_push',
      has_totp: false,
      has_webauthn: false,
      has_duo: (await login.keptWay(visit)) !== null,
    }
  }
}

const publicText: Record<number, string> = {
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'The body is too large.',
  415: 'The body must be application/json.',
  429: 'Too Many Requests',
}

function ok(data?: object) {
  return data === undefined ? { status: 'OK' } : { status: 'OK', data }
}

function ko(reply: FastifyReply, status: number, message: string) {
  return reply.code(status).send({ status: 'KO', message })
}

function setCookie(reply: FastifyReply, { cookie }: Started): void {
  reply.setCookie(cookie.name, cookie.value, cookie.options)
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

/** The ways that this API can wait for. */
const methods = ['push', 'phone'] as const
const isMethod = (method: string): method is (typeof methods)[number] => methods.some(known => known === method)

/** The push that a program means which names no way: the only one, also of whom entered a passcode last. */
function onlyPush(offer: Offer): RingingWay | undefined {
  if (offer.kind !== 'choose') return undefined
  const pushes = offer.ways.flatMap(way => (way.kind === 'push' ? [{ kind: way.kind, device: way.device }] : []))
  return pushes.length === 1 ? pushes[0] : undefined
}

/** As Authelia: the devices that take a push, and of their capabilities that one. Beside it, in `ways`, all that Duo and the configuration allow. */
function listOf({ devices, ways }: Extract<Offer, { kind: 'choose' }>) {
  const takesPush = (device: Device) => ways.some(way => way.kind === 'push' && way.device === device.id)
  const listed = devices
    .filter(takesPush)
    .map(({ id, name }) => ({ device: id, display_name: name, capabilities: ['push'] }))
  return listed.length === 0 ? { result: 'enroll', ways } : { result: 'auth', devices: listed, ways }
}

/** `a***z@example.com`, as Authelia shows it. */
export function redactedEmail(email: string): string {
  const at = email.lastIndexOf('@')
  const local = email.slice(0, at)
  const hidden =
    local.length <= 2 ? '*'.repeat(local.length) : `${local[0]}${'*'.repeat(local.length - 2)}${local.at(-1)}`
  return at === -1 ? '***' : `${hidden}${email.slice(at)}`
}
