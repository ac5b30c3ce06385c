import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import type { PolicyInput } from '../../src/simulator/policy.ts'
import { violations } from '../support/axe.ts'
import { openBrowser, openPerson } from '../support/browser.ts'
import { endsWithSuite } from '../support/process.ts'
import { client, simulator } from './client.ts'

const alices = '/phones/DPALICE0000000000001'
const bobsToken = '/phones/DHBOB000000000000003'

let browser: Browser
const cleanup = endsWithSuite()
beforeAll(async () => {
  browser = await openBrowser(cleanup)
})

/** A phone that lies open, and the simulator that it belongs to. */
async function open(path = alices, { javaScriptEnabled = true, policy = {} as PolicyInput } = {}) {
  const simulated = await simulator()
  simulated.setPolicy(policy)
  const { page, faults } = await openPerson(browser, { javaScriptEnabled })
  await page.goto(`http://phone.postern.localhost:${simulated.phonePort}${path}`)
  const call = client(simulated)
  const post = async (name: string, params: Record<string, string>) =>
    (await call('POST', `/auth/v2/${name}`, { username: 'alice', ...params })).json.response
  return {
    simulated,
    page,
    faults,
    post,
    async verifiedPush() {
      const announced = await post('preauth', { client_supports_verified_push: '1' })
      await post('auth', { factor: 'push', device: 'auto', async: '1', txid: announced.txid })
      return announced.verification_code as string
    },
  }
}

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const codeField = (page: Page) => page.getByLabel('Enter the code that your screen shows')
const state = (simulated: Awaited<ReturnType<typeof simulator>>) => simulated.pushes().at(-1)?.state
const passcodeShown = (page: Page) =>
  page
    .getByRole('status')
    .textContent()
    .then(text => text?.replace(/\D/g, '') ?? '')

