import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { choice, pixel, waitingPush } from '../portal/fake-login.ts'
import { type Standing, standing } from '../portal/in-browser.ts'
import type { State } from '../portal/states.ts'
import { openBrowser } from '../support/browser.ts'
import { endsWithSuite, until } from '../support/process.ts'

let browser: Browser
const cleanup = endsWithSuite()
beforeAll(async () => {
  browser = await openBrowser(cleanup)
})

async function open(scene: NonNullable<State['scene']>, javaScriptEnabled = true) {
  const portal = await standing({ scene })
  const context = await browser.newContext({ javaScriptEnabled })
  onTestFinished(async () => {
    await context.close()
    await portal.close()
  })
  const page = await context.newPage()
  await page.route('http://two.postern.localhost:*/**', route => route.fulfill({ body: 'the reports' }))
  return { portal, context, page }
}

const wantedOf = ({ origin }: Standing) => `${origin.replace('auth.', 'two.')}/reports`
const at = (portal: Standing, path: string) => `${portal.origin}${path}?rd=${encodeURIComponent(wantedOf(portal))}`
const siteOf = (portal: Standing) =>
  ({ to: 'site', url: wantedOf(portal), host: 'two.postern.localhost', forbidden: false }) as const

/** From the moment that this is called the wanted site needs nothing more. */
const satisfiedBy = (portal: Standing, what: 'signIn' | 'claim') => {
  const { signIn, claim } = portal.login
  const satisfied = <T extends unknown[], R>(act: (...given: T) => R) => {
    return (...given: T) => {
      portal.scene.next = siteOf(portal)
      return act(...given)
    }
  }
  if (what === 'signIn') portal.login.signIn = satisfied(signIn)
  else portal.login.claim = satisfied(claim)
}

/** Presses Tab until an element has the focus. */
async function tabTo(page: Page, selector: string) {
  const there = () => page.evaluate(wanted => document.activeElement?.matches(wanted) ?? false, selector)
  for (let presses = 0; presses < 15 && !(await there()); presses++) await page.keyboard.press('Tab')
  expect(await there(), selector).toBe(true)
}

const password = { to: 'password', host: 'two.postern.localhost', maxAge: 3_600_000 } as const
const prove = { to: 'prove', host: 'two.postern.localhost', maxAge: 900_000, factors: [] } as const
const ways = choice([pixel], [{ kind: 'phone', device: 'DPHONE1' }, { kind: 'passcode' }])

describe('a rule with max_age or factors', () => {
  it('is satisfied by the password again, with the keyboard alone: only the password is to be typed', async () => {
    const { portal, page } = await open(() => ({ level: 1, next: password }))
    satisfiedBy(portal, 'signIn')
    await page.goto(at(portal, '/'))
    await page.getByRole('heading', { name: 'Sign in again' }).waitFor()
    await until(() => page.evaluate(() => document.activeElement?.id === 'password'), 'the password has the focus')
    await page.keyboard.type('postern')
    await page.keyboard.press('Enter')
    await page.getByText('the reports').waitFor()
    expect(portal.login.calls.filter(call => call.startsWith('signIn'))).toEqual(['signIn alice'])
  })

  it.each(['age', 'factor'] as const)('is satisfied by the phone again (%s), with the keyboard alone', async why => {
    const factors = why === 'factor' ? (['duo'] as const) : []
    const { portal, page } = await open(() => ({ level: 2, next: { ...prove, why, factors } }))
    satisfiedBy(portal, 'claim')
    await page.goto(at(portal, '/'))
    await page.getByRole('heading', { name: 'Confirm it’s you' }).waitFor()
    await tabTo(page, 'button.primary')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
    portal.login.move(waitingPush(portal.time.now, { seq: 3, state: 'allowed' }))
    await page.getByText('the reports').waitFor()
  })

  it('is satisfied without script', async () => {
    const { portal, page } = await open(() => ({ level: 2, next: { ...prove, why: 'age' as const } }), false)
    satisfiedBy(portal, 'claim')
    await page.goto(at(portal, '/'))
    await page.getByRole('button', { name: 'Send a push to Pixel 9' }).click()
    await until(() => portal.login.calls.includes('held 20000'), 'the page asks by itself')
    portal.login.move(waitingPush(portal.time.now, { seq: 3, state: 'allowed' }))
    await page.getByText('the reports').waitFor()
  })
})

describe('every way', () => {
  it.each([true, false])('takes a passcode, with the keyboard alone (script: %s)', async script => {
    const { portal, page } = await open(() => ({ level: 1, offer: ways }), script)
    await page.goto(at(portal, '/prove'))
    await tabTo(page, 'button[value=passcode]')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Enter a passcode' }).waitFor()
    await until(() => page.evaluate(() => document.activeElement?.id === 'passcode'), 'the field has the focus')
    await page.keyboard.type('123 456')
    await page.keyboard.press('Enter')
    await page.getByText('the reports').waitFor()
    expect(portal.login.calls).toContain('passcode 123 456')
  })

  it('calls, by the tile that has the focus, and sends no push', async () => {
    const { portal, page } = await open(() => ({ level: 1, offer: ways }))
    await page.goto(at(portal, '/prove'))
    await tabTo(page, 'button[value^=phone]')
    const outline = await page.evaluate(
      () => document.activeElement && getComputedStyle(document.activeElement).outline,
    )
    expect(outline).toContain('3px')
    await page.keyboard.press('Space')
    await page.getByRole('heading', { name: 'Answer your phone' }).waitFor()
    expect(portal.login.calls.filter(call => call.startsWith('ring'))).toEqual([
      `ring phone:DPHONE1 ${wantedOf(portal)}`,
    ])
  })

  it('copies a code as bare digits, and keeps it in one line on a small phone', async () => {
    const { portal, page, context } = await open(now => ({
      level: 1,
      push: waitingPush(now, { code: { kind: 'verified', digits: '482913' } }),
    }))
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.setViewportSize({ width: 320, height: 640 })
    await page.goto(at(portal, '/prove/wait'))
    await page.getByRole('button', { name: 'Copy code' }).click()
    await page.getByRole('button', { name: 'Copied.' }).waitFor()
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('482913')
    const box = await page.locator('.digits').boundingBox()
    expect(box?.height ?? 999).toBeLessThan(70)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320)
  })

  it('goes on by itself when somebody comes back from setting up a phone with Duo', async () => {
    const portalUrl = 'https://api-12345678.duosecurity.com/portal?code=x'
    const { portal, page } = await open(() => ({ level: 1, offer: { kind: 'enroll', portalUrl, said: '' } }))
    await page.goto(at(portal, '/prove'))
    await page.getByRole('heading', { name: 'Set up your phone' }).waitFor()
    portal.scene.offer = ways
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })))
    await page.getByRole('button', { name: 'Send a push to Pixel 9' }).waitFor()
    expect(portal.login.calls.filter(call => call.startsWith('ring'))).toEqual([])
  })
})
