import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import type { ConsoleMessage, Page, Route } from 'playwright-core'
import { parseUrl } from '../../src/http/original-url.ts'
import { createGatePages } from '../../src/portal/gate-pages.ts'
import { foreignPageHeaders } from '../../src/portal/headers.ts'
import { createMessages } from '../../src/portal/message.ts'
import { freePort } from '../support/process.ts'
import { portalUnderTest, SECRET, testConfig, type UnderTest } from './portal-under-test.ts'
import type { State } from './states.ts'

export interface Standing extends UnderTest {
  /** `http://auth.postern.localhost:PORT` */
  readonly origin: string
  close(): Promise<void>
}

/** The portal of one state, listening. Its clock stands at this moment, so that the browser's agrees. */
export async function standing(state: Pick<State, 'scene' | 'portal' | 'duo'>): Promise<Standing> {
  const port = await freePort()
  const origin = `http://auth.postern.localhost:${port}`
  const now = Date.now()
  const config = testConfig({
    url: origin,
    ...(state.portal ? { portal: state.portal } : {}),
    ...(state.duo ? { duo: state.duo } : {}),
    rest: {
      session: { secret: SECRET, cookies: [{ domain: 'postern.localhost', authelia_url: origin }] },
    },
  })
  const under = await portalUnderTest({ secondFactorHosts: ['two.postern.localhost'], ...state.scene?.(now) }, config)
  under.time.now = now
  await under.app.listen({ port, host: '127.0.0.1' })
  return { ...under, origin, close: () => under.app.close() }
}

export interface Opened {
  readonly status: number
  /** Console errors, page errors and refused loads. */
  readonly complaints: string[]
  /** Leaves the page blank and without cookies, for the next state. */
  close(): Promise<void>
}

/** Opens a state in a page that knows nothing yet. The redirect of `go` is held back, so that the page can be looked at. */
export async function openState(page: Page, state: State): Promise<Opened> {
  const portal = await standing(state)
  const foreign = state.foreign === undefined ? undefined : await foreignHost(portal, state.foreign)
  const complaints: string[] = []
  const onConsole = (message: ConsoleMessage) => {
    // The status of a page that is meant to have it is no complaint.
    if (message.type() === 'error' && !/status of (4|5)\d\d/.test(message.text())) complaints.push(message.text())
  }
  const onError = (error: Error) => complaints.push(String(error))
  page.on('console', onConsole)
  page.on('pageerror', onError)
  await page.route('**/go?*', holdBack)
  const messages = createMessages(SECRET, () => portal.time.now)
  const cookie = (name: string, value: string) =>
    page.context().addCookies([{ name, value, url: portal.origin, httpOnly: true, secure: false }])
  if (state.message) {
    await cookie('postern_message', messages.seal(state.message(portal.time.now)))
    await cookie('postern_form', 'AAAAAAAAAAAAAAAAAAAAAA')
  }
  if (state.went)
    await cookie(
      'postern_went',
      messages.seal({ kind: 'went', to: createHash('sha256').update(state.went).digest('base64url'), times: 3 }),
    )
  const response = await page.goto(`${foreign?.origin ?? portal.origin}${state.url}`)
  return {
    status: response?.status() ?? 0,
    complaints,
    async close() {
      page.off('console', onConsole)
      page.off('pageerror', onError)
      await page.goto('about:blank')
      await page.unroute('**/go?*', holdBack)
      await page.context().clearCookies()
      await foreign?.close()
      await portal.close()
    },
  }
}

async function holdBack(route: Route): Promise<void> {
  // Node, unlike a browser, asks a name server for *.localhost.
  const answer = await route.fetch({ url: route.request().url().replace('auth.postern.localhost', '127.0.0.1') })
  const { refresh, ...headers } = answer.headers()
  await route.fulfill({ response: answer, headers })
}

/** An application's host whose proxy shows the gate's own page. */
async function foreignHost(portal: Standing, kind: 'denied' | 'bad') {
  const pages = createGatePages({ config: portal.config, clock: () => portal.time.now, simulated: () => false })
  const [domain] = portal.config.session.cookies
  const url = parseUrl('https://two.postern.localhost/reports/2026?token=secret')
  if (domain === undefined || typeof url === 'string') throw new Error('a test that is wrong')
  const person = { username: 'alice', displayName: 'Alice', emails: [], groups: ['dev'], credential: 'c' }
  const app = Fastify({ forceCloseConnections: true })
  app.get('/*', (_request, reply) =>
    reply
      .code(kind === 'denied' ? 403 : 400)
      .headers(foreignPageHeaders(portal.origin))
      .type('text/html; charset=utf-8')
      .send(
        kind === 'denied'
          ? pages.denied({ domain, url, method: 'GET', person, ref: '7K4M-Q2XD' })
          : pages.bad({ domain, reason: 'gate-headers', ref: '7K4M-Q2XD' }),
      ),
  )
  const address = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  return { origin: `http://app.postern.localhost:${address.port}`, close: () => app.close() }
}
