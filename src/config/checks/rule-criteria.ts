import { isNetwork, namedGroups, patternFault } from '../notations.ts'
import { type Policy, policies, queryOperators } from '../schema.ts'
import { described, nearest } from '../schema-problems.ts'
import type { Report } from './report.ts'

export const RULES = ['access_control', 'rules'] as const
const NETWORKS = ['definitions', 'network'] as const
const OLD_NETWORKS = ['access_control', 'networks'] as const

type Path = readonly PropertyKey[]

export function policyOf(report: Report, rule: number): Policy | undefined {
  return policies.find(one => one === report.value([...RULES, rule, 'policy']))
}

/** The texts of a key that takes one or a list of them. */
export function textsAt(report: Report, path: Path): { path: PropertyKey[]; text: string }[] {
  const list = report.list(path)
  const paths = list.length > 0 ? list.map((_, index) => [...path, index]) : [[...path]]
  return paths.flatMap(path => {
    const text = report.text(path)
    return text === undefined ? [] : [{ path, text }]
  })
}

/** What a criterion of one rule names that is not there, says twice, or can't be judged. */
export function checkCriteria(report: Report, rule: number): void {
  const at = (key: string) => [...RULES, rule, key]
  const domains = textsAt(report, at('domain'))
  const hosts = textsAt(report, at('domain_regex'))
  const resources = textsAt(report, at('resources'))
  if (hostKeys.every(key => report.value(at(key)) === undefined) && !isMisspelt(report.value([...RULES, rule])))
    report.error([...RULES, rule], 'There is neither domain nor domain_regex: say which hosts this rule is for.')
  for (const { path, text } of [...hosts, ...resources]) checkGroups(report, path, text)
  checkMethods(report, at('methods'))
  checkNetworks(report, at('networks'))
  for (const path of conditionsAt(report, at('query'))) checkCondition(report, path)

  const policy = policyOf(report, rule)
  if (policy === 'bypass') {
    const who = [
      ...(report.value(at('subject')) === undefined ? [] : [at('subject')]),
      ...domains.filter(({ text }) => /^\{(?:user|group)\}/i.test(text)).map(({ path }) => path),
      ...[...hosts, ...resources].filter(({ text }) => namedGroups(text).some(isPerson)).map(({ path }) => path),
    ]
    for (const path of who)
      report.error(
        path,
        'A bypass asks nobody who they are, so this could not be judged. Use one_factor, or take it out.',
      )
    for (const { path, text } of resources) checkQueryReach(report, path, text)
  }
  if (report.value(at('max_age')) !== undefined && (policy === 'bypass' || policy === 'deny'))
    report.error(at('max_age'), `With ${policy} nothing is proved that could be too old. Use one_factor or two_factor.`)
  if (report.value(at('factors')) !== undefined && policy !== undefined && policy !== 'two_factor')
    report.error(at('factors'), `With ${policy} no second factor is asked for. Use two_factor.`)
}

const hostKeys = ['domain', 'domain_regex']

/** Then the schema tells of `domian`, and that is enough. */
function isMisspelt(rule: unknown): boolean {
  if (typeof rule !== 'object' || rule === null) return true
  return Object.keys(rule).some(key => hostKeys.includes(nearest(key, hostKeys) ?? ''))
}

const isPerson = (name: string) => name === 'User' || name === 'Group'

function checkGroups(report: Report, path: Path, text: string): void {
  for (const name of namedGroups(text))
    if (!isPerson(name) && /^(?:user|group)$/i.test(name))
      report.error(path, `The named group ${name} stands for nobody: write ${/^u/i.test(name) ? 'User' : 'Group'}.`)
}

function checkMethods(report: Report, path: Path): void {
  const first = new Map<string, PropertyKey[]>()
  for (const { path: here, text } of textsAt(report, path)) {
    const method = text.toUpperCase()
    const earlier = first.get(method)
    if (earlier === undefined) first.set(method, here)
    else report.error(here, `${described(method)} is given twice; the first is on ${report.where(earlier)}.`)
  }
}

/** Every name of a network, and where it stands. */
function networkNames(report: Report): { name: string; path: Path }[] {
  const defined = report.value(NETWORKS)
  return [
    ...(typeof defined === 'object' && defined !== null ? Object.keys(defined) : []).map(name => ({
      name,
      path: [...NETWORKS, name],
    })),
    ...report.list(OLD_NETWORKS).flatMap((_, index) => {
      const path = [...OLD_NETWORKS, index, 'name']
      const name = report.text(path)
      return name === undefined ? [] : [{ name, path }]
    }),
  ]
}

