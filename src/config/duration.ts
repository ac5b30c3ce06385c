import { DAY, HOUR, MINUTE, type Milliseconds, SECOND } from '../clock.ts'

// Authelia's units: a month is 30 days and a year 365; an upper-case M is a month, a lower-case m a minute.
const unit: Record<string, Milliseconds> = {
  ms: 1,
  s: SECOND,
  second: SECOND,
  seconds: SECOND,
  m: MINUTE,
  minute: MINUTE,
  minutes: MINUTE,
  h: HOUR,
  hour: HOUR,
  hours: HOUR,
  d: DAY,
  day: DAY,
  days: DAY,
  w: 7 * DAY,
  week: 7 * DAY,
  weeks: 7 * DAY,
  M: 30 * DAY,
  month: 30 * DAY,
  months: 30 * DAY,
  y: 365 * DAY,
  year: 365 * DAY,
  years: 365 * DAY,
}

const part = /(\d{1,12})\s*([A-Za-z]+)\s*(?:and\s+|,\s*)?/y

/**
 * Authelia's duration notation: bare seconds, `5m`, `1h30m`, `5 minutes`, `1 day and 2 hours`, `1M`.
 * Undefined for anything else. Source: Authelia's "Duration notation format".
 */
export function parseDuration(value: string | number): Milliseconds | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value * SECOND : undefined
  const text = value.trim()
  if (/^\d{1,12}$/.test(text)) return Number(text) * SECOND
  let total = 0
  part.lastIndex = 0
  while (part.lastIndex < text.length) {
    const [, count, name] = part.exec(text) ?? []
    const size = name === undefined || !Object.hasOwn(unit, name) ? undefined : unit[name]
    if (size === undefined) return undefined
    total += Number(count) * size
  }
  return text === '' || !Number.isSafeInteger(total) ? undefined : total
}
