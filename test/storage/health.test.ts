import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { openStorage } from '../../src/storage/open-storage.ts'
import { realDisk } from '../faults/disk.ts'

it('row 159: a file that is write-protected is told of once, however rarely somebody writes, and once when it is written again', async () => {
  const disk = realDisk()
  const path = join(disk.folder, 'db.sqlite3')
  const told: string[] = []
  const log = pino({ level: 'info' }, { write: line => void told.push(line) })
  const lines = (pattern: RegExp) => told.filter(line => pattern.test(line)).length
  const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path } }, { log })
  onTestFinished(() => storage.close())
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  onTestFinished(() => void vi.restoreAllMocks())
  const read = () => storage.records.selectFrom('postern_about').selectAll().execute()
  const write = () =>
    storage.records.transaction().execute(async transaction => {
      const row = { name: `row ${now}`, value: 'x' }
      await transaction.insertInto('postern_about').values(row).execute()
    })
  const attempt = async (work: () => Promise<unknown>) => {
    now += 60_000
    return work().then(
      () => 'done',
      (error: Error) => error.name,
    )
  }
  const files = [path, `${path}-wal`]
  disk.protect(...files)
  onTestFinished(() => disk.unprotect(...files))
  for (let time = 0; time < 3; time++) {
    expect(await attempt(write)).toBe('RecordsDown')
    expect(await attempt(read)).toBe('done')
  }
  expect(lines(/"reason":"storage-unwritable"/)).toBe(1)
  expect(lines(/well again/)).toBe(0)
  expect(storage.isDown).toBe(true)
  disk.unprotect(...files)
  expect(await attempt(write)).toBe('done')
  expect(lines(/well again/)).toBe(1)
  expect(storage.isDown).toBe(false)
})
