import { isUtf8 } from 'node:buffer'
import {
  Composer,
  type Document,
  type ErrorCode,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  visit as visitNodes,
  type YAMLError,
} from 'yaml'
import { dotted, type Place, type Problem } from './problem.ts'

/** A file that was read: plain data, and where each part of it stands. */
export interface ParsedDocument {
  /** Maps are objects without a prototype, so that a key named `__proto__` is a key like any other. */
  readonly value: unknown
  /** Where the key or value at this path stands (the value unless told otherwise); the nearest part above it where there is none. */
  locate(path: readonly PropertyKey[], where?: 'key' | 'value'): Place
}

export type Parsed = ({ readonly ok: true } & ParsedDocument) | { readonly ok: false; readonly problems: Problem[] }

const DEPTH_AT_MOST = 64
/** Values after aliases are written out: what an alias bomb multiplies. */
const VALUES_AT_MOST = 1_000_000
const ALIASES_AT_MOST = 1000
const SYNTAX_ERRORS_AT_MOST = 10

// The library's own texts quote the source, which may be a secret, and don't say what to do.
const syntax: Record<ErrorCode, string> = {
  ALIAS_PROPS: 'An alias (*name) can have neither an anchor nor a tag.',
  BAD_ALIAS: 'An alias (*name) or anchor (&name) is malformed; a text that begins with * or & must be in quotes.',
  BAD_DIRECTIVE: 'A line that begins with % is not supported here.',
  BAD_DQ_ESCAPE: 'This escape does not exist in double quotes; use single quotes for a text with backslashes.',
  BAD_INDENT:
    'The indentation is wrong: this line must stand in line with its neighbours, or deeper than the key above it.',
  BAD_PROP_ORDER: 'An anchor or tag stands in the wrong place.',
  BAD_SCALAR_START: 'A text cannot begin with this character; put it in quotes.',
  BLOCK_AS_IMPLICIT_KEY: 'A second “key: value” on one line: put it on a line of its own, or put the text in quotes.',
  BLOCK_IN_FLOW: 'An indented block cannot stand inside [ ] or { }.',
  DUPLICATE_KEY: 'This key is given twice.',
  IMPOSSIBLE: 'This is not valid YAML.',
  KEY_OVER_1024_CHARS: 'This key has more than 1024 characters.',
  MISSING_CHAR: 'A closing quote or bracket, a comma, a colon or a space after a colon is missing.',
  MULTILINE_IMPLICIT_KEY:
    'A key must stand on one line; likely a colon is missing in this line, or a text needs quotes.',
  MULTIPLE_ANCHORS: 'A value can have one anchor only.',
  MULTIPLE_DOCS: 'Only one document is allowed in a file.',
  MULTIPLE_TAGS: 'A value can have one tag only.',
  NON_STRING_KEY: 'A key must be a text.',
  RESOURCE_EXHAUSTION: `Nested deeper than ${DEPTH_AT_MOST} levels.`,
  TAB_AS_INDENT: 'A tab is used for indentation; YAML wants spaces.',
  TAG_RESOLVE_FAILED: 'Tags (!name) are not supported; put a text that begins with ! in quotes.',
  UNEXPECTED_TOKEN: 'Something stands here that YAML does not allow.',
  BAD_COLLECTION_TYPE: 'Tags (!name) are not supported; put a text that begins with ! in quotes.',
}

/**
 * Reads YAML 1.2 strictly: one document, no merge keys, no tags of its own, no doubled keys, bounded depth and aliases. Never throws; each
 * problem has its line. Words that YAML 1.1 reads as something else (`yes`, `no`, `on`) stay texts.
 * @param bytes whole content; bound its size with `readBounded`
 */
