import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { lookAtStorage } from '../../src/storage/look.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { temporaryFolder } from '../support/process.ts'

const NOBODY = 65_534

const at = (path: string) => ({ encryption_key: '', local: { path } })
const folderWith = (name: string) => {
  const folder = temporaryFolder()
  return { folder, file: join(folder, name) }
}

describe(lookAtStorage, () => {
  it('finds nothing wrong with a file that is not there yet, and does not make it', () => {
    const { folder, file } = folderWith('postern.sqlite3')
    expect(lookAtStorage(at(file))).toBeNull()
    expect(readdirSync(folder)).toEqual([])
  })

  it('finds nothing wrong with Postern’s own file, while it is open too', async () => {
    const { file } = folderWith('postern.sqlite3')
    const storage = await openStorage(at(file), { log: pino({ level: 'silent' }) })
    expect(lookAtStorage(at(file))).toBeNull()
    await storage.close()
    expect(lookAtStorage(at(file))).toBeNull()
  })

  it.each<[string, string, (file: string) => void]>([
    ['another program’s', 'storage-foreign', file => new DatabaseSync(file).exec('CREATE TABLE notes (id INTEGER)')],
    [
      'Authelia’s',
      'storage-authelia',
      file => new DatabaseSync(file).exec('CREATE TABLE authentication_logs (id INTEGER)'),
    ],
    ['no SQLite file', 'storage-broken', file => writeFileSync(file, 'hello '.repeat(1000))],
    ['a folder', 'storage-denied', file => void mkdirSync(file)],
  ])('finds a file that is %s, and leaves it as it is', (_, reason, make) => {
    const { folder, file } = folderWith('postern.sqlite3')
    make(file)
    const before = readdirSync(folder)
    expect(lookAtStorage(at(file))).toMatchObject({ reason })
    expect(readdirSync(folder)).toEqual(before)
  })

  it('finds a folder that is missing', () => {
    const { folder } = folderWith('')
    expect(lookAtStorage(at(join(folder, 'missing', 'postern.sqlite3')))).toMatchObject({ reason: 'storage-folder' })
  })

  it.each<[string, number, number]>([
    ['a file that may not be written', 0o400, 0o700],
    ['a folder that may not', 0o600, 0o500],
  ])('finds %s', (_, fileMode, folderMode) => {
    const { folder, file } = folderWith('postern.sqlite3')
    writeFileSync(file, '')
    chmodSync(file, fileMode)
    chmodSync(folder, folderMode)
    // The superuser may write anywhere: somebody else looks then, whom the process becomes once it has read what only root may reach.
    const isRoot = process.getuid?.() === 0
    if (isRoot) for (const path of [file, folder]) chownSync(path, NOBODY, NOBODY)
    const script = `
      import { lookAtStorage } from ${JSON.stringify(join(import.meta.dirname, '../../src/storage/look.ts'))}
      ${isRoot ? `process.setgid(${NOBODY}); process.setuid(${NOBODY})` : ''}
      console.log(lookAtStorage({ encryption_key: '', local: { path: ${JSON.stringify(file)} } })?.reason)`
    const looked = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      encoding: 'utf8',
    })
    expect(looked.stdout.trim(), looked.stderr).toBe('storage-denied')
  })
})
