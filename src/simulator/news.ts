import type { Milliseconds } from '../clock.ts'

/** Tells the pages of the phones that something on them has changed. */
export interface News {
  /** Grows with each change. */
  version(): number
  changed(): void
  /** Resolves when there is a version after `since`, when `within` has passed, or on abort. */
  after(since: number, within: Milliseconds, signal: AbortSignal): Promise<void>
  /** Lets go whoever waits. */
  close(): void
}

export function openNews(): News {
  const watchers = new Set<() => void>()
  let version = 0
  const wakeAll = () => {
    for (const wake of [...watchers]) wake()
  }
  return {
    version: () => version,
    changed() {
      version++
      wakeAll()
    },
    after(since, within, signal) {
      if (version !== since || signal.aborted) return Promise.resolve()
      return new Promise(resolve => {
        const finish = () => {
          clearTimeout(limit)
          watchers.delete(finish)
          signal.removeEventListener('abort', finish)
          resolve()
        }
        const limit = setTimeout(finish, within)
        watchers.add(finish)
        signal.addEventListener('abort', finish, { once: true })
      })
    },
    close: wakeAll,
  }
}
