import Fastify, { type FastifyInstance } from 'fastify'
import { type Config, configSchema } from '../../src/config/schema.ts'
import { portal } from '../../src/portal/portal.ts'
import { outages } from '../../src/telemetry/outages.ts'
import { defaultScene, type FakeLogin, fakeLogin, type Scene } from './fake-login.ts'

export const SECRET = 'a-secret-for-tests-with-32-chars-or-more'
export const NOW = Date.UTC(2026, 10, 24, 14, 5, 30)

/** A whole configuration, as the schema fills it in. */
export function testConfig(
  changes: { url?: string; portal?: object; theme?: string; duo?: object; rest?: object } = {},
): Config {
  const url = changes.url ?? 'https://auth.example.com'
  return configSchema.parse({
    theme: changes.theme ?? 'auto',
    authentication_backend: { file: { path: '/users.yml' } },
    session: { secret: SECRET, cookies: [{ domain: 'example.com', authelia_url: url }] },
    storage: { encryption_key: 'x'.repeat(32), local: { path: '/db.sqlite3' } },
    duo_api: {
      hostname: 'api-12345678.duosecurity.com',
      integration_key: 'DIXXXXXXXXXXXXXXXXXX',
      secret_key: 's'.repeat(40),
      enable_self_enrollment: true,
      ...changes.duo,
    },
    portal: {
      links: [{ name: 'Privacy', url: 'https://example.com/privacy' }],
      help: { email: 'help@example.com' },
      ...changes.portal,
    },
    ...changes.rest,
  })
}

export interface UnderTest {
  readonly app: FastifyInstance
  readonly scene: Scene
  readonly login: FakeLogin
  readonly config: Config
  /** Milliseconds since the epoch; a test may move it. */
  readonly time: { now: number }
}

/** The plugin alone, over a login in memory. */
export async function portalUnderTest(scene: Partial<Scene> = {}, config: Config = testConfig()): Promise<UnderTest> {
  const time = { now: NOW }
  const whole: Scene = { ...defaultScene(), ...scene }
  const login = fakeLogin(config, whole, () => time.now)
  const app = Fastify({ logger: false, forceCloseConnections: true }) // a browser keeps connections that never ask anything
  const closing = new AbortController()
  app.addHook('preClose', done => {
    closing.abort()
    done()
  })
  await app.register(portal, {
    login,
    config,
    clock: () => time.now,
    log: app.log,
    refuse: outages(app.log, () => time.now),
    closing: closing.signal,
  })
  await app.ready()
  return { app, scene: whole, login, config, time }
}
