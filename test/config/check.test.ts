import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { node, projectRoot, start, temporaryFolder } from '../support/process.ts'
import { secrets } from './secrets.ts'

const hash = '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$pLa0QwdFZqP6pBv3rjP8S6tZCk3pH0cdwVv2l8cXbVk'

/** What `postern check` says about these files, and how it ends. */
async function check(config: string, users = `users:\n  john:\n    displayname: John\n    password: ${hash}\n`) {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'users.yml'), users)
  writeFileSync(join(folder, 'postern.yml'), config)
  const { PATH } = process.env
  const running = start(node, [join(projectRoot, 'src/main.ts'), 'check', '--config', 'postern.yml'], {
    cwd: folder,
    env: { PATH, ...secrets },
  })
  const code = await running.exit
  return { code, lines: running.output().trimEnd().split('\n') }
}

const good = `authentication_backend: { file: { path: users.yml } }
storage: { local: { path: postern.sqlite3 } }
session: { cookies: [{ domain: example.com, authelia_url: https://auth.example.com }] }
duo_api: { hostname: api-0123abcd.duosecurity.com }
access_control: { rules: [{ domain: '*.example.com', policy: two_factor }] }
`

describe('postern check', () => {
  it('ends with 0 and one line where nothing is wrong', async () => {
    expect(await check(good)).toEqual({ code: 0, lines: ['postern.yml can be used.'] })
  })

  it('ends with 0 where there are only warnings, and tells them', async () => {
    expect(await check(`${good}totp: {}\n`)).toEqual({
      code: 0,
      lines: [
        'postern.yml:6:1: warning: totp: Ignored: one-time passwords are not part of Postern; Duo is its second factor.',
        'postern.yml can be used, with 1 warning.',
      ],
    })
  })

  it('ends with 1 where there is an error, and tells everything at once', async () => {
    expect(await check(`${good}totp: {}\nthem: light\nlog: { level: loud }\n`)).toEqual({
      code: 1,
      lines: [
        'postern.yml:6:1: warning: totp: Ignored: one-time passwords are not part of Postern; Duo is its second factor.',
        'postern.yml:7:1: error: them: There is no such key here. Did you mean theme?',
        'postern.yml:8:15: error: log.level: Found “loud”, expected trace, debug, info, warn or error.',
        '2 errors and 1 warning: Postern would not start with postern.yml.',
      ],
    })
  })

  it('row 132: names those whom Duo could not be asked about: two who would be one there, and who has no name for it', async () => {
    const person = (name: string, more = '') => `  '${name}':\n    displayname: ${name}\n    password: ${hash}\n${more}`
    const users = `users:\n${person('a@x')}${person('a@y')}${person('b|c')}${person('gone', '    disabled: true\n')}`
    const { code, lines } = await check(good, users)
    expect(code).toBe(0)
    expect(lines.filter(line => line.includes('duo_api.username makes'))).toEqual([
      expect.stringContaining('makes no name for this user that Duo could have: b|c.'),
      expect.stringContaining('makes the same name for two users: a@x, a@y.'),
    ])
    const mails = await check(good.replace('duo_api: { ', "duo_api: { username: '{email}', "), users)
    expect(mails.lines.join('\n')).toContain('that Duo could have: a@x, a@y, b|c.')
  })

  it('names users and groups of rules that the users file does not have, each with its line and the nearest', async () => {
    const rules = `access_control:
  rules:
    - { domain: a.example.com, policy: one_factor, subject: 'user:jhon' }
    - domain: b.example.com
      policy: one_factor
      subject: ['user:john', ['user:john', 'group:stuff'], 'group:admins', 'group:staff']
`
    const users = `users:\n  john:\n    displayname: John\n    groups: [staff]\n    password: ${hash}\n`
    const { code, lines } = await check(good.replace(/access_control.*\n/, rules), users)
    expect(code).toBe(0)
    expect(lines).toEqual([
      'postern.yml:7:61: warning: access_control.rules[0].subject: Nobody in the users file is named “jhon”. Did you mean “john”?',
      'postern.yml:10:44: warning: access_control.rules[1].subject: Nobody in the users file is in a group “stuff”. Did you mean “staff”?',
      'postern.yml:10:60: warning: access_control.rules[1].subject: Nobody in the users file is in a group “admins”.',
      'postern.yml can be used, with 3 warnings.',
    ])
  })

  it('names files with certificates that are not there, or hold none', async () => {
    const redis = 'redis: { host: redis, tls: { ca_file: no-such.pem } }, '
    const config = good
      .replace('session: { ', `session: { ${redis}`)
      .replace('duo_api: { ', 'duo_api: { ca_file: users.yml, ')
    expect(await check(config)).toEqual({
      code: 1,
      lines: [
        'postern.yml:3:50: error: session.redis.tls.ca_file: The file no-such.pem does not exist.',
        'postern.yml:4:21: error: duo_api.ca_file: The file users.yml holds no certificate in PEM (-----BEGIN CERTIFICATE-----).',
        '2 errors: Postern would not start with postern.yml.',
      ],
    })
  })

  it('looks for no file of a section that is switched off', async () => {
    const off = good
      .replace('duo_api: { ', 'duo_api: { disable: true, ca_file: no-such.pem, ')
      .replace('two_factor', 'one_factor')
    expect(await check(off)).toEqual({ code: 0, lines: ['postern.yml can be used.'] })
  })

  it('checks the users file that the configuration names', async () => {
    const { code, lines } = await check(good, 'users:\n\tjohn: {}\n')
    expect(code).toBe(1)
    expect(lines).toEqual([
      'users.yml:2:1: error: A tab is used for indentation; YAML wants spaces.',
      '1 error: Postern would not start with postern.yml.',
    ])
  })
})
