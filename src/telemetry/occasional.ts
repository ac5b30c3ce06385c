import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'

const KINDS_AT_MOST = 60

/**
 * Keeps a log line that anybody can cause to one a minute for each kind, and the kinds to a bounded number: what is beyond shares one.
 * Returns the reference under which the log holds it: a fresh one is handed to `write`, an earlier one is given again.
 */
export type Occasional = (kind: string, write: (ref: string, unwritten: number) => void) => string

export function occasional(clock: Clock, newReference: () => string): Occasional {
  const written = new Map<string, { ref: string; repeats: number }>()
  const before = new Map<string, number>() // how often each came after it was written, in the window before
  let windowEnds: Milliseconds = 0
  return (wanted, write) => {
    const now = clock()
    if (now >= windowEnds || now < windowEnds - MINUTE) {
      before.clear()
      for (const [kind, { repeats }] of written) before.set(kind, repeats)
      written.clear()
      windowEnds = now + MINUTE
    }
    const kind = written.has(wanted) || written.size < KINDS_AT_MOST ? wanted : 'others'
    const known = written.get(kind)
    if (known !== undefined) {
      known.repeats++
      return known.ref
    }
    const ref = newReference()
    written.set(kind, { ref, repeats: 0 })
    write(ref, before.get(kind) ?? 0)
    return ref
  }
}
