import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { requiredProgram } from './process.ts'

// Without these Chromium looks for Google's hosts all the time.
const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Debian's Chromium without windows, which takes half the time of the one that has them. Closed by `cleanup`. */
export async function openBrowser(cleanup: (end: () => Promise<void>) => void): Promise<Browser> {
  const executablePath = requiredProgram('chromium-headless-shell', 'apt-get install chromium-headless-shell')
  const browser = await chromium.launch({ executablePath, args: quiet })
  cleanup(() => browser.close())
  return browser
}

/** One person's browser: a context of its own. Whatever a page logs as an error, or its policy forbids, is collected. */
export async function openPerson(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Person> {
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  onTestFinished(() => context.close())
  const faults: string[] = []
  context.on('weberror', error => faults.push(error.error().message))
  context.on('console', message => {
    // A status of 4xx that a page shows on purpose is logged as a failed resource; it is no fault of the page.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text())
  })
  return { context, page: await context.newPage(), faults }
}

export interface Person {
  readonly context: BrowserContext
  readonly page: Page
  readonly faults: readonly string[]
}
