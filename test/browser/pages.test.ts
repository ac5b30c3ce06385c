import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { waitingPush } from '../portal/fake-login.ts'
import { standing } from '../portal/in-browser.ts'
import type { State } from '../portal/states.ts'
import { openBrowser } from '../support/browser.ts'
import { endsWithSuite, until } from '../support/process.ts'

let browser: Browser
const cleanup = endsWithSuite()
beforeAll(async () => {
  browser = await openBrowser(cleanup)
})

const focused = (page: Page, selector: string) =>
  page.evaluate(wanted => document.activeElement?.matches(wanted) ?? false, selector)

async function open(scene: State['scene'] = () => ({}), javaScriptEnabled = true) {
  const portal = await standing({ scene })
  const context = await browser.newContext({ javaScriptEnabled })
  onTestFinished(async () => {
    await context.close()
    await portal.close()
  })
  return { portal, context, page: await context.newPage() }
}

const url = (origin: string) => `${origin}/?rd=${encodeURIComponent(`${origin.replace('auth.', 'two.')}/reports`)}`

describe('a whole journey', () => {
  it('is made with the keyboard alone', async () => {
    const { portal, page } = await open()
    await page.route('http://two.postern.localhost:*/**', route => route.fulfill({ body: 'the reports' }))
    await page.goto(url(portal.origin))
    await page.keyboard.type('alice')
    await page.keyboard.press('Tab')
    await page.keyboard.type('postern')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Confirm it’s you' }).waitFor()
    const button = page.getByRole('button', { name: 'Send a push to Pixel 9' })
    for (let press = 0; press < 8 && !(await focused(page, 'button.primary')); press++) await page.keyboard.press('Tab')
    expect(await focused(page, 'button.primary')).toBe(true)
    expect(await button.evaluate(element => getComputedStyle(element).outlineWidth)).toBe('3px')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
    await page.getByRole('status').getByText('Waiting for you…').waitFor()
    await until(() => portal.login.calls.includes('held 25000'), 'the script asks')
    portal.login.move(waitingPush(portal.time.now, { seq: 3, state: 'allowed' }))
    await page.getByText('the reports').waitFor()
    expect(portal.login.calls.filter(call => call.startsWith('ring'))).toHaveLength(1)
  })

  it('is made without script, and the waiting page asks three times a minute at most', async () => {
    const { portal, page } = await open(undefined, false)
    await page.route('http://two.postern.localhost:*/**', route => route.fulfill({ body: 'the reports' }))
    await page.goto(url(portal.origin))
    expect(await page.getByRole('button', { name: 'Show' }).count()).toBe(0)
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password').fill('postern')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Send a push to Pixel 9' }).click()
    await until(() => portal.login.calls.includes('held 20000'), 'the page asks by itself')
    portal.login.move(waitingPush(portal.time.now, { seq: 3, state: 'allowed' }))
    await page.getByText('the reports').waitFor()
    expect(portal.login.calls.filter(call => call.startsWith('held'))).toEqual(['held 20000'])
    expect(portal.login.calls.filter(call => call.startsWith('ring'))).toHaveLength(1)
  })

  it('sends one push whatever is reloaded, opened twice or gone back to', async () => {
    const { portal, context, page } = await open(() => ({ level: 1 }))
    await page.goto(`${portal.origin}/prove`)
    await page.getByRole('button', { name: 'Send a push to Pixel 9' }).dblclick()
    await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
    await page.reload()
    const second = await context.newPage()
    await second.goto(`${portal.origin}/prove/wait`)
    await page.goBack()
    await page.goForward()
    await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
    expect(portal.login.calls.filter(call => call.startsWith('ring'))).toHaveLength(1)
  })

  it('tells of a lost connection, and goes on when it is back', async () => {
    const { portal, context, page } = await open(now => ({ level: 1, push: waitingPush(now) }))
    await page.goto(`${portal.origin}/prove/wait`)
    await until(() => portal.login.calls.includes('held 25000'), 'the script asks')
    await context.setOffline(true)
    portal.login.move(waitingPush(portal.time.now, { seq: 3 }))
    await page.getByRole('alert').getByText('Connection lost. Still trying.').waitFor()
    portal.login.move(waitingPush(portal.time.now, { seq: 4, state: 'denied' }))
    await context.setOffline(false)
    await page.getByRole('heading', { name: 'Not approved' }).waitFor()
  })

  it('speaks five times at most in the minute of a push', async () => {
    const { portal, page } = await open(now => ({ level: 1, push: waitingPush(now, { deadline: now + 60_000 }) }))
    await page.clock.install({ time: portal.time.now })
    await page.goto(`${portal.origin}/prove/wait`)
    await until(() => portal.login.calls.includes('held 25000'), 'the script asks')
    const spoken: (string | null)[] = [await page.getByRole('status').textContent()]
    for (let second = 0; second < 60; second++) {
      await page.clock.runFor(1000)
      const words = await page.getByRole('status').textContent()
      if (words !== spoken.at(-1)) spoken.push(words)
    }
    expect(spoken).toEqual([
      'Waiting for you…',
      '30 seconds left.',
      '15 seconds left. You can send another one afterwards.',
    ])
    expect(await page.locator('[data-seconds]').textContent()).toBe('0')
  })

  it.each([
    ['more contrast', { contrast: 'more' }],
    ['forced colours', { forcedColors: 'active' }],
    ['the text spacing of SC 1.4.12', {}],
  ] as const)('keeps its width under %s', async (name, media) => {
    const { portal, page } = await open(now => ({ level: 1, push: waitingPush(now) }))
    await page.emulateMedia(media)
    await page.setViewportSize({ width: 320, height: 640 })
    await page.goto(`${portal.origin}/prove/wait`)
    if (name.startsWith('the text'))
      await page.evaluate(() => {
        const sheet = new CSSStyleSheet()
        sheet.replaceSync('*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important}')
        document.adoptedStyleSheets = [sheet]
      })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320)
    expect(await page.getByRole('button', { name: 'Cancel' }).isVisible()).toBe(true)
  })

  it('shows and hides the password, and sends it as a password', async () => {
    const { portal, page } = await open()
    await page.goto(portal.origin)
    const field = page.getByLabel('Password')
    await page.getByRole('button', { name: 'Show' }).click()
    expect(await field.getAttribute('type')).toBe('text')
    expect(await page.getByRole('button', { name: 'Hide' }).getAttribute('aria-pressed')).toBe('true')
    await page.getByRole('button', { name: 'Hide' }).click()
    expect(await field.getAttribute('type')).toBe('password')
  })

  it('goes on in a tab that waits at sign in, when another one signs in', async () => {
    const { portal, context, page } = await open()
    await page.goto(portal.origin)
    portal.scene.level = 1
    const second = await context.newPage()
    await second.goto(portal.origin)
    await page.getByRole('heading', { name: 'You’re signed in' }).waitFor()
  })
})
