import { isIP } from 'node:net'
import type { Policy } from '../schema.ts'
import { described } from '../schema-problems.ts'
import { COOKIES, isWithin } from './cookie-domains.ts'
import type { Report } from './report.ts'
import { checkCriteria, checkNetworkNames, policyOf, RULES, textsAt } from './rule-criteria.ts'

const DEFAULT = ['access_control', 'default_policy'] as const

interface Pattern {
  readonly rule: number
  readonly path: PropertyKey[]
  /** Lower case: `one.example.com`, `*.example.com`, `{user}.example.com`. */
  readonly domain: string
  readonly policy: Policy
  /** What narrows the rule besides the domain; empty: nothing does. */
  readonly criteria: string
  /** What it wants besides the policy. */
  readonly wants: string
}

const strictness = { bypass: 0, one_factor: 1, two_factor: 2, deny: 3 } as const satisfies Record<Policy, number>

/** Rules that never apply, that let more through than they seem to, or that nobody could satisfy. */
export function checkAccessRules(report: Report): void {
  const rules = report.list(RULES).map((_, rule) => rule)
  const patterns = rules.flatMap(rule => patternsOf(report, rule))
  checkDefault(report)
  checkNetworkNames(report)
  for (const rule of rules) checkCriteria(report, rule)
  checkReach(report, patterns)
  checkOrder(report, patterns)
  checkSecondFactor(report, rules)
}

function patternsOf(report: Report, rule: number): Pattern[] {
  const policy = policyOf(report, rule)
  const json = (keys: readonly string[]) => {
    const given = keys.map(key => report.value([...RULES, rule, key]))
    return given.every(value => value === undefined) ? '' : JSON.stringify(given)
  }
  const rest = {
    criteria: json(['subject', 'networks', 'methods', 'resources', 'query']),
    wants: json(['max_age', 'factors']),
  }
  return textsAt(report, [...RULES, rule, 'domain']).flatMap(({ path, text }) => {
    const domain = text.toLowerCase()
    const fault = domainFault(domain)
    if (fault === undefined) return policy === undefined ? [] : [{ rule, path, domain, policy, ...rest }]
    report.error(path, `${described(text)} would match no host: ${fault}`)
    return []
  })
}

