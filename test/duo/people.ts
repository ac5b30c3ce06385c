import type { RequestFacts } from '../../src/duo/duo.ts'

export const keys = { integrationKey: 'DIXXXXXXXXXXXXXXXXXX', secretKey: 'deadbeefdeadbeefdeadbeefdeadbeefdeadbeef' }

export const owner = (username: string, session = `${username}-session`) => ({
  sessionKey: session,
  username,
  displayName: `${username} Example`,
})

export const facts = (more: Partial<RequestFacts> = {}): RequestFacts => ({
  site: 'one.example.com',
  ip: '192.0.2.7',
  browser: 'Firefox on Linux',
  at: Date.UTC(2026, 10, 24, 13, 0, 0),
  ...more,
})
