import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { requiredProgram, temporaryFolder } from '../support/process.ts'
import { secrets } from './secrets.ts'

const minimal = `authentication_backend: { file: { path: users.yml } }
storage: { local: { path: postern.sqlite3 } }
session: { cookies: [{ domain: example.com, authelia_url: https://auth.example.com }] }
access_control: { default_policy: one_factor, rules: [{ domain: a.example.com, policy: deny }] }
`

async function load(env: NodeJS.ProcessEnv, text = minimal) {
  const file = join(temporaryFolder(), 'postern.yml')
  writeFileSync(file, text)
  return loadConfig(file, env)
}

async function errors(env: NodeJS.ProcessEnv, text?: string): Promise<string[]> {
  const loaded = await load(env, text)
  return loaded.ok ? [] : loaded.problems.map(formatProblem)
}

const { POSTERN_SESSION_SECRET: sessionSecret, POSTERN_STORAGE_ENCRYPTION_KEY: encryptionKey } = secrets
const other = { POSTERN_STORAGE_ENCRYPTION_KEY: encryptionKey }

/** A secret's file with these bytes, and what is said about it. */
async function secretFile(content: string | Uint8Array): Promise<string[]> {
  const path = join(temporaryFolder(), 'secret')
  writeFileSync(path, content)
  return (await errors({ ...other, POSTERN_SESSION_SECRET_FILE: path })).map(text => text.replaceAll(path, 'FILE'))
}

