import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { whenFree } from '../../src/storage/busy.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { RecordsDown } from '../../src/storage/records-down.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { StorageProblem } from '../../src/storage/storage-problem.ts'
import { node, start, temporaryFolder, until } from '../support/process.ts'

const log = pino({ level: 'silent' })
const open = async (path: string): Promise<Storage> => {
  const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path } }, { log })
  onTestFinished(() => storage.close())
  return storage
}
const newFile = () => join(temporaryFolder(), 'db.sqlite3')

async function refusal(path: string): Promise<StorageProblem> {
  const outcome = await open(path).catch((error: unknown) => error)
  if (!(outcome instanceof StorageProblem)) throw new Error(`expected a StorageProblem, got ${outcome}`)
  expect(outcome.mend).not.toBe('')
  return outcome
}

/** A file that another program made. */
function foreignFile(statements: string): string {
  const path = newFile()
  const database = new DatabaseSync(path)
  database.exec(statements)
  database.close()
  return path
}

describe(openStorage, () => {
  it('makes the file for its owner only, write-ahead log included', async () => {
    const path = newFile()
    await open(path)
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('takes a file that others could read away from them', async () => {
    const path = newFile()
    await (await open(path)).close()
    chmodSync(path, 0o644)
    await open(path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('keeps what was written, in another process too, and holds commits until they are on the disk', async () => {
    const path = newFile()
    const first = await open(path)
    await first.records
      .insertInto('postern_duo_devices')
      .values({ username: 'alice', device: 'DP1', method: 'push' })
      .execute()
    await first.close()
    const second = await open(path)
    expect(await second.records.selectFrom('postern_duo_devices').select('username').execute()).toEqual([
      { username: 'alice' },
    ])
    for (const database of [second.sessions, second.counters]) {
      expect(database.prepare('PRAGMA synchronous').get()?.synchronous).toBe(2)
      expect(database.prepare('PRAGMA foreign_keys').get()?.foreign_keys).toBe(1)
    }
  })

  it('says which folder is missing, and makes none', async () => {
    const folder = join(temporaryFolder(), 'missing')
    const { message, mend } = await refusal(join(folder, 'db.sqlite3'))
    expect(message).toContain(folder)
    expect(mend).toContain('storage.local.path')
    expect(existsSync(folder)).toBe(false)
  })

  it('refuses a folder in place of the file', async () => {
    const path = newFile()
    mkdirSync(path)
    expect((await refusal(path)).reason).toBe('storage-denied')
  })

  it.skipIf(process.getuid?.() === 0)('refuses a file that it may not write', async () => {
    const path = newFile()
    writeFileSync(path, '', { mode: 0o400 })
    expect((await refusal(path)).reason).toBe('storage-denied')
  })

  it.each([
    ['a text file', () => Buffer.from('# users\nusers: {}\n')],
    ['zeros', () => Buffer.alloc(8192)],
    ['fewer bytes than a header has', () => Buffer.from('SQLite')],
    [
      'a header with garbage behind it',
      () => Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8000, 0xa5)]),
    ],
  ])('refuses %s, and leaves it as it is', async (_what, content) => {
    const path = newFile()
    writeFileSync(path, content(), { mode: 0o600 })
    expect((await refusal(path)).reason).toBe('storage-broken')
    expect(readFileSync(path)).toEqual(content())
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  it('row 159: refuses its own file when pages of it are gone, and never begins anew in its place', async () => {
    const path = newFile()
    const storage = await open(path)
    await storage.close()
    const whole = readFileSync(path)
    writeFileSync(path, whole.subarray(0, 4096))
    expect((await refusal(path)).reason).toBe('storage-broken')
    expect(readFileSync(path)).toEqual(whole.subarray(0, 4096))
  })

  it('refuses a file of Authelia with the mend, and changes nothing in it', async () => {
    const path = foreignFile('CREATE TABLE migrations (id INTEGER); CREATE TABLE authentication_logs (id INTEGER)')
    const before = readFileSync(path)
    const { reason, mend } = await refusal(path)
    expect(reason).toBe('storage-authelia')
    expect(mend).toContain('storage.local.path')
    expect(readFileSync(path)).toEqual(before)
  })

  it('refuses a file of any other program', async () => {
    expect((await refusal(foreignFile('CREATE TABLE notes (id INTEGER)'))).message).toContain('notes')
  })

  it('row 159: refuses a file that a newer Postern has migrated so that this one cannot use it, and names the migration', async () => {
    const path = newFile()
    const storage = await open(path)
    storage.sessions.exec("INSERT INTO postern_migrations VALUES ('0999-tomorrow', '2030-01-01T00:00:00.000Z')")
    storage.sessions.exec("INSERT INTO postern_about VALUES ('needs-migration', '0999-tomorrow')")
    await storage.close()
    const { reason, message } = await refusal(path)
    expect(reason).toBe('storage-newer')
    expect(message).toContain('0999-tomorrow')
  })

  it('works beside a newer Postern whose migrations only added', async () => {
    const path = newFile()
    const storage = await open(path)
    storage.sessions.exec("INSERT INTO postern_migrations VALUES ('0999-tomorrow', '2030-01-01T00:00:00.000Z')")
    await storage.close()
    const { records } = await open(path)
    expect(await records.selectFrom('postern_duo_devices').selectAll().execute()).toEqual([])
  })

  it('row 159: refuses to begin anew where the file is gone and its log is not', async () => {
    const path = newFile()
    writeFileSync(`${path}-wal`, 'what was answered for last')
    expect((await refusal(path)).reason).toBe('storage-broken')
    expect(existsSync(path)).toBe(false)
    expect(readFileSync(`${path}-wal`, 'utf8')).toBe('what was answered for last')
  })

  it('row 159: a file that is moved away under it is read on and not written, told once; and written again when it is back', async () => {
    const path = newFile()
    const lines: string[] = []
    const storage = await openStorage(
      { encryption_key: 'k'.repeat(20), local: { path } },
      { log: pino({ level: 'warn' }, { write: line => void lines.push(line) }) },
    )
    onTestFinished(() => storage.close())
    const write = () =>
      storage.records
        .updateTable('postern_duo_devices')
        .set({ name: 'x' })
        .execute()
        .then(
          () => undefined,
          (error: unknown) => error,
        )
    renameSync(path, `${path}.away`)
    expect(await until(write, 'it is not written')).toBeInstanceOf(RecordsDown)
    expect(storage.isDown).toBe(true)
    for (let nth = 0; nth < 5; nth += 1) expect(await write()).toBeInstanceOf(RecordsDown)
    expect(await storage.records.selectFrom('postern_duo_devices').selectAll().execute()).toEqual([])
    expect(lines.filter(line => line.includes('nothing is written to it'))).toHaveLength(1)
    expect(existsSync(path)).toBe(false)
    renameSync(`${path}.away`, path)
    await until(async () => (await write()) === undefined && !storage.isDown, 'it is written again')
  })

  it('row 163: refuses another encryption key than the one that the records were written with', async () => {
    const path = newFile()
    await (await open(path)).close()
    const other = openStorage({ encryption_key: 'another-key-of-this-test', local: { path } }, { log })
    await expect(other).rejects.toMatchObject({ reason: 'storage-key' })
    await open(path)
  })

  it('waits while another process makes the file', async () => {
    const path = newFile()
    const script = `
      import { DatabaseSync } from 'node:sqlite'
      const database = new DatabaseSync(${JSON.stringify(path)})
      database.exec('BEGIN EXCLUSIVE')
      console.log('locked')
      setTimeout(() => database.exec('COMMIT'), 300)`
    const other = start(node, ['--input-type=module', '-e', script])
    await other.line(/^locked$/m)
    await open(path)
  })

  it('lets two processes open a new file at once', async () => {
    const path = newFile()
    const script = `
      import { openStorage } from ${JSON.stringify(join(import.meta.dirname, '../../src/storage/open-storage.ts'))}
      const storage = await openStorage({ encryption_key: 'k'.repeat(20), local: { path: ${JSON.stringify(path)} } }, { log: console })
      await storage.records.selectFrom('postern_pushes').selectAll().execute()
      await storage.close()`
    const processes = Array.from({ length: 3 }, () => start(node, ['--input-type=module-typescript', '-e', script]))
    await open(path)
    for (const { exit, output } of processes) expect(await exit, output()).toBe(0)
  })

  it('is whole or not there when a migration is cut off', async () => {
    const path = newFile()
    await (await open(path)).close()
    const copy = newFile()
    copyFileSync(path, copy)
    // A table that the migration makes stands in its way: it fails in the middle.
    const database = new DatabaseSync(copy)
    database.exec('DELETE FROM postern_migrations; DROP TABLE postern_sessions')
    database.close()
    await refusal(copy)
    const after = new DatabaseSync(copy)
    onTestFinished(() => after.close())
    expect(after.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'postern_sessions'").get()).toBeUndefined()
  })
})

describe('transactions of the records', () => {
  it('take turns, also when they read before they write', async () => {
    const { records } = await open(newFile())
    await records
      .insertInto('postern_push_guard')
      .values({ username: 'alice', denials: 0, not_before: 0, locked_until: 0 })
      .execute()
    await Promise.all(
      Array.from({ length: 20 }, () =>
        records.transaction().execute(async transaction => {
          const { denials } = await transaction
            .selectFrom('postern_push_guard')
            .select('denials')
            .executeTakeFirstOrThrow()
          await new Promise(resolve => setImmediate(resolve))
          await transaction
            .updateTable('postern_push_guard')
            .set({ denials: denials + 1 })
            .execute()
        }),
      ),
    )
    expect(await records.selectFrom('postern_push_guard').select('denials').execute()).toEqual([{ denials: 20 }])
  })

  it('take turns across connections, those too that read before they write', async () => {
    const path = newFile()
    const one = await open(path)
    const two = await open(path)
    const device = (username: string) => ({ username, device: `DP-${username}`, method: 'push' })
    let finish = () => {}
    const first = one.records.transaction().execute(async transaction => {
      await transaction.insertInto('postern_duo_devices').values(device('alice')).execute()
      await new Promise<void>(resolve => {
        finish = resolve
      })
    })
    const second = two.records.transaction().execute(async transaction => {
      const seen = await transaction.selectFrom('postern_duo_devices').select('username').execute()
      finish() // only for a transaction that began before its turn: its write would now fail
      await transaction.insertInto('postern_duo_devices').values(device('bob')).execute()
      return seen
    })
    setTimeout(() => finish(), 50) // long enough for the second to begin, if it may
    await first
    expect(await second).toEqual([{ username: 'alice' }])
  })

  it('roll back whole', async () => {
    const { records } = await open(newFile())
    const values = { username: 'alice', device: 'DP1', method: 'push' }
    await expect(
      records.transaction().execute(async transaction => {
        await transaction.insertInto('postern_duo_devices').values(values).execute()
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(await records.selectFrom('postern_duo_devices').selectAll().execute()).toEqual([])
  })
})

describe(whenFree, () => {
  it('waits for a writer in the same process without holding up the event loop that the writer needs', async () => {
    const { records, counters } = await open(newFile())
    let waited = false
    await records.transaction().execute(async transaction => {
      await transaction
        .insertInto('postern_duo_devices')
        .values({ username: 'alice', device: 'DP1', method: 'push' })
        .execute()
      void whenFree(() => counters.exec("INSERT INTO postern_duo_devices VALUES ('bob', 'DP2', 'push', '')")).then(
        () => {
          waited = true
        },
      )
      await new Promise(resolve => setTimeout(resolve, 30))
      expect(waited).toBe(false)
    })
    await expect.poll(() => waited).toBe(true)
  })

  it('passes on at once what is not a matter of waiting', async () => {
    const { counters } = await open(newFile())
    await expect(whenFree(() => counters.exec('INSERT INTO nowhere VALUES (1)'))).rejects.toThrow('no such table')
  })
})
