import { beforeEach, describe, expect, it } from 'vitest'
import type { AccessObject, Decision, Subject } from '../../src/access/access.ts'
import { endsWithSuite } from '../support/process.ts'
import { cookieOf, type House, house, opensNothing, proxiesOf } from './house.ts'

const plain: Decision = {
  policy: 'two_factor',
  rule: 7,
  why: 'rule 7 says so',
  maxAge: null,
  factors: [],
  bySubject: false,
  unclear: false,
}
let decision: Decision = plain
let asked: { subject: Subject | null; object: AccessObject }[] = []
let at: House
const endsWith = endsWithSuite()

beforeEach(async () => {
  decision = plain
  asked = []
  at ??= await house(endsWith, {
    access: {
      decide(subject, object) {
        asked.push({ subject, object: { ...object, ip: object.ip } })
        return decision
      },
    },
  })
  at.now += 61_000
  at.lines.length = 0
})

const basic = ['Authorization', `Basic ${Buffer.from('john:secret').toString('base64')}`] as const
const proxyBasic = ['Proxy-Authorization', basic[1]] as const

describe.each(proxiesOf)('asked as %s', (name, ask, { bad }) => {
  const login = (status: number) => [401, 302].includes(status)

  it('asks the rules about who, where, what and from which address', async () => {
    const more = [['X-Forwarded-For', '198.51.100.7']] as const
    await ask(at, { url: 'https://One.example.com:8443/a%2Fb?c=d', method: 'PUT', cookie: cookieOf('john', 1), more })
    expect(asked).toEqual([
      {
        subject: expect.objectContaining({ username: 'john', groups: ['dev', 'admins'] }),
        object: { host: 'one.example.com', target: '/a%2Fb?c=d', method: 'PUT', ip: '198.51.100.7' },
      },
    ])
  })

  it('sends who proved too little, too long ago or otherwise than wanted to the portal', async () => {
    const cookie = cookieOf('john', 2)
    for (const wanted of [
      { ...plain, policy: 'one_factor', maxAge: 60_000 },
      { ...plain, maxAge: 60_000 },
      { ...plain, factors: ['duo'] },
    ] satisfies Decision[]) {
      decision = wanted
      const answer = await ask(at, { cookie })
      expect([login(answer.status), answer.headers.location]).toEqual([true, expect.stringContaining('/?rd=')])
    }
    decision = plain
    expect((await ask(at, { cookie })).status).toBe(200)
  })

  it('takes a password that came with the request for a fresh one, and never for more than one factor', async () => {
    const more = [name === 'legacy' ? proxyBasic : basic]
    decision = { ...plain, policy: 'one_factor', maxAge: 1000 }
    expect((await ask(at, { more })).status).toBe(200)
    decision = { ...plain, maxAge: 1000 }
    expect((await ask(at, { more })).status).toBe(401)
    decision = { ...plain, policy: 'deny' }
    expect((await ask(at, { more })).status).toBe(403)
  })

  it('sends nobody to log in where a rule denies by subject, and tells a person that it denies', async () => {
    decision = { ...plain, policy: 'deny', bySubject: true }
    expect(login((await ask(at)).status)).toBe(true)
    const known = await ask(at, { cookie: cookieOf('john', 2) })
    expect(known.status).toBe(403)
    decision = { ...plain, policy: 'deny', rule: null }
    expect((await ask(at)).status).toBe(403)
    const denied = at.lines.filter(({ event }) => event === 'access.denied')
    expect(denied).toEqual([
      expect.objectContaining({ username: 'john', rule: 7, detail: plain.why, host: 'one.example.com' }),
      expect.objectContaining({ rule: 'default', detail: plain.why }),
    ])
  })

  it('refuses what can be read in more ways than are judged, whoever asks', async () => {
    decision = { ...plain, policy: 'deny', unclear: true, why: 'more than 32 readings' }
    for (const cookie of ['', cookieOf('john', 2)]) {
      const answer = await ask(at, { cookie })
      expect([answer.status, answer.headers.location, opensNothing(answer)]).toEqual([bad, undefined, true])
    }
    expect(at.lines).toContainEqual(
      expect.objectContaining({ event: 'gate.refused', reason: 'gate-url', detail: 'more than 32 readings' }),
    )
  })
})
