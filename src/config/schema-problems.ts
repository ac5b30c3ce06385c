import { distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import type { ParsedDocument } from './document.ts'
import { expectedAt, isOptional, keysAt, knownKeys, wordsAt } from './keys.ts'
import { dotted, looksSecret, type Problem, printable } from './problem.ts'

/** Keys whose value is never shown, as patterns: `session.secret`, `users.*.password`. */
export type SecretKeys = readonly string[]

/**
 * What a schema refused, each with place, key path, what was found, what is expected, and for a misspelt name the nearest known one.
 * @param schema the one that made the error: it tells which keys and words are known
 * @param document what was checked; its places are used
 */
export function schemaProblems(
  error: z.ZodError,
  schema: z.ZodType,
  document: ParsedDocument,
  secretKeys: SecretKeys,
): Problem[] {
  const issues = error.issues.map(narrowed)
  const misspelt = new Set(
    issues.flatMap(({ path, ...issue }) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map(key => dotted([...path, nearest(key, keysAt(schema, path)) ?? key]))
        : [],
    ),
  )
  return issues.flatMap(issue => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map(key => unknownKey(schema, document, [...issue.path, key]))
    const value = valueAt(document.value, issue.path)
    const missing = value === undefined
    if (missing && misspelt.has(dotted(issue.path))) return [] // it is there, under the name that is told
    const place = document.locate(issue.path, missing ? 'key' : 'value')
    const expected =
      issue.code === 'custom' && issue.message !== NO_WORDS ? issue.message : expectedAt(schema, issue.path)
    return [
      {
        severity: 'error' as const,
        ...place,
        key: dotted(issue.path),
        message: missing
          ? `This key is required and is not there: expected ${expected}.`
          : `Found ${found(value, issue.path, issue, secretKeys)}, expected ${expectation(issue, expected)}.${mend(value, issue, expected, wordsAt(schema, issue.path), isOptional(schema, issue.path))}`,
      },
    ]
  })
}

/** What zod says where a check brings no words of its own. */
const NO_WORDS = 'Invalid input'

type Issue = z.core.$ZodIssue

/** Of a union that refused: the branch that got furthest, so that `[a, 1]` complains about the 1. */
function narrowed(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  const deeper = issue.errors.find(
    ([first]) => first !== undefined && (first.path.length > 0 || first.code === 'unrecognized_keys'),
  )?.[0]
  if (!deeper) return issue
  const inner = narrowed(deeper)
  return { ...inner, path: [...issue.path, ...inner.path] }
}

function expectation(issue: Issue, expected: string): string {
  if (issue.code !== 'too_small' && issue.code !== 'too_big') return expected
  if (issue.origin === 'string')
    return issue.code === 'too_small' && issue.minimum === 1 ? `${expected}, not an empty one` : expected
  if (issue.origin === 'array')
    return issue.code === 'too_small' ? `${issue.minimum} or more entries` : `at most ${issue.maximum} entries`
  return expected
}

function mend(value: unknown, issue: Issue, expected: string, words: readonly string[], isOptional: boolean): string {
  if (typeof value === 'string' && words.length > 0) {
    const near = nearest(value.trim().toLowerCase(), words)
    if (near !== undefined) return ` Did you mean ${near}?`
  }
  const isEmpty = value === '' || (Array.isArray(value) && value.length === 0)
  // Not of a rule: without a criterion it would decide about more.
  if (isEmpty && isOptional && issue.path[0] !== 'access_control') return ' Take it out where it is not wanted.'
  const bareWord = typeof value === 'number' || typeof value === 'boolean' || value === null
  if (bareWord && issue.code === 'invalid_type' && issue.expected === 'string') return ' Put it in quotes.'
  if (bareWord && value !== null && /^a text\b/.test(expected)) return ' Put it in quotes.'
  if (typeof value === 'string' && /^-?\d+$/.test(value) && expected.startsWith('a whole number'))
    return ' Write it without quotes.'
  if (typeof value === 'string' && expected === 'true or false' && /^(yes|no|on|off|true|false)$/i.test(value))
    return ` Write ${/^(yes|on|true)$/i.test(value) ? 'true' : 'false'}, without quotes.`
  return ''
}

