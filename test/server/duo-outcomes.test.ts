import { request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { demoUsers } from '../../src/commands/simulator.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { duoKeys, password } from '../support/postern.ts'

interface Circumstances {
  readonly keys?: Partial<typeof duoKeys>
  /** Milliseconds that Duo's clock differs from ours. */
  readonly duoAhead?: number
  readonly selfEnrollment?: boolean
  readonly before?: (simulator: Simulator, postern: InProcess) => unknown
}

const alice = demoUsers.filter(({ username }) => username === 'alice')
const aliceAs = (change: object) => alice.map(user => ({ ...user, ...change }))

/** What somebody sees who has given the password and has to confirm with Duo, and what the log says of it. */
async function outcomeOf({ keys, duoAhead = 0, selfEnrollment = false, before }: Circumstances) {
  const simulator = await startSimulator({ ...duoKeys, ...keys, users: demoUsers, clock: () => Date.now() + duoAhead })
  onTestFinished(() => simulator.close())
  const postern = await openPostern({ duo: simulator, selfEnrollment })
  const host = { host: 'auth.postern.localhost' }
  const login = await postern.app.inject({
    method: 'POST',
    url: '/api/firstfactor',
    headers: host,
    payload: { username: 'alice', password },
  })
  const cookie = login.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  await before?.(simulator, postern)
  const rd = encodeURIComponent('http://two.postern.localhost/')
  const page = await request(`${postern.url}/prove?rd=${rd}`, { headers: { ...host, cookie, accept: 'text/html' } })
  const text = await page.body.text()
  const state = await postern.app.inject({ url: '/api/state', headers: { ...host, cookie } })
  return {
    status: page.statusCode,
    heading: /<h1[^>]*>([^<]*)/.exec(text)?.[1],
    text,
    level: state.json().data.authentication_level,
    events: postern.events().filter(({ event }) => String(event).startsWith('duo.')),
  }
}

const scenario =
  (...all: Parameters<Simulator['setScenario']>[0][]) =>
  (simulator: Simulator) => {
    for (const one of all) simulator.setScenario(one)
  }

describe('each answer of Duo has its page, its event and its reason, and lets nobody in', () => {
  it.each<[string, Circumstances, { status: number; heading: string; event: string; reason?: string }]>([
    [
      'Duo cannot be connected to',
      { before: simulator => simulator.close() },
      { status: 503, heading: 'Duo can’t be reached', event: 'duo.unavailable', reason: 'duo-unreachable' },
    ],
    [
      'a server error',
      { before: scenario({ kind: 'server-error', path: 'preauth', times: 10 }) },
      { status: 503, heading: 'Duo can’t be reached', event: 'duo.unavailable', reason: 'duo-server-error' },
    ],
    [
      'a page of HTML',
      { before: scenario({ kind: 'html', status: 200, path: 'preauth', times: 10 }) },
      { status: 503, heading: 'Duo can’t be reached', event: 'duo.unavailable', reason: 'duo-malformed' },
    ],
    [
      'the wrong secret key',
      { keys: { secretKey: 'x'.repeat(40) } },
      { status: 503, heading: 'This server isn’t set up right', event: 'duo.misconfigured', reason: 'duo-signature' },
    ],
    [
      'the wrong integration key',
      { keys: { integrationKey: 'DIDEMO0000OTHER00001' } },
      { status: 503, heading: 'This server isn’t set up right', event: 'duo.misconfigured', reason: 'duo-ikey' },
    ],
    [
      'keys of another application type',
      { before: scenario({ kind: 'wrong-application', path: 'preauth', times: 10 }) },
      { status: 503, heading: 'This server isn’t set up right', event: 'duo.misconfigured', reason: 'duo-application' },
    ],
    [
      'a client that Duo no longer takes',
      { before: scenario({ kind: 'deprecated-client', path: 'preauth', times: 10 }) },
      {
        status: 503,
        heading: 'This server isn’t set up right',
        event: 'duo.misconfigured',
        reason: 'duo-client-too-old',
      },
    ],
    [
      'a clock that is wrong, where Duo does not tell the time either',
      {
        before: simulator => {
          simulator.setPolicy({ clockAheadSeconds: 600 })
          simulator.setScenario({ kind: 'server-error', path: 'ping', times: 10 })
        },
      },
      { status: 503, heading: 'This server’s clock is wrong', event: 'duo.misconfigured', reason: 'duo-clock' },
    ],
    [
      'a person whom Duo does not know',
      { before: simulator => simulator.setUsers([]) },
      { status: 200, heading: 'You need a second step first', event: 'duo.enroll', reason: 'duo-enroll' },
    ],
    [
      'a person without a phone',
      { before: simulator => simulator.setUsers(aliceAs({ devices: [], enrolled: true })) },
      { status: 200, heading: 'Ask your administrator', event: 'duo.no-device', reason: 'duo-no-device' },
    ],
    [
      'a phone that cannot take a push',
      {
        before: simulator =>
          simulator.setUsers(aliceAs({ devices: alice[0]?.devices?.map(device => ({ ...device, capabilities: [] })) })),
      },
      { status: 200, heading: 'Ask your administrator', event: 'duo.no-device', reason: 'duo-not-activated' },
    ],
    [
      'a person who is disabled in Duo',
      { before: simulator => simulator.setUsers(aliceAs({ status: 'disabled' })) },
      { status: 200, heading: 'Duo doesn’t allow this sign-in', event: 'duo.denied', reason: 'duo-disabled' },
    ],
    [
      'a person who is locked out',
      { before: simulator => simulator.setUsers(aliceAs({ status: 'locked out' })) },
      { status: 200, heading: 'Duo has locked your account', event: 'duo.denied', reason: 'duo-locked' },
    ],
  ])('%s', async (_, circumstances, wanted) => {
    const { status, heading, text, level, events } = await outcomeOf(circumstances)
    expect([status, heading]).toEqual([wanted.status, wanted.heading])
    expect(level).toBe(1)
    // Not the one of the check at the start, which shows no page.
    const event = events.findLast(({ ref }) => ref !== undefined)
    expect(event).toMatchObject({ event: wanted.event, reason: wanted.reason })
    expect(text).toContain(event?.ref)
    expect(text).not.toContain(duoKeys.secretKey)
  })

  it('a person who may enrol is led to the page with the way to Duo’s own', async () => {
    const withoutUsers = { selfEnrollment: true, before: (simulator: Simulator) => simulator.setUsers([]) }
    expect(await outcomeOf(withoutUsers)).toMatchObject({ status: 200, heading: 'Set up your phone', level: 1 })
  })

  it.each([-600_000, 600_000])('a clock that is wrong is worked around: Duo’s is %i ms ahead', async duoAhead => {
    expect(await outcomeOf({ duoAhead })).toMatchObject({ status: 200, heading: 'Confirm it’s you', events: [] })
  })

  it('a person whom Duo lets pass is asked to go on, since a GET raises nothing', async () => {
    const { status, heading, level } = await outcomeOf({
      before: simulator => simulator.setUsers(aliceAs({ status: 'bypass' })),
    })
    expect([status, heading, level]).toEqual([200, 'No phone needed this time', 1])
  })
})
