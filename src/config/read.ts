import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Why a file cannot be read: half a sentence that follows its name (`is a folder, not a file`). */
export class UnreadableFile extends Error {}

const because: Record<string, string> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist (a part of its path is a file, not a folder)',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  EISDIR: 'is a folder, not a file',
  ELOOP: 'is a symbolic link that leads back to itself',
  ENAMETOOLONG: 'has a name that is too long',
  ENXIO: 'is a socket, not a file',
  ERR_INVALID_ARG_VALUE: 'has a name with a NUL character',
}

/**
 * The bytes of a regular file of at most this size. Folders, FIFOs, sockets and devices are refused without waiting for a writer.
 * @throws {UnreadableFile}
 */
export async function readBounded(path: string, limitBytes: number): Promise<Buffer> {
  let file: FileHandle | undefined
  try {
    // Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    const facts = await file.stat()
    if (facts.isDirectory()) throw new UnreadableFile('is a folder, not a file')
    if (facts.isFIFO()) throw new UnreadableFile('is a named pipe (FIFO), not a file')
    if (!facts.isFile()) throw new UnreadableFile('is a device, not a file')
    // One byte more than allowed is asked for, since a file may grow, and files of /proc and /sys tell no size.
    const buffer = Buffer.alloc(Math.min(limitBytes, Math.max(facts.size, 4096)) + 1)
    let length = 0
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (facts.size > limitBytes || length > limitBytes)
      throw new UnreadableFile(`is larger than ${limitBytes.toLocaleString('en')} bytes`)
    if (length === buffer.length) throw new UnreadableFile('grew while it was read')
    return buffer.subarray(0, length)
  } catch (error) {
    if (error instanceof UnreadableFile) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no reason given'
    throw new UnreadableFile(because[code] ?? `cannot be read (${code})`, { cause: error })
  } finally {
    await file?.close()
  }
}
