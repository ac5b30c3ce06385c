import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Postern, type Setup, setUp, startPostern } from '../support/postern.ts'
import { until } from '../support/process.ts'
import { fill, realDisk, smallDisk } from './disk.ts'
import { lines, type Visitor, visitor } from './visitor.ts'

const storageFile = ({ folder }: Setup) => join(folder, 'postern.sqlite3')
const rules = [
  { domain: 'public.postern.localhost', policy: 'bypass' },
  { domain: 'one.postern.localhost', policy: 'one_factor' },
]
const OFTEN = 30

describe('while it runs, the disk is full', () => {
  it('row 159: who is signed in stays in, sign-ins and sign-outs are 503, the log says it once, and it heals', async () => {
    const folder = smallDisk(2)
    const setup = await setUp({ folder, rules })
    const postern = await startPostern(setup)
    const [here, other] = [visitor(setup.port), visitor(setup.port)]
    expect(await here.signIn()).toMatchObject({ status: 200 })
    const disk = fill(folder)
    // What the file and its log have room for themselves is used up first.
    const refused = await until(async () => {
      const said = await other.signIn()
      return said.status === 200 ? null : said
    }, 'nothing more can be written')
    expect(refused).toMatchObject({ status: 503, json: { status: 'KO' } })
    const before = postern.output().length
    for (let time = 0; time < OFTEN; time += 1) {
      other.cookie = ''
      expect(await other.signIn()).toMatchObject({ status: 503 })
      expect(await here.gate('one')).toMatchObject({ status: 200 })
      expect(await other.gate('public')).toMatchObject({ status: 200 })
    }
    expect(await other.gate('one')).toMatchObject({ status: 401 })
    expect(await here.api('/api/logout', {})).toMatchObject({ status: 503 })
    expect(await here.gate('one')).toMatchObject({ status: 200 })
    const during = postern.output().slice(before)
    expect(lines(during, /"err":/)).toBeLessThanOrEqual(3)
    disk.free()
    expect(await other.signIn()).toMatchObject({ status: 200 })
    expect(await here.api('/api/logout', {})).toMatchObject({ status: 200 })
    expect(await here.gate('one')).toMatchObject({ status: 401 })
    expect(postern.child.exitCode).toBeNull()
  })
})

describe('while it runs, the file turns read-only', () => {
  /** What those meet who come meanwhile; gives what the log has of it. */
  async function meanwhile({ output }: Pick<Postern, 'output'>, here: Visitor, other: Visitor): Promise<string> {
    const before = output().length
    for (let time = 0; time < 5; time += 1) {
      other.cookie = ''
      expect(await other.signIn()).toMatchObject({ status: 503, json: { status: 'KO' } })
      expect(await here.gate('one')).toMatchObject({ status: 200 })
      expect(await other.gate('public')).toMatchObject({ status: 200 })
    }
    expect(await other.gate('one')).toMatchObject({ status: 401 })
    expect(await here.api('/api/logout', {})).toMatchObject({ status: 503 })
    expect(await here.gate('one')).toMatchObject({ status: 200 })
    return output().slice(before)
  }
  const TOLD = /"level":"error".*"reason":"storage-unwritable".*lsattr/
  // That people cannot sign in is an event of its own, told once too.
  const ANYTHING_ELSE = /"level":"(?:warn|error|fatal)"(?!.*(?:"storage-unwritable"|"login\.unavailable"))/

  it('row 159: an error of the file system (ext4, errors=remount-ro): reads go on, writes are 503, told once; mended, nobody is signed out', async () => {
    const disk = realDisk()
    const setup = await setUp({ folder: disk.folder, rules })
    const postern = await startPostern(setup)
    disk.flush() // the configuration; what comes now is Postern's matter
    const [here, other] = [visitor(setup.port), visitor(setup.port)]
    expect(await here.signIn()).toMatchObject({ status: 200 })
    disk.fail()
    const during = await meanwhile(postern, here, other)
    expect(lines(during, TOLD)).toBe(1)
    expect(lines(during, ANYTHING_ELSE)).toBe(0)
    await postern.stop()
    disk.repair()
    await startPostern(setup)
    expect(await here.gate('one')).toMatchObject({ status: 200 })
    expect(await other.signIn()).toMatchObject({ status: 200 })
  })

  it('row 159: the file is write-protected: the same, and it heals by itself', async () => {
    const disk = realDisk()
    const setup = await setUp({ folder: disk.folder, rules })
    const postern = await startPostern(setup)
    const [here, other] = [visitor(setup.port), visitor(setup.port)]
    expect(await here.signIn()).toMatchObject({ status: 200 })
    const files = [storageFile(setup), `${storageFile(setup)}-wal`]
    disk.protect(...files)
    onTestFinished(() => disk.unprotect(...files))
    const during = await meanwhile(postern, here, other)
    expect(lines(during, TOLD)).toBe(1)
    expect(lines(during, ANYTHING_ELSE)).toBe(0)
    disk.unprotect(...files)
    expect(await other.signIn()).toMatchObject({ status: 200 })
    expect(await here.api('/api/logout', {})).toMatchObject({ status: 200 })
    expect(await here.gate('one')).toMatchObject({ status: 401 })
  })
})

