import { createServer } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { SECOND } from '../clock.ts'
import { listenOptions, shownAddress } from '../config/listen-address.ts'
import type { ListenAddress } from '../config/schema.ts'
import { removeStaleSocket } from '../config/stale-socket.ts'
import { isReason } from '../problems/problems.ts'
import { type Audit, type AuditEvent, severity } from './audit.ts'

/** What is counted. Labels have few values, and none of them comes from a visitor: no name, address or host. */
export interface Metrics {
  /** The same audit, counted: by event, and by reason where that is one of the problems. */
  counting(audit: Audit): Audit
  /** A counter for one answer of the gate: made once, then one call for each request. */
  gateAnswers(endpoint: string, status: number): () => void
  /** A value that is read when somebody asks for the metrics. */
  gauge(name: `postern_${string}`, help: string, read: () => number): void
  /** Everything, in Prometheus' text format. */
  text(): Promise<string>
}

/** @param ofNode whether to watch memory, event loop and garbage collection too, which costs something also while nobody asks */
export function createMetrics({ ofNode }: { readonly ofNode: boolean }): Metrics {
  const registry = new Registry()
  if (ofNode) collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const events = new Counter({
    name: 'postern_events_total',
    help: 'Audit events written, by event and reason.',
    labelNames: ['event', 'reason'],
    registers,
  })
  for (const event of Object.keys(severity)) events.inc({ event, reason: '' }, 0)
  // Summed up here and handed over when somebody asks: prom-client looks its labels up anew each time, which a request would pay for.
  const gateAnswers: { readonly labels: { endpoint: string; status: string }; times: number }[] = []
  new Counter({
    name: 'postern_gate_answers_total',
    help: 'Answers of the gate, by endpoint and status.',
    labelNames: ['endpoint', 'status'],
    registers,
    collect() {
      this.reset()
      for (const { labels, times } of gateAnswers) this.inc(labels, times)
    },
  })
  const count = (event: AuditEvent, reason: string | undefined) =>
    events.inc({ event, reason: reason !== undefined && isReason(reason) ? reason : '' })
  return {
    counting: audit => (event, fields) => {
      count(event, fields.reason)
      audit(event, fields)
    },
    gateAnswers(endpoint, status) {
      const counted = { labels: { endpoint, status: String(status) }, times: 0 }
      gateAnswers.push(counted)
      return () => {
        counted.times++
      }
    },
    gauge(name, help, read) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read())
        },
      })
    },
    text: () => registry.metrics(),
  }
}

/**
 * Serves the metrics at `/metrics` on an address of their own, apart from what the proxies reach. Resolves when it listens.
 * @throws when the address cannot be had
 */
export async function serveMetrics(
  address: ListenAddress,
  metrics: Pick<Metrics, 'text'>,
  log: FastifyBaseLogger,
): Promise<{ close(): Promise<void> }> {
  const server = createServer(
    { requestTimeout: 5 * SECOND, headersTimeout: 5 * SECOND, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return void response.writeHead(405).end()
      if (request.url?.split('?', 1)[0] !== '/metrics') return void response.writeHead(404).end()
      metrics.text().then(
        text => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
        (error: unknown) => {
          log.error({ err: error }, 'a bug: the metrics could not be written')
          response.writeHead(500).end()
        },
      )
    },
  )
  server.maxConnections = 20
  await removeStaleSocket(address)
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        new Error(`telemetry.metrics.address ${shownAddress(address)} cannot be listened on: ${cause.message}`, {
          cause,
        }),
      ),
    )
    server.listen(listenOptions(address), resolve)
  })
  log.info({ address: shownAddress(address) }, 'serving metrics')
  return {
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
