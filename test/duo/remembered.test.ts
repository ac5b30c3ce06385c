import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openRemembered } from '../../src/duo/remembered.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { until } from '../support/process.ts'
import { type House, type Opened, openHouse } from './house.ts'
import { facts, owner } from './people.ts'
import { silent } from './scripted-duo.ts'

const alice = owner('alice')
const DAY = 86_400_000
const on = { config: { remembered_devices: true } }

async function housed() {
  const house = await openHouse()
  house.simulator.setPolicy({ rememberedDevices: { days: 7 } })
  return house
}

/** Approves a push, claims it, and lets the browser be remembered. */
async function rememberedBy(house: House, duo: Opened, who = alice, browser = 'Firefox on Linux') {
  await duo.start(who, undefined, facts({ browser }))
  house.simulator.answer(house.simulator.pushes().at(-1)?.id ?? '', 'approve')
  await until(async () => (await duo.newest(who.sessionKey))?.state === 'allowed', 'it is allowed')
  const claimed = await duo.claim(who.sessionKey)
  if (claimed === null) throw new Error('not claimed')
  return { claimed, cookie: await duo.remember(claimed) }
}

const databaseOf = ({ file }: House) => {
  const database = new DatabaseSync(file, { timeout: 1_000 })
  onTestFinished(() => database.close())
  return database
}

