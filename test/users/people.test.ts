import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { watchFile } from '../../src/config/watch-file.ts'
import { openPeople } from '../../src/users/people.ts'
import { temporaryFolder, until } from '../support/process.ts'
import { hashes, readableLog, usersFile, withHash } from './parts.ts'

const hash = hashes.bcrypt.replace('$05$', '$10$')
const people = (...names: string[]) => usersFile(Object.fromEntries(names.map(name => [name, withHash(hash)])))
const settings = (path: string) => ({ path, watch: true, search: { email: false, case_insensitive: false } })

async function opened(text = people('john', 'jane')) {
  const folder = temporaryFolder()
  const path = join(folder, 'users.yml')
  writeFileSync(path, text)
  const readable = readableLog()
  const opened = await openPeople(settings(path), readable.log, () => {})
  onTestFinished(() => opened.close())
  const names = () => [...opened.current.entries.keys()].join(' ')
  return {
    folder,
    path,
    names,
    get fault() {
      return opened.fault
    },
    has: (expected: string) => until(() => names() === expected, `users ${expected}, not ${names()}`),
    /** Error lines so far. */
    errors: () => readable.lines.filter(({ level }) => level === 50).map(({ msg }) => msg),
    texts: readable.texts,
    faulty: (pattern: RegExp) => until(() => pattern.test(opened.fault ?? ''), `fault ${pattern}, not ${opened.fault}`),
    good: () => until(() => opened.fault === undefined, 'no fault'),
  }
}

describe(openPeople, () => {
  it.each([
    ['is missing', undefined, /does not exist.*authentication_backend\.file\.path.*docs\/users\.md/],
    ['is broken', 'users:\n  john: {}\n', /users\.yml:2:3: error: users\.john\.password/],
  ])('refuses to start with a file that %s', async (_, text, message) => {
    const path = join(temporaryFolder(), 'users.yml')
    if (text !== undefined) writeFileSync(path, text)
    await expect(openPeople(settings(path), readableLog().log, () => {})).rejects.toThrow(message)
  })

  it('takes an edit in place', async () => {
    const file = await opened()
    appendFileSync(file.path, people('bob').slice(7))
    await file.has('john jane bob')
    writeFileSync(file.path, people('ann'))
    await file.has('ann')
  })

  it('does not watch where the configuration says so', async () => {
    const path = join(temporaryFolder(), 'users.yml')
    writeFileSync(path, people('john'))
    const watching = await opened()
    const idle = await openPeople({ ...settings(path), watch: false }, readableLog().log, () => {})
    onTestFinished(() => idle.close())
    for (const target of [path, watching.path]) writeFileSync(target, people('ann'))
    await watching.has('ann')
    expect([...idle.current.entries.keys()]).toEqual(['john'])
  })

  type File = Awaited<ReturnType<typeof opened>>
  const faults: [string, RegExp, (file: File) => void][] = [
    ['is cut', /error/, ({ path }) => truncateSync(path, 100)],
    ['is emptied', /empty/, ({ path }) => truncateSync(path)],
    ['is deleted', /does not exist/, ({ path }) => unlinkSync(path)],
    [
      'becomes a folder',
      /folder/,
      ({ path }) => {
        unlinkSync(path)
        mkdirSync(path)
      },
    ],
    [
      'becomes a link to itself',
      /link/,
      ({ path }) => {
        unlinkSync(path)
        symlinkSync('users.yml', path)
      },
    ],
    [
      'is replaced by a broken one',
      /users\.yml:1:/,
      ({ folder, path }) => {
        writeFileSync(join(folder, 'new'), 'users: 1\n')
        renameSync(join(folder, 'new'), path)
      },
    ],
    ['has a user without password', /users\.ann\.password/, ({ path }) => writeFileSync(path, 'users:\n  ann: {}\n')],
  ]
  it.each(faults)(
    'row 145: a users file that %s leaves the last good one in use, with one log line, and the next good one wins',
    async (_, fault, spoil) => {
      const file = await opened()
      spoil(file)
      await file.faulty(fault)
      expect(file.names()).toBe('john jane')
      expect(file.errors()).toEqual([expect.stringMatching(/last good one stays in use/)])

      const fresh = join(file.folder, 'fresh')
      writeFileSync(fresh, people('john', 'bob'))
      rmSync(file.path, { recursive: true, force: true })
      renameSync(fresh, file.path)
      await file.has('john bob')
      await file.good()
      expect(file.errors()).toHaveLength(1)
    },
  )

  it('row 145: a file without rights is read again when it has them back', async () => {
    const file = await opened()
    chmodSync(file.path, 0)
    if (process.getuid?.() === 0) {
      // Root reads it all the same: then nothing is wrong.
      writeFileSync(file.path, people('bob'))
      await file.has('bob')
      expect(file.fault).toBeUndefined()
      return
    }
    await file.faulty(/may not be read/)
    expect(file.names()).toBe('john jane')
    chmodSync(file.path, 0o600)
    await file.good()
  })

  it('row 145: 1,500 writes in a row end with the newest in use, and a repeated fault is told once', async () => {
    const file = await opened()
    for (let i = 0; i < 1500; i++) {
      writeFileSync(file.path, i % 2 === 0 ? 'users: [' : people('john', `user${i}`))
      if (i % 100 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    writeFileSync(file.path, people('newest'))
    await file.has('newest')
    await file.good()
    expect(file.errors().length).toBeLessThan(10)
  })

  it('tells a warning once, however often the file is written', async () => {
    const text = usersFile({ ann: 'password: plain' })
    const file = await opened(text)
    writeFileSync(file.path, text + people('bob').slice(7))
    await file.has('ann bob')
    writeFileSync(file.path, text + people('cid').slice(7))
    await file.has('ann cid')
    expect(file.texts().filter(line => line.includes('plain text'))).toHaveLength(1)
  })

  it('row 145: tells one fault once, though the file is written again and again', async () => {
    const file = await opened()
    let seen = 0
    const second = watchFile(file.path, async () => void seen++)
    onTestFinished(() => second.close())
    for (let i = 0; i < 5; i++) {
      const before = seen
      writeFileSync(file.path, `users: {}${' '.repeat(i)}\n`)
      await until(() => seen > before, 'seen')
    }
    writeFileSync(file.path, '')
    await file.faulty(/The file is empty/)
    expect(file.errors()).toHaveLength(2)
  })
})
