import { createHash } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { headerLines } from '../http/headers.ts'
import type { Endpoint } from './endpoints.ts'
import { secretOf } from './enrolment.ts'
import {
  DuoFailure,
  deprecatedClient,
  methodNotAllowed,
  tooManyRequests,
  unknownResource,
  wrongApplication,
} from './failure.ts'
import { parametersOf, parseForm } from './parameters.ts'
import { pythonJson } from './python-json.ts'
import { type EndpointName, endpointNames, type Scenario, type Scenarios } from './scenarios.ts'
import { type Keys, requireSignature } from './signature.ts'

/** Names the simulator, so that whoever talks to it can say so. */
const SIMULATOR_HEADER = 'x-postern-simulator'

// A push carries up to 20,000 bytes of details, encoded twice.
const BODY_BYTES_AT_MOST = 256 * 1024

interface Ready {
  readonly status: number
  readonly body: Buffer
  readonly type: string
  readonly headers?: Record<string, string>
}

/** The HTTPS face that a Duo client talks to. */
export function makeApi(parts: {
  certificate: { cert: string; key: string }
  keys: Keys
  endpoints: Record<EndpointName, Endpoint>
  scenarios: Scenarios
  /** Duo's. */
  clock: Clock
  phoneUrl: () => string
}): FastifyInstance {
  const { certificate, keys, endpoints, scenarios, clock, phoneUrl } = parts
  const app = Fastify({
    https: certificate,
    bodyLimit: BODY_BYTES_AT_MOST,
    forceCloseConnections: true,
    rewriteUrl: request => pathAndQuery(request.url ?? '/'),
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error, _request, reply) => {
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
    return send(reply, htmlPage(status >= 400 && status < 500 ? status : 500))
  })
  app.all('/*', async (request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const secret = request.method === 'GET' && enrolmentPath.test(path) ? secretIn(request.url) : undefined
    // The pages of a person are where the phone is.
    if (secret !== undefined) return reply.redirect(`${phoneUrl()}/activate/${secret}`, 302)
    const name = endpointNames.find(known => path === `/auth/v2/${known}`)
    const scenario = name && scenarios.take(name)
    const instead = scenario && insteadOfProcessing(scenario)
    if (instead === 'refused') return void reply.hijack().raw.destroy()
    if (instead === 'hanging') return void reply.hijack()
    if (instead) return send(reply, instead)
    const left = new AbortController()
    reply.raw.on('close', () => left.abort())
    const ready = await process(name, scenario, request, left.signal)
    if (ready === 'left') return void reply.hijack().raw.destroy()
    if (name === 'ping') reply.header(SIMULATOR_HEADER, '1')
    return deliver(reply, ready, scenario, left.signal)
  })

  async function process(
    name: EndpointName | undefined,
    scenario: Scenario | undefined,
    request: FastifyRequest,
    signal: AbortSignal,
  ): Promise<Ready | 'left'> {
    try {
      if (!name) throw unknownResource()
      const endpoint = endpoints[name]
      if (request.method !== endpoint.method) throw methodNotAllowed()
      const parameters = authenticated(request, endpoint, scenario)
      const host = headerLines(request.raw.rawHeaders, 'host')[0] ?? 'localhost'
      const answer = await endpoint.answer({ parameters, host, signal })
      if (answer === 'left') return 'left'
      if (Buffer.isBuffer(answer)) return { status: 200, body: answer, type: 'image/png', headers: cacheHeaders }
      const ready = json(200, { response: answer, stat: 'OK' })
      const tag = createHash('sha1').update(ready.body).digest('hex')
      const headers = { ...cacheHeaders, ...(request.method === 'GET' && { etag: `"${tag}"` }) }
      return { ...ready, headers }
    } catch (error) {
      if (error instanceof DuoFailure) return failed(error)
      throw error
    }
  }

  /** The parameters of a call whose signature is right. The order of the checks is Duo's. */
  function authenticated(request: FastifyRequest, endpoint: Endpoint, scenario: Scenario | undefined) {
    const [path = '', queryText = ''] = splitOnce(request.url, '?')
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const isJson = /^application\/json\b/i.test(request.headers['content-type'] ?? '')
    const query = parseForm(queryText)
    const form = isJson ? [] : parseForm(body.toString('latin1'))
    if (endpoint.signed) {
      const { method, raw } = request
      const port = raw.socket.localPort ?? 0
      requireSignature({ method, path, query, form, body, rawHeaders: raw.rawHeaders, port }, keys, clock())
    }
    if (scenario?.kind === 'wrong-application') throw wrongApplication()
    if (scenario?.kind === 'deprecated-client') throw deprecatedClient(request.headers['user-agent'] ?? '')
    return parametersOf(query, form, isJson ? body.toString('utf8') : undefined)
  }

  return app
}

