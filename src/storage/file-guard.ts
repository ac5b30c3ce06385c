import { closeSync, openSync, readSync, statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { type Milliseconds, SECOND } from '../clock.ts'
import type { Health } from './health.ts'

const LOOK_EVERY: Milliseconds = SECOND
const HEADER = Buffer.from('SQLite format 3\0')

/** What stands where the file was opened. `moved`: nothing, or another file. */
type Standing = 'there' | 'moved' | 'broken'

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
): { close(): void } {
  const file = identityOf(path)
  // Made with the first read; it stays for as long as a connection is open.
  let wal = identityOf(`${path}-wal`)
  let standing: Standing = 'there'

  function look(): Standing {
    wal ??= identityOf(`${path}-wal`)
    if (identityOf(path) !== file || identityOf(`${path}-wal`) !== wal) return 'moved'
    return beginsRight(path) ? 'there' : 'broken'
  }

  const timer = setInterval(() => {
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
  }, every).unref()
  return { close: () => clearInterval(timer) }
}

function identityOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stat && `${stat.dev}:${stat.ino}`
}

function beginsRight(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const header = Buffer.alloc(HEADER.length)
    return readSync(file, header, 0, header.length, 0) === HEADER.length && header.equals(HEADER)
  } finally {
    closeSync(file)
  }
}
