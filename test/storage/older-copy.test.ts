import { describe, expect, it } from 'vitest'
import { MINUTE } from '../../src/clock.ts'
import { copyOf, type Marks, nextMark } from '../../src/storage/older-copy.ts'

const noon = Date.UTC(2026, 10, 29, 12)

describe(copyOf, () => {
  it.each<[string, Marks, ReturnType<typeof copyOf>]>([
    ['neither knows: a new store, or an upgrade', { store: null, beside: null }, 'ours'],
    ['the second place was made, and then the process was killed', { store: null, beside: 0 }, 'ours'],
    ['both are as old: a pause of any length', { store: noon, beside: noon }, 'ours'],
    ['the second place is behind', { store: noon, beside: noon - 30 * 24 * 60 * MINUTE }, 'ours'],
    ['the second place is ahead by what may be lost', { store: noon, beside: noon + 5 * MINUTE }, 'ours'],
    ['the second place is ahead by more', { store: noon, beside: noon + 5 * MINUTE + 1 }, 'older'],
    ['a copy from before marks were kept', { store: null, beside: noon }, 'older'],
    ['the second place stayed behind', { store: noon, beside: null }, 'alone'],
  ])('row 163: %s', (_, marks, copy) => {
    expect(copyOf(marks)).toBe(copy)
  })
})

describe(nextMark, () => {
  it('row 163: is the time; after a clock that was set back it goes on from where it stood, as fast as time does', () => {
    let [clock, running] = [noon, 0]
    const next = nextMark(
      () => clock,
      () => running,
    )
    expect(next(0)).toBe(noon)
    clock -= 60 * MINUTE
    running += MINUTE
    expect(next(noon)).toBe(noon + MINUTE)
    running += MINUTE + 0.25
    // Another process moved it meanwhile: together they are no faster than time.
    expect(next(noon + 1.5 * MINUTE)).toBe(noon + 2 * MINUTE)
    clock = noon + 10 * MINUTE
    expect(next(noon + 2 * MINUTE)).toBe(noon + 10 * MINUTE)
  })
})
