import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { type Assertions, openAssertions } from '../../src/gate/assertion.ts'
import { endsWithSuite } from '../support/process.ts'
import { ask, asTraefik, cookieOf, type House, house, john, proxiesOf } from './house.ts'

const secret = 'a secret of a test, which has thirty-two characters and more'
const LIFESPAN = 30_000

let at: House
let assertions: Assertions
const endsWith = endsWithSuite()
beforeAll(async () => {
  assertions = await openAssertions(secret, LIFESPAN)
  at = await house(endsWith, { assertions })
})

const cookie = cookieOf('john', 2)
const assertionOf = async (url: string, of = at) =>
  (await asTraefik(of, { url, cookie })).headers['remote-assertion'] ?? ''

/** As an application does it: docs/authz.md. */
async function verified(token: string, audience: string, of = at): Promise<JWTPayload> {
  const { body } = await ask(of, '/jwks.json', [])
  const keys = createLocalJWKSet(
    z.object({ keys: z.array(z.looseObject({ kty: z.string() })) }).parse(JSON.parse(body)),
  )
  const options = { issuer: 'https://auth.example.com', audience, currentDate: new Date(of.now) }
  return (await jwtVerify(token, keys, { ...options, algorithms: ['EdDSA'] })).payload
}

describe.each(proxiesOf)('asked as %s, with server.identity_assertion', (_name, asked) => {
  it('says who it is, for one host and a short time', async () => {
    const token = (await asked(at, { cookie })).headers['remote-assertion'] ?? ''
    const seconds = Math.floor(at.now / 1000)
    expect(await verified(token, 'one.example.com')).toEqual({
      iss: 'https://auth.example.com',
      aud: 'one.example.com',
      sub: 'john',
      groups: ['dev', 'admins'],
      name: 'John Doe',
      email: 'john@example.com',
      iat: seconds,
      exp: seconds + 30,
    })
  })

  it('is empty for nobody, whatever the client sent, and on no other answer', async () => {
    const more = [['Remote-Assertion', 'forged']] as const
    const open = await asked(at, { url: 'https://public.example.com/', more })
    expect([open.status, open.headers['remote-assertion']]).toEqual([200, ''])
    for (const url of ['https://two.example.com/', 'https://other.example.com/', 'nonsense'])
      expect((await asked(at, { url, more })).headers).not.toHaveProperty('remote-assertion')
  })
})

describe('an assertion', () => {
  it('is refused for another host, by another key, after its time, and when a letter is changed', async () => {
    const token = await assertionOf('https://one.example.com/')
    await expect(verified(token, 'two.example.com')).rejects.toThrow('aud')
    const other = await house(onTestFinished, { assertions: await openAssertions(`another ${secret}`, LIFESPAN) })
    await expect(verified(token, 'one.example.com', other)).rejects.toThrow('no applicable key')
    const [head = '', claims = '', signature = ''] = token.split('.')
    const forged = Buffer.from(JSON.stringify({ ...decodeJwt(token), sub: 'admin' })).toString('base64url')
    await expect(verified([head, forged, signature].join('.'), 'one.example.com')).rejects.toThrow('signature')
    const unsigned = Buffer.from('{"alg":"none"}').toString('base64url')
    await expect(verified(`${unsigned}.${claims}.`, 'one.example.com')).rejects.toThrow()
    at.now += 30_000
    await expect(verified(token, 'one.example.com')).rejects.toThrow('exp')
  })

  it('is made anew after half its lifespan, for each host and each state of the person', async () => {
    const first = await assertionOf('https://one.example.com/a')
    expect(await assertionOf('https://one.example.com/b')).toBe(first)
    at.now += 14_999
    expect(await assertionOf('https://one.example.com/')).toBe(first)
    at.now += 1
    const second = await assertionOf('https://one.example.com/')
    expect(second).not.toBe(first)
    expect(await assertionOf('https://two.example.com/')).not.toBe(second)
    at.people.set('john', { ...john, groups: [] })
    expect((await verified(await assertionOf('https://one.example.com/'), 'one.example.com')).groups).toEqual([])
    at.people.set('john', john)
    await assertionOf('https://one.example.com/')
    at.now -= 3_600_000 // set back: an assertion from the future would be refused
    expect((await verified(await assertionOf('https://one.example.com/'), 'one.example.com')).iat).toBe(
      Math.floor(at.now / 1000),
    )
  })

  it('comes from one key in every process that has the secret', async () => {
    const again = await openAssertions(secret, LIFESPAN)
    expect(again.keys).toEqual(assertions.keys)
    expect((await openAssertions(`x${secret}`, LIFESPAN)).keys).not.toEqual(assertions.keys)
    const { kid, alg } = decodeProtectedHeader(await assertionOf('https://one.example.com/'))
    expect([kid, alg]).toEqual([again.keys.keys[0]?.kid, 'EdDSA'])
  })

  it('can be checked by anybody, and forged by none: the keys are public ones', async () => {
    const answer = await ask(at, '/jwks.json', [])
    expect(answer.headers).toMatchObject({
      'content-type': 'application/jwk-set+json; charset=utf-8',
      'cache-control': 'public, max-age=300',
    })
    const { keys } = JSON.parse(answer.body)
    expect(Object.keys(keys[0]).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    expect(Buffer.from(keys[0].x, 'base64url')).toHaveLength(32)
  })

  it('is not there unless it is switched on', async () => {
    const plain = await house(onTestFinished)
    expect((await asTraefik(plain, { cookie })).headers).not.toHaveProperty('remote-assertion')
    expect((await ask(plain, '/jwks.json', [])).status).toBe(404)
  })

  it('carries names in UTF-8', async () => {
    at.people.set('john', { ...john, displayName: 'Дима 😀', groups: ['разработка', 'a,admins'] })
    const claims = await verified(await assertionOf('https://one.example.com/'), 'one.example.com')
    at.people.set('john', john)
    expect([claims.name, claims.groups]).toEqual(['Дима 😀', ['разработка']])
  })
})
