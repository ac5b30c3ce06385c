import { closeSync, constants, existsSync, fchmodSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Milliseconds } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { whenFree } from './busy.ts'
import { type FileGuard, guardFile } from './file-guard.ts'
import { marksOf } from './file-mark.ts'
import { type Health, openHealth } from './health.ts'
import { standing } from './migrate.ts'
import { NEEDS, sqliteMigrations } from './migrations.ts'
import { copyOf } from './older-copy.ts'
import { RecordsDown } from './records-down.ts'
import { StorageProblem } from './storage-problem.ts'

const USUAL_FILE = '/var/lib/postern/postern.sqlite3'
const HEADER = Buffer.from('SQLite format 3\0')
// Each of these is a table of Authelia since its first schema; none is of ours.
const AUTHELIA_TABLES = ['authentication_logs', 'totp_configurations', 'user_preferences']
// What one statement waits in place. The rest of the waiting is whenFree's, which lets the event loop go on.
const BUSY_TIMEOUT: Milliseconds = 10
// A new connection reads before it can be asked anything: it waits in place while another process makes the file, or recovers its log.
const CONNECT_TIMEOUT: Milliseconds = 5_000
const TRIES_AT_MOST = 20
const PAUSE: Milliseconds = 100

/** The file of this machine. Where records are in PostgreSQL it need not be named. */
export const storageFile = ({ local }: Config['storage']): string => resolve(local?.path ?? USUAL_FILE)

export interface StorageFile {
  readonly path: string
  /** One more connection. NORMAL would survive a SIGKILL; `synchronous = FULL` survives a power cut too: a logout or a ban that was answered must not be undone by one. */
  connect(): DatabaseSync
  readonly health: Health
  readonly guard: Pick<FileGuard, 'isOverwritten' | 'mark'>
  close(): void
}

/**
 * The file, made when it is missing (its folder must be there), in WAL mode. Nothing is migrated yet.
 * @throws {StorageProblem} when the file is not ours, newer, broken or out of reach
 */
export async function openFile(path: string, log: FastifyBaseLogger): Promise<StorageFile> {
  prepareFile(path, log)
  refuseForeign(path)
  await refuseMixture(path)
  const open: DatabaseSync[] = []
  const connect = (): DatabaseSync => {
    const database = new DatabaseSync(path, { timeout: CONNECT_TIMEOUT, enableForeignKeyConstraints: true })
    open.push(database)
    database.exec(`PRAGMA synchronous = FULL; PRAGMA busy_timeout = ${BUSY_TIMEOUT}`)
    return database
  }
  const close = () => {
    for (const database of open) if (database.isOpen) database.close()
  }
  try {
    const first = connect()
    // Not covered by the busy timeout: two processes may make the file at once.
    const journal = await whenFree(() => first.prepare('PRAGMA journal_mode = WAL').get()?.journal_mode)
    if (journal !== 'wal') throw new StorageProblem('storage-denied', `${path} is on a disk without shared memory`)
    const health = openHealth('The storage file', log, 'storage-unwritable')
    const guard = guardFile(path, open, health)
    return {
      path,
      connect,
      health,
      guard,
      close: guard.close,
    }
  } catch (error) {
    close()
    throw fileProblem(error, path)
  }
}

/** Makes the file readable by its owner only; -wal and -shm take over its mode. A new file is empty until SQLite writes to it. */
function prepareFile(path: string, log: FastifyBaseLogger): void {
  const folder = dirname(path)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new StorageProblem('storage-folder', folder)
  // SQLite would make a new file and throw the log of the lost one away, with what was answered for last.
  if (!existsSync(path) && hasWal(path))
    throw new StorageProblem('storage-broken', `${path} is gone, and its -wal is still there`)
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new StorageProblem('storage-denied', `${path} is not a file`)
    if ((stat.mode & 0o077) !== 0) {
      fchmodSync(file, 0o600)
      log.warn({ path }, 'the storage file could be read by other users of this machine; its mode is 0600 now')
    }
    const header = Buffer.alloc(HEADER.length)
    if (readSync(file, header, 0, header.length, 0) > 0 && !header.equals(HEADER))
      throw new StorageProblem('storage-broken', `${path} does not begin as an SQLite file`)
  } catch (error) {
    throw fileProblem(error, path)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/**
 * Looks without writing: another program's file stays as it is.
 * @throws {StorageProblem}
 */
export function refuseForeign(path: string): void {
  if (statSync(path).size === 0) return
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
    const rows = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'")
      .all()
    const tables = rows.map(row => String(row.name))
    const foreign = tables.filter(table => !table.startsWith('postern_'))
    if (AUTHELIA_TABLES.some(table => foreign.includes(table))) throw new StorageProblem('storage-authelia', path)
    if (foreign.length > 0) throw new StorageProblem('storage-foreign', `${path} has a table ${foreign[0]}`)
    if (!tables.includes('postern_migrations')) return
    const executed = database.prepare('SELECT name FROM postern_migrations ORDER BY name').all()
    const names = executed.map(({ name }) => String(name))
    const needs = tables.includes('postern_about')
      ? database.prepare('SELECT value FROM postern_about WHERE name = ?').get(NEEDS)
      : undefined
    if (standing(names, needs === undefined ? null : String(needs.value), sqliteMigrations) === 'newer')
      throw new StorageProblem('storage-newer', `${path} has been through ${names.at(-1)}`)
  } catch (error) {
    throw fileProblem(error, path)
  } finally {
    database?.close()
  }
}

/**
 * A copy was brought back, and a -wal is beside it: that of the file that was there before, perhaps, and together they would be neither of the two. What
 * SQLite could tell of it is in neither. Where another process is just about to take the copy, this waits for it. Looks without writing.
 * @throws {StorageProblem}
 */
async function refuseMixture(path: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    if (copyOf(marksOf(path)) !== 'older' || !hasWal(path)) return
    if (tries === TRIES_AT_MOST) throw new StorageProblem('storage-wal', path)
    await pause(PAUSE)
  }
}

export const hasWal = (path: string): boolean => (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0

const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

/** What an administrator has to mend, found while the file is opened. */
export function fileProblem(caught: unknown, path: string): StorageProblem {
  if (caught instanceof StorageProblem) return caught
  const error = caught instanceof RecordsDown ? caught.cause : caught
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
  const reason = code === SQLITE_CORRUPT || code === SQLITE_NOTADB ? 'storage-broken' : 'storage-denied'
  return new StorageProblem(reason, `${path}: ${error instanceof Error ? error.message : String(error)}`, error)
}
