import { describe, expect, it } from 'vitest'
import { occasional } from '../../src/telemetry/occasional.ts'

describe(occasional, () => {
  function at() {
    const state = { now: 1_000_000, lines: [] as [string, number][], refs: 0 }
    const once = occasional(
      () => state.now,
      () => `ref-${state.refs++}`,
    )
    const happen = (kind: string) =>
      once(kind, (ref, unwritten) => void state.lines.push([`${kind} ${ref}`, unwritten]))
    return Object.assign(state, { happen })
  }

  it('writes one line a minute for a kind, says how many it left out, and gives the reference that was written', () => {
    const log = at()
    expect([log.happen('a'), log.happen('a'), log.happen('b'), log.happen('a')]).toEqual([
      'ref-0',
      'ref-0',
      'ref-1',
      'ref-0',
    ])
    log.now += 60_000
    expect(log.happen('a')).toBe('ref-2')
    expect(log.lines).toEqual([
      ['a ref-0', 0],
      ['b ref-1', 0],
      ['a ref-2', 2],
    ])
  })

  it('stays bounded when ever new kinds are made up, in lines and in memory, and each still gets a reference that was written', () => {
    const log = at()
    const refs = new Set(Array.from({ length: 100_000 }, (_, i) => log.happen(`kind ${i}`)))
    expect(log.lines.length).toBeLessThan(100)
    expect(refs.size).toBe(log.lines.length)
  })

  it('goes on when the clock is set back', () => {
    const log = at()
    log.happen('a')
    log.now -= 3_600_000
    log.happen('a')
    expect(log.lines).toHaveLength(2)
  })
})
