import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { generate } from 'selfsigned'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { makeCertificate } from '../../src/simulator/certificate.ts'
import { openRecords } from '../../src/storage/open-storage.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { endsWithSuite, temporaryFolder } from '../support/process.ts'

const cleanup = endsWithSuite()
let server: PostgresServer
let client: { cert: string; key: string }
let ca: string
beforeAll(async () => {
  const tls = await makeCertificate('127.0.0.1')
  ca = tls.ca
  const made = await generate([{ name: 'commonName', value: 'postern' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
  })
  client = { cert: made.cert, key: made.private }
  server = await startPostgres(
    cleanup,
    { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key', ssl_ca_file: 'client-ca.crt' },
    {
      'server.crt': tls.cert,
      'server.key': tls.key,
      'client-ca.crt': client.cert,
      'pg_hba.conf':
        'local all postgres trust\nhostssl sealed all all scram-sha-256 clientcert=verify-ca\nhostssl all all all scram-sha-256\n',
    },
  )
}, 30_000)

type Tls = NonNullable<Awaited<ReturnType<PostgresServer['database']>>['tls']>

const fileOf = (text: string) => {
  const file = join(temporaryFolder(), 'ca.pem')
  writeFileSync(file, text)
  return file
}

async function open(more: Partial<Tls> | null, host = '127.0.0.1', database?: string) {
  const postgres = await server.database({
    address: { host, port: server.port },
    ...(database === undefined ? {} : { database }),
    ...(more === null
      ? {}
      : {
          tls: { skip_verify: false, minimum_version: 'TLS1.2' as const, maximum_version: 'TLS1.3' as const, ...more },
        }),
  })
  const storage = await openRecords({ encryption_key: 'k'.repeat(20), postgres }, { log: pino({ level: 'silent' }) })
  onTestFinished(() => storage.close())
  const rows = await server.query(
    `select version from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'postern' and datname = '${postgres.database}'`,
  )
  return { records: storage.records, rows }
}

describe('storage.postgres.tls', () => {
  it.each(['127.0.0.1', 'localhost'])('verifies the certificate of %s by the CA that is given', async host => {
    const { records } = await open({ ca_file: fileOf(ca) }, host)
    expect(await records.selectFrom('postern_pushes').selectAll().execute()).toEqual([])
    const [row] = await server.query(
      "select version from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'postern' limit 1",
    )
    expect(row).toEqual({ version: 'TLSv1.3' })
  })

  it('keeps to the version that is given', async () => {
    const { records } = await open({ ca_file: fileOf(ca), maximum_version: 'TLS1.2' })
    await records.selectFrom('postern_pushes').selectAll().execute()
    const rows = await server.query(
      "select version from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'postern'",
    )
    expect(rows.map(({ version }) => version)).toContain('TLSv1.2')
  })

  it('compares the name in the certificate with server_name, where that is given', async () => {
    await open({ ca_file: fileOf(ca), server_name: 'db.postern.localhost' })
    await open({ ca_file: fileOf(ca), server_name: 'db.postern.localhost' }, 'localhost')
  })

  it.each<[string, () => Promise<Partial<Tls> | null>]>([
    ['the CA is another', async () => ({ ca_file: fileOf((await makeCertificate('127.0.0.1')).ca) })],
    ['this machine trusts no such CA', async () => ({})],
    ['the name is another', async () => ({ ca_file: fileOf(ca), server_name: 'db.example.com' })],
    ['the file of the CA is missing', async () => ({ ca_file: '/nowhere/ca.pem' })],
  ])('does not open where %s', async (_what, tls) => {
    await expect(open(await tls())).rejects.toMatchObject({ reason: 'storage-postgres-tls' })
  })

  it('does not open without it where PostgreSQL wants it', async () => {
    await expect(open(null)).rejects.toMatchObject({ reason: 'storage-postgres-login' })
  })

  it('shows its own certificate where PostgreSQL wants one', async () => {
    await server.query('create database sealed owner postern')
    await expect(open({ ca_file: fileOf(ca) }, '127.0.0.1', 'sealed')).rejects.toMatchObject({
      reason: 'storage-postgres-login',
    })
    await open({ ca_file: fileOf(ca), certificate_chain: client.cert, private_key: client.key }, '127.0.0.1', 'sealed')
  })
})
