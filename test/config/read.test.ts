import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readBounded, UnreadableFile } from '../../src/config/read.ts'
import { requiredProgram, temporaryFolder } from '../support/process.ts'

const asRoot = process.getuid?.() === 0

async function fault(path: string, limit = 100): Promise<string> {
  const error: unknown = await readBounded(path, limit).catch((caught: unknown) => caught)
  if (!(error instanceof UnreadableFile)) throw new Error(`${path} was read, or failed otherwise: ${error}`)
  return error.message
}

describe(readBounded, () => {
  it('reads a file up to the limit, to the byte, through a symbolic link too', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'file'), 'x'.repeat(100))
    symlinkSync('file', join(folder, 'link'))
    expect((await readBounded(join(folder, 'link'), 100)).toString()).toBe('x'.repeat(100))
    expect(await fault(join(folder, 'file'), 99)).toBe('is larger than 99 bytes')
  })

  it('row 146: refuses what is missing, a folder, a FIFO, a device and a socket at once, and says which', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'folder'))
    execFileSync(requiredProgram('mkfifo', 'apt install coreutils'), [join(folder, 'fifo')])
    symlinkSync('loop', join(folder, 'loop'))
    const server = createServer().listen(join(folder, 'socket'))
    onTestFinished(() => void server.close())
    await new Promise(resolve => server.once('listening', resolve))
    expect(await fault(join(folder, 'nowhere'))).toBe('does not exist')
    expect(await fault(join(folder, 'folder'))).toBe('is a folder, not a file')
    expect(await fault(join(folder, 'fifo'))).toBe('is a named pipe (FIFO), not a file')
    expect(await fault('/dev/zero')).toBe('is a device, not a file')
    expect(await fault('/dev/null')).toBe('is a device, not a file')
    expect(await fault(join(folder, 'socket'))).toBe('is a socket, not a file')
    expect(await fault(join(folder, 'loop'))).toBe('is a symbolic link that leads back to itself')
    expect(await fault(join(folder, 'a\0b'))).toBe('has a name with a NUL character')
    expect(await fault(join(folder, 'x'.repeat(5000)))).toBe('has a name that is too long')
  })

  it('reads files of /proc, which tell no size, and bounds them', async () => {
    expect((await readBounded('/proc/self/status', 100_000)).length).toBeGreaterThan(100)
    expect(await fault('/proc/self/status', 10)).toBe('is larger than 10 bytes')
  })

  it.skipIf(asRoot)('refuses a file that this user may not read', async () => {
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, 'x')
    chmodSync(file, 0)
    expect(await fault(file)).toBe('may not be read by this user')
  })
})
