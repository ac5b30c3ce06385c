import type { Config } from '../config/schema.ts'
import type { Pattern } from './pattern.ts'

type Rule = Config['access_control']['rules'][number]
type Condition = NonNullable<Rule['query']>[number][number]

/** The first value of each key. */
export type Query = ReadonlyMap<string, string>

/** Of the raw query in a target. What is malformed counts as it was written; never throws. */
export function parseQuery(target: string): Query {
  const values = new Map<string, string>()
  const question = target.indexOf('?')
  if (question === -1) return values
  for (const pair of target.slice(question + 1).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const key = decoded(equals === -1 ? pair : pair.slice(0, equals))
    if (!values.has(key)) values.set(key, equals === -1 ? '' : decoded(pair.slice(equals + 1)))
  }
  return values
}

function decoded(text: string): string {
  const spaced = text.replaceAll('+', ' ')
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return text
  }
}

/** One condition of a rule. A key that is not there has the empty value, as in Authelia: so `not equal` holds for it. */
export function compileCondition(
  { key, operator, value }: Condition,
  compilePattern: (source: string) => Pattern,
): (query: Query) => boolean {
  const wanted = value ?? ''
  const valueIn = (query: Query) => query.get(key) ?? ''
  switch (operator ?? (value === undefined ? 'present' : 'equal')) {
    case 'present':
      return query => query.has(key)
    case 'absent':
      return query => !query.has(key)
    case 'equal':
      return query => valueIn(query) === wanted
    case 'not equal':
      return query => valueIn(query) !== wanted
    case 'pattern': {
      const { match } = compilePattern(wanted)
      return query => match(valueIn(query)) !== false
    }
    case 'not pattern': {
      const { match } = compilePattern(wanted)
      return query => match(valueIn(query)) === false
    }
  }
}
