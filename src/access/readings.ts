/** One way in which a server may read the target that was sent. */
export interface Reading {
  /** The path as it was read, cleaned, with the raw query behind it: what resources are matched against. */
  readonly resource: string
  /** What a server must do to read it so, in words; empty for the plain reading. */
  readonly how: string
}

export interface Readings {
  /** The plain one first: decoded once, slashes merged, dots resolved, as Authelia reads it. */
  readonly list: readonly Reading[]
  /** There are more than are judged, or none can be told: overlong UTF-8, which one server refuses and another reads as dots, or a control character. */
  readonly unclear: boolean
  /** Some server sees text here, another none. */
  readonly validUtf8: boolean
}

export const READINGS_AT_MOST = 32
/** Of all readings together: what somebody can make a judge read with one request. A long path may have a few, a short one 32. */
const CHARACTERS_AT_MOST = 16 * 1024

// Where none of these stands, every server reads the same path.
const ambiguous = /[%\\;]|\/\/|\/\.\.?(?:\/|$)/

/**
 * Every way in which servers are known to read a path differently: decoded once or twice, `%2f` as a slash or not, slashes merged or not,
 * `\` as `/`, `;parameters` taken off or not, an encoded `?` or `#` as data or as the end of the path, dots resolved before, between or after.
 * A judge who knew only one of them could be passed by another spelling.
 * @param target path and query as sent, of visible ASCII, each `%` with two digits
 */
export function readingsOf(target: string): Readings {
  const question = target.indexOf('?')
  const path = question === -1 ? target : target.slice(0, question)
  // A `?` with nothing behind it is no query, as in Go.
  const query = question === -1 || question === target.length - 1 ? '' : target.slice(question)
  if (!ambiguous.test(path)) return { list: [{ resource: path + query, how: '' }], unclear: false, validUtf8: true }

  let paths: ReadonlyMap<string, string> = new Map([[path, '']])
  for (const step of steps) {
    const next = new Map<string, string>()
    for (const [from, how] of paths)
      for (const [to, then] of step(from))
        if (!next.has(to)) next.set(to, how === '' || then === '' ? how + then : `${how}, ${then}`)
    // Before the next step multiplies them.
    if (next.size > READINGS_AT_MOST || next.size * path.length > CHARACTERS_AT_MOST)
      return { list: [...readings(next, query).slice(0, 1)], unclear: true, validUtf8: true }
    paths = next
  }
  const list = readings(paths, query)
  return {
    list,
    unclear: [...paths.keys()].some(one => overlong.test(one) || control.test(one)),
    validUtf8: [...paths.keys()].every(isUtf8),
  }
}

/** From here on a path is a text of bytes, U+0000 to U+00FF, until it is matched. */
type Variant = readonly [path: string, how: string]
/** What servers make of a path at one step; the plain way first. */
type Step = (path: string) => readonly Variant[]

const parameters: Step = path =>
  path.includes(';')
    ? [
        [path, ''],
        [path.replace(/;[^/]*/g, ''), 'without ;parameters'],
        [withoutLastParameters(path), 'without the last ;parameters'],
      ]
    : [[path, '']]

// No expression: one that looks for the end from each ; takes 200 ms for a path of 4 KB of them.
function withoutLastParameters(path: string): string {
  const semicolon = path.indexOf(';', path.lastIndexOf('/'))
  return semicolon === -1 ? path : path.slice(0, semicolon)
}

const decode: Step = path => {
  if (!path.includes('%')) return [[path, '']]
  const before: readonly Variant[] = cleanable.test(path)
    ? [
        [path, ''],
        [cleaned(path), 'cleaned, then decoded'],
        [withoutDots(path), 'dots resolved, then decoded'],
      ]
    : [[path, '']]
  return before.flatMap(([from, how]): Variant[] => {
    const plain: Variant = [unescaped(from), how]
    if (!/%2f/i.test(from)) return [plain]
    return [plain, [unescaped(from, /%(?!2f)([0-9a-f]{2})/gi), how === '' ? '%2f as data' : `${how}, %2f as data`]]
  })
}

const decodeAgain: Step = path =>
  /%[0-9a-f]{2}/i.test(path)
    ? [
        [path, ''],
        [unescaped(path), 'decoded twice'],
        [unescaped(cleaned(path)), 'cleaned, then decoded again'],
      ]
    : [[path, '']]

const cut: Step = path => {
  const ends = [path.indexOf('?'), path.indexOf('#')].filter(end => end !== -1)
  if (ends.length === 0) return [[path, '']]
  // To an expression, a ? that is data looks like the beginning of the query: once more in a form that does not.
  const data = path.replaceAll('?', '%3F').replaceAll('#', '%23')
  const cuts = ends.map((end): Variant => [path.slice(0, end), `ending before the encoded ${path[end]}`])
  return [[path, ''], [data, 'with the encoded ? and # as data'], ...cuts]
}

const backslashes: Step = path =>
  path.includes('\\')
    ? [
        [path, ''],
        [path.replaceAll('\\', '/'), '\\ as /'],
      ]
    : [[path, '']]

const clean: Step = path => {
  const plain = cleaned(path)
  const variants: Variant[] = [[plain, '']]
  if (/\/\.\.?$/.test(path) && plain !== '/') variants.push([`${plain}/`, 'a final dot as a folder'])
  if (path.includes('//')) {
    const unmerged = withoutDots(path)
    variants.push([unmerged, 'slashes not merged'], [merged(unmerged), 'slashes merged after the dots'])
  }
  if (dotSegment.test(path)) variants.push([path, 'dots not resolved'], [merged(path), 'dots not resolved'])
  return variants
}

// Twice what one server does before it decodes and another after, so that an encoded ; or \ counts too.
const steps: readonly Step[] = [parameters, backslashes, decode, decodeAgain, cut, backslashes, parameters, clean]

const cleanable = /\/\/|\/\.\.?(?:\/|$)/
const dotSegment = /\/\.\.?(?:\/|$)/

function unescaped(path: string, escapes = /%([0-9a-f]{2})/gi): string {
  return path.replace(escapes, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}

const merged = (path: string) => path.replace(/\/{2,}/g, '/')

/** Go's path.Clean, with a final slash kept. */
function cleaned(path: string): string {
  return withoutDots(merged(path))
}

/** RFC 3986, section 5.2.4, but that a final dot leaves no slash, as in Go. */
function withoutDots(path: string): string {
  if (!dotSegment.test(path)) return path
  const kept: string[] = []
  for (const segment of path.slice(1).split('/'))
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  return `/${kept.join('/')}`
}

function readings(paths: ReadonlyMap<string, string>, query: string): Reading[] {
  return [...paths].map(([path, how]) => ({ resource: asText(path) + query, how }))
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes
const beyondAscii = /[^\x00-\x7f]/
// What a decoder that does not check takes for a shorter character: c0 ae for a dot.
const overlong = /[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]/
// An expression's . is no line feed, so that /admin/%0a would slip by ^/admin/.*$ and still be below /admin to the server.
// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes
const control = /[\x00-\x1f\x7f]/

function asText(path: string): string {
  return beyondAscii.test(path) ? Buffer.from(path, 'latin1').toString('utf8') : path
}

function isUtf8(path: string): boolean {
  return !beyondAscii.test(path) || Buffer.from(asText(path), 'utf8').toString('latin1') === path
}
