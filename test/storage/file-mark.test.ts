import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MINUTE } from '../../src/clock.ts'
import { marksOf } from '../../src/storage/file-mark.ts'
import { copyOf } from '../../src/storage/older-copy.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { StorageProblem } from '../../src/storage/storage-problem.ts'
import { node, start, temporaryFolder, until } from '../support/process.ts'

const noon = Date.UTC(2026, 10, 29, 12)
const newFile = () => join(temporaryFolder(), 'db.sqlite3')

async function open(path: string) {
  const lines: string[] = []
  const log = pino({}, { write: line => void lines.push(line) })
  const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path } }, { log })
  onTestFinished(() => storage.close())
  const { mark } = storage
  if (mark === null) throw new Error('it has a file')
  return { storage, mark, lines, moveTo: (time: number) => mark.move(standing => Math.max(standing, time)) }
}

/** As it would be after a power cut: the file and those beside it, while it is open. */
function copyAll(path: string): string {
  const copy = join(temporaryFolder(), 'db.sqlite3')
  for (const end of ['', '-wal', '-mark']) if (existsSync(path + end)) copyFileSync(path + end, copy + end)
  return copy
}

describe('the marks of a SQLite file', () => {
  it('row 163: are in the file itself and in one beside it, for its owner only, and never go back', async () => {
    const path = newFile()
    const { mark, moveTo } = await open(path)
    expect(mark.look()).toEqual({ store: null, beside: null })
    await moveTo(noon)
    expect(marksOf(path)).toEqual({ store: noon, beside: noon })
    expect(statSync(`${path}-mark`).mode & 0o777).toBe(0o600)
    await mark.move(() => noon - 60 * MINUTE)
    expect(marksOf(path)).toEqual({ store: noon, beside: noon })
    await moveTo(noon + 1.5 * MINUTE)
    expect(marksOf(path)).toEqual({ store: noon + MINUTE, beside: noon + MINUTE })
  })

  it('row 163: whoever wants something else meanwhile does not wait for the disk of the one beside it', async () => {
    const { mark, moveTo } = await open(newFile())
    for (const time of [noon, noon + MINUTE]) {
      let turned = false
      setImmediate(() => {
        turned = true
      })
      await moveTo(time)
      expect(turned).toBe(true)
      expect(mark.look()).toEqual({ store: time, beside: time })
    }
  })

  it('row 163: two of one process move them at the same time, and none of the files in between stays', async () => {
    const path = newFile()
    const { moveTo } = await open(path)
    await moveTo(noon)
    await Promise.all(Array.from({ length: 20 }, (_, i) => moveTo(noon + i * MINUTE)))
    const marks = marksOf(path)
    expect(marks.store).toBe(noon + 19 * MINUTE)
    expect(marks.beside).toBeLessThanOrEqual(noon + 19 * MINUTE)
    await moveTo(noon + 20 * MINUTE)
    expect(marksOf(path)).toEqual({ store: noon + 20 * MINUTE, beside: noon + 20 * MINUTE })
    expect(readdirSync(dirname(path)).filter(name => name.includes('-mark'))).toEqual(['db.sqlite3-mark'])
  })

  it('row 163: the one beside it waits while another process keeps the first from reaching the file', async () => {
    const path = newFile()
    const { moveTo } = await open(path)
    await moveTo(noon)
    const reader = new DatabaseSync(path)
    onTestFinished(() => reader.close())
    reader.exec('BEGIN; SELECT count(*) FROM postern_sessions')
    await moveTo(noon + 10 * MINUTE)
    await moveTo(noon + 20 * MINUTE)
    expect(marksOf(path).beside).toBe(marksOf(path).store)
    expect(marksOf(path).beside).toBeLessThan(noon + 20 * MINUTE)
    reader.exec('COMMIT')
    await moveTo(noon + 30 * MINUTE)
    expect(marksOf(path)).toEqual({ store: noon + 30 * MINUTE, beside: noon + 30 * MINUTE })
  })

  it('row 163: killed at any moment, it is never taken for an older copy', async () => {
    const path = newFile()
    let moved = 0
    for (let round = 0; round < 7; round += 1) {
      const doomed = start(node, [join(import.meta.dirname, 'doomed-mark.ts'), path])
      // Also while it opens the file for the first time.
      if (round > 1) await doomed.line(/^ready$/m)
      await pause(round <= 1 ? 250 + 150 * round : 40 * round)
      await doomed.stop('SIGKILL')
      if (!existsSync(path)) continue
      const marks = marksOf(path)
      expect(copyOf(marks), JSON.stringify(marks)).toBe('ours')
      if (marks.store !== null && marks.store > moved) moved = marks.store
    }
    expect(moved).toBeGreaterThan(Date.UTC(2026, 0) + 10 * 10 * MINUTE)
  })

  it('row 163: two containers move them at the same time, where both processes have the number 1', async () => {
    const path = newFile()
    const first = join(temporaryFolder(), 'first.mjs')
    writeFileSync(first, "Object.defineProperty(process, 'pid', { value: 1 })")
    const args = ['--import', first, join(import.meta.dirname, 'doomed-mark.ts'), path]
    const both = [start(node, args), start(node, args)]
    for (const one of both) await one.line(/^ready$/m)
    const moves = 200
    await until(() => (marksOf(path).beside ?? 0) > Date.UTC(2026, 0) + moves * 10 * MINUTE, 'they have moved them')
    for (const one of both) expect(await one.stop('SIGKILL'), one.output()).toBe('SIGKILL')
  })

  it('row 163: a second place that holds something else, or cannot be read, is none', async () => {
    const path = newFile()
    const { storage, moveTo } = await open(path)
    await moveTo(noon)
    await storage.close()
    for (const text of ['', 'nonsense', '2026-11-29T12:00:00.000Z', '9999-99-99T99:99:99.999Z\n']) {
      writeFileSync(`${path}-mark`, text)
      expect(copyOf(marksOf(path))).toBe('alone')
    }
    rmSync(`${path}-mark`)
    mkdirSync(`${path}-mark`)
    expect(copyOf(marksOf(path))).toBe('alone')
    const again = await open(path)
    await expect(again.moveTo(noon + MINUTE)).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
    expect(marksOf(path).store).toBe(noon + MINUTE)
  })
})

