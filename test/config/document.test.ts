import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDocument } from '../../src/config/document.ts'
import { formatProblem } from '../../src/config/problem.ts'

function read(text: string | Uint8Array) {
  return parseDocument(typeof text === 'string' ? Buffer.from(text) : text, 'a.yml')
}

/** The one-line texts of what is wrong; an empty list when nothing is. */
function wrong(text: string | Uint8Array): string[] {
  const parsed = read(text)
  return parsed.ok ? [] : parsed.problems.map(formatProblem)
}

function dataOf(text: string | Uint8Array): unknown {
  const parsed = read(text)
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
  return JSON.parse(JSON.stringify(parsed.value))
}

const bomb = [
  'a: &a [x, x, x, x, x, x, x, x, x]',
  ...'bcdefghi'.split('').map((name, index) => {
    const before = `*${'abcdefghi'[index]}`
    return `${name}: &${name} [${Array(9).fill(before).join(', ')}]`
  }),
].join('\n')

describe(parseDocument, () => {
  it.each([
    ['5,000 open brackets', '['.repeat(5000), 'a.yml:1:129: error: Nested deeper than 64 levels.'],
    ['100,000 open braces', '{a: '.repeat(100_000), 'a.yml:1:510: error: Nested deeper than 64 levels.'],
    ['5,000 nested lists', `${'- '.repeat(5000)}a`, 'a.yml:1:256: error: Nested deeper than 64 levels.'],
    ['5,000 nested keys', '? '.repeat(5000), 'a.yml:1:256: error: Nested deeper than 64 levels.'],
    [
      'a list inside itself',
      'a: &a [*a]',
      'a.yml:1:8: error: a[0]: This alias (*name) stands inside its own anchor (&name).',
    ],
    [
      'an alias to nowhere',
      'a: 1\nb: *c',
      'a.yml:2:4: error: b: This alias (*name) has no anchor (&name) before it; put a text that begins with * in quotes.',
    ],
    ['NUL', 'a: 1\nb: x\0y', 'a.yml:2:5: error: The file holds a control character (NUL); take it out.'],
    ['ESC', 'a: "\u001b[2J"', 'a.yml:1:5: error: The file holds a control character (U+001B); take it out.'],
    ['Latin-1', Buffer.from('a: 1\nb: fü', 'latin1'), 'a.yml:2:5: error: The file is not UTF-8; save it as UTF-8.'],
    ['UTF-16', Buffer.from('\ufeffa: 1', 'utf16le'), 'a.yml:1:1: error: The file is UTF-16; save it as UTF-8.'],
    [
      'half a character at the end',
      Buffer.from('a: €').subarray(0, -1),
      'a.yml:1:4: error: The file is not UTF-8; save it as UTF-8.',
    ],
    ['nothing', '', 'a.yml:1:1: error: The file is empty.'],
  ])('row 140: refuses %s, with the line', (_, text, expected) => {
    expect(wrong(text)).toEqual([expected])
  })

  it('row 140: refuses an alias bomb before it takes memory', () => {
    const before = process.memoryUsage().heapUsed
    expect(wrong(bomb)).toEqual([
      expect.stringMatching(/^a\.yml:\d+:\d+: error: (?:More than 1000 aliases|Aliases \(\*name\) multiply)/),
    ])
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 * 1024)
  })

  it('row 140: takes a byte order mark as nothing, and ordinary aliases as what they stand for', () => {
    expect(dataOf('\ufeffa: &x [1]\nb: *x\n')).toEqual({ a: [1], b: [1] })
  })

  it.each([
    [
      'a doubled key',
      'a: 1\nb: {c: 1, d: 2, c: 3}',
      'a.yml:2:17: error: b.c: This key is given twice; the first is on line 2.',
    ],
    [
      'one key as number and as text',
      '1: a\n"1": b',
      'a.yml:2:1: error: 1: This key is given twice; the first is on line 1.',
    ],
    [
      'a merge key',
      'a: &a {b: 1}\nc:\n  <<: *a',
      'a.yml:3:3: error: c.<<: Merge keys (<<) are not supported; write the keys out.',
    ],
    [
      '!!js/function',
      'a: !!js/function "x"',
      'a.yml:1:4: error: Tags (!name) are not supported; put a text that begins with ! in quotes.',
    ],
    [
      'an unknown tag',
      'a:\n  - !secret x',
      'a.yml:2:5: error: Tags (!name) are not supported; put a text that begins with ! in quotes.',
    ],
    [
      '!!binary',
      'a: !!binary aGk=',
      'a.yml:1:4: error: Tags (!name) are not supported; put a text that begins with ! in quotes.',
    ],
    [
      'two documents',
      'a: 1\n---\nb: 2',
      'a.yml:2:1: error: A second document begins here; only one is allowed in a file.',
    ],
    ['a tab', 'a:\n\tb: 1', 'a.yml:2:1: error: A tab is used for indentation; YAML wants spaces.'],
    [
      'another version of YAML',
      '%YAML 1.1\n---\na: yes',
      'a.yml:1:1: error: The file asks for another version of YAML than 1.2; take out the %YAML line.',
    ],
    ['a list as key', '[a]: 1', 'a.yml:1:1: error: This key is not a text; put it in quotes if it is meant as one.'],
  ])('row 141: refuses %s, with the line', (_, text, expected) => {
    expect(wrong(text)).toEqual([expected])
  })

  it('row 142: words of YAML 1.1 are texts; true and null as keys need quotes', () => {
    expect(dataOf('yes: no\non: off\n1000: y\n010: 1_000\n"true": 12:30')).toEqual({
      yes: 'no',
      on: 'off',
      1000: 'y',
      '010': '1_000',
      true: '12:30',
    })
    for (const key of ['true', 'null', '~', ''])
      expect(wrong(`a: 1\n${key}: 1`)).toEqual([
        'a.yml:2:1: error: This key is not a text; put it in quotes if it is meant as one.',
      ])
  })

  it('keeps a key named __proto__ as a key like any other', () => {
    const parsed = read('__proto__: {admin: true}\nconstructor: 1')
    if (!parsed.ok) throw new Error('refused')
    expect(Object.keys(parsed.value as object)).toEqual(['__proto__', 'constructor'])
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('row 174: never quotes the file in an error of syntax', () => {
    for (const text of [
      'secret: hunter2: x\n',
      'secret: "hunter2\n',
      'secret: [hunter2\n}hunter2',
      'secret: @hunter2',
      '"\\hunter2"',
      'a: *hunter2',
    ])
      expect(wrong(text).join()).toMatch(/^(?!.*hunter2)a\.yml:\d/)
  })

  it('knows where a key and a value stand, through lists and aliases, and the nearest part above what is not there', () => {
    const parsed = read('a: &x\n  b: [1, {c: 2}]\nd: *x\ne:\n')
    if (!parsed.ok) throw new Error('refused')
    const at = (...[path, where]: Parameters<typeof parsed.locate>) => {
      const { line, column } = parsed.locate(path, where)
      return `${line}:${column}`
    }
    expect(at(['a', 'b', 0])).toBe('2:7')
    expect(at(['a', 'b', 1, 'c'])).toBe('2:14')
    expect(at(['a', 'b', 1, 'c'], 'key')).toBe('2:11')
    expect(at(['d', 'b', 1, 'c'])).toBe('2:14')
    expect(at(['e'])).toBe('4:1')
    expect(at(['a', 'nowhere', 'deeper'])).toBe('1:1')
    expect(at([])).toBe('1:1')
  })

  it('survives any bytes and any text: a value, or problems that all have a line', () => {
    const yamlish = fc
      .array(
        fc.constantFrom(
          'a',
          ': ',
          '- ',
          '\n',
          '  ',
          '[',
          ']',
          '{',
          '}',
          '&a ',
          '*a',
          '"',
          "'",
          '|',
          '>',
          '#',
          '? ',
          '!!x ',
          '<<',
          '---\n',
          '...\n',
          '%',
          '\t',
          '\r',
          '@',
          ',',
          '1',
          '\\',
          '\u2028',
          '😀',
        ),
        { maxLength: 60 },
      )
      .map(parts => Buffer.from(parts.join('')))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), yamlish), bytes => {
        const parsed = read(bytes)
        if (parsed.ok) {
          expect(parsed.locate(['a', 0, 'b']).line).toBeGreaterThan(0)
          return
        }
        expect(parsed.problems.length).toBeGreaterThan(0)
        for (const { line, column, message } of parsed.problems) {
          expect(line).toBeGreaterThan(0)
          expect(column).toBeGreaterThan(0)
          expect(message).toMatch(/[.)]$/)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