function unknownKey(schema: z.ZodType, document: ParsedDocument, path: readonly PropertyKey[]): Problem {
  const name = String(path.at(-1))
  const here = keysAt(schema, path.slice(0, -1))
  const elsewhere = [
    ...new Set(knownKeys(schema).flatMap(({ key }) => ancestors(key).filter(one => lastName(one) === name))),
  ]
  const near = nearest(name, here)
  const colon = here.find(key => name.startsWith(`${key}:`) || name.startsWith(`${key}=`))
  const hint =
    colon !== undefined
      ? `Write “${colon}: ” with a colon and a space.`
      : elsewhere.length > 0 && elsewhere.length <= 3
        ? `${near === undefined ? 'It' : `Did you mean ${near}? Or it`} belongs elsewhere: ${elsewhere.join(', ')}.`
        : near !== undefined
          ? `Did you mean ${near}?`
          : `Known here: ${here.join(', ')}.`
  return {
    severity: 'error',
    ...document.locate(path, 'key'),
    key: dotted(path),
    message: `There is no such key here. ${hint}`,
  }
}

/** `a.b[].c` → `a`, `a.b`, `a.b[].c`. */
function ancestors(key: string): string[] {
  const parts = key.split('.')
  return parts.map((_, index) =>
    parts
      .slice(0, index + 1)
      .join('.')
      .replace(/\[\]$/, ''),
  )
}

const lastName = (key: string) => key.slice(key.lastIndexOf('.') + 1)

/** The known word that this one was likely meant to be; undefined where none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const folded = word.toLowerCase().replaceAll('-', '_').slice(0, 64)
  const [best] = known
    .map(candidate => {
      const other = candidate.toLowerCase()
      const begins = Math.min(folded.length, other.length) > 2 && (folded.startsWith(other) || other.startsWith(folded))
      return { candidate, off: begins ? 1 : distance(folded, other) }
    })
    .sort((a, b) => a.off - b.off)
  if (best === undefined) return undefined
  const length = Math.max(folded.length, best.candidate.length)
  // Two letters exchanged are two edits.
  return best.off <= (length < 4 ? 1 : Math.max(2, Math.floor(length / 3))) ? best.candidate : undefined
}

/** The value at a path, own properties only. */
export function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = Reflect.get(value, part)
  }
  return value
}

/** A value in words. What is a secret by its key, or may be one by its looks, is only described. */
function found(value: unknown, path: readonly PropertyKey[], issue: Issue, secretKeys: SecretKeys): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a map of keys and values'
  const hidden = isSecretKey(path, secretKeys) || looksSecret(String(value))
  if (typeof value !== 'string') return hidden ? `a ${typeof value}` : `the ${typeof value} ${String(value)}`
  if (value === '') return 'an empty text'
  if (issue.code === 'too_small' || issue.code === 'too_big') return `${value.length} characters`
  // Where a map or a list is wanted, a text may be the secret that belongs inside.
  if (hidden || (issue.code === 'invalid_type' && ['object', 'array', 'record'].includes(issue.expected)))
    return `a text of ${value.length} characters`
  return quoted(value)
}

/** A text in quotes, or only its length where it looks like a secret. */
export function described(value: string): string {
  return looksSecret(value) ? `a text of ${value.length} characters` : quoted(value)
}

/** In quotes, short, without control characters and without a URL's user and password. */
export function quoted(text: string): string {
  const value = text.replace(/\/\/[^/@\s]*@/g, '//…@')
  return printable(`“${value.length > 80 ? `${value.slice(0, 80)}…` : value}”`)
}

/** Whether a path is one of these secret keys. */
export function isSecretKey(path: readonly PropertyKey[], secretKeys: SecretKeys): boolean {
  return secretKeys.some(pattern => {
    const parts = pattern.split('.')
    return parts.length === path.length && parts.every((part, index) => part === '*' || part === String(path[index]))
  })
}
