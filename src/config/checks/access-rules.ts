import { isIP } from 'node:net'
import { type Policy, policies } from '../schema.ts'
import { described } from '../schema-problems.ts'
import { COOKIES, isWithin } from './cookie-domains.ts'
import type { Report } from './report.ts'

const RULES = ['access_control', 'rules'] as const
const DEFAULT = ['access_control', 'default_policy'] as const

interface Pattern {
  readonly rule: number
  readonly path: PropertyKey[]
  /** Lower case: `one.example.com`, `*.example.com`. */
  readonly domain: string
  readonly policy: Policy
}

const strictness = { bypass: 0, one_factor: 1, two_factor: 2, deny: 3 } as const satisfies Record<Policy, number>

/** Rules that never apply, that let more through than they seem to, or that nobody could satisfy. */
export function checkAccessRules(report: Report): void {
  const patterns = patternsOf(report)
  checkDefault(report)
  checkReach(report, patterns)
  checkOrder(report, patterns)
  checkSecondFactor(report, patterns)
}

function patternsOf(report: Report): Pattern[] {
  return [...report.list(RULES).keys()].flatMap(rule => {
    const path = [...RULES, rule, 'domain']
    const policy = policies.find(one => one === report.value([...RULES, rule, 'policy']))
    const list = report.list(path)
    const paths = list.length > 0 ? [...list.keys()].map(index => [...path, index]) : [path]
    return paths.flatMap(one => {
      const written = report.text(one)
      if (written === undefined) return []
      const domain = written.toLowerCase()
      const fault = domainFault(domain)
      if (fault !== undefined) {
        report.error(one, `${described(written)} would match no host: ${fault}`)
        return []
      }
      return policy === undefined ? [] : [{ rule, path: one, domain, policy }]
    })
  })
}

function domainFault(domain: string): string | undefined {
  if (/[{}]/.test(domain)) return '{user} and {group} are not supported in this version.'
  if (/^[a-z]+:\/\//.test(domain)) return 'write the bare host, without https://.'
  const host = domain.startsWith('*.') ? domain.slice(2) : domain
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
    const host = domain.replace(/^\*\./, '')
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
  for (const pattern of patterns) {
    const earlier = covering(pattern.domain)
      .map(spelling => earlierByHost.get(spelling))
      .filter(one => one !== undefined && one.rule !== pattern.rule)
      .toSorted((a, b) => (a?.rule ?? 0) - (b?.rule ?? 0))[0]
    if (earlier && earlier.policy !== pattern.policy) {
      const looser = strictness[earlier.policy] < strictness[pattern.policy]
      report.warning(
        pattern.path,
        `Rule ${pattern.rule + 1} (${report.where(pattern.path)}: ${pattern.domain}, ${pattern.policy}) never applies here, since rule ${earlier.rule + 1} (${report.where(earlier.path)}: ${earlier.domain}, ${earlier.policy}) stands before it and the first that matches decides.${looser ? ` So ${pattern.domain} is less protected than this rule says. Move the narrower rule up.` : ''}`,
      )
    }
    if (!earlierByHost.has(pattern.domain)) earlierByHost.set(pattern.domain, pattern)
  }
}

/** The patterns that match every host that this one matches: itself, and `*.` before each parent. */
function covering(domain: string): string[] {
  const labels = domain.replace(/^\*\./, '').split('.')
  const parents = labels.map((_, index) => `*.${labels.slice(index + 1).join('.')}`).slice(0, -1)
  return [domain, ...parents]
}

function checkSecondFactor(report: Report, patterns: readonly Pattern[]): void {
  const keys = ['hostname', 'integration_key', 'secret_key']
  const configured =
    report.value(['duo_api', 'disable']) !== true && keys.some(key => report.text(['duo_api', key]) !== undefined)
  if (configured) return
  const why =
    report.value(['duo_api', 'disable']) === true ? 'duo_api is switched off (duo_api.disable)' : 'there is no duo_api'
  const mend = `No second factor is configured: ${why}. Nobody can satisfy this until it is.`
  const wanting = new Map(patterns.filter(({ policy }) => policy === 'two_factor').map(one => [one.rule, one]))
  for (const { rule, domain } of wanting.values())
    report.warning([...RULES, rule, 'policy'], `Rule ${rule + 1} (${domain}) wants two_factor. ${mend}`)
  if (report.value(DEFAULT) === 'two_factor') report.warning(DEFAULT, `The default policy wants two_factor. ${mend}`)
}
