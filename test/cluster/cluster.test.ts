import { beforeAll, describe, expect, it } from 'vitest'
import { password } from '../support/postern.ts'
import { endsWithSuite, until } from '../support/process.ts'
import { type Browser, type Cluster, type Member, startCluster } from './cluster.ts'

const suite = endsWithSuite()
let cluster: Cluster
let members: [Member, Member, Member, Member]
beforeAll(async () => {
  cluster = await startCluster(4, suite)
  const [a, b, c, d] = cluster.members
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('four')
  members = [a, b, c, d]
})

/** What the gate of one Postern says of this browser. */
async function gate(browser: Browser, member: Member, site: 'one' | 'two'): Promise<number> {
  return (await browser.get(`http://${cluster.host(site)}/api/authz/forward-auth`, member.url)).status
}
const gates = (browser: Browser, of: readonly Member[], site: 'one' | 'two') =>
  Promise.all(of.map(member => gate(browser, member, site)))

/** Signs in and sends a push from this Postern. Resolves once the phone rings, with what the simulator calls it. */
async function ring(username: string, at: Member) {
  const browser = cluster.browser()
  await browser.signIn(username, at.url)
  await browser.get('/prove', at.url)
  const before = cluster.simulator.pushes().length
  expect(await browser.post('/prove', { way: `push:DP${username.toUpperCase()}` }, at.url)).toMatchObject({
    status: 303,
    location: expect.stringContaining('/prove/wait'),
  })
  const push = await until(
    () =>
      cluster.simulator
        .pushes()
        .slice(before)
        .find(({ username: of }) => of === username),
    'it rings',
  )
  return { browser, press: (button: 'approve' | 'deny' | 'fraud') => cluster.simulator.answer(push.id, button) }
}

/** In the logs of all. */
const countOf = (event: string) => members.flatMap(member => member.events()).filter(one => one === event).length

interface Transaction {
  seq: number
  over: boolean
  said: string
}
const transaction = async (browser: Browser, member: Member, after = 0): Promise<Transaction> =>
  JSON.parse((await browser.get(`/api/transaction?after=${after}`, member.url)).body)