export function parseDocument(bytes: Uint8Array, file: string): Parsed {
  const text = decode(bytes, file)
  if (typeof text !== 'string') return { ok: false, problems: [text] }
  const lines = new LineCounter()
  lines.addNewLine(0)
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(Math.max(0, offset))
    return { file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problems: Problem[] = []
  const refuse = (offset: number, key: string, message: string) =>
    problems.push({ severity: 'error', ...at(offset), key, message })
  try {
    const document = compose(text, lines, refuse)
    if (problems.length > 0) return { ok: false, problems }
    if (!document?.contents) {
      refuse(0, '', 'The file is empty.')
      return { ok: false, problems }
    }
    const value = toData(document, at, refuse)
    if (problems.length > 0) return { ok: false, problems }
    const { contents } = document
    return { ok: true, value, locate: (path, where = 'value') => locate(document, contents, path, where, at) }
  } catch (error) {
    // A RangeError of a recursion that the bounds above did not foresee must not end the process.
    refuse(0, '', `The file cannot be read as YAML (${error instanceof Error ? error.name : 'unknown cause'}).`)
    return { ok: false, problems }
  }
}

function decode(bytes: Uint8Array, file: string): string | Problem {
  const problem = (line: number, column: number, message: string): Problem => ({
    severity: 'error',
    file,
    line,
    column,
    key: '',
    message,
  })
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    return problem(1, 1, 'The file is UTF-16; save it as UTF-8.')
  if (!isUtf8(bytes)) {
    let line = 1
    let start = 0
    for (let end = 0; end <= bytes.length; end++) {
      if (end < bytes.length && bytes[end] !== 0x0a) continue
      const content = bytes.subarray(start, end)
      if (!isUtf8(content))
        return problem(
          line,
          new TextDecoder().decode(content).indexOf('\ufffd') + 1,
          'The file is not UTF-8; save it as UTF-8.',
        )
      start = end + 1
      line++
    }
  }
  const text = new TextDecoder().decode(bytes) // takes off a byte order mark
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff]/.exec(text)
  if (!control) return text
  const before = text.slice(0, control.index).split('\n')
  const name = control[0] === '\0' ? 'NUL' : `U+${control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
  return problem(
    before.length,
    (before.at(-1)?.length ?? 0) + 1,
    `The file holds a control character (${name}); take it out.`,
  )
}

type Refuse = (offset: number, key: string, message: string) => void

function compose(text: string, lines: LineCounter, refuse: Refuse): Document | undefined {
  const tokens = []
  const parser = new Parser(lines.addNewLine)
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    // Before the composer sees it, which is recursive.
    if (parser.stack.length > DEPTH_AT_MOST * 2) {
      refuse(parser.offset, '', syntax.RESOURCE_EXHAUSTION)
      return undefined
    }
  }
  for (const token of parser.end()) tokens.push(token)
  const composer = new Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    uniqueKeys: false, // compares each key with each other; toData does it with a map
    prettyErrors: false,
    stringKeys: false,
  })
  const [document, second] = [...composer.compose(tokens)]
  if (document === undefined) return undefined
  const errors = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])
  const refused = errors
    .filter(({ pos: [start] }, index) => {
      const [before] = errors[index - 1]?.pos ?? [-1]
      // One mistake makes several errors: at one place, or for each bracket around one that is not closed.
      return before === -1 || !/^[\s\]}]*$/.test(text.slice(before, start))
    })
    .slice(0, SYNTAX_ERRORS_AT_MOST)
    .map(error => explained(error, document))
  for (const one of refused.toSorted(([a], [b]) => a - b)) refuse(...one)
  if (errors.length === 0 && document.directives?.yaml.explicit && document.directives.yaml.version !== '1.2')
    refuse(0, '', 'The file asks for another version of YAML than 1.2; take out the %YAML line.')
  if (errors.length === 0 && second)
    refuse(second.range[0], '', 'A second document begins here; only one is allowed in a file.')
  return document
}

/** Where to look, and what is wrong there: of what is not closed, the place where it opens, which may be many lines above the library's. */
function explained({ code, message, pos: [end] }: YAMLError, document: Document): Parameters<Refuse> {
  if (/^Missing closing .quote/.test(message)) {
    const start = openedAt(document, end, node => isScalar(node) && /^QUOTE/.test(node.type ?? ''))
    if (start !== undefined) return [start, '', 'The quote that opens here is not closed.']
  }
  const bracket = /must .*\bend with a ([\]}])$/.exec(message)?.[1]
  if (bracket !== undefined) {
    const start = openedAt(document, end, node => isCollection(node) && node.flow === true)
    if (start !== undefined)
      return [start, '', `The ${bracket === ']' ? '[' : '{'} that opens here is not closed by a ${bracket}.`]
  }
  if (/^Sequence item without/.test(message)) return [end, '', syntax.BAD_INDENT]
  if (/^Implicit map keys need/.test(message))
    return [
      end,
      '',
      'This stands where a key must: a colon with a space after it is missing, or the indentation is wrong.',
    ]
  return [end, '', syntax[code]]
}

/** Where the innermost of these nodes begins that ends at this offset. */
function openedAt(document: Document, end: number, isOne: (node: unknown) => boolean): number | undefined {
  let start: number | undefined
  visitNodes(document, {
    Node: (_, node) => {
      if (node.range?.[1] === end && isOne(node)) start = node.range[0]
    },
  })
  return start
}

function toData(document: Document, at: (offset: number) => Place, refuse: Refuse): unknown {
  let values = 0
  let aliases = 0
  const anchors = new Map<string, Node>() // filled in document order: an alias means the last anchor before it
  const open = new Set<Node>()
  const visit = (node: unknown, path: PropertyKey[]): unknown => {
    const offset = offsetOf(node)
    if (++values > VALUES_AT_MOST) {
      if (values === VALUES_AT_MOST + 1) refuse(offset, '', 'Aliases (*name) multiply the content too often.')
      return undefined
    }
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (++aliases > ALIASES_AT_MOST) {
        if (aliases === ALIASES_AT_MOST + 1) refuse(offset, '', `More than ${ALIASES_AT_MOST} aliases (*name).`)
      } else if (target === undefined) {
        refuse(
          offset,
          dotted(path),
          'This alias (*name) has no anchor (&name) before it; put a text that begins with * in quotes.',
        )
      } else if (open.has(target))
        refuse(offset, dotted(path), 'This alias (*name) stands inside its own anchor (&name).')
      else return visit(target, path)
      return undefined
    }
    if (isScalar(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node)
      return node.value
    }
    if (!isMap(node) && !isSeq(node)) return null
    if (node.anchor !== undefined) anchors.set(node.anchor, node)
    open.add(node)
    if (open.size > DEPTH_AT_MOST) {
      refuse(offset, '', syntax.RESOURCE_EXHAUSTION)
      return undefined
    }
    const data = isSeq(node)
      ? node.items.map((item, index) => visit(item, [...path, index]))
      : mapToData(node.items, path, visit, at, refuse)
    open.delete(node)
    return data
  }
  return visit(document.contents, [])
}

function mapToData(
  items: readonly { key: unknown; value: unknown }[],
  path: readonly PropertyKey[],
  visit: (node: unknown, path: PropertyKey[]) => unknown,
  at: (offset: number) => Place,
  refuse: Refuse,
): Record<string, unknown> {
  const data: Record<string, unknown> = Object.create(null)
  const seen = new Map<string, number>()
  for (const { key: keyNode, value: valueNode } of items) {
    const offset = offsetOf(keyNode)
    const key = keyOf(keyNode)
    if (key === undefined) {
      refuse(
        offset,
        dotted(path),
        isMap(keyNode) && keyNode.flow === true
          ? 'A template ({{ }}) is not filled in here: give the value by an environment variable, or by a file that one names.'
          : 'This key is not a text; put it in quotes if it is meant as one.',
      )
      continue
    }
    const here = [...path, key]
    if (key === '<<') refuse(offset, dotted(here), 'Merge keys (<<) are not supported; write the keys out.')
    const earlier = seen.get(key)
    if (earlier !== undefined)
      refuse(offset, dotted(here), `This key is given twice; the first is on line ${at(earlier).line}.`)
    seen.set(key, offset)
    data[key] = visit(valueNode, here)
  }
  return data
}

/** A number as written (`1000`); undefined for lists, maps, aliases, and `true` or `null` without quotes. */
function keyOf(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined
  if (typeof node.value === 'string') return node.value
  return typeof node.value === 'number' && node.source !== undefined ? node.source : undefined
}

function offsetOf(node: unknown): number {
  return (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) && node.range ? node.range[0] : 0
}

function locate(
  document: Document,
  root: unknown,
  path: readonly PropertyKey[],
  where: 'key' | 'value',
  at: (offset: number) => Place,
): Place {
  let node = root
  let offset = offsetOf(root)
  for (const [index, part] of path.entries()) {
    const inside: unknown = isAlias(node) ? node.resolve(document) : node
    if (isSeq(inside) && typeof part === 'number' && inside.items[part] !== undefined) {
      node = inside.items[part]
      offset = offsetOf(node)
      continue
    }
    const pair = isMap(inside) ? inside.items.find(({ key }) => keyOf(key) === String(part)) : undefined
    if (!pair) break
    node = pair.value
    const wantsKey = where === 'key' && index === path.length - 1
    // `key:` without a value has no place of its own; nor is the first line of a block below it what somebody looks for.
    const nothing = !node || (isScalar(node) && node.source === '')
    offset = offsetOf(wantsKey || nothing || isMap(node) || isSeq(node) ? pair.key : node)
  }
  return at(offset)
}
