import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/process.ts'

const needsRoot = (command: string, ...args: string[]): string => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`This test runs ${command} and needs root for it: ${error?.message ?? stderr}`)
  return stdout
}
const unmount = (folder: string) => void spawnSync('umount', ['-l', folder])

/** A disk of so many megabytes, for this test alone. */
export function smallDisk(megabytes: number): string {
  const folder = temporaryFolder()
  needsRoot('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder)
  onTestFinished(() => unmount(folder))
  return folder
}

export interface RealDisk {
  readonly folder: string
  /** What was written so far is on it, whether its writer saw to that or not. */
  flush(): void
  /** The kernel finds an error in the file system and writes nothing to it any more. */
  fail(): void
  /** What an administrator does then, with nothing running on it: unmount, check, mount. */
  repair(): void
  /** Keeps these files from being changed, also through handles that are open. */
  protect(...paths: string[]): void
  unprotect(...paths: string[]): void
}

/** An ext4 in a file, mounted as Debian mounts its disks: `errors=remount-ro`; but it saves by itself what nobody waits for after minutes only. */
export function realDisk(): RealDisk {
  const place = temporaryFolder()
  const [image, folder] = [join(place, 'image'), join(place, 'disk')]
  mkdirSync(folder)
  needsRoot('truncate', '--size=8M', image)
  needsRoot('mkfs.ext4', '-q', image)
  const mount = () => needsRoot('mount', '-o', 'loop,errors=remount-ro,commit=300', image, folder)
  mount()
  onTestFinished(() => unmount(folder))
  return {
    folder,
    flush: () => void needsRoot('sync', '--file-system', folder),
    fail() {
      const device = readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .find(line => line.split(' ')[1] === folder)
        ?.split(' ')[0]
      writeFileSync(`/sys/fs/ext4/${basename(device ?? '')}/trigger_fs_error`, 'a test')
    },
    repair() {
      needsRoot('umount', folder)
      spawnSync('e2fsck', ['-fy', image]) // its exit code tells that it mended something
      mount()
    },
    protect: (...paths) => void needsRoot('chattr', '+i', ...paths),
    unprotect: (...paths) => void needsRoot('chattr', '-i', ...paths),
  }
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
