import type { Browser, Page } from 'playwright-core'
import { request } from 'undici'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { openBrowser, openPerson, type Person } from '../support/browser.ts'
import { type House, openHouse } from '../support/house.ts'
import { password } from '../support/postern.ts'
import { endsWithSuite, until } from '../support/process.ts'

let browser: Browser

const endsWith = endsWithSuite()
beforeAll(async () => {
  browser = await openBrowser(endsWith)
})

async function signIn(page: Page, username = 'alice') {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** From the wanted page to the waiting one. */
async function askForPush(page: Page, house: House) {
  await page.goto(house.two)
  await signIn(page)
  await page.getByRole('button', { name: /Send a push to/ }).click()
  await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
}

/** The phone's own page, in a browser of its own, as its owner sees it. */
async function openPhone(house: House, device = 'DPALICE0000000000001'): Promise<Page> {
  const { page } = await openPerson(browser)
  await page.goto(`${house.simulator.phoneUrl}/phones/${device}`)
  return page
}

const press = (phone: Page, name: 'Approve' | 'Deny' | 'It wasn’t me') =>
  phone.getByRole('button', { name: name === 'It wasn’t me' ? /It wasn['’]t me/ : name }).click()

const headerSeen = (page: Page, name: string) => page.locator(`[data-header="${name}"]`).textContent()

async function expectLanded(page: Page, house: House) {
  await page.waitForURL(house.two)
  expect(await headerSeen(page, 'remote-user')).toBe('alice')
}

/** What the API says of this browser's session. Asked by hand: Node does not resolve *.localhost as browsers do. */
async function level({ context }: Person, house: House): Promise<number> {
  const cookie = (await context.cookies(house.portal)).map(({ name, value }) => `${name}=${value}`).join('; ')
  const { body } = await request(`${house.postern().url}/api/state`, { headers: { host: house.host('auth'), cookie } })
  const state = z.object({ data: z.object({ authentication_level: z.number() }) }).parse(await body.json())
  return state.data.authentication_level
}

describe('a visitor is let through', { timeout: 60_000 }, () => {
  it('opens the page, signs in, approves on the phone, and lands on the page first asked for', async () => {
    const house = await openHouse()
    const person = await openPerson(browser)
    const { page } = person
    await page.goto(`${house.two}deep/page?x=1`)
    expect(new URL(page.url()).host).toBe(house.host('auth'))
    await signIn(page)
    await page.getByRole('button', { name: 'Send a push to Alice’s phone' }).click()
    await page.getByRole('heading', { name: 'Check your phone' }).waitFor()

    const phone = await openPhone(house)
    expect(await phone.locator('body').textContent()).toContain('two.postern.localhost')
    await press(phone, 'Approve')

    await page.waitForURL(`${house.two}deep/page?x=1`)
    expect(await headerSeen(page, 'remote-user')).toBe('alice')
    expect(await headerSeen(page, 'remote-groups')).toBe('staff')
    expect(await headerSeen(page, 'remote-name')).toBe('Alice Example')
    expect(await headerSeen(page, 'remote-email')).toBe('alice@example.com')
    expect(await page.content(), 'row 77').not.toContain('authelia_session')
    expect(person.faults).toEqual([])

    await page.goto(house.one)
    expect(await headerSeen(page, 'remote-user')).toBe('alice')
  })

  it('tells that Deny was pressed; nothing is raised', async () => {
    const house = await openHouse()
    const person = await openPerson(browser)
    await askForPush(person.page, house)
    await press(await openPhone(house), 'Deny')
    await person.page.getByRole('heading', { name: 'Not approved' }).waitFor()
    expect(await level(person, house)).toBe(1)
    await person.page.goto(house.two)
    expect(new URL(person.page.url()).host).toBe(house.host('auth'))
  })

  it('lets somebody try again after the pause that a denial brings, and tells of the denial until it was read', async () => {
    const house = await openHouse()
    const { page } = await openPerson(browser)
    await askForPush(page, house)
    const phone = await openPhone(house)
    await press(phone, 'Deny')
    await page.getByText(/you can try again at/).waitFor()
    await house.moveClock(31_000)
    await page.getByRole('link', { name: 'Try again' }).click()
    await page.getByRole('button', { name: /Send a push to/ }).click()
    await press(phone, 'Approve')
    await expectLanded(page, house)
    await page.goto(house.portal)
    await page.getByText('Someone who knew your password tried to sign in').waitFor()
    expect(await page.locator('main').textContent()).toMatch(
      /from 127\.0\.0\.1 \(Chrome on Linux\)\. It was denied on your phone/,
    )
    await page.getByRole('button', { name: 'I’ve read this' }).click()
    await page.getByRole('heading', { name: 'You’re signed in' }).waitFor()
    expect(await page.getByText('Someone who knew').count()).toBe(0)
  })

  it('ends every session of the person when the phone says that it was somebody else', async () => {
    const house = await openHouse()
    const elsewhere = await openPerson(browser)
    await elsewhere.page.goto(house.one)
    await signIn(elsewhere.page)
    await elsewhere.page.waitForURL(house.one)
    const person = await openPerson(browser)
    await askForPush(person.page, house)
    await press(await openPhone(house), 'It wasn’t me')
    await person.page.getByRole('heading', { name: 'This sign-in was reported' }).waitFor()
    expect(await level(person, house)).toBe(0)
    await until(async () => (await level(elsewhere, house)) === 0, 'the other session ends too')
  })

  it('tells that nobody answered, and sends another push by one click', async () => {
    const house = await openHouse()
    const { page } = await openPerson(browser)
    await askForPush(page, house)
    await house.moveClock(61_000)
    await page.getByRole('heading', { name: 'No answer in time' }).waitFor()
    expect(house.simulator.pushes()).toHaveLength(1)
    await page.getByRole('button', { name: 'Send another push' }).click()
    await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
    await press(await openPhone(house), 'Approve')
    await expectLanded(page, house)
  })

  it('says no compatible device found for somebody whom Duo does not know, with what the administrator must do', async () => {
    const house = await openHouse()
    const { page } = await openPerson(browser)
    await page.goto(house.two)
    await signIn(page, 'nobody-in-duo')
    await page.getByText('No compatible device found').waitFor()
    const text = await page.locator('main').textContent()
    expect(text).toContain('nobody-in-duo')
    expect(text).toMatch(/alias/)
    const reference = /[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}/.exec(text ?? '')?.[0]
    expect(reference).toBeDefined()
    expect(house.postern().output()).toContain(reference)
    expect(house.simulator.pushes()).toHaveLength(0)
  })

  it('lets somebody with two devices choose one, and keeps the choice', async () => {
    const house = await openHouse()
    const first = await openPerson(browser)
    await first.page.goto(house.two)
    await signIn(first.page, 'bob')
    await first.page.getByRole('radio', { name: /Tablet/ }).check()
    await first.page.getByRole('button', { name: 'Continue' }).click()
    await press(await openPhone(house, 'DPBOB000000000000002'), 'Approve')
    await first.page.waitForURL(house.two)
    const second = await openPerson(browser)
    await second.page.goto(house.two)
    await signIn(second.page, 'bob')
    expect(await second.page.getByRole('radio', { name: /Tablet/ }).isChecked()).toBe(true)
  })

  it('works without JavaScript from end to end', async () => {
    const house = await openHouse()
    const { page } = await openPerson(browser, { javaScriptEnabled: false })
    await page.goto(house.two)
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: /Send a push to/ }).click()
    await until(() => house.simulator.pushes()[0]?.state === 'pending', 'the push is on the phone')
    const [push] = house.simulator.pushes()
    house.simulator.answer(push?.id ?? '', 'approve')
    await page.waitForURL(house.two)
    expect(await headerSeen(page, 'remote-user')).toBe('alice')
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('row 118: a second tab, a reload and the back button join the push that waits: one push only', async () => {
    const house = await openHouse()
    const person = await openPerson(browser)
    const { page } = person
    await askForPush(page, house)
    await page.reload()
    await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
    const second = await person.context.newPage()
    await second.goto(house.two)
    await second.getByRole('heading', { name: /Check your phone|Confirm it/ }).waitFor()
    await page.goBack()
    await page.goForward()
    expect(house.simulator.pushes()).toHaveLength(1)
    await press(await openPhone(house), 'Approve')
    await expectLanded(page, house)
    await second.waitForURL(house.two)
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('goes on when Postern is killed and started again between the approval and the claim', async () => {
    const house = await openHouse()
    const { page } = await openPerson(browser)
    await askForPush(page, house)
    await house.postern().stop('SIGKILL')
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', 'approve')
    await house.startPostern()
    // The dead process still holds the push’s lease: the new one sees for as long as one lasts that nobody renews it.
    await until(async () => {
      await house.moveClock(400)
      return /"event":"push\.allowed"/.test(house.postern().output())
    }, 'it is taken over')
    await expectLanded(page, house)
    expect(house.simulator.pushes()).toHaveLength(1)
  })

  it('row 120: an approval after a logout raises nothing', async () => {
    const house = await openHouse()
    const person = await openPerson(browser)
    await askForPush(person.page, house)
    const second = await person.context.newPage()
    await second.goto(`${house.portal}/logout`)
    await second.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
    await second.getByRole('heading', { name: 'You’re signed out' }).waitFor()
    house.simulator.answer(house.simulator.pushes()[0]?.id ?? '', 'approve')
    await until(() => /push\.late-approval|push\.cancelled/.test(house.postern().output()), 'the event is written')
    expect(await level(person, house)).toBe(0)
    await person.page.goto(house.two)
    expect(new URL(person.page.url()).host).toBe(house.host('auth'))
  })

  it('row 65: while the push waits, the site itself still sends to the portal', async () => {
    const house = await openHouse()
    const person = await openPerson(browser)
    await askForPush(person.page, house)
    const second = await person.context.newPage()
    for (const url of [house.two, `${house.portal}/authenticated`, `${house.portal}/`]) {
      await second.goto(url)
      expect(new URL(second.url()).host).toBe(house.host('auth'))
      expect(await level(person, house)).toBe(1)
    }
  })

  it.each(['caddy', 'traefik'] as const)('walks the same path through a real %s', async kind => {
    const house = await openHouse({ proxy: kind })
    const { page } = await openPerson(browser)
    await askForPush(page, house)
    await press(await openPhone(house), 'Approve')
    await expectLanded(page, house)
  })
})
