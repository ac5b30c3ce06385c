import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { openPostern } from '../support/in-process.ts'
import { endsWithSuite, temporaryFolder, until } from '../support/process.ts'
import { replace, type Slapd, startSlapd } from './slapd.ts'

const cleanup = endsWithSuite()
let slapd: Slapd
let folder: string
beforeAll(async () => {
  slapd = await startSlapd(cleanup)
  folder = temporaryFolder(cleanup)
  writeFileSync(join(folder, 'ca.pem'), slapd.ca)
})
const john = 'uid=john,ou=people,dc=example,dc=com'
beforeEach(() => slapd.change(client => client.modify(john, [replace('userPassword', 'johns password')])))

async function opened(keys: Record<string, unknown> = {}, home?: string) {
  const ldap = {
    address: `ldap://localhost:${slapd.port}`,
    implementation: 'rfc2307bis',
    start_tls: true,
    tls: { ca_file: join(folder, 'ca.pem') },
    base_dn: 'dc=example,dc=com',
    additional_groups_dn: 'ou=groups',
    user: 'cn=postern,dc=example,dc=com',
    password: 'service',
    grace: '1h',
    ...keys,
  }
  const rules = [
    { domain: 'one.postern.localhost', policy: 'one_factor', subject: 'group:dev' },
    { domain: 'public.postern.localhost', policy: 'bypass' },
  ]
  const postern = await openPostern({
    ...(home === undefined ? {} : { folder: home }),
    rules,
    people: JSON.stringify({ refresh_interval: '5m', ldap }),
    more: 'regulation: { max_retries: 3 }\n',
  })
  const ask = (
    path: string,
    options: { method?: 'GET' | 'POST'; headers?: Record<string, string>; payload?: string } = {},
  ) => postern.app.inject({ url: path, ...options, headers: { host: 'auth.postern.localhost', ...options.headers } })
  const signIn = (username: string, password: string) =>
    ask('/api/firstfactor', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify({ username, password, keepMeLoggedIn: true }),
    })
  const gate = async (cookie: string | undefined, host = 'one') => {
    const answer = await ask('/api/authz/forward-auth', {
      headers: {
        'x-forwarded-method': 'GET',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': `${host}.postern.localhost`,
        'x-forwarded-uri': '/',
        ...(cookie === undefined ? {} : { cookie }),
      },
    })
    return { status: answer.statusCode, user: answer.headers['remote-user'], groups: answer.headers['remote-groups'] }
  }
  const cookieOf = async (username = 'john', password = 'johns password') => {
    const answer = await signIn(username, password)
    expect(answer.statusCode).toBe(200)
    const [cookie] = answer.cookies
    return `${cookie?.name}=${cookie?.value}`
  }
  const notices = async () => (await ask('/api/health')).json().notices ?? []
  const pass = (span: number) => {
    postern.now += span
  }
  return { postern, signIn, gate, cookieOf, notices, pass }
}

