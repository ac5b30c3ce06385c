import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromParts, parseUrl } from '../../src/http/original-url.ts'
import { timeout, tryOut } from './budget.ts'
import { changed, changes } from './bytes.ts'
import { judgeParts, judgeUrl, type Place, written } from './oracle.ts'

const label = fc.oneof(
  fc.constantFrom(
    'public',
    'two',
    'example',
    'com',
    'localhost',
    'app',
    'xn--bcher-kva',
    'a_b',
    '-a',
    'a-',
    '',
    '1',
    '0x7f',
    '127',
    'A',
  ),
  fc.string({ maxLength: 4 }),
  fc.integer({ min: 60, max: 66 }).map(length => 'a'.repeat(length)),
)
const wild = fc
  .tuple(
    fc.array(label, { minLength: 1, maxLength: 5 }),
    fc.constantFrom('', '.', '..'),
    fc.constantFrom('', ':443', ':0', ':', ':65535', ':65536', ':08', ':x'),
  )
  .map(([labels, dot, port]) => labels.join('.') + dot + port)
const plain = fc.constantFrom('public.example.com', 'Two.Example.org:8443', 'a.app.localhost', 'x.')
const authority = fc.oneof(plain, wild)
const scheme = fc.constantFrom('https', 'wss', 'http', 'ws', 'HTTPS', 'Wss', 'ftp', 'javascript', '', 'https ', 'httpſ')
const target = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '?',
        '#',
        '%',
        '%2f',
        '%zz',
        '%00',
        '%e2%82%ac',
        '..',
        ';',
        '\\',
        ' ',
        '\t',
        '&a=b',
        'é',
        '\x7f',
        '"',
        '|',
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map(parts => parts.join(''))
const url = fc.tuple(scheme, authority, target).map(([one, two, three]) => `${one}://${two}${three}`)

const seen = (said: ReturnType<typeof parseUrl>): Place | undefined =>
  typeof said === 'string'
    ? undefined
    : {
        scheme: said.scheme,
        host: said.host,
        port: said.port === undefined ? '' : String(said.port),
        target: said.target,
      }

describe('a fuzzer of the URL that is judged', () => {
  it('takes what a strict parser takes, as the same URL, and refuses the rest: whole URLs', { timeout }, async () => {
    let taken = 0
    await tryOut(
      fc.property(url, changes, (text, list) => {
        const asked = changed(text, list)
        const wanted = judgeUrl(asked)
        if (wanted !== undefined) taken++
        const said = parseUrl(asked)
        expect(seen(said)).toEqual(wanted)
        if (typeof said === 'string') return
        expect(said.href).toBe(written(wanted as Place))
        expect(parseUrl(said.href)).toEqual(said)
        expect(said.target.startsWith(said.path)).toBe(true)
        expect(said.path).not.toMatch(/[?#]/)
      }),
    )
    expect(taken).toBeGreaterThan(0) // or it has tried nothing
  })

  it('takes what a strict parser takes, and refuses the rest: in parts', { timeout }, async () => {
    let taken = 0
    await tryOut(
      fc.property(scheme, authority, target, changes, (one, two, three, list) => {
        const place = changed(two, list)
        const said = fromParts(one, place, three)
        // A query without a path can't come in a header of its own.
        const wanted = three.startsWith('?') ? undefined : judgeParts(one, place, three)
        if (wanted !== undefined) taken++
        expect(seen(said)).toEqual(wanted)
      }),
    )
    expect(taken).toBeGreaterThan(0)
  })
})
