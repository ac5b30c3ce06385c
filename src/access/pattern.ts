import { RE2JS } from 're2js'
import { hasName, isMember, type Who } from './names.ts'

/** An operator's regular expression: RE2, unanchored, linear in the length of what it is given. */
export interface Pattern {
  /**
   * False: no match. True: a match for anybody. Else for whom: what the named groups `User` and `Group` captured is compared with names
   * as text, and never becomes part of an expression.
   */
  match(text: string): boolean | Who
  /** It has a group `User` or `Group`. */
  readonly namesPeople: boolean
}

/** Each expression is compiled once, in however many rules it stands. @throws when it is none; the configuration was checked */
export function patternCompiler(): (source: string) => Pattern {
  const known = new Map<string, Pattern>()
  return source => {
    const pattern = known.get(source) ?? compilePattern(source)
    known.set(source, pattern)
    return pattern
  }
}

function compilePattern(source: string): Pattern {
  const expression = RE2JS.compile(source)
  const names = Object.keys(expression.namedGroups())
  const [user, group] = [names.includes('User'), names.includes('Group')]
  if (!user && !group) return { namesPeople: false, match: text => expression.test(text) }
  return {
    namesPeople: true,
    match(text) {
      const matcher = expression.matcher(text)
      if (!matcher.find()) return false
      // A group that took no part captured nothing, and nobody is named so.
      const name = user ? (matcher.group('User') ?? '') : undefined
      const of = group ? (matcher.group('Group') ?? '') : undefined
      return subject => (name === undefined || hasName(subject, name)) && (of === undefined || isMember(subject, of))
    },
  }
}
