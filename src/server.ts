import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { compileAccess } from './access/access.ts'
import { type LiveRules, liveRules } from './access/live-rules.ts'
import { api } from './api/api.ts'
import { type Clock, SECOND } from './clock.ts'
import type { Config } from './config/schema.ts'
import { openDuo } from './duo/open-duo.ts'
import { openAssertions } from './gate/assertion.ts'
import { routedUrl } from './gate/endpoint.ts'
import { gate } from './gate/gate.ts'
import { trustedProxies } from './http/client-address.ts'
import { HEADER_LINES_AT_MOST } from './http/headers.ts'
import { jsonHeaders } from './http/json-headers.ts'
import { limitPipelining } from './http/pipelining.ts'
import { openLogins } from './login/logins.ts'
import { openLogin } from './login/open-login.ts'
import { createGatePages } from './portal/gate-pages.ts'
import { portal } from './portal/portal.ts'
import { newReference } from './problems/reference.ts'
import { openSessions } from './session/open-sessions.ts'
import { sessionPlugin } from './session/plugin.ts'
import { openRecords, openStorage } from './storage/open-storage.ts'
import { openRedis } from './storage/redis/open-redis.ts'
import { createAudit } from './telemetry/audit.ts'
import { denials } from './telemetry/denials.ts'
import { createMetrics, serveMetrics } from './telemetry/metrics.ts'
import { outages } from './telemetry/outages.ts'
import { openUsers } from './users/open-users.ts'
import { redisCounters } from './users/redis-counter.ts'
import { openRegulation } from './users/regulation.ts'
import { sqliteCounters } from './users/sqlite-counter.ts'

interface Circumstances {
  readonly log: FastifyBaseLogger
  readonly clock?: Clock
  /** For a configuration that is read anew while the server runs. Default: the rules of this one, for ever. */
  readonly rules?: LiveRules
  /** Whether the file holds a newer configuration that could not be used. */
  readonly configurationRefused?: () => boolean
}

/**
 * The composition root: opens things in order, closes each where it opened it, and hands each room what it may use.
 * Rejects when a part cannot be opened; nothing is left half open.
 */
export async function buildServer(config: Config, circumstances: Circumstances): Promise<FastifyInstance> {
  const app = newHttpServer(config, circumstances.log)
  try {
    await furnish(app, config, circumstances)
    await app.ready()
    return app
  } catch (error) {
    await app.close()
    throw error
  }
}

