import { closeSync, openSync, statSync, truncateSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { type Milliseconds, SECOND } from '../clock.ts'
import { headerOf } from './file-mark.ts'
import type { Health } from './health.ts'
import { TOLERANCE } from './older-copy.ts'

const LOOK_EVERY: Milliseconds = SECOND

/** What stands where the file was opened. `moved`: nothing, or another file. `overwritten`: the same one, with an older copy in it. */
type Standing = 'there' | 'moved' | 'broken' | 'overwritten'

export interface FileGuard {
  /** For good: what is in memory, and in the -wal, is not of that copy. */
  isOverwritten(): boolean
  /** The mark that is in the file itself. Looks first. */
  mark(): Milliseconds
  /** Closes the connections too. Into a copy that was written over the file they carry nothing of what is in the -wal. */
  close(): void
}

/**
 * Looks once a second whether the file is still the one that was opened. SQLite itself does not: in WAL mode it goes on writing to a file that has
 * no name any more, and what was answered for, a sign-out too, is lost with the next start. While it is moved or broken the connections write
 * nothing; they read on as far as they can, and all is well again once the file is.
 * @param databases all connections of this process to it, also those that are opened later
 */
export function guardFile(
  path: string,
  databases: readonly DatabaseSync[],
  health: Pick<Health, 'found'>,
  every: Milliseconds = LOOK_EVERY,
): FileGuard {
  // One for as long as there is a connection: whoever closes a file takes all locks of its process off it, SQLite's too (https://sqlite.org/howtocorrupt.html, 2.2).
  const handle = openSync(path, 'r')
  const file = identityOf(path)
  // Made with the first read; it stays for as long as a connection is open.
  let wal = identityOf(`${path}-wal`)
  let standing: Standing = 'there'
  let closed = false
  // Of the file itself: it only moves on while nobody writes over it.
  let newest: Milliseconds = headerOf(handle)?.mark ?? 0

  function look(): Standing {
    if (standing === 'overwritten') return standing
    wal ??= identityOf(`${path}-wal`)
    if (identityOf(path) !== file) return 'moved'
    const header = headerOf(handle)
    const mark = header?.mark ?? 0
    if (header !== null && newest - mark > TOLERANCE) return 'overwritten'
    newest = Math.max(newest, mark)
    if (identityOf(`${path}-wal`) !== wal) return 'moved'
    return header === null ? 'broken' : 'there'
  }

  function check(): void {
    let found: Standing
    try {
      found = look()
    } catch {
      return // no file handle is free, say: nobody knows
    }
    const open = databases.filter(({ isOpen }) => isOpen)
    // Pages of a broken file are kept as they were read, and would be believed when it is whole again.
    if (standing === 'broken') for (const database of open) database.exec('PRAGMA shrink_memory')
    if (found === standing) return
    standing = found
    for (const database of open) database.exec(`PRAGMA query_only = ${found === 'there' ? 'OFF' : 'ON'}`)
    health.found(found === 'there' ? null : `storage-${found}`)
  }

  const timer = setInterval(check, every).unref()
  return {
    mark() {
      check()
      return headerOf(handle)?.mark ?? 0
    },
    isOverwritten: () => standing === 'overwritten',
    close() {
      if (closed) return
      closed = true
      clearInterval(timer)
      check() // `cp COPY FILE && systemctl restart postern` is faster than the next look
      if (standing === 'overwritten' && identityOf(`${path}-wal`) === wal && wal !== undefined)
        truncateSync(`${path}-wal`)
      for (const database of databases) if (database.isOpen) database.close()
      closeSync(handle)
    },
  }
}

function identityOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stat && `${stat.dev}:${stat.ino}`
}
