import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { explain } from '../../src/commands/explain.ts'
import { temporaryFolder } from '../support/process.ts'

const configuration = (folder: string) => `
authentication_backend: { file: { path: ${folder}/users.yml } }
storage: { encryption_key: a-key-of-this-test-alone, local: { path: ${folder}/db.sqlite3 } }
session:
  secret: a-secret-of-this-test-alone-0123456789
  cookies: [{ domain: example.com, authelia_url: https://auth.example.com }]
server: { endpoints: { authz: { programs: { implementation: ForwardAuth, authn_strategies: [{ name: HeaderAuthorization }] } } } }
definitions: { network: { internal: 10.0.0.0/8 } }
access_control:
  rules:
    - { domain: app.example.com, policy: bypass, resources: '^/public(/|$)' }
    - { domain: app.example.com, policy: one_factor, networks: internal, methods: [GET, HEAD] }
    - { domain: '*.example.com', policy: two_factor, subject: 'group:staff', max_age: 1h, factors: duo }
    - { domain: app.example.com, policy: deny }
    - { domain: other.example.com, policy: one_factor }
`

const users = `
users:
  alice:
    displayname: Alice
    password: $argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$2VcFGN7PLOTiSy9UsrXDWQbVPwFkKYVzNtqPLRBTqEU
    groups: [staff]
`

async function run(options: Partial<Parameters<typeof explain>[0]> & { url: string }) {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'users.yml'), users)
  writeFileSync(join(folder, 'configuration.yml'), configuration(folder))
  const lines: string[] = []
  const print = (line: string) => void lines.push(line)
  const spies = [vi.spyOn(console, 'log'), vi.spyOn(console, 'error')].map(spy => spy.mockImplementation(print))
  const code = await explain({ config: join(folder, 'configuration.yml'), method: 'GET', ...options })
  for (const spy of spies) spy.mockRestore()
  return { code, text: lines.join('\n') }
}

describe(explain, () => {
  it('prints what was asked, each rule of the host, the decision and the answers', async () => {
    expect(await run({ url: 'https://app.example.com/a?b', user: 'alice', ip: '10.1.2.3' })).toEqual({
      code: 0,
      text: `GET https://app.example.com/a?b
for alice (staff), from 10.1.2.3
The groups are those of the users file.

Read as /a?b
  rule  policy      domain  subject  networks  methods  resources  query    verdict
  1     bypass      hit     skipped  skipped   skipped  miss       skipped  miss
  2 *   one_factor  hit     skipped  hit       hit      skipped    skipped  hit
3 more: of other hosts or people, or behind the one that decides.

Decision: one_factor
Why: rule 2 (app.example.com) says one_factor

  proved            verdict  /api/authz/auth-request  /api/authz/forward-auth  /api/authz/ext-authz  /api/verify  /api/authz/programs
  password          allowed  200                      200                      200                   200          200
  password and Duo  allowed  200                      200                      200                   200          200`,
    })
  })

  it('without a user: for somebody who has not signed in, and what each kind of proxy tells them', async () => {
    const { text } = await run({ url: 'https://app.example.com/a', ip: '192.0.2.1', method: 'post' })
    expect(text).toContain('POST https://app.example.com/a\nfor somebody who has not signed in, from 192.0.2.1')
    expect(text).toMatch(/^ {2}3 \* {3}two_factor {2}hit {5}may .* may$/m)
    expect(text).toContain('Decision: two_factor, no proof older than 3600 s, a factor really given: duo')
    expect(text).toMatch(/^ {2}nothing {2}password {2}401 +303, program 401 +303, program 401 +401 +401$/m)
    expect(text).toContain('Location: https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2Fa&rm=POST')
  })

  it('names each reading of a path, and what it decides', async () => {
    const { text } = await run({
      url: 'https://app.example.com/public/..%2fa',
      user: 'bob',
      groups: '',
      ip: '10.0.0.1',
    })
    expect(text).toContain('1. Read as /a\n')
    expect(text).toContain('Read as /public/..%2fa (%2f as data)')
    expect(text.match(/^→ \w+$/gm)).toEqual(expect.arrayContaining(['→ one_factor', '→ bypass']))
    expect(text).toContain('Decision: one_factor')
  })

  it('says what a level that is not enough would be asked for, and who is denied', async () => {
    const staff = await run({ url: 'https://x.example.com/', user: 'eve', groups: 'staff, other', ip: '192.0.2.1' })
    expect(staff.text).toContain('for eve (staff, other)')
    expect(staff.text).toMatch(/^ {2}password {10}second-factor {2}401 +302, program 401/m)
    expect(staff.text).toMatch(/^ {2}password and Duo {2}allowed {8}200/m)
    const nobody = await run({ url: 'https://x.example.com/', user: 'eve', ip: '192.0.2.1' })
    expect(nobody.text).toContain('eve is not in the users file')
    expect(nobody.text).toMatch(/^ {2}password and Duo {2}forbidden {2}403 /m)
  })

  it('prints data too', async () => {
    const { code, text } = await run({ url: 'https://app.example.com/a', ip: '10.0.0.1', json: true })
    expect(code).toBe(0)
    expect(JSON.parse(text)).toMatchObject({
      url: 'https://app.example.com/a',
      user: null,
      decision: { policy: 'one_factor', rule: 2 },
      readings: [{ resource: '/a', rules: [{ rule: 1, verdict: 'miss' }, { rule: 2, verdict: 'hit' }, {}, {}, {}] }],
      answers: [
        {
          proved: 'nothing',
          verdict: 'password',
          proxies: [{ endpoint: '/api/authz/auth-request', page: 401 }, {}, {}, {}, {}],
        },
      ],
    })
  })

  it('row 27: refuses what the gate refuses, and says why', async () => {
    for (const [url, why] of [
      ['https://app.example.com/%zz', 'a browser does not send it'],
      ['http://app.example.com/', 'not https'],
      ['https://app.example.org/', 'in no domain of session.cookies'],
    ] as const) {
      const { code, text } = await run({ url })
      expect(code, url).toBe(1)
      expect(text).toContain(why)
    }
    expect((await run({ url: 'https://app.example.com/', ip: '10.1' })).text).toContain('10.1 is no address')
  })

  it('shows a path with too many readings as refused', async () => {
    const { text } = await run({ url: `https://app.example.com/a%252f;b/..//%5c;c/.%3f%23/%2f../x;d` })
    expect(text).toContain('Decision: refused')
    expect(text).toMatch(/^ {2}nothing {2}refused {2}400 +400 +400 +401 +400$/m)
  })
})
