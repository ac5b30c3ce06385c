import { describe, expect, it } from 'vitest'
import { answers, type Preauth } from '../../src/duo/answers.ts'
import type { DuoAnswer } from '../../src/duo/client.ts'
import { type DuoFailure, unavailable } from '../../src/duo/failure.ts'
import type { Named } from '../../src/duo/names.ts'
import { readiness, reasonOf } from '../../src/duo/readiness.ts'
import { problems } from '../../src/problems/problems.ts'

const config = {
  username: '{username}',
  verified_push: true,
  enable_self_enrollment: false,
  factors: ['push', 'phone', 'sms', 'passcode'] as ('push' | 'phone' | 'sms' | 'passcode')[],
}
const said = (response: object) => ({ ok: true as const, value: answers.preauth.parse(response) })
const ready = said({ result: 'auth', devices: [{ device: 'DP1', type: 'phone', capabilities: ['push'] }] })
const unknown: DuoFailure = { kind: 'request', reason: 'duo-no-user', detail: '', sent: true, parameter: 'username' }
const people = (...names: string[]): Named[] => names.map(username => ({ username, email: undefined }))

function ask(names: Named[], preauth: (name: string) => Promise<DuoAnswer<Preauth>>, more = {}) {
  const pauses: number[] = []
  const client = { preauth: ({ username }: { username: string }) => preauth(username) }
  const pause = async (duration: number) => pauses.push(duration)
  return readiness(names, { client, config: { ...config, ...more }, apiHost: 'api-1.duosecurity.com', pause }).then(
    found => ({ found, pauses }),
  )
}

describe(readiness, () => {
  it('gives people in their order, and asks four at a time at most', async () => {
    let at = 0
    let most = 0
    const names = Array.from({ length: 40 }, (_, index) => `user${index}`)
    const { found } = await ask(people(...names), async name => {
      most = Math.max(most, ++at)
      await new Promise(resolve => setTimeout(resolve, Number(name.slice(4)) % 5))
      at -= 1
      return ready
    })
    expect(found.map(({ username }) => username)).toEqual(names)
    expect(found.every(({ offer }) => offer.kind === 'choose')).toBe(true)
    expect(most).toBe(4)
  })

  it('waits when Duo is asked too much, for as long as Duo says within a minute, and gives up at last', async () => {
    let asked = 0
    const throttled = (retryAfterSeconds?: number) => ({
      ok: false as const,
      failure: {
        ...unavailable('duo-throttled', ''),
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      },
    })
    const waits = [throttled(7), throttled(300), throttled(), ready]
    const { found, pauses } = await ask(people('alice'), async () => waits[asked++] ?? ready)
    expect(found[0]?.offer.kind).toBe('choose')
    expect(pauses).toEqual([7_000, 60_000, 5_000])
    const gaveUp = await ask(people('alice'), async () => throttled())
    expect(gaveUp.found[0]?.offer).toMatchObject({ kind: 'unavailable', reason: 'duo-throttled' })
    expect(gaveUp.pauses).toHaveLength(4)
  })

  it.each([
    ['{username}', 'alice', 'alice@example.com', ['alice', 'alice@example.com']],
    ['{username}@corp.example', 'alice', undefined, ['alice@corp.example', 'alice']],
    ['{email}', 'al', 'alice@example.com', ['alice@example.com', 'al', 'alice']],
  ])('with %s, asks about %s (%s) under these names: %j', async (username, name, email, expected) => {
    const asked: string[] = []
    const { found } = await ask(
      [{ username: name, email }],
      async given => {
        asked.push(given)
        return { ok: false, failure: unknown }
      },
      { username },
    )
    expect(asked).toEqual(expected)
    expect(found[0]).toMatchObject({ duoName: expected[0], knownAs: null })
  })

  it('a name that Duo knows is asked about once, also when it may not be used', async () => {
    const asked: string[] = []
    await ask([{ username: 'alice', email: 'a@example.com' }], async name => {
      asked.push(name)
      return said({ result: 'deny', status_msg: 'Your account is disabled' })
    })
    expect(asked).toEqual(['alice'])
  })

  it('does not ask where no name can be made, or one that is another’s too', async () => {
    const asked: string[] = []
    const names = [
      { username: 'ann', email: undefined },
      { username: 'bea', email: 'b@corp.example' },
      { username: 'cleo', email: 'b@partner.example' },
    ]
    const { found } = await ask(
      names,
      async name => {
        asked.push(name)
        return ready
      },
      { username: '{email}' },
    )
    expect(found.map(({ offer }) => reasonOf(offer))).toEqual(['duo-name-empty', 'duo-name-shared', 'duo-name-shared'])
    expect(asked).toEqual([])
  })
})

describe(reasonOf, () => {
  it.each([
    [ready, undefined],
    [said({ result: 'allow' }), 'duo-allow'],
    [said({ result: 'enroll', enroll_portal_url: 'https://api-1.duosecurity.com/portal' }), 'duo-enroll'],
    [said({ result: 'deny', status_msg: 'Your account is locked out' }), 'duo-locked'],
    [said({ result: 'deny', status_msg: 'Not allowed' }), 'duo-disabled'],
    [said({ result: 'auth', devices: [] }), 'duo-no-device'],
    [{ ok: false as const, failure: unknown }, 'duo-no-user'],
    [{ ok: false as const, failure: unavailable('duo-timeout', '') }, 'duo-timeout'],
  ])('%j: %s', async (answer, expected) => {
    const { found } = await ask(people('alice'), async () => answer)
    const reason = found[0] === undefined ? undefined : reasonOf(found[0].offer)
    expect(reason).toBe(expected)
    if (reason !== undefined) expect(problems[reason].mend).not.toBe('')
  })
})
