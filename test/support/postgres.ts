import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Config } from '../../src/config/schema.ts'
import {
  type endsWithSuite,
  freePort,
  freeze,
  type Running,
  requiredProgram,
  start,
  temporaryFolder,
  until,
} from './process.ts'

type PostgresConfig = NonNullable<Config['storage']['postgres']>

export interface PostgresServer {
  readonly port: number
  /** The folder of its socket. */
  readonly folder: string
  /** A new database that belongs to `postern`, which is no superuser, as `storage.postgres`. */
  database(more?: Partial<PostgresConfig>): Promise<PostgresConfig>
  /** As the superuser. @param database default: `postgres` */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>
  /** Cuts all connections of `postern`, as an administrator does. Resolves with how many there were. */
  killClients(): Promise<number>
  stop(how?: 'SIGINT' | 'SIGQUIT'): Promise<void>
  start(): Promise<void>
  /** It neither answers nor closes anything until `thaw`. */
  freeze(): void
  thaw(): void
  /** From the next `start` on: everything can be read, nothing written. */
  becomeStandby(): void
  becomePrimary(): void
}

export const PASSWORD = 'a-password-of-this-test'

/**
 * A PostgreSQL of the suite's own, in a temporary folder, run by another user than root. Call it from a `beforeAll`.
 * @param files further ones of its data folder: certificates, or another pg_hba.conf
 */
export async function startPostgres(
  cleanup: ReturnType<typeof endsWithSuite>,
  settings: Readonly<Record<string, string | number>> = {},
  files: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const bin = programs()
  const folder = temporaryFolder(cleanup)
  const data = join(folder, 'data')
  const port = await freePort()
  const isRoot = process.getuid?.() === 0
  const as = isRoot
    ? [
        requiredProgram('setpriv', 'apt-get install util-linux'),
        '--reuid=postgres',
        '--regid=postgres',
        '--clear-groups',
      ]
    : []
  mkdirSync(data, { mode: 0o700 })
  if (isRoot) for (const path of [folder, data]) chownSync(path, numberOf('-u'), numberOf('-g'))
  const [first = '', ...rest] = [...as, join(bin, 'initdb')]
  const made = spawnSync(first, [...rest, '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
  // The superuser comes by the socket, Postern with a password.
  writeFileSync(
    join(data, 'pg_hba.conf'),
    'local all postgres trust\nlocal all all scram-sha-256\nhost all all all scram-sha-256\n',
  )
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(data, name), content, { mode: 0o600 })
    if (isRoot) chownSync(join(data, name), numberOf('-u'), numberOf('-g'))
  }
  const all = { fsync: 'off', autovacuum: 'off', shared_buffers: '16MB', log_min_messages: 'fatal', ...settings }

  let running: Running | undefined
  // Each connection has a process, and a group, of its own.
  function signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const main = running?.child.pid
    if (main === undefined) return
    const children = spawnSync('ps', ['-o', 'pid=', '--ppid', String(main)], { encoding: 'utf8' }).stdout
    for (const pid of [main, ...children.split(/\s+/).filter(Boolean).map(Number)]) sent(pid, signal)
  }
  function sent(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    try {
      if (signal === 'SIGSTOP') freeze(pid)
      else process.kill(pid, signal)
    } catch {} // it ended meanwhile
  }
  const server: PostgresServer = {
    port,
    folder,
    async database(more = {}) {
      const name = `db_${Math.random().toString(36).slice(2, 10)}`
      await server.query(`create database ${name} owner postern`)
      return {
        address: { host: '127.0.0.1', port },
        database: name,
        schema: 'postern',
        username: 'postern',
        password: PASSWORD,
        timeout: 2_000,
        ...more,
      }
    },
    async query(sql, database = 'postgres') {
      const client = new Client({ host: folder, port, user: 'postgres', database })
      client.on('error', () => {})
      await client.connect()
      try {
        return (await client.query(sql)).rows
      } finally {
        await client.end()
      }
    },
    async killClients() {
      const killed = await server.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postern'",
      )
      return killed.length
    },
    async stop(how = 'SIGINT') {
      await running?.stop(how)
      running = undefined
    },
    async start() {
      const options = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const [command = '', ...args] = [...as, join(bin, 'postgres')]
      const begun = start(
        command,
        [...args, '-D', data, '-k', folder, '-h', '127.0.0.1', '-p', String(port), ...options],
        {
          cleanup,
        },
      )
      running = begun
      cleanup(async () => {
        if (running !== begun) return
        server.thaw()
        await server.stop()
      })
      let ended = false
      void begun.exit.then(() => {
        ended = true
      })
      await until(async () => {
        if (ended) throw new Error(`postgres ended:\n${begun.output()}`)
        return server.query('select 1').catch(() => false as const)
      }, 'PostgreSQL answers')
    },
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    becomeStandby: () => writeFileSync(join(data, 'standby.signal'), ''),
    becomePrimary: () => rmSync(join(data, 'standby.signal'), { force: true }),
  }
  await server.start()
  await server.query(`create role postern login password '${PASSWORD}'`)
  return server
}

/** Debian puts no server program on the path. */
function programs(): string {
  const debian = '/usr/lib/postgresql'
  const found = readdirIfThere(debian).toSorted((a, b) => Number(b) - Number(a))[0]
  if (found !== undefined) return join(debian, found, 'bin')
  return join(requiredProgram('initdb', 'apt-get install postgresql'), '..')
}

function readdirIfThere(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const numberOf = (flag: '-u' | '-g') => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
