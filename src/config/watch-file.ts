import { type FSWatcher, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Milliseconds, SECOND } from '../clock.ts'

export interface FileWatch {
  close(): Promise<void>
}

// Some writers take several steps; waiting for quiet reads their last one. Under constant writing it is read all the same.
const QUIET: Milliseconds = 50
const AT_MOST: Milliseconds = 500
// Folders that are mounted over a network, or by some container engines, send no events.
const LOOK_AGAIN_AFTER: Milliseconds = 5 * SECOND

/**
 * Calls `changed` after the file at this path became another one: written, cut, deleted, moved over, or reached through another link. One
 * call at a time; a change during a call leads to one more. The folder of its name and the file itself are watched, since
 * a name changes in its folder and a content in its file.
 * @param changed must not reject
 * @param lookAgainAfter how often it looks without being told
 */
export function watchFile(path: string, changed: () => Promise<void>, lookAgainAfter = LOOK_AGAIN_AFTER): FileWatch {
  let watchers: FSWatcher[] = []
  let closed = false
  let quiet: NodeJS.Timeout | undefined
  let dirtySince: Milliseconds | undefined
  let state = 'unknown'
  let real = path
  let work = Promise.resolve()

  function touched(): void {
    if (closed) return
    const now = performance.now()
    dirtySince ??= now
    clearTimeout(quiet)
    const wait = Math.max(0, Math.min(QUIET, dirtySince + AT_MOST - now))
    quiet = setTimeout(() => {
      dirtySince = undefined
      look()
    }, wait)
    quiet.unref()
  }

  function look(): void {
    work = work.then(async () => {
      if (closed) return
      await rewatch() // before the look: what changes after it is an event
      const before = state
      state = await stateOf(path)
      if (state !== before && !closed) await changed()
    })
  }

  async function rewatch(): Promise<void> {
    // A link that leads nowhere now still says where the file will be again.
    real = await realpath(path).catch(() => real)
    if (closed) return
    const old = watchers
    watchers = [...new Set([dirname(path), real])].flatMap(place => watchNearest(place, touched))
    for (const watcher of old) watcher.close()
  }

  const timer = setInterval(look, lookAgainAfter)
  timer.unref()
  look()

  return {
    async close() {
      closed = true
      clearTimeout(quiet)
      clearInterval(timer)
      await work
      for (const watcher of watchers) watcher.close()
    },
  }
}

/** Where a folder is missing, the one above it tells when it is made. */
function watchNearest(place: string, touched: () => void): FSWatcher[] {
  try {
    return [watch(place, { persistent: false }, touched).on('error', touched)]
  } catch {
    // Not there; or this machine has no watches left, and only the timer looks.
    return dirname(place) === place ? [] : watchNearest(dirname(place), touched)
  }
}

/** Changes whenever the file does, its rights included. */
async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, mode } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs, mode].join(' ')
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
  }
}
