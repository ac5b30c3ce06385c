import { foreignVariable } from './authelia-keys.ts'
import type { ParsedDocument } from './document.ts'
import { either, type KnownKey, knownKeys } from './keys.ts'
import { type Place, type Problem, printable } from './problem.ts'
import { readBounded, UnreadableFile } from './read.ts'
import { configSchema, secretKeys } from './schema.ts'
import { nearest, valueAt } from './schema-problems.ts'

const PREFIXES = ['POSTERN_', 'AUTHELIA_'] as const
const SECRET_FILE_LIMIT = 16 * 1024
const FILE = '_FILE'

// Read by the command line, not part of the configuration.
const otherNames = /^(?:CONFIG|SIMULATOR_SECRET_KEY|CACHE)$/

// Kubernetes tells every container of a service named postern where it is.
const kubernetes = /^(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/

const secret: ReadonlySet<string> = new Set(secretKeys)
const keys: ReadonlyMap<string, KnownKey> = new Map(
  knownKeys(configSchema)
    .filter(({ key, expected }) => !/\[\]|\*/.test(key) && !expected.startsWith('a list'))
    .map(known => [variableName(known.key), known]),
)

/** `session.secret` → `SESSION_SECRET`, behind `POSTERN_`. */
function variableName(key: string): string {
  return key.replaceAll('.', '_').toUpperCase()
}

/** Every key that an environment variable may give, by the variable's name. */
export function environmentNames(): ReadonlyMap<string, string> {
  return new Map([...keys].map(([variable, { key }]) => [`POSTERN_${variable}`, key]))
}

interface Given {
  readonly variable: string
  readonly key: string
  readonly value: unknown
}

/**
 * The file's values with those of the environment laid over them: `POSTERN_SESSION_SECRET`, or a file that `POSTERN_SESSION_SECRET_FILE` names;
 * `AUTHELIA_` likewise. A setting of the environment wins over the file's; a secret that is given twice is an error, since nobody can tell which is meant.
 * @param isPlaceholder a secret of the template's, which counts as not given
 */
export async function withEnvironment(
  document: ParsedDocument,
  env: NodeJS.ProcessEnv,
  isPlaceholder: (value: string) => boolean,
): Promise<{ document: ParsedDocument; problems: Problem[] }> {
  const problems: Problem[] = []
  const report = (severity: Problem['severity'], variable: string, key: string, message: string) =>
    problems.push({ severity, file: variable, line: 0, column: 0, key, message })
  const given: Given[] = []
  for (const [variable, content] of Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const prefix = PREFIXES.find(one => variable.startsWith(one))
    if (prefix === undefined || content === undefined) continue
    const name = variable.slice(prefix.length)
    const fromFile = !keys.has(name) && name.endsWith(FILE)
    const known = keys.get(fromFile ? name.slice(0, -FILE.length) : name)
    if (known === undefined) {
      if (kubernetes.test(name) || otherNames.test(name)) continue
      const foreign = foreignVariable(name)
      if (foreign === undefined) report('warning', variable, '', unknownVariable(prefix, name))
      else report(foreign.severity, variable, '', foreign.message)
      continue
    }
    const { key, expected } = known
    if (content === '')
      report('error', variable, key, 'This variable is set but empty. Give it a value, or take it away.')
    else if (!fromFile) given.push({ variable, key, value: coerced(content, expected) })
    else {
      const read = await secretFromFile(content, isPem(key))
      if (typeof read.fault === 'string')
        report('error', variable, key, `The file ${printable(content)} that it names ${read.fault}.`)
      else given.push({ variable, key, value: coerced(read.text, expected) })
    }
  }

  let { value } = document
  const places = new Map<string, Place>()
  for (const [key, several] of Map.groupBy(given, one => one.key)) {
    const [first, ...more] = several
    if (first === undefined) continue
    const path = key.split('.')
    for (const other of more)
      report('error', other.variable, key, `It is given twice: also by ${first.variable}. Keep one of them.`)
    const inFile = valueAt(document.value, path)
    if (
      secret.has(key) &&
      inFile !== undefined &&
      inFile !== null &&
      !(typeof inFile === 'string' && isPlaceholder(inFile))
    ) {
      const { file, line } = document.locate(path)
      report(
        'error',
        first.variable,
        key,
        `This secret is given twice: also in ${file}, line ${line}. Keep one of them.`,
      )
      continue
    }
    value = withValue(value, path, first.value)
    places.set(key, { file: first.variable, line: 0, column: 0 })
  }
  return {
    problems,
    document: {
      value,
      locate: (path, where) => places.get(path.map(String).join('.')) ?? document.locate(path, where),
    },
  }
}

function unknownVariable(prefix: string, name: string): string {
  const near = nearest(name.endsWith(FILE) ? name.slice(0, -FILE.length) : name, [...keys.keys()])
  const list = knownKeys(configSchema).find(({ key }) => variableName(key.replace(/\[\].*/, '')) === name)
  if (list !== undefined) return `Ignored: ${list.key.replace(/\[\].*/, '')} is a list, which only the file can give.`
  const bare = near === undefined ? undefined : `${prefix}${near}${name.endsWith(FILE) ? FILE : ''}`
  return `Ignored: no key has this name.${bare === undefined ? '' : ` Did you mean ${bare}?`}`
}

/** What the file would hold: an environment knows texts only. */
function coerced(text: string, expected: string): unknown {
  if (expected === either(['true', 'false']) && /^(true|false)$/.test(text)) return text === 'true'
  return expected.startsWith('a whole number') && /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

/** Keys whose value is a PEM, which has many lines. */
const isPem = (key: string) => /\.(?:private_key|certificate_chain)$/.test(key)

/** The one line of a secret's file. One final newline is cut, since editors and `echo` write it. @param many whether it may be a PEM, whole */
export async function secretFromFile(
  path: string,
  many = false,
): Promise<{ text: string; fault?: undefined } | { fault: string }> {
  let bytes: Buffer
  try {
    bytes = await readBounded(path, SECRET_FILE_LIMIT)
  } catch (error) {
    if (error instanceof UnreadableFile) return { fault: error.message }
    throw error
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\n$/, '')
  } catch {
    return { fault: 'is not UTF-8' }
  }
  if (text.trim() === '') return { fault: 'is empty' }
  if (many && /^-----BEGIN [A-Z0-9 ]+-----\r?\n[A-Za-z0-9+/=\r\n -]+$/.test(text)) return { text }
  if (text.endsWith('\r') && !/[\r\n]/.test(text.slice(0, -1)))
    return { fault: 'ends with a Windows line ending (CR LF); save it with LF' }
  if (/[\r\n]/.test(text)) return { fault: 'has more than one line' }
  if (/\p{Cc}/u.test(text)) return { fault: 'holds a control character' }
  return text === text.trim() ? { text } : { fault: 'begins or ends with a space' }
}

function withValue(value: unknown, [first, ...rest]: readonly string[], put: unknown): unknown {
  if (first === undefined) return put
  // Where the file has a text in place of a section, that error is told instead.
  if (value !== undefined && value !== null && (typeof value !== 'object' || Array.isArray(value))) return value
  const copy: Record<string, unknown> = Object.assign(Object.create(null), value)
  copy[first] = withValue(copy[first], rest, put)
  return copy
}
