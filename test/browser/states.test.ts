import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openState } from '../portal/in-browser.ts'
import { type State, states } from '../portal/states.ts'
import { violations } from '../support/axe.ts'
import { openBrowser } from '../support/browser.ts'
import { endsWithSuite, until } from '../support/process.ts'

let browser: Browser
let page: Page // one for all: a page of its own takes a state longer than all that is looked at
const cleanup = endsWithSuite()
beforeAll(async () => {
  browser = await openBrowser(cleanup)
  page = await browser.newPage()
})

const focused = (page: Page, selector: string) =>
  page.evaluate(wanted => document.activeElement?.matches(wanted) ?? false, selector)

describe('every state', () => {
  it.each(states)('$id is readable by everybody, light and dark, and complains of nothing', async state => {
    await page.setViewportSize({ width: 1280, height: 800 })
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
    const opened = await openState(page, state)
    onTestFinished(() => opened.close())
    expect(opened.status).toBe(state.status)
    expect(await page.title()).toBe(`${state.title} – Postern`)
    expect(await page.evaluate(() => document.documentElement.dataset.page)).toBe(expectedPage(state))
    // Autofocus comes with the first frame, not with the load.
    await until(() => focused(page, state.focus ?? 'body'), `focus on ${state.focus ?? 'nothing'}`)
    expect(await page.locator('h1').count()).toBe(1)
    expect(await page.locator('[role=status]').count()).toBe(1)
    expect(await violations(page)).toEqual([])
    await page.setViewportSize({ width: 320, height: 640 })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320)
    expect(opened.complaints).toEqual([])
  })
})

/** Some rows show one page with other content. */
function expectedPage({ id }: State): string {
  const same: Record<string, string> = {
    'signin.plain': 'signin',
    'signin.stale': 'signin',
    'passcode.stale': 'passcode',
    'home.password': 'home',
    'home.refusal': 'home',
    'home.none': 'home',
    'home.allowed': 'home',
    'home.failmode': 'home',
    'home.long': 'home',
    'home.failed': 'home',
    'settings.bare': 'settings',
    'settings.down': 'settings',
    'choose.settings': 'choose.one',
    'signout.everywhere': 'signout.done',
    'denied.foreign': 'denied',
    'choose.ways': 'choose.one',
    'choose.many': 'choose',
    'end.denied-paused': 'end.denied',
  }
  return same[id] ?? id
}
