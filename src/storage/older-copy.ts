import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'

/**
 * When a store was last known to be in use, as it says itself and as a second place says that is not brought back with it. Null: there is no such note.
 * Docs: docs/decisions/0014-older-copies.md.
 */
export interface Marks {
  readonly store: Milliseconds | null
  /** Never written before the store's own is safe. */
  readonly beside: Milliseconds | null
}

/** `older`: a copy from before what the second place knows of. `alone`: what is here came without its second place. */
export type Copy = 'ours' | 'older' | 'alone'

export const MARK_EVERY: Milliseconds = MINUTE
/** More than what a disk, an append-only file or a replica that takes over may have lost: that is no older copy. */
export const TOLERANCE: Milliseconds = 5 * MINUTE

export function copyOf({ store, beside }: Marks): Copy {
  if (beside === null) return store === null ? 'ours' : 'alone'
  return beside - (store ?? 0) > TOLERANCE ? 'older' : 'ours'
}

/**
 * What to move a mark on to, given where it stands: the time. Where it stands ahead of the clock, which was set back, it goes on from there as fast as time
 * does, whoever else moves it: a mark that stood still would tell nothing.
 */
export function nextMark(
  clock: Clock,
  running: Clock = () => performance.now(),
): (standing: Milliseconds) => Milliseconds {
  let last: { readonly mark: Milliseconds; readonly at: Milliseconds } | undefined
  return standing => {
    const at = running()
    const mark = Math.max(clock(), standing, last === undefined ? 0 : last.mark + Math.floor(at - last.at))
    last = { mark, at }
    return mark
  }
}
