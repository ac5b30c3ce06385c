/**
 * What a URL, a request and a path are, said a second time: character by character, after RFC 3986 and RFC 9112, and on purpose with no line
 * in common with what is tested.
 */

export interface Place {
  readonly scheme: string
  readonly host: string
  readonly port: string
  /** Path and query. */
  readonly target: string
}

const HEX = '0123456789abcdefABCDEF'
const DIGITS = '0123456789'
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

/** Undefined: malformed, or not secure. */
export function judgeUrl(text: string): Place | undefined {
  if (text.length > 4096) return undefined
  const colon = text.indexOf('://')
  if (colon < 1) return undefined
  let end = colon + 3
  while (end < text.length && !'/?#'.includes(text.charAt(end))) end++
  return judgeParts(text.slice(0, colon), text.slice(colon + 3, end), text.slice(end))
}

export function judgeParts(schemeText: string, authority: string, rest: string): Place | undefined {
  if (schemeText.length + authority.length + rest.length > 4096) return undefined
  const scheme = schemeText.toLowerCase()
  if (scheme.length !== schemeText.length) return undefined
  const colon = authority.indexOf(':')
  const port = colon === -1 ? '' : authority.slice(colon + 1)
  if (colon !== -1 && !isPort(port)) return undefined
  const host = judgeHost(colon === -1 ? authority : authority.slice(0, colon))
  if (host === undefined) return undefined
  const local = host.endsWith('.localhost')
  if (scheme !== 'https' && scheme !== 'wss' && !(local && (scheme === 'http' || scheme === 'ws'))) return undefined
  const target = rest === '' || rest.startsWith('?') ? `/${rest}` : rest
  return isTarget(target) ? { scheme, host, port, target } : undefined
}

function isPort(text: string): boolean {
  return (
    text !== '' &&
    text.length <= 5 &&
    !text.startsWith('0') &&
    [...text].every(one => DIGITS.includes(one)) &&
    +text <= 65_535
  )
}

function judgeHost(text: string): string | undefined {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text
  if (bare.length > 253) return undefined
  const labels: string[] = []
  for (const label of bare.split('.')) {
    if (label === '' || label.length > 63 || label.startsWith('-') || label.endsWith('-')) return undefined
    let folded = ''
    for (const one of label) {
      const small = one >= 'A' && one <= 'Z' ? String.fromCharCode(one.charCodeAt(0) + 32) : one
      if (!LETTERS.includes(small) && !DIGITS.includes(small) && small !== '-' && small !== '_') return undefined
      folded += small
    }
    labels.push(folded)
  }
  // What ends in a number is an address to a browser.
  const last = labels.at(-1) ?? ''
  const hexadecimal = last.startsWith('0x') && [...last.slice(2)].every(one => HEX.includes(one))
  return hexadecimal || [...last].every(one => DIGITS.includes(one)) ? undefined : labels.join('.')
}

function isTarget(text: string): boolean {
  if (!text.startsWith('/')) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false
    if (code !== 0x25) continue
    const digits = text.slice(i + 1, i + 3)
    if (digits.length < 2 || ![...digits].every(one => HEX.includes(one)) || digits === '00') return false
  }
  return true
}

/** As it may be said in Location. */
export function written({ scheme, host, port, target }: Place): string {
  return `${scheme}://${host}${port === '' ? '' : `:${port}`}${target}`
}

export interface Message {
  readonly method: string
  readonly target: string
  /** Names in lower case. */
  readonly fields: readonly (readonly [name: string, value: string])[]
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** The first request in these bytes (a text of U+0000 to U+00FF), or undefined where they don't begin with a whole well-formed one. */
export function judgeMessage(bytes: string): Message | undefined {
  // RFC 9112, section 2.2: empty lines before a request are passed over, and one may end with a LF alone.
  let from = 0
  while (bytes[from] === '\r' || bytes[from] === '\n') from++
  const end = bytes.indexOf('\r\n\r\n', from)
  if (end === -1) return undefined
  const [first = '', ...lines] = bytes.slice(from, end).split('\r\n')
  // Section 3 lets a server read the first line by its words, whatever white space is between them; Node does so for spaces.
  const [method = '', target = '', version = '', ...more] = first.split(/ +/)
  if (more.length > 0 || !TOKEN.test(method) || target === '' || !/^HTTP\/1\.[01]$/.test(version)) return undefined
  const fields: [string, string][] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1)
    if (colon < 1 || !TOKEN.test(name)) return undefined
    for (const one of value) if ((one < ' ' && one !== '\t') || one === '\x7f') return undefined
    fields.push([name.toLowerCase(), value.replace(/^[ \t]+|[ \t]+$/g, '')])
  }
  return { method, target, fields }
}

/**
 * Where a path leads when everything is undone at once: decoded twice, `\` as `/`, without `;parameters`, slashes merged, dots resolved. A slash at
 * its end stays.
 */
export function plainPath(path: string): string {
  const once = (text: string) =>
    text.replace(/%([0-9a-f]{2})/gi, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
  const kept: string[] = []
  const segments = once(once(path)).replaceAll('\\', '/').split('/')
  for (const segment of segments) {
    const [name = ''] = segment.split(';')
    if (name === '..') kept.pop()
    else if (name !== '' && name !== '.') kept.push(name)
  }
  const folder = segments.at(-1)?.split(';')[0] === '' && kept.length > 0
  return `/${kept.join('/')}${folder ? '/' : ''}`
}