describe('while it runs, another program holds the write lock', () => {
  it('row 159: who is signed in stays in, sign-ins wait and are 503 at last, and it heals', async () => {
    const setup = await setUp({ rules })
    await startPostern(setup)
    const [here, other] = [visitor(setup.port), visitor(setup.port)]
    await here.signIn()
    const database = new DatabaseSync(storageFile(setup))
    onTestFinished(() => database.close())
    database.exec('BEGIN IMMEDIATE')
    const waiting = other.signIn()
    const asked = performance.now()
    while (performance.now() - asked < 500) expect(await here.gate('one')).toMatchObject({ status: 200 })
    expect(await waiting).toMatchObject({ status: 503 })
    const short = other.signIn()
    database.exec('ROLLBACK')
    expect(await short).toMatchObject({ status: 200 })
  })
})

describe('while it runs, the file is deleted or moved away', () => {
  it.each([
    ['deleted', (file: string) => rmSync(file)],
    ['moved away', (file: string) => renameSync(file, `${file}.old`)],
  ])('row 159: %s: who is signed in stays in, nothing more is written, and the log says it once', async (_, away) => {
    const setup = await setUp({ rules })
    const postern = await startPostern(setup)
    const [here, other] = [visitor(setup.port), visitor(setup.port)]
    await here.signIn()
    away(storageFile(setup))
    await postern.line(/storage-moved/)
    for (let time = 0; time < OFTEN; time += 1) {
      expect(await other.signIn()).toMatchObject({ status: 503 })
      expect(await here.gate('one')).toMatchObject({ status: 200 })
    }
    expect(await other.gate('public')).toMatchObject({ status: 200 })
    expect(lines(postern.output(), /storage-moved/)).toBe(1)
    expect(existsSync(storageFile(setup))).toBe(false)
  })

  it('row 159: it heals when the file is moved back', async () => {
    const setup = await setUp({ rules })
    const postern = await startPostern(setup)
    const here = visitor(setup.port)
    const file = storageFile(setup)
    renameSync(file, `${file}.old`)
    await postern.line(/storage-moved/)
    expect(await here.signIn()).toMatchObject({ status: 503 })
    renameSync(`${file}.old`, file)
    await until(async () => (await here.signIn()).status === 200, 'it writes again')
  })
})

describe('while it runs, the header of the file is broken', () => {
  it('row 159: nobody gets in by it, it is never made anew, and it heals when the header is right again', async () => {
    const setup = await setUp({ rules })
    const postern = await startPostern(setup)
    const [here, other] = [visitor(setup.port), visitor(setup.port)]
    await here.signIn()
    const file = storageFile(setup)
    // What stands in the log would cover for it: everything goes to the file first.
    const database = new DatabaseSync(file)
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    database.close()
    const right = readFileSync(file).subarray(0, 100)
    const write = (bytes: Buffer) => {
      const open = openSync(file, 'r+')
      writeSync(open, bytes, 0, bytes.length, 0)
      closeSync(open)
    }
    write(Buffer.alloc(100, 0x41))
    const answers = []
    for (let time = 0; time < OFTEN; time += 1) {
      answers.push((await other.signIn()).status, (await here.gate('one')).status)
      expect(await other.gate('public')).toMatchObject({ status: 200 })
    }
    expect(answers.every(status => [200, 503].includes(status))).toBe(true)
    expect(postern.child.exitCode).toBeNull()
    write(right)
    await until(async () => (await other.signIn()).status === 200, 'it writes again')
    expect(await here.gate('one')).toMatchObject({ status: 200 })
  })
})
