import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { networkOf } from '../../src/http/client-address.ts'
import { type Bans, openBans, type Whom } from '../../src/users/bans.ts'
import { openUsers } from '../../src/users/open-users.ts'
import { openCounters } from '../../src/users/regulation.ts'
import { openVerifier } from '../../src/users/verify.ts'
import { temporaryFolder, until } from '../support/process.ts'
import { backend, counting, hashes, readableLog, regulated, usersFile, withHash } from '../users/parts.ts'
import { asTraefik, type House, house, john, opensNothing } from './house.ts'

let at: House
let bans: Bans
let verified = 0
/** While it is set no hash is finished. */
let held: PromiseWithResolvers<void> | null = null

beforeEach(async () => {
  verified = 0
  const path = join(temporaryFolder(), 'users.yml')
  writeFileSync(path, usersFile({ john: withHash(hashes.argon2id) }))
  const { open, regulation } = await counting(Date.now)
  bans = openBans(openCounters(open, regulated))
  const real = openVerifier()
  const users = await openUsers({
    config: backend(path),
    regulation,
    clock: Date.now,
    log: readableLog().log,
    verifier: {
      async verify(hash, password) {
        verified++
        await held?.promise
        return real.verify(hash, password)
      },
      close: () => real.close(),
    },
  })
  onTestFinished(() => users.close())
  const credential = (await users.find('john'))?.credential ?? ''
  await until(() => verified === 2, 'the measured hash')
  verified = 0
  at = await house(onTestFinished, {
    users: {
      find: name => (name === 'john' ? { ...john, credential } : undefined),
      ban: users.ban,
      checkPassword: users.checkPassword,
    },
    endpoints: {
      cached: {
        implementation: 'ForwardAuth',
        authn_strategies: [{ name: 'HeaderAuthorization', scheme_basic_cache_lifespan: '1h' }],
      },
    },
  })
})

const ask = (from: string) =>
  asTraefik(at, {
    at: '/api/authz/cached',
    more: [
      ['X-Forwarded-For', from],
      ['Authorization', `Basic ${Buffer.from('john:postern').toString('base64')}`],
    ],
  })
const address = (ip: string): Whom => ({ kind: 'address', network: networkOf(ip) ?? '' })
const forGood = { until: null, reason: null }

describe('a right password that is remembered', () => {
  it.each<[string, Whom, string, string | null]>([
    ['the person', { kind: 'user', username: 'john', typed: ['john'] }, '203.0.113.7', null],
    ['the address', address('203.0.113.7'), '203.0.113.7', '203.0.113.8'],
    ['the network of the address', address('2001:db8::1'), '2001:db8::beef', '2001:db8:0:1::1'],
  ])(
    'row 98: lets nobody in from the next request on after a ban of %s, and again after its end',
    async (_, whom, from, elsewhere) => {
      expect((await ask(from)).status).toBe(200)
      expect((await ask(from)).status).toBe(200)
      expect(verified).toBe(1)
      await bans.add(whom, forGood)
      for (let i = 0; i < 2; i++) {
        const answer = await ask(from)
        expect([answer.status, opensNothing(answer)]).toEqual([401, true])
      }
      if (elsewhere !== null) expect((await ask(elsewhere)).status).toBe(200)
      expect(verified).toBe(1)
      expect(await bans.revoke(whom)).toBe(true)
      expect((await ask(from)).status).toBe(200)
    },
  )

  it('row 98: that is just being looked at for somebody else lets a banned address in as little', async () => {
    await bans.add(address('203.0.113.7'), forGood)
    held = Promise.withResolvers()
    const good = ask('203.0.113.8')
    await until(() => verified === 1, 'it is looked at')
    const come = new Promise(resolve => at.app.server.once('request', resolve))
    const banned = ask('203.0.113.7')
    await come
    held.resolve()
    held = null
    expect((await good).status).toBe(200)
    expect((await banned).status).toBe(401)
  })
})
