import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { hash } from 'argon2'
import { request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type InProcess, openPostern } from '../support/in-process.ts'
import { password } from '../support/postern.ts'
import { until } from '../support/process.ts'

/** A browser that has given the password, and what the gate says of it. */
async function signedIn(username = 'alice') {
  const postern = await openPostern()
  const answer = await postern.app.inject({
    method: 'POST',
    url: '/api/firstfactor',
    headers: { host: 'auth.postern.localhost' },
    payload: { username, password },
  })
  const [cookie] = answer.cookies
  const gate = () =>
    postern.app.inject({
      url: '/api/authz/auth-request',
      headers: {
        cookie: `${cookie?.name}=${cookie?.value}`,
        'x-original-url': 'http://one.postern.localhost/',
        'x-original-method': 'GET',
      },
    })
  const face = (url: string) =>
    postern.app.inject({
      url,
      headers: { host: 'auth.postern.localhost', accept: '*/*', cookie: `${cookie?.name}=${cookie?.value}` },
    })
  /** What the JSON API and the portal make of the same cookie. */
  const atTheFaces = async () => {
    const { data } = (await face('/api/state')).json()
    const page = await face('/')
    return { level: data.authentication_level, username: data.username, form: page.body.includes('name="password"') }
  }
  expect((await gate()).statusCode).toBe(200)
  expect(await atTheFaces()).toEqual({ level: 1, username, form: false })
  return { postern, gate, atTheFaces }
}

/** Nobody is signed in, at the JSON API and in the portal. */
const out = { level: 0, username: '', form: true }

function edit({ setup }: InProcess, change: (users: string) => string) {
  const file = join(setup.folder, 'users.yml')
  const before = readFileSync(file, 'utf8')
  const after = change(before)
  expect(after).not.toBe(before)
  writeFileSync(file, after)
}

describe('a change in the users file takes effect on whoever is signed in', () => {
  it('row 76: other groups and another name are told at once', async () => {
    const { postern, gate } = await signedIn()
    expect((await gate()).headers['remote-groups']).toBe('staff')
    edit(postern, users => users.replace('Alice Example', 'Alice Other').replace('groups: [staff]', 'groups: [none]'))
    await until(async () => (await gate()).headers['remote-groups'] === 'none', 'the groups change')
    expect((await gate()).headers['remote-name']).toBe('Alice Other')
  })

  it.each([
    ['disabled', (users: string) => users.replace('  alice:\n', '  alice:\n    disabled: true\n')],
    ['removed', (users: string) => users.replace('  alice:\n', '  somebody-else:\n')],
  ])('row 76: whoever is %s is out, and the event says so', async (_, change) => {
    const { postern, gate, atTheFaces } = await signedIn()
    edit(postern, change)
    await until(async () => (await gate()).statusCode === 401, 'the session counts no more')
    expect((await gate()).headers['remote-user']).toBeUndefined()
    expect(await atTheFaces()).toEqual(out)
    expect(postern.events('session.person-gone')[0]).toMatchObject({ username: 'alice' })
  })

  it('row 76: another password ends what was begun with the old one', async () => {
    const { postern, gate, atTheFaces } = await signedIn()
    const other = await hash('another password', { memoryCost: 1024, timeCost: 1, parallelism: 1 })
    edit(postern, users => users.replace(/password: \S+/, `password: ${other}`))
    await until(async () => (await gate()).statusCode === 401, 'the session counts no more')
    expect(await atTheFaces()).toEqual(out)
  })
})

describe('a login while somebody else writes', () => {
  it('waits without holding up anything else, and is not refused', async () => {
    const postern = await openPostern()
    const other = new DatabaseSync(join(postern.setup.folder, 'postern.sqlite3'))
    onTestFinished(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    const login = request(`${postern.url}/api/firstfactor`, {
      method: 'POST',
      headers: { host: 'auth.postern.localhost', 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'alice', password }),
    })
    // Longer than one statement waits in place.
    for (const end = performance.now() + 200; performance.now() < end; )
      expect(await (await request(`${postern.url}/api/health`)).body.json()).toEqual({ status: 'OK' })
    other.exec('COMMIT')
    expect((await login).statusCode).toBe(200)
  })
})