async function furnish(
  app: FastifyInstance,
  config: Config,
  {
    log,
    clock = Date.now,
    rules = liveRules(compileAccess(config)),
    configurationRefused = () => false,
  }: Circumstances,
): Promise<void> {
  const metrics = createMetrics({ ofNode: config.telemetry.metrics.enabled })
  metrics.gauge(
    'postern_configuration_refused',
    'Whether the file holds a newer configuration that could not be used.',
    () => Number(configurationRefused()),
  )
  if (config.telemetry.metrics.enabled) {
    const listening = await serveMetrics(config.telemetry.metrics.address, metrics, log)
    app.addHook('onClose', () => listening.close())
  }
  const audit = metrics.counting(createAudit(log))
  const proxies = trustedProxies(config.server.trusted_proxies)
  const { access } = rules
  const cookies = config.session.cookies

  const redis = config.session.redis === undefined ? null : await openRedis(config.session.redis, { clock, log })
  if (redis !== null) {
    app.addHook('onClose', () => redis.close())
    metrics.gauge(
      'postern_redis_down',
      'Whether Redis cannot be used: not reached, refusing, or taking no writes.',
      () => Number(redis.trouble !== null),
    )
  }
  const storage = await (redis === null ? openStorage : openRecords)(config.storage, { log })
  app.addHook('onClose', () => storage.close())
  metrics.gauge(
    'postern_records_down',
    'Whether the records could not be reached, or not be written, at the last try.',
    () => Number(storage.isDown),
  )
  const sessions = await openSessions({ config: config.session, storage, redis, clock, log, audit, serves: true })
  app.addHook('onClose', () => sessions.close())
  const counters = redis === null ? sqliteCounters(storage, clock) : redisCounters(redis, clock)
  const users = await openUsers({
    config: config.authentication_backend,
    regulation: openRegulation(counters, config.regulation),
    clock,
    log,
  })
  app.addHook('onClose', () => users.close())
  const directory = config.authentication_backend.ldap
  if (directory !== undefined)
    metrics.gauge('postern_directory_down', 'Whether the directory did not answer when it was asked last.', () =>
      Number(users.fault !== undefined),
    )
  const duo =
    config.duo_api === undefined || config.duo_api.disable
      ? null
      : await openDuo({
          config: config.duo_api,
          storage,
          redis,
          clock,
          log,
          audit,
          people: users,
          application: config.portal.name,
          encryptionKey: config.storage.encryption_key,
        })
  if (duo !== null) app.addHook('onClose', () => duo.close())
  metrics.gauge('postern_duo_failmode', 'Whether people pass without a factor, since Duo cannot be asked.', () =>
    Number(duo !== null && duo.passingSince !== null),
  )

  // Answers that are held (a page that waits for the phone) must not hold up the end, nor the connections that they leave idle.
  const closing = new AbortController()
  app.addHook('preClose', done => {
    closing.abort()
    const closeIdle = setInterval(() => app.server.closeIdleConnections(), 50)
    app.server.once('close', () => clearInterval(closeIdle))
    done()
  })
  const deny = denials(audit, clock)
  const refuse = outages(log, clock)
  const logins = openLogins(storage.records, clock, log)
  app.addHook('onClose', () => logins.close())
  const login = openLogin({ config, deny, refuse, sessions, users, access, duo, logins, proxies, audit, clock })

  const pages = createGatePages({ config, clock, simulated: () => login.simulated })
  const endpoints = config.server.endpoints.authz
  const assertion = config.server.identity_assertion
  const assertions = assertion && (await openAssertions(config.session.secret, assertion.lifespan))
  await app.register(gate, {
    sessions,
    users,
    access,
    cookies,
    proxies,
    clock,
    log,
    audit,
    deny,
    refuse,
    assertions,
    endpoints,
    pages,
    metrics,
  })
  await app.register(async faces => {
    faces.addHook('onRequest', refuseTooManyHeaders)
    await faces.register(sessionPlugin, { sessions, config: config.session })
    await faces.register(api, {
      login,
      config,
      log,
      refuse,
      wantsSecondFactor: () => access.wants('two_factor'),
      notices: () => [
        ...(configurationRefused() ? ['configuration'] : []),
        ...(users.fault === undefined ? [] : [directory === undefined ? 'users-file' : 'directory-down']),
        ...(duo === null || duo.passingSince === null ? [] : ['duo-failmode']),
        ...(redis === null || redis.trouble === null ? [] : [redis.trouble.reason]),
        ...(storage.isDown ? ['records-down'] : []),
      ],
      closing: closing.signal,
    })
    await faces.register(portal, { login, config, clock, log, refuse, closing: closing.signal })
  })
}

const HEADER_BYTES_AT_MOST = 16 * 1024

function newHttpServer({ server }: Config, log: FastifyBaseLogger): FastifyInstance {
  const app = Fastify({
    // The rooms log by themselves what happens. With a logger Fastify listens to every response, a cost that the gate would bear.
    logger: false,
    trustProxy: false, // forwarded headers are read by http/client-address, strictly
    rewriteUrl: routedUrl(server.endpoints.authz),
    bodyLimit: HEADER_BYTES_AT_MOST,
    requestTimeout: 20 * SECOND,
    connectionTimeout: 0, // a page may be held; what a client has to send is bounded by the request's own timeout
    keepAliveTimeout: 75 * SECOND, // longer than a proxy keeps its idle connections, so that it never writes into a closing one
    forceCloseConnections: 'idle',
    // What the router itself cannot read, such as `/%`: no room has it, and the framework's own words name the framework.
    frameworkErrors: (_error, _request, reply) => {
      reply.raw.writeHead(400, jsonHeaders).end(JSON.stringify({ status: 'KO', message: 'Bad Request' }))
    },
    http: { maxHeaderSize: HEADER_BYTES_AT_MOST, headersTimeout: 10 * SECOND, connectionsCheckingInterval: 5 * SECOND },
  })
  // Node drops what is over its count in silence: a decision on a cut list of headers is none. 0 is no count; the bytes are bounded.
  app.server.maxHeadersCount = 0
  app.server.maxConnections = 10_000
  limitPipelining(app.server)
  app.setErrorHandler((error, _request, reply) => {
    const ref = newReference()
    log.error({ err: error, ref }, 'a bug: a request failed')
    return reply
      .code(500)
      .headers(jsonHeaders)
      .send({ status: 'KO', message: `Internal error ${ref}` })
  })
  return app
}

function refuseTooManyHeaders(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  if (request.raw.rawHeaders.length <= 2 * HEADER_LINES_AT_MOST) done()
  else void reply.code(431).headers(jsonHeaders).send({ status: 'KO', message: 'Too many headers' })
}
