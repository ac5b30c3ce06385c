/** One thing that is wrong in a file, as data; `formatProblem` makes the line that a person reads. */
export interface Problem {
  readonly severity: 'error' | 'warning'
  /** The file as it was named, or the environment variable that brought the value. */
  readonly file: string
  /** From 1; 0 where there is no line (an environment variable, a file that cannot be read). */
  readonly line: number
  /** From 1; 0 where there is no line. */
  readonly column: number
  /** Dotted path, `rules[2].domain`; empty for the file as a whole. */
  readonly key: string
  /** What was found, what was expected, the mend: whole sentences, without any secret. */
  readonly message: string
}

/** Where a key or a value stands. */
export type Place = Pick<Problem, 'file' | 'line' | 'column'>

/** `file:line:column: error: key: message`, without control characters. */
export function formatProblem({ file, line, column, severity, key, message }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`
  return printable([place, severity, ...(key === '' ? [] : [key]), message].join(': '))
}

/** A path as a person writes it: `access_control.rules[2].domain`, counted from 0 as in most tools. */
export function dotted(path: readonly PropertyKey[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? shownKey(String(part)) : `.${shownKey(String(part))}`
  }
  return text
}

// A key that holds more than a name is likely a value that lost its space (`secret:hunter2`): it may be a secret.
function shownKey(key: string): string {
  const name = /^[^:=\s]*/.exec(key)?.[0] ?? ''
  if (looksSecret(key)) return `${printable(name.slice(0, 3))}…`
  return name === key && key.length <= 64 ? printable(key) : `${printable(name.slice(0, 64))}…`
}

/** Long runs of mixed letters and digits are what keys, tokens and hashes look like; names, hosts, paths and addresses are not. */
export function looksSecret(value: string): boolean {
  const runs = value.match(/[A-Za-z0-9+=_-]{20,}/g) ?? []
  return value.startsWith('$') || runs.some(run => /\d/.test(run) || (/[a-z]/.test(run) && /[A-Z]/.test(run)))
}

/** Control characters, bidirectional overrides and lone surrogates as escapes: a file must not be able to write to the terminal. */
export function printable(text: string): string {
  return text
    .toWellFormed()
    .replace(
      /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
      character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
}

/** By file, then line, then column: the order in which somebody mends them. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
  )
}
