import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { HOUR } from '../../src/clock.ts'
import { watchFile } from '../../src/config/watch-file.ts'
import { temporaryFolder, until } from '../support/process.ts'

/** Without the timer's help: only events tell. */
function watched(path: string) {
  let seen: string | undefined
  let calls = 0
  const look = async () => {
    calls++
    try {
      seen = readFileSync(path, 'utf8')
    } catch {
      seen = undefined
    }
  }
  const watching = watchFile(path, look, HOUR)
  onTestFinished(() => watching.close())
  return {
    watching,
    calls: () => calls,
    sees: (text: string | undefined) => until(() => calls > 0 && seen === text, `${text}, not ${seen}`),
  }
}

describe(watchFile, () => {
  it('row 145: tells of a file that is written, moved over, deleted and made again', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'file')
    writeFileSync(path, 'one')
    const { sees } = watched(path)
    await sees('one')
    writeFileSync(path, 'two')
    await sees('two')
    writeFileSync(join(folder, 'new'), 'three')
    renameSync(join(folder, 'new'), path)
    await sees('three')
    unlinkSync(path)
    await sees(undefined)
    writeFileSync(path, 'four')
    await sees('four')
  })

  it('row 145: follows a link that is turned to another file, and an edit behind it', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'file')
    for (const name of ['one', 'two']) {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'file'), name)
    }
    const turn = (to: string) => {
      symlinkSync(to, join(folder, 'link'))
      renameSync(join(folder, 'link'), path)
    }
    turn('one/file')
    const { sees } = watched(path)
    await sees('one')
    writeFileSync(join(folder, 'one', 'file'), 'edited')
    await sees('edited')
    writeFileSync(join(folder, 'one', 'new'), 'moved over')
    renameSync(join(folder, 'one', 'new'), join(folder, 'one', 'file'))
    await sees('moved over')
    unlinkSync(join(folder, 'one', 'file'))
    await sees(undefined)
    writeFileSync(join(folder, 'one', 'file'), 'made again')
    await sees('made again')
    turn('two/file')
    await sees('two')
    writeFileSync(join(folder, 'two', 'file'), 'edited too')
    await sees('edited too')
  })

  it('row 145: sees a folder that is taken away and made again', async () => {
    const folder = join(temporaryFolder(), 'a', 'b')
    mkdirSync(folder, { recursive: true })
    const path = join(folder, 'file')
    writeFileSync(path, 'one')
    const { sees } = watched(path)
    await sees('one')
    rmSync(join(folder, '..'), { recursive: true })
    await sees(undefined)
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, 'two')
    await sees('two')
  })

  it('is quiet while nothing changes, and after it is closed', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'file')
    writeFileSync(path, 'one')
    const { sees, calls, watching } = watched(path)
    await sees('one')
    writeFileSync(join(folder, 'other'), 'x')
    writeFileSync(path, 'two')
    await sees('two')
    const before = calls()
    expect(before).toBeLessThanOrEqual(3)
    await watching.close()
    writeFileSync(path, 'three')
    expect(calls()).toBe(before)
  })

  it('looks by itself from time to time, for folders that send no events', async () => {
    const path = join(temporaryFolder(), 'file')
    let calls = 0
    const looks = async () => void calls++
    const watching = watchFile(path, looks, 20)
    onTestFinished(() => watching.close())
    writeFileSync(path, 'one')
    await until(() => calls > 0, 'a look')
  })
})