/** What a scenario answers without looking at the call; undefined when the call is processed. */
function insteadOfProcessing(scenario: Scenario): Ready | 'refused' | 'hanging' | undefined {
  switch (scenario.kind) {
    case 'refused':
    case 'hanging':
      return scenario.kind
    case 'throttled':
      return failed(tooManyRequests(scenario.retryAfter))
    case 'server-error':
      return json(scenario.status, { code: scenario.status * 100, message: 'Internal server error', stat: 'FAIL' })
    case 'html':
      return htmlPage(scenario.status)
    case 'malformed':
      return { ...json(scenario.status, {}), body: Buffer.from('{"response": {"result": "al') }
    default:
      return undefined
  }
}

async function deliver(reply: FastifyReply, ready: Ready, scenario: Scenario | undefined, signal: AbortSignal) {
  if (scenario?.kind === 'late') await pause(scenario.milliseconds, signal)
  if (signal.aborted) return void reply.hijack()
  if (scenario?.kind === 'lost') return void reply.hijack().raw.destroy()
  if (scenario?.kind !== 'silent' && scenario?.kind !== 'cut') return send(reply, ready)
  const { raw } = reply.hijack()
  raw.writeHead(ready.status, { 'content-type': ready.type, 'content-length': ready.body.length })
  if (scenario.kind === 'silent') return raw.flushHeaders()
  const half = ready.body.subarray(0, Math.ceil(ready.body.length / 2))
  raw.write(half, () => (scenario.reset ? raw.socket?.destroy() : raw.socket?.end()))
}

/** Waits; ends early when the client leaves. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, milliseconds)
    signal.addEventListener('abort', finish, { once: true })
  })
}

const enrolmentPath = /^\/(?:portal|frame\/qr|activate\/[0-9a-f]+)$/

/** What an enrolment link carries: of the portal, of the page of an activation code, or of its picture. */
function secretIn(url: string): string | undefined {
  const value = new URLSearchParams(splitOnce(url, '?')[1]).get('value')
  const secret = secretOf(value ?? url)
  return /^[0-9a-f]+$/.test(secret) ? secret : undefined
}

const cacheHeaders = {
  'cache-control': 'no-store',
  pragma: 'no-cache',
  'strict-transport-security': 'max-age=31536000',
  'content-security-policy': "default-src 'none'",
}

const json = (status: number, body: object): Ready => ({
  status,
  body: Buffer.from(pythonJson(body)),
  type: 'application/json', // without a charset: Duo's Ruby client takes nothing else
})

function failed({ status, body, retryAfter }: DuoFailure): Ready {
  const ready = json(status, body)
  return retryAfter === undefined ? ready : { ...ready, headers: { 'retry-after': String(retryAfter) } }
}

function htmlPage(status: number): Ready {
  const page = `<html>\r\n<head><title>${status}</title></head>\r\n<body>\r\n<center><h1>${status}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n`
  return { status, body: Buffer.from(page), type: 'text/html' }
}

function send(reply: FastifyReply, { status, body, type, headers }: Ready) {
  return reply
    .code(status)
    .headers({ server: 'Duo/1.0', ...headers, 'content-type': type, 'content-length': body.length })
    .send(body)
}

/** A client behind a proxy sends the absolute form: RFC 9112, section 3.2.2. */
function pathAndQuery(target: string): string {
  return target.replace(/^https?:\/\/[^/?]*/i, '') || '/'
}

function splitOnce(value: string, separator: string): string[] {
  const at = value.indexOf(separator)
  return at === -1 ? [value] : [value.slice(0, at), value.slice(at + separator.length)]
}