function domainFault(domain: string): string | undefined {
  const named = /^\{(?:user|group)\}(?=[.-])/.exec(domain)?.[0] ?? ''
  if (/[{}]/.test(domain.slice(named.length)))
    return '{user} and {group} stand only at the beginning, before a dot or a hyphen: {user}.example.com.'
  if (/^[a-z]+:\/\//.test(domain)) return 'write the bare host, without https://.'
  const host = domain.startsWith('*.') ? domain.slice(2) : `${named && 'x'}${domain.slice(named.length)}`
  if (host.includes('*')) return 'a * stands only at the beginning, before a dot: *.example.com.'
  if (host.startsWith('.')) return `write *${host} for the hosts below it.`
  if (host.endsWith('.')) return 'write it without the final dot.'
  if (isIP(host) !== 0) return 'Postern judges hosts by name, not by address.'
  if (/[:/?#]/.test(host)) return 'write the bare host, without port or path.'
  const fine = host.split('.').every(label => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
  return fine && host.length <= 253 ? undefined : 'a host has ASCII letters, digits, hyphens and single dots only.'
}

function checkDefault(report: Report): void {
  const policy = report.value(DEFAULT) ?? 'deny'
  const open = policy === 'bypass'
  const rules = report.value(RULES)
  const none = rules === undefined || rules === null || (Array.isArray(rules) && rules.length === 0)
  const path = report.value(DEFAULT) === undefined ? ['access_control'] : DEFAULT
  if (none && open)
    report.error(
      path,
      'There are no rules, and the default policy is bypass: everybody would get in everywhere, unasked.',
    )
  else if (none)
    report.warning(
      path,
      policy === 'deny'
        ? 'There are no rules, and the default policy is deny: nobody gets in anywhere. Add rules under access_control.rules.'
        : 'There are no rules: the default policy decides about every site.',
    )
  else if (open)
    report.warning(
      path,
      'The default policy is bypass: whatever no rule names is open to everybody. With deny, a forgotten rule is noticed.',
    )
}

/** A pattern for hosts that lie outside every cookie domain is never asked about: such requests are refused before any rule. */
function checkReach(report: Report, patterns: readonly Pattern[]): void {
  const domains = [...report.list(COOKIES).keys()].flatMap(
    index => report.text([...COOKIES, index, 'domain'])?.toLowerCase() ?? [],
  )
  if (domains.length === 0) return
  for (const { path, domain } of patterns) {
    const host = domain.replace(/^\*\.|^\{[a-z]+\}[.-]/, '')
    const reached = domains.some(one => isWithin(host, one) || (domain !== host && isWithin(one, host)))
    if (!reached)
      report.warning(
        path,
        `${domain} is outside every cookie domain (${domains.join(', ')}), so this can never be reached. Add its domain to session.cookies.`,
      )
  }
}

/** The first rule that matches decides; a later one for hosts that an earlier pattern covers whole never does. */
function checkOrder(report: Report, patterns: readonly Pattern[]): void {
  const earlierByHost = new Map<string, Pattern>() // the first pattern of each spelling: covering is looked up, not searched
  const key = (spelling: string, criteria: string) => `${spelling} ${criteria}`
  for (const pattern of patterns) {
    // A rule with criteria lets what they miss go on to the later rules; it covers only those with the same ones.
    const earlier = covering(pattern.domain)
      .flatMap(spelling => [key(spelling, ''), key(spelling, pattern.criteria)])
      .map(spelling => earlierByHost.get(spelling))
      .filter(one => one !== undefined && one.rule !== pattern.rule)
      .toSorted((a, b) => (a?.rule ?? 0) - (b?.rule ?? 0))[0]
    if (earlier && (earlier.policy !== pattern.policy || earlier.wants !== pattern.wants)) {
      const looser =
        strictness[earlier.policy] < strictness[pattern.policy] ||
        (earlier.policy === pattern.policy && pattern.wants !== '')
      report.warning(
        pattern.path,
        `Rule ${pattern.rule + 1} (${report.where(pattern.path)}: ${pattern.domain}, ${pattern.policy}) never applies here, since rule ${earlier.rule + 1} (${report.where(earlier.path)}: ${earlier.domain}, ${earlier.policy}) stands before it and the first that matches decides.${looser ? ` So ${pattern.domain} is less protected than this rule says. Move the narrower rule up.` : ''}`,
      )
    }
    const own = key(pattern.domain, pattern.criteria)
    if (!earlierByHost.has(own)) earlierByHost.set(own, pattern)
  }
}

/** The patterns that match every host that this one matches: itself, and `*.` before each parent. */
function covering(domain: string): string[] {
  const labels = domain.replace(/^\*\./, '').split('.')
  const parents = labels.map((_, index) => `*.${labels.slice(index + 1).join('.')}`).slice(0, -1)
  return [domain, ...parents]
}

function checkSecondFactor(report: Report, rules: readonly number[]): void {
  const keys = ['hostname', 'integration_key', 'secret_key']
  const configured =
    report.value(['duo_api', 'disable']) !== true && keys.some(key => report.text(['duo_api', key]) !== undefined)
  if (configured) return
  const why =
    report.value(['duo_api', 'disable']) === true ? 'duo_api is switched off (duo_api.disable)' : 'there is no duo_api'
  const mend = `No second factor is configured: ${why}. Nobody can satisfy this until it is.`
  for (const rule of rules.filter(rule => policyOf(report, rule) === 'two_factor')) {
    const names = ['domain', 'domain_regex'].flatMap(key => textsAt(report, [...RULES, rule, key]))
    const name = names.at(-1)?.text.toLowerCase() ?? ''
    report.warning([...RULES, rule, 'policy'], `Rule ${rule + 1} (${name}) wants two_factor. ${mend}`)
  }
  if (report.value(DEFAULT) === 'two_factor') report.warning(DEFAULT, `The default policy wants two_factor. ${mend}`)
}
