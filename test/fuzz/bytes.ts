import fc from 'fast-check'

type Change = readonly [
  kind: 'insert' | 'delete' | 'replace' | 'repeat' | 'swap',
  at: number,
  what: string,
  length: number,
]

// What parsers trip over, and any byte.
const awkward = [
  '\r\n',
  '\r',
  '\n',
  '\0',
  '\t',
  ' ',
  ':',
  '/',
  '\\',
  '?',
  '#',
  '%',
  '@',
  ',',
  ';',
  '.',
  '..',
  '//',
  '[',
  ']',
  '\x7f',
  '\x80',
  '\xff',
  '\xc0\xae',
  '%2f',
  '%2e',
  '%5c',
  '%00',
  '%25',
  '%zz',
  ':443',
  ':0',
  '://',
  'https://',
  'http://',
  'public.example.com',
  '.example.com',
  'two.example.com',
  'X-Forwarded-Host: two.example.com\r\n',
  'X-Original-URL: https://two.example.com/\r\n',
  'X-Forwarded-Host: public.example.com\r\n',
  'X-Original-URL: https://public.example.com/\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\n',
  '\r\n\r\n',
  'GET ',
  ' HTTP/1.1\r\n',
] as const

const change: fc.Arbitrary<Change> = fc.tuple(
  fc.constantFrom('insert', 'delete', 'replace', 'repeat', 'swap'),
  fc.nat(2 ** 20),
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...awkward) },
    { weight: 1, arbitrary: fc.nat(255).map(code => String.fromCharCode(code)) },
  ),
  fc.integer({ min: 1, max: 12 }),
)

/** Changes to a text of bytes; with none it stays as it is, and so shrinks towards what is well-formed. */
export const changes = fc.array(change, { maxLength: 5 })

export function changed(bytes: string, list: readonly Change[]): string {
  return list.reduce(after, bytes)
}

function after(text: string, [kind, position, what, length]: Change): string {
  const at = position % (text.length + 1)
  switch (kind) {
    case 'insert':
      return text.slice(0, at) + what + text.slice(at)
    case 'delete':
      return text.slice(0, at) + text.slice(at + length)
    case 'replace':
      return text.slice(0, at) + what + text.slice(at + what.length)
    case 'repeat':
      return text.slice(0, at + length) + text.slice(at)
    case 'swap':
      return (
        text.slice(0, at) +
        text.slice(at + length, at + 2 * length) +
        text.slice(at, at + length) +
        text.slice(at + 2 * length)
      )
  }
}
