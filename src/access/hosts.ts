import type { Decision } from './access.ts'
import { isMember, type Who } from './names.ts'
import type { Pattern } from './pattern.ts'
import type { Rule } from './rule.ts'

/** A rule of which a domain matches a host. */
export interface Candidate {
  readonly rule: Rule
  /** For whom the domain matches; null: for everybody. */
  readonly who: Who | null
  /** What it says when the rest matches too. */
  readonly decision: Decision
}

const MORE_HOSTS_AT_MOST = 1000
const CANDIDATES_AT_MOST = 100_000

export interface HostIndex {
  /** The rules for a host, in their order. */
  candidates(host: string): readonly Candidate[]
  /** Hosts that are written out in full. */
  readonly named: readonly string[]
}

/**
 * Rules by host, so that a decision looks at no rule of another host: `x` and `*.x` by one look-up a label; what has no such key (`domain_regex`,
 * `{user}-x`) is tried one by one, once a host.
 */
export function indexByHost(rules: readonly Rule[], compilePattern: (source: string) => Pattern): HostIndex {
  const exact = new Map<string, Candidate[]>()
  const below = new Map<string, Candidate[]>()
  const people = new Map<string, ((prefix: string) => Candidate)[]>()
  const others: ((host: string) => Candidate | undefined)[] = []
  for (const rule of rules) {
    for (const written of rule.config.domain ?? []) {
      const domain = written.toLowerCase()
      const [, kind, rest = domain] = /^(\*(?=\.)|\{user\}|\{group\})(.*)$/.exec(domain) ?? []
      if (/[*{}]/.test(rest)) continue // matches nothing; the checks of the configuration tell
      const anybody = { rule, who: null, decision: decisionOf(rule, domain, false) }
      if (kind === undefined) add(exact, domain, anybody)
      else if (kind === '*') add(below, rest.slice(1), anybody)
      else {
        const decision = decisionOf(rule, domain, true)
        const named = (prefix: string): Candidate => ({
          rule,
          // As Authelia: a user's name to the letter, a group's in upper or lower case.
          who: kind === '{user}' ? ({ username }) => username === prefix : subject => isMember(subject, prefix),
          decision,
        })
        if (rest.startsWith('.')) add(people, rest.slice(1), named)
        else
          others.push(host =>
            host.endsWith(rest) && host.length > rest.length ? named(host.slice(0, -rest.length)) : undefined,
          )
      }
    }
    for (const source of rule.config.domain_regex ?? []) {
      const pattern = compilePattern(source)
      const decision = decisionOf(rule, source, pattern.namesPeople)
      others.push(host => {
        const found = pattern.match(host)
        return found === false ? undefined : { rule, who: found === true ? null : found, decision }
      })
    }
  }

  const known = new Map<string, readonly Candidate[]>()
  let held = 0
  return {
    named: [...exact.keys()],
    candidates(host) {
      const found = known.get(host)
      if (found !== undefined) return found
      const lists: (readonly Candidate[])[] = [exact.get(host) ?? []]
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        const parent = host.slice(dot + 1)
        lists.push(below.get(parent) ?? [], people.get(parent)?.map(named => named(host.slice(0, dot))) ?? [])
      }
      lists.push(inOrder(others.flatMap(matching => matching(host) ?? [])))
      const filled = lists.filter(list => list.length > 0)
      const merged = filled.length === 1 && filled[0] !== undefined ? filled[0] : inOrder(filled.flat())
      // Those of the rules, and some more. Bounded, since those that a visitor makes up are not.
      if (known.size >= exact.size + MORE_HOSTS_AT_MOST || held > CANDIDATES_AT_MOST) {
        known.clear()
        held = 0
      }
      if (filled.length > 1) held += merged.length
      known.set(host, merged)
      return merged
    },
  }
}

/** By rule, one each: for everybody where one of its domains is, else for whom any of them is. */
function inOrder(candidates: readonly Candidate[]): Candidate[] {
  const byRule: Candidate[] = []
  for (const one of candidates.toSorted((a, b) => a.rule.position - b.rule.position)) {
    const last = byRule.at(-1)
    if (last?.rule === one.rule) byRule[byRule.length - 1] = either(last, one)
    else byRule.push(one)
  }
  return byRule
}

function either(a: Candidate, b: Candidate): Candidate {
  const [whoA, whoB] = [a.who, b.who]
  if (whoA === null) return a
  return whoB === null ? b : { ...a, who: subject => whoA(subject) || whoB(subject) }
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

function decisionOf(rule: Rule, domain: string, domainNamesPeople: boolean): Decision {
  const { position, policy, config, bySubject } = rule
  return {
    policy,
    rule: position + 1,
    why: `rule ${position + 1} (${domain}) says ${policy}`,
    maxAge: config.max_age ?? null,
    factors: config.factors ?? [],
    bySubject: bySubject || domainNamesPeople,
    unclear: false,
  }
}
