import { configSchema } from '../../src/config/schema.ts'
import type { Owner, People, RequestFacts, RingingWay } from '../../src/duo/duo.ts'

export const keys = { integrationKey: 'DIXXXXXXXXXXXXXXXXXX', secretKey: 'deadbeefdeadbeefdeadbeefdeadbeefdeadbeef' }

export const owner = (username: string, session = `${username}-session`): Owner => ({
  sessionKey: session,
  username,
  displayName: `${username} Example`,
  email: `${username}@example.com`,
})

export const facts = (more: Partial<RequestFacts> = {}): RequestFacts => ({
  site: 'one.example.com',
  path: '/',
  ip: '192.0.2.7',
  browser: 'Firefox on Linux',
  at: Date.UTC(2026, 10, 24, 13, 0, 0),
  ...more,
})

export const push = (device: string): RingingWay => ({ kind: 'push', device })

/** `duo_api`, as from a file that says only this. */
export function duoConfig(more: object = {}) {
  const given = {
    hostname: 'localhost',
    integration_key: keys.integrationKey,
    secret_key: keys.secretKey,
    factors: ['push', 'phone', 'sms', 'passcode'],
    ...more,
  }
  const config = configSchema.shape.duo_api.parse(given)
  if (config === undefined) throw new Error('no duo_api')
  return config
}

/** Nobody is banned, and nothing is counted. */
export const unregulated: People = {
  everybody: () => [],
  ban: () => null,
  tryPasscode: async () => ({ triesLeft: null, brings: null, async succeeded() {}, async givenBack() {} }),
}
