import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { z } from 'zod'

const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** All that axe judges by colour, which is all that light and dark differ in. */
const ofColour = ['color-contrast', 'link-in-text-block']

/** What axe finds wrong with the page that is open, in light and in dark: the scheme, the rule and the element, one text each. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source) // once for both: reading half a megabyte of script is most of what axe takes
  await page.emulateMedia({ colorScheme: 'light' })
  const light = await found(page, { type: 'tag', values: tags })
  await page.emulateMedia({ colorScheme: 'dark' })
  const dark = await found(page, { type: 'rule', values: ofColour })
  return [...light.map(text => `light: ${text}`), ...dark.map(text => `dark: ${text}`)]
}

async function found(page: Page, runOnly: axe.RunOnly): Promise<string[]> {
  // Without preload: axe would fetch the stylesheet, which the policy lets only a link load.
  const options: axe.RunOptions = { preload: false, resultTypes: ['violations'], runOnly }
  const texts = 'violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ": " + html))'
  return z
    .array(z.string())
    .parse(await page.evaluate(`axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => ${texts})`))
}
