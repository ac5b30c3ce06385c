import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Config } from '../config/schema.ts'
import { jsonHeaders } from '../http/json-headers.ts'
import { leftEarly } from '../http/left-early.ts'
import { isSameOrigin } from '../http/same-origin.ts'
import type { Login, Visit } from '../login/login.ts'
import { newReference } from '../problems/reference.ts'
import { Unavailable } from '../problems/unavailable.ts'
import type { Refuse } from '../telemetry/outages.ts'
import { isPlausibleName, PASSWORD_BYTES_AT_MOST } from '../users/names.ts'
import { ko, OPERATION_FAILED, ok, RETRY_LATER, setCookie, targetFields, WRONG_CREDENTIALS } from './answers.ts'
import { acceptOnlyJson, BadRequest, read } from './json.ts'
import { type Handler, secondFactorRoutes } from './second-factor.ts'

interface Options {
  readonly login: Login
  readonly config: Config
  readonly log: FastifyBaseLogger
  /** Whether any rule wants a second factor. */
  readonly wantsSecondFactor: () => boolean
  readonly refuse: Refuse
  /** Names of what went wrong in the background, for the status page. */
  readonly notices: () => readonly string[]
  /** Aborted when the server ends, so that no held answer holds it up. */
  readonly closing: AbortSignal
}

const firstFactorBody = z.strictObject({
  username: z.string().refine(isPlausibleName),
  password: z
    .string()
    .min(1)
    .refine(password => Buffer.byteLength(password) <= PASSWORD_BYTES_AT_MOST),
  keepMeLoggedIn: z.boolean().default(false),
  ...targetFields,
  requestMethod: z.string().max(20).optional(),
})
const methodBody = z.strictObject({ method: z.string().max(32) })
const logoutBody = z.strictObject({ targetURL: z.string().optional() }).default({})
const safeRedirectionBody = z.strictObject({ uri: z.string() })

/**
 * The JSON API: Authelia's endpoints, bodies, statuses and envelopes, over the same login/ as the portal. Unlike Authelia it answers
 * a JSON envelope everywhere, and refuses pages of other origins. Source: Authelia's OpenAPI document and front end.
 */
export async function api(
  app: FastifyInstance,
  { login, config, log, refuse, wantsSecondFactor, notices, closing }: Options,
): Promise<void> {
  acceptOnlyJson(app)
  const portalOrigin = new Map(config.session.cookies.map(domain => [domain, new URL(domain.authelia_url).origin]))

  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(jsonHeaders)
    done()
  })
  app.setNotFoundHandler((_request, reply) => ko(reply, 404, 'Not Found'))
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof Unavailable) {
      refuse(error)
      return ko(reply.header('retry-after', '5'), 503, OPERATION_FAILED)
    }
    // Nothing is guessed from an error's shape: what is known to be the client's, by our class or the framework's code; all else is a bug.
    const ofFramework = /^FST_ERR_/.test(error.code ?? '') ? (error.statusCode ?? 500) : 500
    const status = error instanceof BadRequest || leftEarly(request) ? 400 : ofFramework
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
      const entered = read(firstFactorBody, request.body)
      const answer = await login.signIn(visit, { ...entered, remember: entered.keepMeLoggedIn })
      if (answer.outcome === 'busy') return ko(reply.header('retry-after', answer.retryAfterSeconds), 503, RETRY_LATER)
      if (answer.outcome === 'limited')
        return ko(reply.header('retry-after', new Date(answer.until).toUTCString()), 429, 'Too Many Requests')
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
      read(methodBody, request.body).method === 'mobile_push' ? ok() : { status: 'KO', message: OPERATION_FAILED },
    ),
  )

  secondFactorRoutes(app, { login, signedIn, redirection, closing })

  app.post(
    '/api/checks/safe-redirection',
    anybody((visit, request, reply) => {
      const { uri } = read(safeRedirectionBody, request.body)
      return visit.who === null ? ko(reply, 401, 'Unauthorized') : ok({ ok: isSafe(uri) })
    }),
  )

  app.post(
    '/api/logout',
    anybody(async (visit, request, reply) => {
      const { targetURL } = read(logoutBody, request.body ?? undefined)
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

/** `a***z@example.com`, as Authelia shows it. */
export function redactedEmail(email: string): string {
  const at = email.lastIndexOf('@')
  const local = email.slice(0, at)
  const hidden =
    local.length <= 2 ? '*'.repeat(local.length) : `${local[0]}${'*'.repeat(local.length - 2)}${local.at(-1)}`
  return at === -1 ? '***' : `${hidden}${email.slice(at)}`
}
