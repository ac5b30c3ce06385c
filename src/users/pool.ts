import { availableParallelism } from 'node:os'
import { type Milliseconds, SECOND } from '../clock.ts'

/** A place in the queue: run one task in it, or leave. */
export interface Place {
  run<T>(task: () => Promise<T>): Promise<T>
  leave(): void
}

export interface Pool {
  /** A place, or how long to stay away when all are taken. Never waits, so that a flood costs nothing. */
  admit(): Place | { readonly retryAfterSeconds: number }
  /** Tasks that wait are refused from now on, those that run go on. */
  close(): void
}

/**
 * How many passwords are hashed at once. libuv has four threads for argon2, scrypt, pbkdf2 and all file access: two stay free. One
 * core stays with the event loop, which is the gate.
 */
export const hashesAtOnce = (cores: number = availableParallelism()): number => Math.min(2, Math.max(1, cores - 1))

/** Those who wait: a few seconds' worth with Authelia's default hash. Longer, and people press the button again. */
export const QUEUE_LENGTH = 32

export class PoolClosed extends Error {}

/** Tasks with bounded concurrency and a bounded queue, first come, first served. */
export function createPool(
  { concurrency, queue }: { concurrency: number; queue: number },
  stopwatch: () => Milliseconds,
): Pool {
  const waiting: { start: () => void; refuse: (reason: Error) => void }[] = []
  let running = 0
  let taken = 0
  let closed = false
  let usual: Milliseconds = 100

  function slot(): Promise<void> {
    if (closed) return Promise.reject(new PoolClosed())
    if (running < concurrency) {
      running++
      return Promise.resolve()
    }
    return new Promise((start, refuse) => waiting.push({ start, refuse }))
  }
  function release(): void {
    const next = waiting.shift()
    if (next) next.start()
    else running--
  }

  return {
    admit() {
      if (taken >= concurrency + queue)
        return { retryAfterSeconds: Math.max(1, Math.ceil((usual * taken) / concurrency / SECOND)) }
      taken++
      let mine = true
      const leave = () => {
        if (mine) taken--
        mine = false
      }
      return {
        leave,
        async run(task) {
          try {
            await slot()
            const began = stopwatch()
            try {
              return await task()
            } finally {
              usual += (stopwatch() - began - usual) / 8
              release()
            }
          } finally {
            leave()
          }
        },
      }
    },
    close() {
      closed = true
      for (const { refuse } of waiting.splice(0)) refuse(new PoolClosed())
    },
  }
}