describe.each([true, false])('with script: %s', javaScriptEnabled => {
  it.each([
    ['Approve', 'approved', 'Approved'],
    ['Deny', 'denied', 'Denied'],
    ["It wasn't me", 'fraud', 'Reported: not you'],
  ])('a push comes in by itself, and is answered by %s (%s; %s)', async (name, outcome, words) => {
    const { simulated, page, faults, post } = await open(alices, { javaScriptEnabled })
    await page.getByText('Nothing to approve').waitFor()
    await post('auth', {
      factor: 'push',
      device: 'auto',
      async: '1',
      pushinfo: 'Site=one.example.com&Browser=Firefox%20on%20Linux',
      ipaddr: '192.0.2.7',
      type: 'Log-in',
    })
    await page.getByRole('heading', { name: 'Are you logging in to Postern?' }).waitFor()
    for (const shown of ['Log-in request', 'one.example.com', 'Firefox on Linux', '192.0.2.7', 'alice'])
      expect(await page.getByText(shown, { exact: true }).last().isVisible()).toBe(true)
    await press(page, name)
    await page.getByRole('listitem').filter({ hasText: words }).waitFor()
    expect([state(simulated), faults]).toEqual([outcome, []])
  })

  it('a verified push is approved with the code of the screen, and not without', async () => {
    const { simulated, page, faults, verifiedPush } = await open(alices, {
      javaScriptEnabled,
      policy: { verifiedPush: 'required' },
    })
    const code = await verifiedPush()
    await codeField(page).waitFor()
    await press(page, 'Approve') // the browser asks for the code first
    expect(state(simulated)).toBe('pending')
    await codeField(page).fill(code === '999' ? '998' : '999')
    await press(page, 'Approve')
    await page.getByText('That is not the code on your screen. Two tries are left.').waitFor()
    expect(state(simulated)).toBe('pending')
    await codeField(page).fill(code)
    await codeField(page).press('Enter')
    await page.getByRole('listitem').filter({ hasText: 'Approved' }).waitFor()
    expect([state(simulated), faults]).toEqual(['approved', []])
  })

  it('a verified push is denied and reported without its code', async () => {
    const { simulated, page, verifiedPush } = await open(alices, {
      javaScriptEnabled,
      policy: { verifiedPush: 'required' },
    })
    await verifiedPush()
    await press(page, 'Deny')
    await page.getByRole('listitem').filter({ hasText: 'Denied' }).waitFor()
    await verifiedPush()
    await press(page, "It wasn't me")
    await page.getByRole('listitem').filter({ hasText: 'Reported: not you' }).waitFor()
    expect(simulated.pushes().map(push => push.state)).toEqual(['denied', 'fraud'])
  })

  it('a call rings, is answered, and lets in by the key', async () => {
    const { simulated, page, post } = await open(alices, { javaScriptEnabled })
    await post('auth', { factor: 'phone', device: 'auto', async: '1' })
    await page.getByRole('heading', { name: 'Duo is calling' }).waitFor()
    await press(page, 'Answer')
    await page.getByRole('heading', { name: 'On the phone with Duo' }).waitFor()
    expect(state(simulated)).toBe('pending')
    await press(page, 'Press #')
    await page.getByRole('listitem').filter({ hasText: 'Call: approved' }).waitFor()
    expect(state(simulated)).toBe('approved')
  })

  it('a call is hung up', async () => {
    const { simulated, page, post } = await open(alices, { javaScriptEnabled })
    await post('auth', { factor: 'phone', device: 'auto', async: '1' })
    await press(page, 'Hang up')
    await page.getByRole('listitem').filter({ hasText: 'Call: denied' }).waitFor()
    expect(state(simulated)).toBe('denied')
  })

  it('the passcode is shown on a press, lets in, and another one comes with the next press', async () => {
    const { page, post } = await open(alices, { javaScriptEnabled })
    expect(await passcodeShown(page)).toBe('')
    await press(page, 'Show')
    await page.getByRole('button', { name: 'Refresh' }).waitFor()
    const first = await passcodeShown(page)
    expect(first).toMatch(/^\d{6}$/)
    expect((await post('auth', { factor: 'passcode', passcode: first })).result).toBe('allow')
    await press(page, 'Show') // used up, it is gone
    await page.getByRole('button', { name: 'Refresh' }).waitFor()
    const second = await passcodeShown(page)
    expect(second).not.toBe(first)
    expect((await post('auth', { factor: 'passcode', passcode: second })).result).toBe('allow')
  })

  it('texts come in, and used passcodes are struck out', async () => {
    const { simulated, page, post } = await open(alices, { javaScriptEnabled, policy: { smsBatch: 2 } })
    await post('auth', { factor: 'sms', device: 'auto' })
    const [first = '', second = ''] = simulated.messages('DPALICE0000000000001')[0]?.passcodes ?? []
    await page.getByText(second).waitFor()
    expect(await page.locator('s').count()).toBe(0)
    await post('auth', { factor: 'passcode', passcode: first })
    await page.locator('s', { hasText: first }).waitFor()
    expect(await page.locator('s').count()).toBe(1)
  })

  it('a hardware token shows a passcode on a press', async () => {
    const { page, post } = await open(bobsToken, { javaScriptEnabled })
    await press(page, 'Press')
    await expect.poll(() => passcodeShown(page)).toMatch(/^\d{6}$/)
    const passcode = await passcodeShown(page)
    expect((await post('auth', { username: 'bob', factor: 'passcode', passcode })).result).toBe('allow')
  })

  it('a person activates a phone, opens it, and approves there', async () => {
    const { simulated, page, post } = await open('/', { javaScriptEnabled })
    const { enroll_portal_url } = await post('preauth', { username: 'newcomer' })
    await page.goto(`${simulated.phoneUrl}/activate/${new URL(enroll_portal_url).searchParams.get('code')}`)
    await page.getByLabel('Phone number').fill('+1 555 010 0177')
    await press(page, 'Activate this phone')
    await page.getByRole('link', { name: 'Open the phone' }).click()
    await page.getByRole('heading', { name: 'newcomer' }).waitFor()
    await post('auth', { username: 'newcomer', factor: 'push', device: 'auto', async: '1' })
    await press(page, 'Approve')
    await page.getByRole('listitem').filter({ hasText: 'Approved' }).waitFor()
  })
})

