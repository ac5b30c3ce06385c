import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { duoKeys, type Postern, setUp, startPostern } from './postern.ts'
import { freePort } from './process.ts'
import { type ProxyKind, startProxy } from './proxies.ts'

/** All that stands on one machine: a proxy, Postern behind it, an app that shows what headers it got, and Duo with its phone. */
export interface House {
  /** With a final slash. */
  readonly one: string
  readonly two: string
  /** Without one. */
  readonly portal: string
  /** `two.postern.localhost:40123` */
  host(name: string): string
  readonly simulator: Simulator
  /** The process that runs now. */
  postern(): Postern
  /** Starts it again, after it was stopped. */
  startPostern(): Promise<void>
  /** Moves Postern's clock and the simulator's. */
  moveClock(milliseconds: number): Promise<void>
}

const escaped = (text: string) => text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)

/** The app behind the gate: one line for each header that it received, once for each time. */
async function openEchoApp(
  cleanup: (end: () => Promise<void>) => void,
): Promise<{ port: number; requests: () => number }> {
  const app = Fastify()
  let requests = 0
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume().on('end', () => done(null))
  })
  app.all('/*', (request, reply) => {
    requests++
    const { rawHeaders } = request.raw
    const rows = rawHeaders.flatMap((name, i) =>
      i % 2 === 1
        ? []
        : [
            `<li data-header="${escaped(name.toLowerCase())}">${escaped(Buffer.from(rawHeaders[i + 1] ?? '', 'latin1').toString())}</li>`,
          ],
    )
    return reply
      .type('text/html; charset=utf-8')
      .send(`<!doctype html><title>The app</title><h1>The app</h1><ul>${rows.join('')}</ul>`)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  cleanup(() => app.close())
  return { port: (app.server.address() as AddressInfo).port, requests: () => requests }
}

export async function openHouse({ proxy = 'nginx' }: { proxy?: ProxyKind } = {}): Promise<House> {
  let ahead = 0
  const simulator = await startSimulator({ ...duoKeys, users: demoUsers, clock: () => Date.now() + ahead })
  onTestFinished(() => simulator.close())
  const app = await openEchoApp(onTestFinished)
  const publicPort = await freePort()
  const setup = await setUp({ publicPort, duo: simulator })
  let postern = await startPostern(setup)
  await startProxy(proxy, { publicPort, posternPort: setup.port, appPort: app.port }, onTestFinished)
  const host = (name: string) => `${name}.postern.localhost:${publicPort}`
  return {
    one: `http://${host('one')}/`,
    two: `http://${host('two')}/`,
    portal: `http://${host('auth')}`,
    host,
    simulator,
    postern: () => postern,
    async startPostern() {
      postern = await startPostern(setup, { ahead })
    },
    async moveClock(milliseconds) {
      ahead += milliseconds
      simulator.clockMoved()
      await postern.moveClock(milliseconds)
    },
  }
}
