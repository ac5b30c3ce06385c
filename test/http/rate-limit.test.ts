import { describe, expect, it } from 'vitest'
import { MINUTE, SECOND } from '../../src/clock.ts'
import { rateLimit } from '../../src/http/rate-limit.ts'

const buckets = [
  { period: MINUTE, requests: 3 },
  { period: 2 * MINUTE, requests: 4 },
]

function limited(more: { enable?: boolean; addressesAtMost?: number } = {}) {
  let now = 1_700_000_000_000
  const limit = rateLimit({ enable: more.enable ?? true, buckets }, () => now, more.addressesAtMost)
  const takeFrom = (ip: string | undefined) => {
    const free = limit.take(ip)
    return free === null ? 'taken' : (free - now) / SECOND
  }
  return {
    take: (ip = '192.0.2.1') => takeFrom(ip),
    takeUnknown: () => takeFrom(undefined),
    move: (seconds: number) => {
      now += seconds * SECOND
    },
  }
}

describe(rateLimit, () => {
  it('lets so many through in any stretch of each period, and says when the next may come', () => {
    const { take, move } = limited()
    expect([take(), take(), take(), take()]).toEqual(['taken', 'taken', 'taken', 60])
    move(59)
    expect(take()).toBe(1)
    move(1)
    // The wider bucket has room for one more.
    expect([take(), take()]).toEqual(['taken', 60])
    move(60)
    expect([take(), take(), take(), take()]).toEqual(['taken', 'taken', 'taken', 60])
  })

  it('counts nothing that it refuses: who goes on asking waits no longer', () => {
    const { take, move } = limited()
    for (let round = 0; round < 3; round++) take()
    for (let second = 0; second < 59; second++) {
      expect(take()).toBe(60 - second)
      move(1)
    }
    move(1)
    expect(take()).toBe('taken')
  })

  it('row 94: counts each address by itself, and an IPv6 network of 64 bits as one', () => {
    const { take } = limited()
    for (const end of ['1', '2', '3']) expect(take(`2001:db8:1:2::${end}`)).toBe('taken')
    expect(take('2001:db8:1:2:ffff::')).toBe(60)
    expect(take('2001:db8:1:3::1')).toBe('taken')
    expect(take('192.0.2.2')).toBe('taken')
  })

  it('counts all whose address is not known together', () => {
    const { take, takeUnknown } = limited()
    expect([takeUnknown(), take('nonsense'), takeUnknown()]).toEqual(['taken', 'taken', 'taken'])
    expect([takeUnknown(), take('more nonsense')]).toEqual([60, 60])
  })

  it('does not refuse for years when the clock is set back', () => {
    const { take, move } = limited()
    for (let round = 0; round < 3; round++) take()
    move(-1_000_000)
    expect(take()).toBe('taken')
  })

  it('row 169: remembers so many addresses, those that asked last', () => {
    const { take } = limited({ addressesAtMost: 100 })
    for (let round = 0; round < 3; round++) take('198.51.100.1')
    for (let i = 0; i < 99; i++) take(`192.0.2.${i}`)
    expect(take('198.51.100.1')).toBe(60)
    for (let i = 0; i < 10_000; i++) take(`10.0.${i >> 8}.${i & 255}`)
    expect(take('198.51.100.1')).toBe('taken')
  })

  it('lets all through when it is off', () => {
    const { take } = limited({ enable: false })
    for (let round = 0; round < 100; round++) expect(take()).toBe('taken')
  })
})