describe('what a person types', () => {
  it('stays, and keeps the focus, when another push arrives', async () => {
    const { simulated, page, post, verifiedPush } = await open(alices, { policy: { verifiedPush: 'required' } })
    const code = await verifiedPush()
    await codeField(page).pressSequentially(code.slice(0, 2))
    await post('auth', { factor: 'push', device: 'auto', async: '1' })
    await expect.poll(() => page.getByRole('button', { name: 'Deny', exact: true }).count()).toBe(2)
    await page.keyboard.type(code.slice(2))
    await page.keyboard.press('Enter')
    await expect.poll(() => simulated.pushes()[0]?.state).toBe('approved')
  })
})

it('keeps the focus where it was when another push arrives', async () => {
  const { simulated, page, post } = await open()
  const push = () => post('auth', { factor: 'push', device: 'auto', async: '1' })
  await push()
  const button = `${simulated.pushes().at(-1)?.id}-deny`
  await page.locator(`#${button}`).focus()
  await push()
  await expect.poll(() => page.getByRole('button', { name: 'Deny', exact: true }).count()).toBe(2)
  expect(await page.evaluate(() => document.activeElement?.id)).toBe(button)
})

it('lists the phones, and which of them ring', async () => {
  const { page, post } = await open('/')
  await post('auth', { username: 'bob', factor: 'push', device: 'DPBOB000000000000002', async: '1' })
  await page.getByRole('link', { name: /Tablet.*1 request/ }).click()
  await press(page, 'Approve')
  await page.getByText('Nothing to approve').waitFor()
})

describe('looking', () => {
  it('makes no passcode, answers nothing and activates nothing', async () => {
    const { simulated, post } = await open('/')
    const { enroll_portal_url } = await post('preauth', { username: 'newcomer' })
    await post('auth', { factor: 'phone', device: 'auto', async: '1' })
    const [{ id = '' } = {}] = simulated.pushes()
    const activate = `/activate/${new URL(enroll_portal_url).searchParams.get('code')}`
    for (const path of [alices, bobsToken, activate, `${alices}/passcode`, `${alices}/pushes/${id}?answer=approve`])
      await fetch(`${simulated.phoneUrl}${path}`)
    expect([state(simulated), (await post('preauth', { username: 'newcomer' })).result]).toEqual(['pending', 'enroll'])
    expect(await (await fetch(`${simulated.phoneUrl}${alices}`)).text()).toContain('••• •••')
  })
})

describe('the pages', () => {
  it('have nothing that axe finds, light or dark, and fit a small phone', async () => {
    const { simulated, page, post, verifiedPush } = await open('/', {
      policy: { verifiedPush: 'required', smsBatch: 3 },
    })
    await page.setViewportSize({ width: 320, height: 568 })
    await page.emulateMedia({ reducedMotion: 'reduce' })
    const judge = async (path: string) => {
      await page.goto(`http://phone.postern.localhost:${simulated.phonePort}${path}`)
      expect(await violations(page), path).toEqual([])
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBe(320)
    }
    const { enroll_portal_url } = await post('preauth', { username: 'newcomer' })
    await judge('/')
    await judge(`/activate/${new URL(enroll_portal_url).searchParams.get('code')}`)
    await judge(bobsToken)
    await verifiedPush()
    simulated.answer(simulated.pushes()[0]?.id ?? '', 'approve', 'wrong')
    await post('auth', { factor: 'sms', device: 'auto' })
    await post('auth', { factor: 'phone', device: 'auto', async: '1' })
    await judge(alices)
  }, 60_000)
})