describe('secrets from the environment and from files that it names', () => {
  it.each(['POSTERN', 'AUTHELIA'])('takes %s_… names', async prefix => {
    const path = join(temporaryFolder(), 'secret')
    writeFileSync(path, `${sessionSecret}\n`)
    const loaded = await load({
      [`${prefix}_STORAGE_ENCRYPTION_KEY`]: encryptionKey,
      [`${prefix}_SESSION_SECRET_FILE`]: path,
    })
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    expect(loaded.config.session.secret).toBe(sessionSecret)
    expect(loaded.config.storage.encryption_key).toBe(encryptionKey)
  })

  it('a setting of the environment wins over the file’s, and is read as what the key takes', async () => {
    const loaded = await load(
      {
        ...secrets,
        POSTERN_DUO_API_HOSTNAME: 'api-0123abcd.duosecurity.com',
        POSTERN_LOG_LEVEL: 'debug',
        POSTERN_LOG_KEEP_STDOUT: 'true',
        POSTERN_REGULATION_MAX_RETRIES: '7',
        POSTERN_SESSION_EXPIRATION: '7200',
        POSTERN_DUO_API_CA_FILE: 'ca.pem',
      },
      `${minimal}log: { level: info }\n`,
    )
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    const { log, regulation, session, duo_api } = loaded.config
    expect([
      log.level,
      log.keep_stdout,
      regulation.max_retries,
      session.cookies[0]?.expiration,
      duo_api?.ca_file,
    ]).toEqual(['debug', true, 7, 7_200_000, 'ca.pem'])
    expect(loaded.warnings).toEqual([])
  })

  it('row 146: a file of a secret that is missing, a folder, a FIFO or a device names the key and the reason', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'folder'))
    execFileSync(requiredProgram('mkfifo', 'apt install coreutils'), [join(folder, 'fifo')])
    const said = async (path: string) => errors({ ...other, POSTERN_SESSION_SECRET_FILE: path })
    const line = (path: string, why: string) => [
      `POSTERN_SESSION_SECRET_FILE: error: session.secret: The file ${path} that it names ${why}.`,
    ]
    for (const [name, why] of [
      ['nowhere', 'does not exist'],
      ['folder', 'is a folder, not a file'],
      ['fifo', 'is a named pipe (FIFO), not a file'],
    ] as const)
      expect(await said(join(folder, name))).toEqual(line(join(folder, name), why))
    expect(await said('/dev/zero')).toEqual(line('/dev/zero', 'is a device, not a file'))
  })

  it('a key or a certificate may have its lines', async () => {
    const folder = temporaryFolder()
    const pem = '-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n'
    writeFileSync(join(folder, 'key.pem'), pem)
    writeFileSync(join(folder, 'more.pem'), `${pem}and more: of another kind\n`)
    const loaded = async (name: string) => {
      const all = await errors({ POSTERN_SESSION_REDIS_TLS_PRIVATE_KEY_FILE: join(folder, name) })
      return all.filter(problem => problem.startsWith('POSTERN_SESSION_REDIS_TLS_PRIVATE_KEY_FILE'))
    }
    expect(await loaded('key.pem')).toEqual([])
    expect(await loaded('more.pem')).toHaveLength(1)
  })

  it('row 146: one final newline is cut; anything more than one line is refused', async () => {
    expect(await secretFile(`${sessionSecret}\n`)).toEqual([])
    expect(await secretFile(sessionSecret)).toEqual([])
    const said = (why: string) => [
      `POSTERN_SESSION_SECRET_FILE: error: session.secret: The file FILE that it names ${why}.`,
    ]
    expect(await secretFile(`${sessionSecret}\n\n`)).toEqual(said('has more than one line'))
    expect(await secretFile(`${sessionSecret}\nsecond`)).toEqual(said('has more than one line'))
    expect(await secretFile(`${sessionSecret}\r\n`)).toEqual(
      said('ends with a Windows line ending (CR LF); save it with LF'),
    )
    expect(await secretFile(`${sessionSecret} \n`)).toEqual(said('begins or ends with a space'))
    expect(await secretFile(`${sessionSecret}\0`)).toEqual(said('holds a control character'))
    expect(await secretFile('')).toEqual(said('is empty'))
    expect(await secretFile('\n')).toEqual(said('is empty'))
    expect(await secretFile(Buffer.from('sécretsécretsécretsécretsécretsécret', 'latin1'))).toEqual(
      said('is not UTF-8'),
    )
    expect(await secretFile('x'.repeat(20_000))).toEqual(said('is larger than 16,384 bytes'))
  })

  it('row 147: one secret given in two ways is refused, whichever two they are', async () => {
    const path = join(temporaryFolder(), 'secret')
    writeFileSync(path, sessionSecret)
    const ways = {
      POSTERN_SESSION_SECRET: sessionSecret,
      POSTERN_SESSION_SECRET_FILE: path,
      AUTHELIA_SESSION_SECRET: sessionSecret,
      AUTHELIA_SESSION_SECRET_FILE: path,
    }
    const inFile = minimal.replace('cookies:', `secret: ${sessionSecret}, cookies:`)
    expect(await errors(other, inFile)).toEqual([])
    for (const [first, value] of Object.entries(ways)) {
      expect(await errors({ ...other, [first]: value })).toEqual([])
      expect((await errors({ ...other, [first]: value }, inFile)).join()).toMatch(
        new RegExp(
          `^${first}: error: session.secret: This secret is given twice: also in .*, line 3\\. Keep one of them\\.$`,
        ),
      )
      for (const [second, another] of Object.entries(ways))
        if (first < second)
          expect(await errors({ ...other, [first]: value, [second]: another })).toEqual([
            `${second}: error: session.secret: It is given twice: also by ${first}. Keep one of them.`,
          ])
    }
  })

  it('never shows what a variable or its file holds', async () => {
    const secret = 'hunter2 hunter2 hunter2'
    for (const name of [
      'SESSION_SECRET',
      'STORAGE_ENCRYPTION_KEY',
      'DUO_API_SECRET_KEY',
      'DUO_API_INTEGRATION_KEY',
      'SESION_SECRET',
    ]) {
      const said = (await errors({ [`POSTERN_${name}`]: secret })).join('\n')
      expect(said).not.toBe('')
      expect(said).not.toContain('hunter2')
    }
  })
})