export function checkNetworkNames(report: Report): void {
  const first = new Map<string, Path>()
  for (const { name, path } of networkNames(report)) {
    const earlier = first.get(name)
    // The schema's library leaves it out.
    if (name === '__proto__') report.error(path, 'A network cannot have this name.')
    if (isNetwork(name)) report.error(path, `${described(name)} is an address and cannot be a name too.`)
    if (earlier === undefined) first.set(name, path)
    else
      report.error(path, `The network ${described(name)} is defined twice; the first is on ${report.where(earlier)}.`)
  }
}

function checkNetworks(report: Report, path: Path): void {
  const names = networkNames(report).map(({ name }) => name)
  for (const { path: here, text } of textsAt(report, path)) {
    if (isNetwork(text) || names.includes(text)) continue
    const near = nearest(text, names)
    report.error(
      here,
      `${described(text)} is neither an address, a range such as 10.0.0.0/8, nor a name of definitions.network.${near === undefined ? '' : ` Did you mean ${described(near)}?`}`,
    )
  }
}

/** Conditions stand in the list, or in lists of it. */
function conditionsAt(report: Report, path: Path): PropertyKey[][] {
  return report.list(path).flatMap((one, index): PropertyKey[][] => {
    const here = [...path, index]
    return Array.isArray(one) ? one.map((_, inner) => [...here, inner]) : [here]
  })
}

function checkCondition(report: Report, path: PropertyKey[]): void {
  const value = report.value([...path, 'value'])
  const given = report.value([...path, 'operator']) ?? (value === undefined ? 'present' : 'equal')
  const operator = queryOperators.find(one => one === given)
  if (operator === undefined) return
  const takesNone = operator === 'present' || operator === 'absent'
  if (takesNone && value !== undefined)
    report.error([...path, 'value'], `With ${operator} there is nothing to compare: take the value out, or use equal.`)
  else if (!takesNone && value === undefined) report.error(path, `The operator ${described(operator)} needs a value.`)
  else if ((operator === 'pattern' || operator === 'not pattern') && typeof value === 'string') {
    const fault = patternFault(value)
    if (fault !== undefined) report.error([...path, 'value'], `Found ${described(value)}, expected ${fault}.`)
    else if (namedGroups(value).some(isPerson))
      report.error(
        [...path, 'value'],
        'User and Group have no meaning in a query: only domain_regex and resources name people.',
      )
  }
}

/** A bypass for `\.css$` lets `/secret?x=.css` through: the expression may find what it wants in the query, which anybody can write. */
function checkQueryReach(report: Report, path: Path, text: string): void {
  if (patternFault(text) === undefined && branches(text).some(queryCanSatisfy))
    report.warning(
      path,
      `${described(text)} can be found in a query too: this bypass would let /anything?x=… through. Let it begin with ^, and write [^?]* in place of .* where more follows, such as ^[^?]*\\.css(\\?.*)?$`,
    )
}

/** A guess from the text, good enough for a warning: not bound to the beginning, or more is wanted behind something that a ? fits. */
function queryCanSatisfy(branch: string): boolean {
  const flags = /^\(\?[a-zA-Z]+\)/.exec(branch)?.[0] ?? ''
  const body = branch.slice(flags.length)
  if (!/^(?:\^|\\A)/.test(body)) return true
  const wildcard = /(?<!\\)(?:\\\\)*(?:\.|\[\^(?![^\]]*\?)[^\]]*\]|\\[SDW])(?:[*+]|\{\d)/.exec(body)
  if (wildcard === null) return false
  const rest = body.slice(wildcard.index + wildcard[0].length).replace(/^\d*,?\d*\}/, '')
  // What may be missing is not wanted: (\?.*)? and the like.
  return /[A-Za-z0-9]/.test(rest.replace(/\((?:[^()\\]|\\.)*\)[?*]/g, ''))
}

/** Split at each | outside of parentheses and classes. */
function branches(text: string): string[] {
  const parts = ['']
  let depth = 0
  for (const [token] of text.matchAll(/\\.|\[(?:\\.|[^\]\\])+\]|./gs)) {
    if (token === '(') depth++
    if (token === ')') depth--
    if (token === '|' && depth === 0) parts.push('')
    else parts[parts.length - 1] += token
  }
  return parts
}
