import { headerLines } from './headers.ts'

const CANDIDATES_AT_MOST = 8

/**
 * All values that the raw Cookie header holds under exactly this name, as sent: not decoded, no quotes taken off, no `$Version` games
 * (RFC 6265, section 5.4 has none). @fastify/cookie keeps the first of two equal names, which lets a sibling host shadow a cookie.
 */
export function cookieValues(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = []
  const prefix = `${name}=`
  for (const line of headerLines(rawHeaders, 'cookie')) {
    let start = 0
    while (start < line.length && values.length < CANDIDATES_AT_MOST) {
      const semicolon = line.indexOf(';', start)
      const end = semicolon === -1 ? line.length : semicolon
      while (line.charCodeAt(start) === 32) start++
      if (line.startsWith(prefix, start) && start + prefix.length <= end)
        values.push(line.slice(start + prefix.length, end))
      start = end + 1
    }
  }
  return values
}

/**
 * The Cookie header without any cookie of this name, for an application that must not see it. Wider than `cookieValues`: white space
 * around the name is what some parsers forgive. Empty when nothing is left.
 */
export function cookieWithout(rawHeaders: readonly string[], name: string): string {
  const lines = headerLines(rawHeaders, 'cookie')
  const [only] = lines
  if (lines.length === 1 && only !== undefined) {
    // The two most frequent, in which nothing has to be put together again.
    if (!only.includes(name)) return only
    if (only.startsWith(`${name}=`) && !only.includes(';')) return ''
  }
  return lines
    .flatMap(line => line.split(';'))
    .filter(pair => pair.trim() !== '' && pair.split('=', 1)[0]?.trim() !== name)
    .map(pair => pair.trim())
    .join('; ')
}