describe('people of a directory', () => {
  it('sign in by a bind, by name or mail in any case, and are at the gate who the directory says they are', async () => {
    const { cookieOf, gate, signIn } = await opened()
    expect(await gate(await cookieOf())).toEqual({ status: 200, user: 'john', groups: 'dev' })
    expect((await gate(await cookieOf('JOHN@example.com'))).user).toBe('john')
    const wrong = await signIn('john', 'janes password')
    const unknown = await signIn('nobody', 'janes password')
    expect([wrong.statusCode, unknown.statusCode]).toEqual([401, 401])
    expect(unknown.body).toBe(wrong.body)
    const several = await signIn('shared@example.com', 'janes password')
    expect(several.statusCode).toBe(401)
  })

  it('row 93: guesses under several names of one person are one counter', async () => {
    const { signIn } = await opened()
    for (const name of ['john', 'JOHN', 'john@example.com']) await signIn(name, 'wrong')
    expect((await signIn('John@Example.com', 'johns password')).statusCode).toBe(401)
  })

  it('other groups count within the refresh interval, on a live session', async () => {
    const { cookieOf, gate, pass } = await opened()
    const cookie = await cookieOf()
    const group = 'cn=dev,ou=groups,dc=example,dc=com'
    await slapd.change(client => client.modify(group, [replace('member', 'uid=jane,ou=people,dc=example,dc=com')]))
    expect((await gate(cookie)).status).toBe(200)
    pass(5 * MINUTE)
    expect((await gate(cookie)).status).toBe(403)
    await slapd.change(client => client.modify(group, [replace('member', john)]))
    pass(5 * MINUTE)
    expect((await gate(cookie)).groups).toBe('dev')
  })

  it('whose password was changed, who is locked by an administrator, must set a new password or is deleted is out', async () => {
    const { cookieOf, gate, pass, signIn } = await opened()
    const before = await cookieOf()
    // The directory tells when the password was changed to the second: a change in the second of the sign-in is not seen.
    await until(async () => {
      await slapd.change(client => client.modify(john, [replace('userPassword', 'another password')]))
      pass(5 * MINUTE)
      return (await gate(before)).status !== 200
    }, 'the session of the old password is over')

    for (const [attribute, value] of [
      ['pwdAccountLockedTime', '000001010000Z'],
      ['pwdReset', 'TRUE'],
    ] as const) {
      const cookie = await cookieOf('john', 'another password')
      expect((await gate(cookie)).status).toBe(200)
      await slapd.change(client => client.modify(john, [replace(attribute, value)]))
      pass(5 * MINUTE)
      expect((await gate(cookie)).status).not.toBe(200)
      expect((await signIn('john', 'another password')).statusCode).toBe(401)
      await slapd.change(client => client.modify(john, [replace(attribute)]))
      pass(5 * MINUTE) // a guess was counted
    }

    const jane = await cookieOf('jane', 'janes password')
    expect((await gate(jane)).status).toBe(403) // known, and in no group
    await slapd.change(client => client.del('uid=jane,ou=people,dc=example,dc=com'))
    pass(5 * MINUTE)
    expect((await gate(jane)).status).not.toBe(403)
  })

  it('row 101: while it is down, who is in stays in for the grace, nobody new gets in, no guess is counted, and it says so once', async () => {
    const { postern, cookieOf, gate, signIn, pass, notices } = await opened()
    const cookie = await cookieOf()
    expect(await notices()).toEqual([])
    await slapd.stop()
    try {
      pass(10 * MINUTE)
      expect((await gate(cookie)).status).toBe(200)
      for (let i = 0; i < 10; i++) {
        pass(2 * SECOND)
        expect((await signIn('john', 'johns password')).statusCode).toBe(503)
        expect((await gate(cookie)).status).toBe(200)
      }
      expect((await gate(undefined, 'public')).status).toBe(200)
      expect(await notices()).toEqual(['directory-down'])
      pass(HOUR)
      expect((await gate(cookie)).status).toBe(503)
      expect((await gate(cookie, 'public')).status).toBe(200)
      const said =
        postern
          .text()
          .match(/"reason":"directory-down"[^}]*"msg":"The directory does not answer:(?! people are still refused)/g) ??
        []
      expect(said).toHaveLength(1)
      expect(postern.text()).not.toContain('johns password')
    } finally {
      await slapd.start()
    }
    pass(2 * SECOND)
    await until(async () => (await gate(cookie)).status === 200, 'it recovers by itself')
    expect(await notices()).toEqual([])
    expect((await signIn('john', 'johns password')).statusCode).toBe(200)
  })

  it('row 101: a Postern that is restarted while it is down knows nobody, ends no session, and knows them again with it', async () => {
    const home = temporaryFolder()
    const before = await opened({}, home)
    const cookie = await before.cookieOf()
    await before.postern.app.close()
    await slapd.stop()
    const after = await opened({}, home)
    try {
      for (let i = 0; i < 3; i++) {
        after.pass(2 * SECOND)
        expect((await after.gate(cookie)).status).toBe(503)
      }
      expect((await after.gate(cookie, 'public')).status).toBe(200)
    } finally {
      await slapd.start()
    }
    after.pass(2 * SECOND)
    await until(async () => (await after.gate(cookie)).status === 200, 'it recovers by itself')
  })

  it('row 101: one that hangs is given up after the timeout', async () => {
    const { cookieOf, gate, signIn, pass } = await opened({ timeout: '2s' })
    const cookie = await cookieOf()
    slapd.freeze()
    try {
      pass(10 * MINUTE)
      const began = performance.now()
      expect((await gate(cookie)).status).toBe(200)
      pass(2 * SECOND)
      expect((await signIn('john', 'johns password')).statusCode).toBe(503)
      expect(performance.now() - began).toBeLessThan(7000) // two look-ups of two seconds
    } finally {
      slapd.thaw()
    }
  })

  it.each(['itself', 'another, which refers back'])(
    'row 101: a referral to %s is not followed: refused at once, with the cause in the log, and nothing is counted',
    async whom => {
      const dn = `ou=${whom.slice(0, 7)},dc=example,dc=com`
      const referral = ({ port }: Slapd) => ({
        objectClass: ['referral', 'extensibleObject'],
        ref: `ldap://localhost:${port}/${dn}`,
      })
      const other = whom === 'itself' ? slapd : await startSlapd(onTestFinished)
      await slapd.change(client => client.add(dn, referral(other)))
      if (other !== slapd) await other.change(client => client.add(dn, referral(slapd)))
      const { postern, signIn, gate, pass } = await opened({ additional_users_dn: `ou=${whom.slice(0, 7)}` })
      const began = performance.now()
      for (let i = 0; i < 5; i++) {
        pass(2 * SECOND)
        expect((await signIn('john', 'johns password')).statusCode).toBe(503)
        expect((await gate(undefined, 'public')).status).toBe(200)
      }
      expect(performance.now() - began).toBeLessThan(5000) // the deadline of a single look-up
      const said = postern
        .text()
        .match(/"reason":"directory-base"[^}]*"msg":"The directory has nothing[^"]*referrals are/g)
      expect(said).toHaveLength(1)
      expect(postern.events('login.failed')).toEqual([])
    },
  )

  it('row 101: what it answers to one person’s bind, and is neither yes nor no, refuses that person alone', async () => {
    const { port, answers } = await betweenUsAnd(slapd, john)
    const { postern, signIn, gate, cookieOf, notices } = await opened({
      address: `ldap://127.0.0.1:${port}`,
      start_tls: false,
    })
    const cookie = await cookieOf()
    for (const code of [10, 51, 80]) {
      answers.code = code
      for (let i = 0; i < 3; i++) {
        expect((await signIn('john', 'johns password')).statusCode).toBe(503)
        await cookieOf('ann', 'anns password')
      }
    }
    expect(await gate(cookie)).toMatchObject({ status: 200, user: 'john' })
    expect(await notices()).toEqual([])
    expect(postern.text().match(/"reason":"directory-entry","err".*"msg"/g)).toEqual([
      expect.stringMatching(/uid=john,.*referrals are not followed/),
    ])
    answers.code = null
    await cookieOf()
    expect(postern.events('login.failed')).toEqual([])
  })

  it.each([
    ['a certificate of a CA that is not trusted', { tls: {} }, 'directory-tls'],
    ['a wrong password of its own', { password: 'wrong' }, 'directory-denied'],
    ['a wrong base', { base_dn: 'dc=example,dc=org' }, 'directory-base'],
  ])('row 101: starts with %s, lets nobody in, counts nothing, and the log has the cause', async (_, keys, reason) => {
    const { postern, signIn, pass } = await opened(keys)
    await until(() => postern.text().includes(`"reason":"${reason}"`), 'the cause in the log')
    for (let i = 0; i < 5; i++) {
      pass(2 * SECOND)
      expect((await signIn('john', 'johns password')).statusCode).toBe(503)
    }
    expect(postern.events('login.refused')).toEqual([])
  })
})

/** What stands between Postern and the directory, and puts another result code into the answer to this entry's bind. */
async function betweenUsAnd({ port }: Slapd, dn: string) {
  const answers = { code: null as number | null }
  const server = createServer(near => {
    const far = connect(port, '127.0.0.1')
    let isTheirs = false
    near.once('data', (bind: Buffer) => {
      isTheirs = bind.includes(dn)
    })
    near.on('data', chunk => far.write(chunk))
    far.on('data', (chunk: Buffer) => {
      // BindResponse, 0x61: its result code comes as 0a 01 and the code. RFC 4511, section 4.2.2.
      if (isTheirs && answers.code !== null)
        chunk[chunk.indexOf(Buffer.from([0x0a, 0x01]), chunk.indexOf(0x61)) + 2] = answers.code
      isTheirs = false
      near.write(chunk)
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on('error', () => {}).on('close', () => other.destroy())
  })
  onTestFinished(() => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it has a port')
  return { port: address.port, answers }
}
