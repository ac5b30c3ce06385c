import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { VNode } from 'preact'
import { render } from 'preact-render-to-string'
import { z } from 'zod'
import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import { doubled, singleHeader } from '../http/headers.ts'
import { registerControl } from './control.ts'
import type { Enrolments } from './enrolment.ts'
import type { News } from './news.ts'
import { makesPasscodes, type Passcodes } from './passcodes.ts'
import { EnrolPage } from './phone/enrol-page.tsx'
import { ProblemPage } from './phone/page.tsx'
import { PhonePage } from './phone/phone-page.tsx'
import { PhonesPage } from './phone/phones-page.tsx'
import { phoneScript } from './phone/script.ts'
import { phoneStyle } from './phone/style.ts'
import type { Policy, PolicyInput } from './policy.ts'
import { pushAnswers } from './push.ts'
import type { Scenarios } from './scenarios.ts'
import type { Transactions } from './transactions.ts'
import type { Account } from './users.ts'

const BODY_BYTES_AT_MOST = 256 * 1024
/** How long a page that asked for news is held. */
const HOLD: Milliseconds = 25 * SECOND

const answerForm = z.object({
  answer: z.enum(pushAnswers),
  /** Of a Verified Push, as it was typed. */
  code: z
    .string()
    .max(100)
    .transform(typed => typed.replace(/\s/g, ''))
    .optional(),
})
const activationForm = z.object({
  number: z
    .string()
    .trim()
    .regex(/^\+?[0-9 ()-]{0,30}$/, 'A phone number has digits only.')
    .default(''),
})
const newsQuery = z.object({ after: z.coerce.number().int().min(0).optional() })

const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin', // without it a form's Origin would be null, and refused below
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

