import { type Clock, type Milliseconds, SECOND } from '../clock.ts'
import type { Watch, Watcher } from '../storage/redis/redis.ts'
import { recent } from './recent.ts'
import { type Answer, keyIn } from './redis-records.ts'
import type { Known } from './store.ts'

/** Why a session that is over is over. */
export type Over = 'gone' | 'revoked'

interface Parts {
  readonly read: (key: string) => Promise<Answer>
  readonly watch: (watcher: Watcher) => Watch
  readonly clock: Clock
}

export interface LocalCache {
  /** What is known here, and may be believed at this moment. */
  get(key: string): Known | Over | undefined
  /** Asks Redis, and keeps the answer unless it changed on its way. */
  ask(key: string): Promise<Known | Over | 'invalid'>
  /** Nothing that was asked for before this moment is believed or kept. */
  drop(key: string): void
  /** For good: an id is never used again. */
  bury(key: string, over: Over): void
  /** What is held, believed or not. */
  held(key: string): Known | undefined
  close(): void
}

const LIVE_AT_MOST = 20_000
const OVER_AT_MOST = 20_000
/** How old an answer may be for somebody who asked after it was sent for. */
const SHARED_FOR: Milliseconds = SECOND / 4
/** By so much the two clocks of a machine may drift apart between two looks: more is a machine that slept, or a clock that was set. */
const DRIFT_AT_MOST: Milliseconds = SECOND / 4

interface Pending {
  readonly sentAt: Milliseconds
  readonly answer: Promise<Known | Over | 'invalid'>
}

/**
 * Records that Redis told lately, believed while its messages about changes are known to arrive (`Watch.isTrue`). Records are written once, so
 * there is nothing to update: a message makes it forget. What is over stays over, whatever a Redis that lost its last writes says.
 */
export function localCache({ read, watch, clock }: Parts): LocalCache {
  const live = recent<Known>(LIVE_AT_MOST / 2)
  const over = recent<Over>(OVER_AT_MOST / 2)
  const pending = new Map<string, Pending>()
  function drop(key: string): void {
    live.delete(key)
    pending.delete(key)
  }
  function dropAll(): void {
    live.clear()
    pending.clear()
  }
  const watching = watch({ changed: name => drop(keyIn(name)), lost: dropAll })

  let drift = clock() - performance.now()
  let distrustedUntil = Number.NEGATIVE_INFINITY
  /** The steady clock of a heartbeat stands still while the machine sleeps, and others' sessions end meanwhile: then the next heartbeat counts. */
  function isTrue(): boolean {
    const steady = performance.now()
    const current = clock() - steady
    if (current - drift > DRIFT_AT_MOST) {
      dropAll()
      distrustedUntil = steady + SECOND
    }
    drift = current
    return steady >= distrustedUntil && watching.isTrue()
  }

  /** `mine` is told apart from what was sent for the same key later, or dropped meanwhile. */
  async function receive(key: string, mine: { entry: Pending | undefined }): Promise<Known | Over | 'invalid'> {
    const answer = await read(key).finally(() => {
      mine.entry = pending.get(key) === mine.entry ? mine.entry : undefined
      if (mine.entry !== undefined) pending.delete(key)
    })
    const ended = over.get(key)
    if (ended !== undefined) return ended
    if (answer === 'invalid') return answer
    if (typeof answer === 'string') {
      over.set(key, answer)
      return answer
    }
    const known: Known = { ...answer, found: { state: 'live', session: answer.session }, nextStamp: 0 }
    if (mine.entry !== undefined) live.set(key, known)
    return known
  }

  function ask(key: string): Promise<Known | Over | 'invalid'> {
    const shared = pending.get(key)
    const young = () => shared !== undefined && performance.now() - shared.sentAt < SHARED_FOR
    if (shared !== undefined && young()) return shared.answer.then(answer => (young() ? answer : ask(key)))
    const mine: { entry: Pending | undefined } = { entry: undefined }
    const entry = { sentAt: performance.now(), answer: receive(key, mine) }
    mine.entry = entry
    pending.set(key, entry)
    return entry.answer
  }

  return {
    get: key => (isTrue() ? (over.get(key) ?? live.get(key)) : undefined),
    ask,
    drop,
    bury(key, why) {
      over.set(key, why)
      drop(key)
    },
    held: key => live.get(key),
    close: () => watching.close(),
  }
}
