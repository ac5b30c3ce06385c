import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { openState } from '../portal/in-browser.ts'
import { states } from '../portal/states.ts'
import { openBrowser } from '../support/browser.ts'
import { endsWithSuite } from '../support/process.ts'

const out = join(import.meta.dirname, 'out')
const sizes = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 800 } } as const
const only = process.env.STATE

// Pictures to be looked at: POSTERN_LONG=1 makes them, STATE=wait only those that begin so.
describe.runIf(process.env.POSTERN_LONG === '1')('pictures of every state', () => {
  let browser: Browser
  let page: Page
  const cleanup = endsWithSuite()
  beforeAll(async () => {
    mkdirSync(out, { recursive: true })
    browser = await openBrowser(cleanup)
    page = await browser.newPage()
  })

  const wanted = states.filter(({ id }) => only === undefined || id.startsWith(only))
  it.each(wanted)('$id', async state => {
    for (const [size, viewport] of Object.entries(sizes))
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(viewport)
        await page.emulateMedia({ colorScheme })
        const opened = await openState(page, state)
        await page.evaluate(() => document.getAnimations().map(animation => animation.finish()))
        await page.screenshot({ path: join(out, `${state.id}.${size}.${colorScheme}.png`), fullPage: true })
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        await opened.close()
        expect(sideways, `${size} ${colorScheme}`).toBeLessThanOrEqual(0)
      }
  })
})
