import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { MINUTE, type Milliseconds } from '../clock.ts'
import { whenFree } from './busy.ts'
import type { Marks } from './older-copy.ts'
import { inTransaction } from './transaction.ts'

/** SQLite's `user_version`, in minutes since the epoch. Source: https://sqlite.org/fileformat.html, section 1.3. */
const MARK_AT = 60
const HEADER_BYTES = 64
const HEADER = Buffer.from('SQLite format 3\0')
const UNIT: Milliseconds = MINUTE

const besideFile = (path: string) => `${path}-mark`

/** The mark of a SQLite file that is open. */
export interface FileMark {
  readonly path: string
  /** As they are: the first as it is in the file itself, whatever SQLite is about to write there. */
  look(): Marks
  /** The first as SQLite has it. */
  standing(): Milliseconds
  /** Whether the file has the records too. */
  readonly holdsRecords: boolean
  /** Whether an older copy was written over the file while it was open: nothing in it is believed until a restart. */
  isOverwritten(): boolean
  /**
   * Moves both marks on. Whoever is killed in between leaves a second place that is behind, never ahead.
   * @throws what the disk or SQLite says; the marks are behind then
   */
  move(next: (standing: Milliseconds) => Milliseconds): Promise<void>
}

/**
 * The first bytes of the file itself, without what lies in its -wal. Null: they are not those of an SQLite file.
 * It is the checkpoint that carries a mark there, so a -wal that was left behind by a newer file does not make an older copy look new.
 */
export function headerOf(file: number): { readonly mark: Milliseconds | null } | null {
  const header = Buffer.alloc(HEADER_BYTES)
  const length = readSync(file, header, 0, HEADER_BYTES, 0)
  if (length < HEADER_BYTES || !header.subarray(0, HEADER.length).equals(HEADER)) return null
  return { mark: header.readInt32BE(MARK_AT) * UNIT || null }
}

/** Both marks, before this process has a connection to the file. The second place first: the other one only moves on. */
export function marksOf(path: string): Marks {
  const beside = markBeside(path)
  const file = openSync(path, 'r')
  try {
    return { store: headerOf(file)?.mark ?? null, beside }
  } finally {
    closeSync(file)
  }
}

/** Null where it is missing or holds something else. */
export function markBeside(path: string): Milliseconds | null {
  let text: string
  try {
    text = readFileSync(besideFile(path), 'utf8')
  } catch {
    return null
  }
  const mark = /^\d{4}-\d\d-\d\dT[\d:.]+Z\n$/.test(text) ? Date.parse(text.trim()) : Number.NaN
  return Number.isNaN(mark) ? null : mark
}

/** Whole or not at all, also in a power cut; readable by its owner only. Nobody waits for the disk but who asks for it. */
async function writeBeside(path: string, mark: Milliseconds): Promise<void> {
  // By no process' number: in two containers it may be the same.
  const fresh = `${besideFile(path)}-${randomBytes(6).toString('hex')}`
  try {
    const file = await open(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      await file.writeFile(`${new Date(mark).toISOString()}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, besideFile(path))
  } catch (error) {
    await rm(fresh, { force: true })
    throw error
  }
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** The mark within a database, as whoever has it open sees it. */
export function markIn(database: DatabaseSync): Milliseconds {
  return Number(database.prepare('PRAGMA user_version').get()?.user_version) * UNIT
}

interface Move {
  readonly path: string
  /** The mark that is in the file itself. Looks whether that is still the file that was opened. */
  readonly inFile: () => Milliseconds
  readonly next: (standing: Milliseconds) => Milliseconds
}

/** As `FileMark.move`. */
export async function moveMark(database: DatabaseSync, { path, inFile, next }: Move): Promise<void> {
  // An older copy that has just been written over the file would get a new mark, and be noticed by nobody.
  inFile()
  // A database with a mark and no second place would be taken for one that was brought here alone.
  if (markIn(database) === 0 && markBeside(path) === null) await writeBeside(path, 0)
  await whenFree(() =>
    inTransaction(database, () => {
      const standing = markIn(database)
      const minutes = Math.floor(next(standing) / UNIT)
      if (minutes * UNIT > standing) database.exec(`PRAGMA user_version = ${minutes}`)
    }),
  )
  const done = database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
  const mark = inFile()
  // Not all of it is in the file, and on the disk, while another process reads an older state: the next time, then.
  const isSafe = done?.busy === 0 && done.log === done.checkpointed
  if (isSafe && mark > 0 && mark !== markBeside(path)) await writeBeside(path, mark)
}