/** The phones of the simulated users, as web pages, and the control API beside them. Plain HTTP. @param hosts names under which they may be opened */
export function makePhone(parts: {
  account: Account
  transactions: Transactions
  passcodes: Passcodes
  news: News
  scenarios: Scenarios
  enrolments: Enrolments
  policy: () => Policy
  setPolicy: (change: PolicyInput) => void
  clock: Clock
  hosts: readonly string[]
}): FastifyInstance {
  const { account, transactions, passcodes, enrolments, news, policy, clock, hosts } = parts
  const app = Fastify({ bodyLimit: BODY_BYTES_AT_MOST, forceCloseConnections: true })
  app.register(formbody, { bodyLimit: 4096 })

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders)
    const refusal = refusalOf(request, hosts)
    if (refusal) return reply.code(403).send({ error: refusal })
  })
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof z.ZodError) return problem(request, reply, 400, z.prettifyError(error))
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
    const wrongInput = status >= 400 && status < 500
    const words = wrongInput && error instanceof Error ? error.message : 'The simulator failed.'
    return problem(request, reply, wrongInput ? 400 : 500, words)
  })
  app.setNotFoundHandler((request, reply) => problem(request, reply, 404, 'There is nothing here.'))

  app.get('/phone.css', async (_request, reply) => reply.type('text/css; charset=utf-8').send(phoneStyle))
  app.get('/phone.js', async (_request, reply) => reply.type('text/javascript; charset=utf-8').send(phoneScript))

  app.get('/', async (request, reply) => {
    await held(request, reply)
    return reply
      .type('text/html; charset=utf-8')
      .send(html(<PhonesPage users={account.users()} pushes={transactions.pushes()} version={news.version()} />))
  })

  app.get<{ Params: { device: string } }>('/phones/:device', async (request, reply) => {
    await held(request, reply)
    const page = phonePage(request.params.device)
    return page
      ? reply.type('text/html; charset=utf-8').send(html(page))
      : problem(request, reply, 404, 'There is no such phone.')
  })

  app.post<{ Params: { device: string; id: string } }>('/phones/:device/pushes/:id', async (request, reply) => {
    const { device, id } = request.params
    const { answer, code } = answerForm.parse(request.body)
    const find = () => transactions.pushes().find(push => push.id === id && push.device.id === device)
    const before = find()
    if (!before) return problem(request, reply, 404, 'There is no such request on this phone.')
    const answered = transactions.answer(id, answer, code)
    const after = find()
    // What goes on waiting (a wrong code, a call that was picked up twice) says on its card what it waits for.
    if (answered || after?.state === 'pending' || after?.wrongCodes !== before.wrongCodes)
      return reply.redirect(`/phones/${encodeURIComponent(device)}`, 303)
    const page = phonePage(device, 'This request had ended before you answered. Nothing was sent.')
    return reply
      .code(409)
      .type('text/html; charset=utf-8')
      .send(page ? html(page) : '')
  })

  app.post<{ Params: { device: string } }>('/phones/:device/passcode', async (request, reply) => {
    const device = account.byDevice(request.params.device)?.device
    if (!device || passcodes.next(device) === undefined)
      return problem(request, reply, 404, 'There is no such device, or it makes no passcodes.')
    return reply.redirect(`/phones/${encodeURIComponent(device.id)}`, 303)
  })

  app.get<{ Params: { code: string } }>('/activate/:code', async (request, reply) => {
    const found = enrolments.find(request.params.code)
    if (!found) return problem(request, reply, 404, noSuchEnrolment)
    return reply
      .type('text/html; charset=utf-8')
      .send(html(<EnrolPage code={request.params.code} username={found.username} device={found.device} />))
  })
  app.post<{ Params: { code: string } }>('/activate/:code', async (request, reply) => {
    const { code } = request.params
    const { number } = activationForm.parse(request.body ?? {})
    if (!enrolments.activate(code, number) && !enrolments.find(code)?.device)
      return problem(request, reply, 404, noSuchEnrolment)
    return reply.redirect(`/activate/${encodeURIComponent(code)}`, 303)
  })

  registerControl(app, parts)

  function phonePage(deviceId: string, notice?: string) {
    const found = account.byDevice(deviceId)
    if (!found) return undefined
    const pushes = transactions.pushes().filter(({ device }) => device.id === deviceId)
    return (
      <PhonePage
        user={found.user}
        device={found.device}
        pushes={pushes}
        passcode={makesPasscodes(found.device) ? (passcodes.shown(deviceId) ?? null) : undefined}
        messages={passcodes.messages(deviceId)}
        unused={passcodes.unused(deviceId)}
        application={policy().application}
        now={clock()}
        version={news.version()}
        notice={notice}
      />
    )
  }

  /** Holds a page that says which version it has (`?after=`) until there is a newer one. */
  async function held(request: FastifyRequest, reply: { raw: NodeJS.EventEmitter }) {
    const { after } = newsQuery.parse(request.query)
    if (after === undefined) return
    const left = new AbortController()
    reply.raw.on('close', () => left.abort())
    await transactions.change(after, HOLD, left.signal)
  }

  return app
}

const noSuchEnrolment = 'This link is not good any more. Ask for another one where you got it.'

const html = (page: VNode) => `<!doctype html>${render(page)}`

function problem(
  request: FastifyRequest,
  reply: { code(status: number): { send(body: unknown): unknown }; type(type: string): unknown },
  status: number,
  words: string,
) {
  if (request.url.startsWith('/control/')) return reply.code(status).send({ error: words })
  reply.type('text/html; charset=utf-8')
  return reply.code(status).send(html(<ProblemPage words={words} />))
}

/**
 * Why a request is refused; undefined when it is not. Any web page that the person has open can send requests here: the Host list stops one
 * whose name was rebound to this address, the Origin stops one that posts an approval across.
 */
function refusalOf(request: FastifyRequest, hosts: readonly string[]): string | undefined {
  const host = singleHeader(request.raw.rawHeaders, 'host')
  if (host === undefined || host === doubled) return 'One Host header is needed.'
  const name = host.toLowerCase().replace(/:\d+$/, '')
  if (!hosts.includes(name)) return 'This host name is not one of the phone’s.'
  if (request.method === 'GET' || request.method === 'HEAD') return undefined
  const origin = singleHeader(request.raw.rawHeaders, 'origin')
  const site = singleHeader(request.raw.rawHeaders, 'sec-fetch-site')
  if (origin === doubled || (origin !== undefined && !isOriginOf(origin, host))) return 'This comes from another site.'
  return site === undefined || site === 'same-origin' ? undefined : 'This comes from another site.'
}

/** Scheme apart (a proxy may have ended TLS), an origin is the host that was asked for. */
function isOriginOf(origin: string, host: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`
}
