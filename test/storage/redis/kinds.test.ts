import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeCertificate } from '../../../src/simulator/certificate.ts'
import { freePort, temporaryFolder, until } from '../../support/process.ts'
import { type RedisServer, startRedis } from '../../support/redis.ts'
import { at, failure, healed, open, problem } from './opened.ts'

/** What `docs/redis.md` tells an administrator to allow. */
const permissions = '~postern:* +@read +@write +@scripting +@connection -@dangerous +info'

async function startWithTls(): Promise<{ server: RedisServer; ca: string; otherCa: string }> {
  const folder = temporaryFolder()
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const { ca, cert, key } = await makeCertificate('redis.test')
  const [caFile, otherCa] = [file('ca.pem', ca), file('other.pem', (await makeCertificate('redis.test')).ca)]
  const port = await freePort()
  const server = await startRedis({
    cleanup: onTestFinished,
    port,
    lines: [
      'port 0',
      `tls-port ${port}`,
      `tls-cert-file ${file('cert.pem', cert)}`,
      `tls-key-file ${file('key.pem', key)}`,
      `tls-ca-cert-file ${caFile}`,
      'tls-auth-clients no',
    ],
    cliArguments: ['--tls', '--cacert', caFile],
  })
  return { server, ca: caFile, otherCa }
}

describe('Redis with TLS', () => {
  it('is verified against session.redis.tls.ca_file, and by server_name where its address is not in the certificate', async () => {
    const { server, ca } = await startWithTls()
    const redis = await open(at(server, { tls: { ca_file: ca } }))
    expect(await redis.command('SET', 'a', 1)).toBe('OK')
    // As `openssl x509 -trustout` names it.
    writeFileSync(ca, readFileSync(ca, 'utf8').replaceAll(' CERTIFICATE', ' TRUSTED CERTIFICATE'))
    const named = await open(at(server, { tls: { ca_file: ca, server_name: 'redis.test' } }))
    expect(await named.command('GET', 'a')).toBe('1')
    const watch = named.watch('a', { changed: () => {}, lost: () => {} })
    await until(() => watch.isTrue(), 'its watch speaks TLS too')
    watch.close()
  })

  it('does not open where the certificate does not verify: another CA, another name, no ca_file', async () => {
    const { server, ca, otherCa } = await startWithTls()
    for (const tls of [{ ca_file: otherCa }, { ca_file: ca, server_name: 'somebody.else.test' }, {}])
      expect(await problem(open(at(server, { tls })))).toMatchObject({ reason: 'redis-tls' })
  })

  it('stays closed where one side speaks TLS and the other does not', async () => {
    const plain = await startRedis({ cleanup: onTestFinished })
    const { server } = await startWithTls()
    for (const redis of [await open(at(plain, { tls: {} })), await open(at(server))]) {
      expect(redis.trouble).toMatchObject({ reason: 'redis-down' })
      expect((await failure(redis.command('GET', 'a'))).reason).toBe('redis-down')
    }
  })

  it('names a ca_file that cannot be used', async () => {
    const { server } = await startWithTls()
    expect(await problem(open(at(server, { tls: { ca_file: '/nowhere.pem' } })))).toMatchObject({
      reason: 'redis-config',
    })
    expect(await problem(open(at(server, { tls: { ca_file: '/dev/null' } })))).toMatchObject({ reason: 'redis-config' })
  })
})

describe('Redis with users', () => {
  it('needs no more permissions than the documented ones', async () => {
    const server = await startRedis({
      cleanup: onTestFinished,
      lines: [`user postern on >its-password ${permissions}`],
    })
    const redis = await open(at(server, { username: 'postern', password: 'its-password' }))
    expect(redis.lines).toEqual([])
    const changes: string[] = []
    const watch = redis.watch('a', { changed: key => changes.push(key), lost: () => {} })
    onTestFinished(() => watch.close())
    await until(() => watch.isTrue(), 'the watch is true')
    expect(await redis.command('SET', 'a', 1)).toBe('OK')
    expect(await redis.script("return redis.call('GET', KEYS[1])")(['a'])).toBe('1')
    const found: string[] = []
    for await (const keys of redis.scan('')) found.push(...keys)
    expect(found).toContain('a')
    await until(() => changes.includes('a'), 'the change is told')
  })

  it('signs in with a password alone', async () => {
    const server = await startRedis({
      cleanup: onTestFinished,
      lines: ['requirepass its-password'],
      cliArguments: ['-a', 'its-password', '--no-auth-warning'],
    })
    const redis = await open(at(server, { password: 'its-password' }))
    expect(await redis.command('SET', 'a', 1)).toBe('OK')
  })

  it.each([
    { what: 'a wrong password', with: { password: 'wrong' } },
    { what: 'none', with: {} },
    { what: 'an unknown user', with: { username: 'nobody', password: 'its-password' } },
    { what: 'a user that may only read', with: { username: 'reader', password: 'its-password' } },
    { what: 'a user of other keys', with: { username: 'other', password: 'its-password' } },
  ])('does not open with $what, names it, and shows no password', async ({ with: given }) => {
    const server = await startRedis({
      cleanup: onTestFinished,
      lines: [
        'requirepass its-password',
        'user reader on >its-password ~* +@read +@connection +@scripting',
        'user other on >its-password ~other:* +@all',
      ],
      cliArguments: ['-a', 'its-password', '--no-auth-warning'],
    })
    const found = await problem(open(at(server, given)))
    expect(found.reason).toBe('redis-denied')
    expect(`${found.message} ${found.mend}`).not.toContain('its-password')
  })

  it('closes when the password is changed, says why, and heals when it is right again', async () => {
    const admin = ['-a', 'its-password', '--no-auth-warning']
    const server = await startRedis({
      cleanup: onTestFinished,
      lines: ['requirepass its-password', 'user postern on >one ~* +@all'],
      cliArguments: admin,
    })
    const redis = await open(at(server, { username: 'postern', password: 'one' }))
    await server.ask('ACL', 'SETUSER', 'postern', 'resetpass', '>two')
    await server.ask('CLIENT', 'KILL', 'USER', 'postern')
    await until(() => redis.trouble?.reason === 'redis-denied', 'it is named')
    await server.ask('ACL', 'SETUSER', 'postern', '>one')
    await healed(redis)
    expect(redis.lines.filter(({ reason }) => reason === 'redis-denied')).toHaveLength(1)
  })
})
