import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Setup, setUp } from '../support/postern.ts'
import { node, projectRoot, start } from '../support/process.ts'
import { fill, smallDisk } from './disk.ts'
import { visitor } from './visitor.ts'

const storageFile = ({ folder }: Setup) => join(folder, 'postern.sqlite3')
const serve = (setup: Setup) => start(node, [join(projectRoot, 'dist/main.js'), 'serve', '--config', setup.configFile])
const rules = [{ domain: 'one.postern.localhost', policy: 'one_factor' }]

describe('it does not start', () => {
  it.each<[string, RegExp, (file: string) => void]>([
    ['on a file whose header is broken', /does not begin as an SQLite file/, file => breakFile(file, 0, 100)],
    [
      'on a file that is cut short',
      /broken|malformed|disk image/,
      file => writeFileSync(file, readFileSync(file).subarray(0, 5_000)),
    ],
    [
      'on another program’s file',
      /SQLite/,
      file => writeFileSync(file, 'not a database at all, but somebody’s letter'),
    ],
  ])('row 159: %s; the file stays as it is', async (_, words, harm) => {
    const setup = await setUp({ rules })
    const first = serve(setup)
    await first.line(/serving/)
    await first.stop()
    const file = storageFile(setup)
    harm(file)
    const was = readFileSync(file)
    const second = serve(setup)
    expect(await second.exit).toBe(1)
    expect(second.output()).toMatch(words)
    expect(readFileSync(file).equals(was)).toBe(true)
  })

  it('row 159: on a disk that is read-only, and says which file', async () => {
    const folder = smallDisk(2)
    const setup = await setUp({ folder, rules })
    const first = serve(setup)
    await first.line(/serving/)
    await first.stop()
    expect(spawnSync('mount', ['-o', 'remount,ro', folder]).status).toBe(0)
    const second = serve(setup)
    expect(await second.exit).toBe(1)
    expect(second.output()).toMatch(/postern\.sqlite3.*(read-only|EROFS)|(read-only|EROFS).*postern\.sqlite3/)
  })

  it('row 159: on a full disk; with room again it starts, with nothing half made', async () => {
    const folder = smallDisk(1)
    const setup = await setUp({ folder, rules })
    const disk = fill(folder)
    const first = serve(setup)
    expect(await first.exit).toBe(1)
    expect(first.output()).toMatch(/full|ENOSPC|no space/i)
    disk.free()
    const second = serve(setup)
    await second.line(/serving/)
    expect(await visitor(setup.port).signIn()).toMatchObject({ status: 200 })
    expect(statSync(storageFile(setup)).mode & 0o777).toBe(0o600)
  })
})

function breakFile(file: string, from: number, length: number): void {
  const open = openSync(file, 'r+')
  writeSync(open, Buffer.alloc(length, 0x41), 0, length, from)
  closeSync(open)
}
