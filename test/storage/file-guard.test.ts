import { closeSync, copyFileSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { guardFile } from '../../src/storage/file-guard.ts'
import { openHealth } from '../../src/storage/health.ts'
import { temporaryFolder, until } from '../support/process.ts'

function opened() {
  const path = join(temporaryFolder(), 'postern.sqlite3')
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE one (n)')
  const lines: string[] = []
  const health = openHealth('The storage file', pino({}, { write: line => void lines.push(line) }))
  const guard = guardFile(path, [database], health, 5)
  onTestFinished(() => guard.close())
  const writes = () => {
    try {
      database.exec('INSERT INTO one VALUES (1)')
      return true
    } catch {
      return false
    }
  }
  const count = () => database.prepare('SELECT count(*) AS n FROM one').get()?.n
  return { path, database, lines, writes, count }
}

describe(guardFile, () => {
  it.each<[string, (path: string) => void]>([
    ['is deleted', path => rmSync(path)],
    ['is moved away', path => renameSync(path, `${path}.old`)],
    [
      'has another in its place',
      path => {
        copyFileSync(path, `${path}.new`)
        renameSync(`${path}.new`, path)
      },
    ],
    ['has lost its log', path => rmSync(`${path}-wal`)],
  ])('row 159: a file that %s is read and not written, and told of once', async (_, harm) => {
    const { path, lines, writes, count } = opened()
    expect(writes()).toBe(true)
    harm(path)
    await until(() => !writes(), 'it writes no more')
    const was = count()
    for (let time = 0; time < 20; time += 1) expect(writes()).toBe(false)
    expect(count()).toBe(was)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('storage-moved')
  })

  it('row 159: a header that is broken stops the writes; with the right one they go on', async () => {
    const { path, database, lines, writes } = opened()
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const write = (text: string) => {
      const file = openSync(path, 'r+')
      writeSync(file, text, 0, 'latin1')
      closeSync(file)
    }
    write('Nonsense here..\0')
    await until(() => !writes(), 'it writes no more')
    await until(() => lines.length > 0, 'it is told')
    expect(lines[0]).toContain('storage-broken')
    write('SQLite format 3\0')
    await until(writes, 'it writes again')
    await until(() => lines.length === 2, 'that is told too')
  })

  it('row 159: looking takes no lock off the file: another process must not take itself for the last', async () => {
    const { path, writes, lines } = opened()
    expect(writes()).toBe(true)
    const inode = String(statSync(path).ino)
    const locks = () =>
      readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .filter(line => line.includes(`:${inode} `)).length
    expect(locks()).toBeGreaterThan(0)
    const file = openSync(path, 'r+')
    writeSync(file, 'Nonsense here..\0', 0, 'latin1')
    await until(() => lines.length > 0, 'it was looked at')
    expect(locks()).toBeGreaterThan(0)
    closeSync(file)
  })
})
