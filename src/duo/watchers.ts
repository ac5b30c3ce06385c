import type { FastifyBaseLogger } from 'fastify'
import type { Milliseconds } from '../clock.ts'
import { Unavailable } from '../problems/unavailable.ts'

/** How soon a change that another process made is noticed where nobody tells of it. */
const LOOK_EVERY: Milliseconds = 250
/** Where changes are told, for the one that came between reading and waiting. */
const LOOK_ALTHOUGH_TOLD: Milliseconds = 1_000
/** Open pages of one session that are held at once; a further one ends the oldest wait early. */
const WATCHERS_AT_MOST = 20

/** Requests that wait for a change. However many watch one session, its record is read once a turn, and Duo is never asked by them. */
export interface Watchers {
  /**
   * Resolves with false when the version may be another than `known`, when `within` has passed, or on abort. True: a newer wait took its
   * place, or the server ends. Nothing stays behind in any case.
   */
  wait(key: string, known: number, within: Milliseconds, signal: AbortSignal): Promise<boolean>
  /** Something changed: wakes at once. */
  wake(key: string): void
  close(): void
}

interface Watched {
  /** Each with the version that it knows, oldest first. */
  readonly waiting: Map<(displaced: boolean) => void, number>
  readonly timer: NodeJS.Timeout
}

interface Parts {
  readonly versionOf: (key: string) => Promise<number>
  /** Whether all changes, of other processes too, come by `wake`. */
  readonly areTold: () => boolean
  readonly log: FastifyBaseLogger
}

export function openWatchers({ versionOf, areTold, log }: Parts): Watchers {
  const watched = new Map<string, Watched>()
  let closed = false

  function watch(key: string): Watched {
    let looking = false
    let lookedAt = performance.now()
    const waiting = new Map<(displaced: boolean) => void, number>()
    const look = async () => {
      if (looking || (areTold() && performance.now() - lookedAt < LOOK_ALTHOUGH_TOLD)) return
      looking = true
      lookedAt = performance.now()
      try {
        const version = await versionOf(key)
        for (const [finish, known] of [...waiting]) if (known !== version) finish(false)
      } catch (err) {
        // What does not answer is told of where it is asked for, once; here it is each quarter of a second.
        if (!(err instanceof Unavailable)) log.warn({ err }, 'a push could not be read while somebody waits for it')
      } finally {
        looking = false
      }
    }
    const entry = { waiting, timer: setInterval(() => void look(), LOOK_EVERY).unref() }
    watched.set(key, entry)
    return entry
  }

  function finishAll(key: string, displaced: boolean) {
    for (const finish of [...(watched.get(key)?.waiting.keys() ?? [])]) finish(displaced)
  }

  return {
    wake: key => finishAll(key, false),
    wait(key, known, within, signal) {
      if (closed || signal.aborted || within <= 0) return Promise.resolve(closed)
      const { waiting, timer } = watched.get(key) ?? watch(key)
      return new Promise(resolve => {
        const finish = (displaced: boolean) => {
          clearTimeout(limit)
          signal.removeEventListener('abort', giveUp)
          waiting.delete(finish)
          if (waiting.size === 0) {
            clearInterval(timer)
            watched.delete(key)
          }
          resolve(displaced)
        }
        const giveUp = () => finish(false)
        const limit = setTimeout(giveUp, within)
        signal.addEventListener('abort', giveUp)
        waiting.set(finish, known)
        const [oldest] = waiting.keys()
        if (waiting.size > WATCHERS_AT_MOST) oldest?.(true)
      })
    },
    close() {
      closed = true
      for (const key of [...watched.keys()]) finishAll(key, true)
    },
  }
}
