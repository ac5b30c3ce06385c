import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/clock.ts'
import { parseDuration } from '../../src/config/duration.ts'

describe(parseDuration, () => {
  it.each([
    [0, 0],
    [90, 90 * SECOND],
    ['90', 90 * SECOND],
    ['250ms', 250],
    ['30s', 30 * SECOND],
    ['5m', 5 * MINUTE],
    ['5 minutes', 5 * MINUTE],
    ['1 minute', MINUTE],
    ['1h', HOUR],
    ['1h30m', 90 * MINUTE],
    ['1 hour and 30 minutes', 90 * MINUTE],
    ['1 day, 2 hours', 26 * HOUR],
    ['2d', 2 * DAY],
    ['1w', 7 * DAY],
    ['1M', 30 * DAY],
    ['2 months', 60 * DAY],
    ['1y', 365 * DAY],
    ['  5m  ', 5 * MINUTE],
  ])('reads %j as Authelia does', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds)
  })

  it.each([
    '',
    ' ',
    '-1h',
    '+1h',
    '1.5h',
    'NaN',
    'Infinity',
    '1e9y',
    '0x10',
    '1 houre',
    '1H',
    '1D',
    'h',
    '1h 30',
    '5 5m',
    'and 5m',
    '1_000',
    '١h',
    '1h;',
    '999999999999y',
    '1000000000000',
    'constructor',
    '1constructor',
    '1__proto__',
  ])('row 151: refuses %j', text => {
    expect(parseDuration(text)).toBeUndefined()
  })

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e300])('row 151: refuses the number %d', number => {
    expect(parseDuration(number)).toBeUndefined()
  })

  it('gives undefined or a whole number of milliseconds that is not negative, for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(\d{1,13} ?(s|m|M|h|d|w|y|ms|and|,| )){0,4}$/)), text => {
        const parsed = parseDuration(text)
        expect(parsed === undefined || (Number.isSafeInteger(parsed) && parsed >= 0)).toBe(true)
      }),
    )
  })
})