describe('a browser that Duo remembers', () => {
  it('passes without a factor, until Duo’s policy wants one again', async () => {
    const house = await housed()
    const duo = await house.open(on)
    const { claimed, cookie } = await rememberedBy(house, duo)
    expect(cookie).toMatch(/^[\w-]{43}$/)
    expect(await duo.remember(claimed)).toBeNull()
    const next = owner('alice', 'next')
    expect(await duo.offer(next, facts(), cookie ?? '')).toEqual({ kind: 'allow', said: 'Trusted device' })
    expect(await duo.offer(next, facts())).toMatchObject({ kind: 'choose' })
    house.now += 7 * DAY
    expect(await duo.offer(next, facts(), cookie ?? '')).toMatchObject({ kind: 'choose' })
  })

  it('row 161: no longer than Duo says, whatever the clock of this machine did meanwhile, and asleep it gains nothing', async () => {
    const house = await housed()
    let ahead = 0
    const duo = await house.open({ ...on, clock: () => house.now + ahead })
    const { cookie } = await rememberedBy(house, duo)
    const next = owner('alice', 'next')
    const offered = async () => (await duo.offer(next, facts(), cookie ?? '')).kind
    house.now += 2 * 3_600_000
    expect(await offered()).toBe('allow')
    ahead = -DAY
    expect(await offered()).toBe('allow')
    house.now += 7 * DAY
    expect(await offered()).toBe('choose')
  })

  it('is remembered after a passcode too', async () => {
    const house = await housed()
    const duo = await house.open(on)
    await duo.passcode(alice, '123456', facts())
    const claimed = await duo.claim(alice.sessionKey)
    const cookie = claimed === null ? null : await duo.remember(claimed)
    expect(await duo.offer(alice, facts(), cookie ?? '')).toMatchObject({ kind: 'allow' })
  })

  it('row 133: a cookie of another browser’s person, a guessed or an altered one is ignored', async () => {
    const house = await housed()
    const duo = await house.open(on)
    const { cookie } = await rememberedBy(house, duo)
    if (cookie === null) throw new Error('no cookie')
    for (const thief of ['bob', 'erin', 'Alice', 'alice '])
      expect(await duo.offer(owner(thief), facts(), cookie)).not.toMatchObject({ kind: 'allow' })
    const altered = `${cookie.slice(0, -1)}${cookie.endsWith('A') ? 'B' : 'A'}`
    for (const guess of ['', altered, cookie.toLowerCase(), `${cookie} `, 'x'.repeat(100_000), '\u0000', '%', '"'])
      expect(await duo.offer(alice, facts(), guess)).toMatchObject({ kind: 'choose' })
    expect(await duo.offer(alice, facts(), cookie)).toMatchObject({ kind: 'allow' })
  })

  it('row 133: the file holds neither token nor cookie; a row moved to another person or under another key opens for nobody', async () => {
    const house = await housed()
    const duo = await house.open(on)
    const { cookie } = await rememberedBy(house, duo)
    if (cookie === null) throw new Error('no cookie')
    const database = databaseOf(house)
    const rows = JSON.stringify(database.prepare('select * from postern_remembered_browsers').all())
    expect(rows).not.toContain(cookie)
    expect(rows).not.toContain(Buffer.from('["alice"').toString('base64').slice(0, 10))
    expect(duo.lines.join('')).not.toContain(cookie)

    const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path: house.file } }, { log: silent })
    onTestFinished(() => storage.close())
    const other = openRemembered(storage.records, 'another key of 20 characters', () => house.now)
    expect(await other.tokenOf('alice', cookie)).toBeNull()
    const same = openRemembered(storage.records, 'x'.repeat(20), () => house.now)
    expect(await same.tokenOf('alice', cookie)).toContain('|')

    database.exec("update postern_remembered_browsers set username = 'bob'")
    expect(await duo.offer(owner('bob'), facts(), cookie)).toMatchObject({ kind: 'choose' })
    database.exec(
      "update postern_remembered_browsers set username = 'alice', token = substr(token, 1, length(token) - 2) || 'AA'",
    )
    expect(await duo.offer(alice, facts(), cookie)).toMatchObject({ kind: 'choose' })
  })

  it('row 133: one that was not claimed has no cookie, and another session cannot ask for it', async () => {
    const house = await housed()
    const duo = await house.open(on)
    await duo.start(alice, undefined, facts())
    house.simulator.answer(house.simulator.pushes().at(-1)?.id ?? '', 'approve')
    await until(async () => (await duo.newest(alice.sessionKey))?.state === 'allowed', 'it is allowed')
    expect(await duo.claim('another')).toBeNull()
    expect(await duo.rememberedBrowsers('alice')).toEqual([])
  })

  it('is listed, and forgotten one by one, all together, and after a fraud report', async () => {
    const house = await housed()
    const duo = await house.open(on)
    const first = await rememberedBy(house, duo, owner('alice', 'one'), 'Firefox on Linux')
    house.now += 1_000
    const second = await rememberedBy(house, duo, owner('alice', 'two'), 'Safari on iPhone')
    const listed = await duo.rememberedBrowsers('alice')
    expect(listed.map(({ browser, since }) => [browser, since])).toEqual([
      ['Safari on iPhone', house.now],
      ['Firefox on Linux', house.now - 1_000],
    ])
    const here = async (cookie?: string) =>
      (await duo.rememberedBrowsers('alice', cookie)).flatMap(one => (one.here ? [one.browser] : []))
    expect(await here(first.cookie ?? '')).toEqual(['Firefox on Linux'])
    expect(await here('another')).toEqual([])
    expect(await here()).toEqual([])
    await duo.forgetRemembered('bob', listed[0]?.id)
    await duo.forgetRemembered('alice', listed[0]?.id)
    expect(await duo.offer(alice, facts(), second.cookie ?? '')).toMatchObject({ kind: 'choose' })
    expect(await duo.offer(alice, facts(), first.cookie ?? '')).toMatchObject({ kind: 'allow' })
    await duo.forgetRemembered('alice')
    expect(await duo.rememberedBrowsers('alice')).toEqual([])

    const third = await rememberedBy(house, duo, owner('alice', 'three'))
    await duo.start(alice, undefined, facts())
    house.simulator.answer(house.simulator.pushes().at(-1)?.id ?? '', 'fraud')
    await until(async () => (await duo.rememberedBrowsers('alice')).length === 0, 'all are forgotten')
    expect(duo.frauds).toEqual(['alice'])
    expect(await duo.offer(alice, facts(), third.cookie ?? '')).toMatchObject({ kind: 'choose' })
  })

  it('is nothing while it is switched off, which is the default', async () => {
    const house = await housed()
    const [off, switchedOn] = [await house.open(), await house.open(on)]
    expect((await rememberedBy(house, off)).cookie).toBeNull()
    const { cookie } = await rememberedBy(house, switchedOn)
    expect(await off.offer(alice, facts(), cookie ?? '')).toMatchObject({ kind: 'choose' })
  })

  it('is one of twenty of a person: the oldest make room', async () => {
    const house = await housed()
    const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path: house.file } }, { log: silent })
    onTestFinished(() => storage.close())
    const remembered = openRemembered(storage.records, 'x'.repeat(20), () => house.now)
    const cookies = []
    for (let round = 0; round < 25; round += 1) {
      house.now += 1_000
      await remembered.hold({ pushId: `push_${round}`, username: 'alice', browser: 'Firefox' }, `token ${round}`)
      cookies.push((await remembered.give(`push_${round}`)) ?? '')
    }
    expect(await remembered.list('alice')).toHaveLength(20)
    expect(await remembered.tokenOf('alice', cookies[0] ?? '')).toBeNull()
    expect(await remembered.tokenOf('alice', cookies[24] ?? '')).toBe('token 24')
    house.now += 366 * DAY
    expect(await remembered.tokenOf('alice', cookies[24] ?? '')).toBeNull()
    await remembered.hold({ pushId: 'push_x', username: 'bob', browser: '' }, 'token')
    expect(databaseOf(house).prepare('select count(*) as rows from postern_remembered_browsers').get()).toEqual({
      rows: 1,
    })
  })
})
