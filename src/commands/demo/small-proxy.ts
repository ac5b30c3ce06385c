import httpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { request as ask } from 'undici'

const identityHeaders = ['remote-user', 'remote-groups', 'remote-name', 'remote-email']

export interface Behind {
  /** Base URLs of what the one port is in front of. */
  readonly postern: string
  readonly apps: string
  readonly phone: string | null
}

/** With the port. */
export interface Hosts {
  readonly portal: string
  readonly apps: readonly string[]
  readonly phone: string
}

/** The demo's reverse proxy where nginx is not to be had: the same as deploy/nginx does, on @fastify/http-proxy. Not for production. */
export async function smallProxy(hosts: Hosts, behind: Behind): Promise<FastifyInstance> {
  const server = Fastify({ logger: false, trustProxy: false })

  async function askGate(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { cookie, accept, 'x-requested-with': requestedWith } = request.headers
    const answer = await ask(`${behind.postern}/api/authz/forward-auth`, {
      headers: {
        'x-forwarded-method': request.method,
        'x-forwarded-proto': 'http',
        'x-forwarded-host': request.headers.host ?? '',
        'x-forwarded-uri': request.url,
        'x-forwarded-for': request.ip,
        ...(cookie === undefined ? {} : { cookie }),
        ...(accept === undefined ? {} : { accept }),
        ...(requestedWith === undefined ? {} : { 'x-requested-with': String(requestedWith) }),
      },
    })
    const body = await answer.body.text()
    if (answer.statusCode !== 200) {
      const { location, 'content-type': type } = answer.headers
      if (typeof location === 'string') reply.header('location', location)
      await reply
        .code(answer.statusCode)
        .type(String(type ?? 'text/plain'))
        .send(body)
      return
    }
    for (const name of identityHeaders) request.headers[name] = String(answer.headers[name] ?? '')
  }

  const forwardedFor = (request: FastifyRequest) => ({ 'x-forwarded-for': request.ip })
  for (const host of hosts.apps) {
    await server.register(httpProxy, {
      upstream: behind.apps,
      constraints: { host },
      preHandler: askGate,
      replyOptions: {
        rewriteRequestHeaders: (request, headers) => ({
          ...headers,
          host: request.headers.host,
          ...forwardedFor(request as FastifyRequest),
        }),
      },
    })
  }
  // What only a proxy asks.
  for (const path of ['/api/authz/*', '/api/verify'])
    server.all(path, { constraints: { host: hosts.portal } }, (_request, reply) => reply.code(404).send())
  for (const [host, upstream] of [
    [hosts.portal, behind.postern],
    [hosts.phone, behind.phone],
  ] as const) {
    if (upstream === null) continue
    await server.register(httpProxy, {
      upstream,
      constraints: { host },
      http: { requestOptions: { timeout: 120_000 } },
      replyOptions: {
        rewriteRequestHeaders: (request, headers) => ({
          ...headers,
          host: request.headers.host,
          ...forwardedFor(request as FastifyRequest),
        }),
      },
    })
  }
  return server
}
