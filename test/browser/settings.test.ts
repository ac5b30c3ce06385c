import type { Browser, Page } from 'playwright-core'
import { request } from 'undici'
import { beforeAll, describe, expect, it } from 'vitest'
import { openBrowser, openPerson } from '../support/browser.ts'
import { type House, openHouse } from '../support/house.ts'
import { openPostern } from '../support/in-process.ts'
import { password } from '../support/postern.ts'
import { endsWithSuite, freePort, until } from '../support/process.ts'

let browser: Browser

const endsWith = endsWithSuite()
beforeAll(async () => {
  browser = await openBrowser(endsWith)
})

async function signIn(page: Page, house: House, username = 'alice') {
  await page.goto(`${house.portal}/settings`)
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** From the settings' address to the settings: password and phone. */
async function openSettings(page: Page, house: House) {
  await signIn(page, house)
  await page.getByText('Your settings open only after you confirm it’s you').waitFor()
  await page.getByRole('button', { name: /Send a push to/ }).click()
  await page.getByRole('heading', { name: 'Check your phone' }).waitFor()
  const push = await until(() => house.simulator.pushes().find(({ state }) => state === 'pending'), 'a push')
  house.simulator.answer(push.id, 'approve')
  await page.getByRole('heading', { name: 'Your sign-ins' }).waitFor()
}

describe('the settings, behind nginx', { timeout: 60_000 }, () => {
  it.each([true, false])('show another browser and sign it out; with script: %s', async javaScriptEnabled => {
    const house = await openHouse()
    const owner = await openPerson(browser, { javaScriptEnabled })
    await openSettings(owner.page, house)
    const other = await openPerson(browser, { viewport: { width: 360, height: 740 } })
    await signIn(other.page, house)
    await other.page.goto(house.one)
    await other.page.getByRole('heading', { name: 'The app' }).waitFor()

    await owner.page.goto(house.portal)
    await owner.page.getByRole('link', { name: 'Settings' }).click()
    const rows = owner.page.getByRole('region', { name: 'Where you’re signed in' }).getByRole('listitem')
    expect(await rows.count()).toBe(2)
    expect(await rows.first().textContent()).toContain('This browser')
    // Its name tells a reader of the screen whose button it is.
    const button = rows.nth(1).getByRole('button', { name: /^Sign out of Chrome on Linux, 127\.0\.0\.1, since/ })
    await button.focus()
    await owner.page.keyboard.press('Enter')
    await owner.page.getByText('Signed out of Chrome on Linux.').waitFor()
    expect(await rows.count()).toBe(1)

    await other.page.reload()
    await other.page.getByText('someone signed you out from another place').waitFor()
    const activity = owner.page.getByRole('region', { name: 'Recent activity' })
    expect(await activity.getByText('Signed in with your password').count()).toBe(2)
    expect(owner.faults).toEqual([])
  })

  it('row 179: the back button after a logout shows nothing of the person', async () => {
    const house = await openHouse()
    const { page } = await openPerson(browser)
    await openSettings(page, house)
    await page.goto(house.portal)
    await page.getByText('Alice Example').waitFor()
    await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'You’re signed out' }).waitFor()
    for (let back = 0; back < 2; back++) {
      await page.goBack()
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      expect(await page.locator('body').textContent()).not.toMatch(/alice|127\.0\.0\.1/i)
    }
  })
})

describe('row 179: what watches the server', () => {
  it('is answered on a listener of its own, and not through the public proxy, and names nobody', async () => {
    const port = await freePort()
    const { app, url, setup } = await openPostern({
      more: `telemetry: { metrics: { enabled: true, address: 'tcp://127.0.0.1:${port}/metrics' } }\n`,
    })
    for (const typed of [password, 'wrong'])
      await app.inject({
        method: 'POST',
        url: '/api/firstfactor',
        headers: { host: `auth.postern.localhost:${setup.publicPort}`, 'x-forwarded-for': '192.0.2.77' },
        payload: { username: 'alice', password: typed },
      })

    const metrics = await request(`http://127.0.0.1:${port}/metrics`)
    const figures = await metrics.body.text()
    expect(metrics.statusCode).toBe(200)
    expect(figures).toMatch(/postern_events_total\{event="login.failed"[^}]*\} 1/)
    expect(figures).toMatch(/postern_events_total\{event="login.succeeded"[^}]*\} 1/)
    expect(figures).not.toMatch(/alice|192\.0\.2\.77|postern\.localhost/)

    const host = { host: `auth.postern.localhost:${setup.publicPort}` }
    for (const path of ['/metrics', '/ready', '/readyz', '/status', '/api/metrics', '/api/status', '/debug', '/.env']) {
      const answer = await request(url + path, { headers: host })
      const body = await answer.body.text()
      expect(answer.statusCode, path).toBe(404)
      expect(body, path).not.toMatch(/postern_|process_|nodejs_|alice/)
    }
    const health = await request(`${url}/api/health`, { headers: host })
    expect(health.statusCode).toBe(200)
    expect(await health.body.json()).toEqual({ status: 'OK' })
    // Nor is anything but the figures on the listener of the metrics.
    for (const path of ['/', '/api/state', '/settings', '/metrics/../api/health']) {
      const answer = await request(`http://127.0.0.1:${port}${path}`)
      await answer.body.dump()
      expect(answer.statusCode, path).toBe(404)
    }
  })
})