describe('an older copy with the -wal of the file that was there before', () => {
  it('row 163: is refused with the mend and left as it is; without that -wal it is opened', async () => {
    const path = newFile()
    const { storage, moveTo } = await open(path)
    await moveTo(noon)
    const backup = join(temporaryFolder(), 'backup')
    storage.sessions.exec(`VACUUM INTO '${backup}'`)
    await moveTo(noon + 10 * MINUTE)
    storage.counters.exec('CREATE TABLE postern_work (n)')
    await moveTo(noon + 20 * MINUTE)
    storage.counters.exec('INSERT INTO postern_work VALUES (1)')
    const copy = copyAll(path)
    copyFileSync(backup, copy)
    const was = readFileSync(copy)
    const refused = await open(copy).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StorageProblem)
    expect(refused).toMatchObject({ reason: 'storage-wal', mend: expect.stringContaining('-wal') })
    expect(readFileSync(copy).equals(was)).toBe(true)
    rmSync(`${copy}-wal`)
    rmSync(`${copy}-shm`, { force: true })
    const { mark } = await open(copy)
    expect(copyOf(mark.look())).toBe('older')
  })

  it('row 163: a file that was killed, with its own -wal, is as it was', async () => {
    const path = newFile()
    const { storage, moveTo } = await open(path)
    await moveTo(noon)
    storage.counters.exec('CREATE TABLE postern_work (n)')
    const { mark } = await open(copyAll(path))
    expect(copyOf(mark.look())).toBe('ours')
  })
})

describe('an older copy that is written over the open file', () => {
  it('row 163: is not written to any more, also not at the end, and the log names it once', async () => {
    const path = newFile()
    const { storage, mark, moveTo, lines } = await open(path)
    await moveTo(noon)
    const backup = join(temporaryFolder(), 'backup')
    storage.sessions.exec(`VACUUM INTO '${backup}'`)
    await moveTo(noon + 10 * MINUTE)
    storage.counters.exec('CREATE TABLE postern_work (n)')
    copyFileSync(backup, path)
    await until(() => mark.isOverwritten(), 'it is noticed')
    expect(() => storage.counters.exec('INSERT INTO postern_work VALUES (1)')).toThrow()
    await expect(moveTo(noon + 20 * MINUTE)).rejects.toThrow()
    await storage.close()
    expect(lines.filter(line => line.includes('storage-overwritten'))).toHaveLength(1)
    expect(readFileSync(path).equals(readFileSync(backup))).toBe(true)
    const again = await open(path)
    expect(copyOf(again.mark.look())).toBe('older')
  })

  it.each(['its mark is moved', 'it is closed'])(
    'row 163: is noticed where the next that happens is that %s',
    async next => {
      const path = newFile()
      const { storage, mark, moveTo } = await open(path)
      await moveTo(noon)
      const backup = join(temporaryFolder(), 'backup')
      storage.sessions.exec(`VACUUM INTO '${backup}'`)
      await moveTo(noon + 10 * MINUTE)
      storage.counters.exec('CREATE TABLE postern_work (n)')
      copyFileSync(backup, path)
      if (next === 'its mark is moved') await expect(moveTo(noon + 20 * MINUTE)).rejects.toThrow()
      await storage.close()
      expect(mark.isOverwritten()).toBe(true)
      expect(readFileSync(path).equals(readFileSync(backup))).toBe(true)
      expect(marksOf(path)).toEqual({ store: noon, beside: noon + 10 * MINUTE })
    },
  )
})
