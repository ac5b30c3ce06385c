import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { makeCertificate } from '../../src/simulator/certificate.ts'
import { temporaryFolder } from '../support/process.ts'
import { secrets } from './secrets.ts'

const [own, other] = [await makeCertificate('localhost'), await makeCertificate('localhost')]

/** What is said of a client's certificate and key, with file and place cut off. */
async function said(certificate_chain: string, private_key: string): Promise<string[]> {
  const file = join(temporaryFolder(), 'postern.yml')
  const tls = { certificate_chain, private_key }
  writeFileSync(
    file,
    stringify({
      authentication_backend: { file: { path: 'users.yml' } },
      session: {
        cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
        redis: { host: 'redis', tls },
      },
      storage: { local: { path: 'postern.sqlite3' } },
      duo_api: { hostname: 'api-0123abcd.duosecurity.com' },
      access_control: { rules: [{ domain: '*.example.com', policy: 'two_factor' }] },
    }),
  )
  const loaded = await loadConfig(file, secrets)
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  for (const { line } of problems) expect(line).toBeGreaterThan(0)
  return problems.map(problem => formatProblem(problem).replace(/^.*?: /, ''))
}

describe('a certificate of Postern’s own', () => {
  it('is fine with its key, also before those of its authorities', async () => {
    expect(await said(own.cert, own.key)).toEqual([])
    expect(await said(`${own.cert}\n${own.ca}`, own.key)).toEqual([])
  })

  it.each([
    ['another key', own.cert, other.key],
    ['a key that is cut', own.cert, own.key.replace(/\n.{20}/, '\n')],
    ['a certificate that is cut', own.cert.replace(/\n.{20}/, '\n'), own.key],
    ['the two exchanged', own.key, own.cert],
  ])('is refused with %s', async (_, cert, key) => {
    expect(await said(cert, key)).toEqual([
      'error: session.redis.tls.certificate_chain: It cannot be used with private_key: one of them is damaged or has a passphrase, or the key is that of another certificate.',
    ])
  })
})
