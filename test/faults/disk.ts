import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/process.ts'

/** A disk of so many megabytes, for this test alone. */
export function smallDisk(megabytes: number): string {
  const folder = temporaryFolder()
  const mount = (...args: string[]) => {
    const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`This test mounts a tmpfs and needs root for it: ${stderr}`)
  }
  mount('-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder)
  onTestFinished(() => void spawnSync('umount', ['-l', folder]))
  return folder
}

/** Fills it to the last byte. */
export function fill(folder: string): { free(): void } {
  const path = join(folder, 'ballast')
  const file = openSync(path, 'w')
  for (let size = 65_536; size >= 1; size = Math.floor(size / 2))
    try {
      for (;;) writeSync(file, Buffer.alloc(size))
    } catch {} // full for pieces of this size
  closeSync(file)
  return { free: () => rmSync(path) }
}
