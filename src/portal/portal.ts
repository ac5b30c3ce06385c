import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { leftEarly } from '../http/left-early.ts'
import type { Login } from '../login/login.ts'
import { newReference } from '../problems/reference.ts'
import { Unavailable } from '../problems/unavailable.ts'
import type { Refuse } from '../telemetry/outages.ts'
import { type Asset, buildAssets } from './assets.ts'
import { type Context, contextOf, hasToken, isFromPortal, type Portal, send } from './context.ts'
import { createFormTokens } from './form-token.ts'
import { portalHeaders } from './headers.ts'
import { createMessages } from './message.ts'
import { badAddressPage, downPage, errorPage, fallbackPage, plainPage } from './pages/refused.tsx'
import type { Shell, View } from './pages/view.ts'
import { BadParameters, parseParameters } from './parameters.ts'
import { enrolRoutes } from './routes-enrol.ts'
import { leaveRoutes } from './routes-leave.ts'
import { passcodeRoutes } from './routes-passcode.ts'
import { proveRoutes } from './routes-prove.ts'
import { settingsRoutes } from './routes-settings.ts'
import { signinRoutes } from './routes-signin.ts'
import { createWords } from './words/words.ts'

interface Options {
  readonly login: Login
  readonly config: Config
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly refuse: Refuse
  /** Aborted when the server ends, so that no held answer holds it up. */
  readonly closing: AbortSignal
}

type Handler = (context: Context, request: FastifyRequest) => FastifyReply | Promise<FastifyReply>

/** How the portal's files with routes add theirs. */
export interface Pages {
  get(path: string, handler: Handler): void
  /** The form was sent by a page of this portal in this browser. @param stale where somebody goes whose form was too old */
  post(path: string, stale: string, handler: Handler): void
}

const FORM_BYTES_AT_MOST = 16 * 1024

/** What a person sees: pages, forms, and the little that the browser's script asks. Register it without a prefix, after the API. */
export async function portal(
  app: FastifyInstance,
  { login, config, clock, log, refuse, closing }: Options,
): Promise<void> {
  const parts: Portal = {
    login,
    config,
    clock,
    words: createWords(),
    assets: buildAssets(config),
    tokens: createFormTokens(config.session.secret, clock),
    messages: createMessages(config.session.secret, clock),
    closing,
  }

  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(portalHeaders)
    done()
  })
  // It decorates the whole server where it was registered above us.
  if (!app.hasReplyDecorator('setCookie')) await app.register(cookie, { hook: false })
  app.removeAllContentTypeParsers()
  await app.register(formbody, { bodyLimit: FORM_BYTES_AT_MOST, parser: text => ({ fields: parseParameters(text) }) })

  app.setErrorHandler((error: FastifyError, request, reply) =>
    answerError(parts, { log, refuse }, error, request, reply),
  )

  const visited = async (request: FastifyRequest, reply: FastifyReply): Promise<Context | undefined> => {
    const visit = await login.visit(request)
    if (visit !== undefined) return contextOf(parts, request, reply, visit)
    const reference = login.report(undefined, 'gate.refused', { reason: 'gate-domain' })
    send(reply, strangerShell(parts), badAddressPage(strangerShell(parts), 'gate-domain', reference))
    return undefined
  }

  const pages: Pages = {
    get(path, handler) {
      app.route({
        method: 'GET',
        url: path,
        exposeHeadRoute: false, // asking for the head of the waiting page must claim nothing
        async handler(request, reply) {
          const context = await visited(request, reply)
          return context === undefined ? reply : handler(context, request)
        },
      })
    },
    post(path, stale, handler) {
      app.post(path, async (request, reply) => {
        const context = await visited(request, reply)
        if (context === undefined) return reply
        const { visit, shell } = context
        if (!isFromPortal(request, visit.domain)) {
          login.report(visit, 'form.refused', { reason: 'foreign-origin' })
          return context.show(plainPage(shell, 'form.refused'))
        }
        if (!hasToken(parts, request, visit.domain)) {
          login.report(visit, 'form.refused', { reason: 'form-token' })
          return context.goSaying(visit.who === null ? '/' : stale, { kind: 'stale' })
        }
        return handler(context, request)
      })
    },
  }
  signinRoutes(pages, parts)
  proveRoutes(app, pages, parts)
  passcodeRoutes(pages, parts)
  enrolRoutes(pages, parts)
  settingsRoutes(pages, parts)
  leaveRoutes(app, pages, parts)

  app.get<{ Params: { name: string } }>('/static/:name', (request, reply) => {
    const file = parts.assets.find(request.params.name)
    return file === undefined ? notFound(request, reply) : sendAsset(request, reply, file)
  })
  const notFound = async (request: FastifyRequest, reply: FastifyReply) => {
    // What stands under /api/ is for programs; their answer to an unknown path is JSON, and the API's to give.
    if (/^\/api(?:[/?]|$)/.test(request.raw.url ?? '')) return reply.callNotFound()
    const context = await visited(request, reply)
    return context === undefined ? reply : context.show(plainPage(context.shell, 'notfound'))
  }
  // A route and not a not-found handler: there is one of those for the whole server.
  app.all('/*', notFound)
}

function sendAsset(request: FastifyRequest, reply: FastifyReply, file: Asset): FastifyReply {
  const accepted = String(request.headers['accept-encoding'] ?? '')
  const coding = /\bbr\b/.test(accepted) ? 'br' : /\bgzip\b/.test(accepted) ? 'gzip' : undefined
  if (coding !== undefined) void reply.header('content-encoding', coding)
  return reply
    .headers({
      'cache-control': 'public, max-age=31536000, immutable',
      'cross-origin-resource-policy': 'same-site', // pages of ours that stand on an application's host use them too
      vary: 'accept-encoding',
    })
    .type(file.type)
    .send(coding === 'br' ? file.brotli : coding === 'gzip' ? file.gzip : file.plain)
}

/** A page for somebody of whom nothing is known: no form, no name, no way back. */
function strangerShell({ words, config, assets, login, clock }: Portal): Shell {
  const [domain] = config.session.cookies
  if (domain === undefined) throw new Error('no cookie domain') // the schema wants one
  return {
    words,
    config,
    assets,
    domain,
    simulated: login.simulated,
    now: clock(),
    level: 0,
    username: null,
    site: null,
    token: null,
    foreign: false,
    url: path => path,
    plainUrl: path => path,
  }
}

/** Nothing is guessed from an error's shape: what is known to be the client's has its page, all else is a bug with a reference. */
async function answerError(
  parts: Portal,
  { log, refuse }: Pick<Options, 'log' | 'refuse'>,
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  try {
    const shell = strangerShell(parts)
    const show = (view: View) => send(reply, shell, view)
    if (error instanceof BadParameters) return show(plainPage(shell, 'bad'))
    if (error instanceof Unavailable) return show(downPage(shell, refuse(error)))
    const status = leftEarly(request) ? 400 : clientErrors[error.code]
    if (status !== undefined) return show(plainPage(shell, 'bad', status))
    const reference = newReference()
    log.error({ ref: reference, err: error, method: request.method }, 'a bug in the portal')
    return show(errorPage(shell, reference))
  } catch (second) {
    const reference = newReference()
    log.error({ ref: reference, err: second, cause: error }, 'the portal cannot even render its error page')
    return reply.code(500).type('text/html; charset=utf-8').send(fallbackPage(reference))
  }
}

const clientErrors: Readonly<Record<string, number>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 413,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 415,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 400,
  FST_ERR_CTP_EMPTY_TYPE: 415,
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: 415, // QUERY, RFC 10008, section 2
}
