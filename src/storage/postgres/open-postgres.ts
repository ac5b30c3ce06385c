import { readFileSync } from 'node:fs'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import { Kysely, sql } from 'kysely'
import { DatabaseError, Pool, types } from 'pg'
import { MINUTE, type Milliseconds, SECOND } from '../../clock.ts'
import type { Config } from '../../config/schema.ts'
import { openHealth } from '../health.ts'
import { RecordsDown } from '../records-down.ts'
import { StorageProblem } from '../storage-problem.ts'
import type { Tables } from '../tables.ts'
import { postgresDialect } from './dialect.ts'

export type PostgresConfig = NonNullable<Config['storage']['postgres']>

export interface Postgres {
  readonly db: Kysely<Tables>
  readonly isDown: boolean
  close(): Promise<void>
}

/** Of one Postern. PostgreSQL has a hundred for everybody unless told otherwise. */
const CONNECTIONS_AT_MOST = 10
/** The server's deadline comes first, so that it says which statement it was. */
const SERVER_FIRST: Milliseconds = 500
/** Connections that are still open then belong to a server that does not answer. */
const CLOSING_AT_MOST: Milliseconds = 2 * SECOND
const INT8 = 20

/**
 * Connects when something is asked, and again by itself whenever that is needed: nothing that PostgreSQL does ends this process.
 * @param purpose for migrations: one connection, whose statements may take long, and no log: whoever migrates tells what is wrong
 * @throws {StorageProblem} when the files or texts of `tls` cannot be used
 */
export function openPostgres(
  config: PostgresConfig,
  log: FastifyBaseLogger,
  purpose: 'for migrations' | 'for use' = 'for use',
): Postgres {
  const patient = purpose === 'for migrations'
  const deadline = patient ? 10 * MINUTE : config.timeout
  const pool = new Pool({
    host: config.address.host,
    port: config.address.port,
    database: config.database,
    user: config.username,
    password: config.password,
    ssl: config.tls === undefined ? false : tlsOptions(config),
    application_name: 'postern',
    max: patient ? 1 : CONNECTIONS_AT_MOST,
    idleTimeoutMillis: 30 * SECOND,
    connectionTimeoutMillis: config.timeout,
    statement_timeout: deadline,
    lock_timeout: deadline,
    query_timeout: deadline + SERVER_FIRST,
    idle_in_transaction_session_timeout: deadline,
    keepAlive: true,
    types: { getTypeParser: (oid, format) => (oid === INT8 ? wholeNumber : types.getTypeParser(oid, format)) },
  })
  // Without these a connection that is cut while nobody uses it, or between two statements, would end the process.
  const quiet = () => {}
  pool.on('error', quiet)
  pool.on('connect', client => client.on('error', quiet))
  const health = patient ? null : openHealth('PostgreSQL', log)
  const db = new Kysely<Tables>({ dialect: postgresDialect(pool, health) })
  return {
    get isDown() {
      return health?.isDown ?? false
    },
    db: db.withSchema(config.schema),
    async close() {
      if (pool.ending) return
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, CLOSING_AT_MOST).unref()
      await Promise.race([pool.end(), late])
      clearTimeout(timer)
    },
  }
}

/** @throws {StorageProblem} where nothing can be written: a standby, or one that is being made read-only */
export async function requirePrimary({ db }: Postgres): Promise<void> {
  const { rows } = await sql<{ transaction_read_only: string }>`show transaction_read_only`.execute(db)
  if (rows[0]?.transaction_read_only !== 'off')
    throw new StorageProblem('storage-postgres-read-only', 'it says transaction_read_only')
}

/** Times are milliseconds, which a number holds exactly. */
function wholeNumber(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new RangeError('a bigint of PostgreSQL is too large')
  return number
}

function tlsOptions({ tls, address }: PostgresConfig): ConnectionOptions {
  const version = (text: 'TLS1.2' | 'TLS1.3' | undefined) => (text === 'TLS1.3' ? 'TLSv1.3' : 'TLSv1.2')
  const name = tls?.server_name ?? address.host
  try {
    return {
      minVersion: version(tls?.minimum_version),
      maxVersion: version(tls?.maximum_version ?? 'TLS1.3'),
      // pg asks for the host by SNI; what the certificate says is compared with this name.
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
      ...(tls?.ca_file === undefined ? {} : { ca: readFileSync(tls.ca_file) }),
      ...(tls?.certificate_chain === undefined ? {} : { cert: tls.certificate_chain, key: tls.private_key }),
    }
  } catch (error) {
    throw new StorageProblem('storage-postgres-tls', error instanceof Error ? error.message : String(error), error)
  }
}

/** What an administrator has to mend, found while it is opened. */
export function postgresProblem(error: unknown, { address, database }: PostgresConfig): StorageProblem {
  if (error instanceof StorageProblem) return error
  const cause = error instanceof RecordsDown ? error.cause : error
  const where = `${database} at ${address.host.startsWith('/') ? address.host : `${address.host}:${address.port}`}`
  return new StorageProblem(reasonOf(cause), `${where}: ${cause instanceof Error ? saidBy(cause) : cause}`, cause)
}

function reasonOf(error: unknown) {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (error instanceof DatabaseError) {
    if (/^(?:28|3D|53300)/.test(code)) return 'storage-postgres-login'
    if (code === '42501') return 'storage-postgres-rights'
    return code === '25006' ? 'storage-postgres-read-only' : 'storage-postgres'
  }
  // OpenSSL's words for a certificate have no prefix in common: what is neither the system's nor Node's own is TLS's.
  const ofTls = /^(?:EPROTO$|ERR_(?:SSL|TLS)_)/.test(code) || (code !== '' && !/^(?:E[A-Z0-9]+$|EAI_|ERR_)/.test(code))
  const saysSo = error instanceof Error && /\bSSL\b/.test(error.message)
  return ofTls || saysSo ? 'storage-postgres-tls' : 'storage-postgres'
}

/** One that tried several addresses has no words of its own. */
function saidBy(error: Error): string {
  return error.message !== '' || !(error instanceof AggregateError)
    ? error.message
    : error.errors.map(one => (one instanceof Error ? one.message : String(one))).join('; ')
}