describe('several Posterns behind a balancer, with nothing in common but Redis and PostgreSQL', () => {
  it('a person signs in, approves on the phone and is let in, each request at another one', async () => {
    const browser = cluster.browser()
    await browser.signIn('alice')
    await browser.get('/prove')
    await browser.post('/prove', { way: 'push:DPALICE' })
    const push = await until(() => cluster.simulator.pushes().at(-1), 'it rings')
    expect((await browser.get('/prove/wait')).body).toContain('alice’s phone')
    cluster.simulator.answer(push.id, 'approve')
    await until(async () => (await browser.get('/prove/wait')).status === 303, 'it is claimed')
    for (let at = 0; at < 8; at += 1)
      expect(await browser.get(`http://${cluster.host('two')}/`)).toMatchObject({ status: 200, body: 'user: alice' })
    expect(await gates(browser, members, 'two')).toEqual([200, 200, 200, 200])
    for (const event of ['push.sent', 'push.allowed', 'level.raised']) expect(countOf(event)).toBe(1)
  })

  it('a push that was sent from one is shown and claimed at others, and nowhere twice', async () => {
    const [first, second, third, fourth] = members
    const raised = countOf('level.raised')
    const { browser, press } = await ring('bob', first)
    const { seq } = await until(async () => {
      const now = await transaction(browser, second)
      return now.said === '' ? undefined : now
    }, 'another shows what Duo said')
    expect((await browser.get('/prove/wait', third.url)).body).toContain('bob’s phone')
    // A page that is held by another one hears of the answer when it is written.
    const held = transaction(browser, second, seq)
    press('approve')
    expect(await held).toMatchObject({ over: true })
    const claims = await Promise.all([first, second, third, fourth].map(({ url }) => browser.get('/prove/wait', url)))
    expect(claims.map(({ status }) => status)).toEqual([303, 303, 303, 303])
    expect(countOf('level.raised')).toBe(raised + 1)
    expect(await gates(browser, members, 'two')).toEqual([200, 200, 200, 200])
    expect(cluster.simulator.pushes().filter(({ username }) => username === 'bob')).toHaveLength(1)
    // The way that was used is among the records.
    const kept = await Promise.all(members.map(({ url }) => browser.get('/api/secondfactor/duo', url)))
    for (const { body } of kept) expect(JSON.parse(body)).toMatchObject({ data: { preferred_device: 'DPBOB' } })
  })

  it('a denial at one pauses at all', async () => {
    const { browser, press } = await ring('carol', members[0])
    press('deny')
    await until(async () => (await transaction(browser, members[1])).over, 'it is over')
    const rung = cluster.simulator.pushes().length
    for (const { url } of members) {
      const again = cluster.browser()
      await again.signIn('carol', url)
      await again.get('/prove', url)
      await again.post('/prove', { way: 'push:DPCAROL' }, url)
    }
    expect(cluster.simulator.pushes()).toHaveLength(rung)
  })

  it('whoever signs out at one is out at all, with the next request', async () => {
    const [first, second] = members
    const browser = cluster.browser()
    await browser.signIn('dave', first.url)
    expect(await gates(browser, members, 'one')).toEqual([200, 200, 200, 200])
    const stolen = new Map(browser.cookies)
    expect(await browser.api('/api/logout', {}, second.url)).toMatchObject({ status: 200 })
    for (const [name, value] of stolen) browser.cookies.set(name, value)
    expect(await gates(browser, members, 'one')).toEqual([302, 302, 302, 302])
  })

  it('a session that is revoked, and a person who is banned, by a command anywhere is out at all with the next request', async () => {
    const [dave, frank] = [cluster.browser(), cluster.browser()]
    await Promise.all([dave.signIn('dave'), frank.signIn('frank')])
    expect(await gates(dave, members, 'one')).toEqual([200, 200, 200, 200])
    expect(await gates(frank, members, 'one')).toEqual([200, 200, 200, 200])
    expect(await members[0].command('sessions', 'revoke', '--user', 'dave')).toBe(0)
    expect(await gates(dave, members, 'one')).toEqual([302, 302, 302, 302])
    expect(await gates(frank, members, 'one')).toEqual([200, 200, 200, 200])
    expect(await members[1].command('bans', 'add', 'frank')).toBe(0)
    expect(await gates(frank, members, 'one')).toEqual([302, 302, 302, 302])
    const signIn = (member: Member) =>
      cluster.browser().api('/api/firstfactor', { username: 'frank', password }, member.url)
    expect((await Promise.all(members.map(signIn))).map(({ status }) => status)).toEqual([401, 401, 401, 401])
    expect(await members[2].command('bans', 'revoke', 'frank')).toBe(0)
    // One after the other: of many at once no more than max_retries are looked at.
    for (const member of members) expect((await signIn(member)).status).toBe(200)
  })

  it('a fraud report at one ends all sessions of the person at all', async () => {
    const other = cluster.browser()
    await other.signIn('alice', members[3].url)
    const { browser, press } = await ring('alice', members[0])
    expect(await gates(other, members, 'one')).toEqual([200, 200, 200, 200])
    press('fraud')
    await until(async () => (await gate(other, members[3], 'one')) === 302, 'it is over')
    expect(await gates(other, members, 'one')).toEqual([302, 302, 302, 302])
    expect(await gates(browser, members, 'one')).toEqual([302, 302, 302, 302])
    expect(countOf('push.fraud')).toBe(1)
  })

  it('row 95: wrong passwords are counted over all; the ban that they bring holds at all, and a right password lifts it nowhere', async () => {
    const guess = (at: number, password: string) =>
      cluster.browser().api('/api/firstfactor', { username: 'erin', password }, members[at % 4]?.url)
    for (let at = 0; at < 3; at += 1) expect((await guess(at, 'wrong')).status).toBe(401)
    for (let at = 0; at < 4; at += 1) expect((await guess(at, password)).status).toBe(401)
    expect((await cluster.browser().api('/api/firstfactor', { username: 'dave', password })).status).toBe(200)
  })

  it('one is stopped and started anew, as in an upgrade, while a phone rings: nobody notices', async () => {
    const { browser, press } = await ring('bob', members[2])
    let stopped = false
    let asked = 0
    const visiting = (async () => {
      for (; !stopped; asked += 1)
        expect((await browser.get(`http://${cluster.host('one')}/`)).status, `request ${asked}`).toBe(200)
    })()
    const seen = await until(async () => {
      const now = await transaction(browser, members[3])
      return now.said === '' ? undefined : now
    }, 'Duo said something')
    const movedOn = transaction(browser, members[3], seen.seq)
    expect(await members[2].stop()).toBe(0)
    // It gave its lease back: no other has to wait it out.
    expect(await movedOn).toMatchObject({ over: false })
    press('approve')
    await until(async () => (await transaction(browser, members[1])).over, 'it is over')
    members[2] = await cluster.start(2)
    stopped = true
    await visiting
    expect(asked).toBeGreaterThan(20)
    expect((await browser.get('/prove/wait', members[2].url)).status).toBe(303)
    expect(await gates(browser, members, 'two')).toEqual([200, 200, 200, 200])
  })

  it('row 102: while Redis stands still, no password is looked at: 503, neither refused nor let in; then all goes on', async () => {
    const signIn = (member: Member) =>
      cluster.browser().api('/api/firstfactor', { username: 'carol', password }, member.url)
    const signedIn = cluster.browser()
    await signedIn.signIn('carol')
    const failed = countOf('login.failed')
    cluster.redis.freeze()
    try {
      const answers = await Promise.all(members.map(signIn))
      expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503])
      expect(await gates(signedIn, members, 'one')).toEqual([503, 503, 503, 503])
      expect((await signedIn.get(`http://${cluster.host('public')}/`)).status).toBe(200)
    } finally {
      cluster.redis.thaw()
    }
    for (const member of members) await until(async () => (await signIn(member)).status === 200, 'people sign in again')
    expect(await gates(signedIn, members, 'one')).toEqual([200, 200, 200, 200])
    expect(countOf('login.failed')).toBe(failed)
  })

  // Both at once: each waits out a lease of ten seconds.
  it('row 125: one is killed and one stands still while a phone rings: the others follow both pushes to their end', async () => {
    const [killed, frozen, ...others] = members
    const [alice, bob] = await Promise.all([ring('frank', killed), ring('dave', frozen)])
    const [third, fourth] = others
    const said = (browser: Browser, member: Member) =>
      until(async () => {
        const now = await transaction(browser, member)
        return now.said === '' ? undefined : now
      }, 'Duo said something')
    const before = await Promise.all([said(alice.browser, third), said(bob.browser, fourth)])
    const told = frozen.events().length
    const written = frozen.output().length
    killed.signal('SIGKILL')
    frozen.freeze()
    // Held until the record moves: another took it over.
    const after = await Promise.all([
      transaction(alice.browser, third, before[0].seq),
      transaction(bob.browser, fourth, before[1].seq),
    ])
    expect(after).toMatchObject([{ over: false }, { over: false }])
    frozen.signal('SIGCONT')
    // Until it finds its lease gone and hangs up, Duo may still answer it, and nobody else.
    await until(() => frozen.output().slice(written).includes('another process follows it by now'), 'it lets go')
    await until(async () => (await gate(bob.browser, frozen, 'one')) === 200, 'it goes on')
    alice.press('approve')
    bob.press('approve')
    for (const [{ browser }, member] of [
      [alice, fourth],
      [bob, third],
    ] as const) {
      await until(async () => (await transaction(browser, member)).over, 'it is over')
      expect((await browser.get('/prove/wait', member.url)).status).toBe(303)
      expect(await gates(browser, [...others, frozen], 'two')).toEqual([200, 200, 200])
    }
    expect(
      frozen
        .events()
        .slice(told)
        .filter(event => /^push\.(allowed|failed|timed-out)$/.test(event)),
    ).toEqual([])
    // Nor does the balancer send anybody into nothing.
    for (let at = 0; at < 8; at += 1) expect((await bob.browser.get(`http://${cluster.host('two')}/`)).status).toBe(200)
  }, 25_000)
})
