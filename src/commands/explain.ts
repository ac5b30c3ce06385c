import {
  compileAccess,
  criteria,
  type Decision,
  type ExplainedReading,
  type Explanation,
  type Proof,
  type Subject,
  verdict,
} from '../access/access.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem, printable } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { type Endpoint, endpointsOf } from '../gate/endpoint.ts'
import { expectedAnswer, type Judged } from '../gate/expected-answer.ts'
import { plainAddress } from '../http/client-address.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import { type OriginalUrl, parseUrl } from '../http/original-url.ts'
import { problems } from '../problems/problems.ts'
import { ldapDirectory } from '../users/ldap-directory.ts'
import { reasonOf, sayingOf } from '../users/ldap-fault.ts'
import { type LdapConfig, ldapSettings } from '../users/ldap-settings.ts'
import { readUsersFile } from '../users/people.ts'

export interface ExplainOptions {
  readonly config: string
  readonly url: string
  readonly user?: string
  readonly groups?: string
  readonly ip?: string
  readonly method: string
  readonly json?: boolean
}

/** What one kind of proxy hears. */
interface Heard {
  readonly endpoint: string
  /** Of a browser that opens a page, and of a script or program. */
  readonly page: number
  readonly program: number
  readonly location: string | null
}

interface Answer {
  readonly proved: 'nothing' | 'password' | 'password and Duo'
  readonly verdict: ReturnType<typeof verdict> | 'refused'
  readonly proxies: readonly Heard[]
}

/** What was asked, checked, and what came of it. */
interface Told {
  readonly url: OriginalUrl
  readonly method: string
  readonly ip: string | undefined
  readonly subject: Subject | null
  readonly explanation: Explanation
  readonly answers: readonly Answer[]
  readonly notes: readonly string[]
}

/**
 * Prints what the rules decide about a URL, each rule's part in it, and what each kind of proxy would be answered. Starts nothing and asks nobody.
 * Resolves with the exit code: 1 when the configuration has an error or the question cannot be asked.
 */
export async function explain(options: ExplainOptions): Promise<number> {
  const loaded = await loadConfig(options.config, process.env)
  if (!loaded.ok) {
    for (const problem of loaded.problems) console.error(formatProblem(problem))
    console.error(`postern: ${options.config} has errors, and nothing would be judged by it.`)
    return 1
  }
  const told = await judge(loaded.config, options)
  if (typeof told === 'string') {
    console.error(`postern: ${printable(told)}`)
    return 1
  }
  console.log(options.json === true ? JSON.stringify(asData(told), undefined, 2) : asText(told))
  return 0
}

async function judge(config: Config, options: ExplainOptions): Promise<Told | string> {
  const url = parseUrl(options.url)
  const method = options.method.toUpperCase()
  if (typeof url === 'string') return `the gate refuses this URL: ${urlFaults[url]}.`
  if (!/^[A-Z]{1,32}$/.test(method)) return 'a method has letters only.'
  const ip = options.ip === undefined ? undefined : plainAddress(options.ip)
  if (options.ip !== undefined && ip === undefined) return `${options.ip} is no address.`
  const domain = cookieDomainOf(url.host, config.session.cookies)
  if (domain === undefined) return `the gate refuses ${url.host}: it is in no domain of session.cookies.`

  const notes: string[] = []
  const subject = options.user === undefined ? null : await subjectOf(config, options.user, options.groups, notes)
  const access = compileAccess(config)
  const explanation = access.explain(subject, { host: url.host, target: url.target, method, ip })
  if (explanation.readings.some(({ rules }) => rules.some(({ criteria }) => criteria.networks === 'may')))
    notes.push(
      'Without --ip the address is unknown: a rule with networks may match or not, and the stricter answer counts.',
    )
  const endpoints = endpointsOf(config.server.endpoints.authz)
  const answers = proofsOf(subject).map(([proved, proof]): Answer => {
    const { decision } = explanation
    const said = decision.unclear ? 'refused' : verdict(decision, proof, 0)
    const who = subject === null || proof === null ? null : { subject, proof }
    const proxies = endpoints.map(endpoint => heard(endpoint, { access, url, method, ip, domain, who }))
    return { proved, verdict: said, proxies }
  })
  return { url, method, ip, subject, explanation, answers, notes }
}

const urlFaults = {
  malformed:
    'a browser does not send it (write it whole, such as https://app.example.com/path, with other characters as %20 and the like)',
  'not-secure': 'it is not https (or wss)',
  'too-long': 'it is longer than 4 KB',
} as const

const withoutGroups = 'judged without groups. Give them with --groups.'

/** Groups as given, else those of the users file or the directory. */
async function subjectOf(
  config: Config,
  username: string,
  groups: string | undefined,
  notes: string[],
): Promise<Subject> {
  if (groups !== undefined) return { username, groups: groups.split(',').flatMap(group => group.trim() || []) }
  const { file, ldap } = config.authentication_backend
  if (ldap !== undefined) return subjectOfDirectory(ldap, username, notes)
  const read = file === undefined ? undefined : await readUsersFile(file)
  if (read?.ok === false) {
    notes.push(`The users file cannot be used (postern check says why): ${withoutGroups}`)
    return { username, groups: [] }
  }
  const entry = read?.users.resolve(username)
  notes.push(
    entry === undefined
      ? `${username} is not in the users file: ${withoutGroups}`
      : 'The groups are those of the users file.',
  )
  return { username: entry?.person.username ?? username, groups: entry?.person.groups ?? [] }
}

async function subjectOfDirectory(config: LdapConfig, username: string, notes: string[]): Promise<Subject> {
  try {
    const directory = ldapDirectory(await ldapSettings(config), Date.now, () => {})
    const entry = await directory.identify(username)
    const person = entry && (await directory.person(entry.username))
    notes.push(
      person === undefined
        ? `The directory knows no ${username} who may sign in: ${withoutGroups}`
        : 'The groups are those of the directory.',
    )
    return { username: person?.username ?? username, groups: person?.groups ?? [] }
  } catch (error) {
    notes.push(`${problems[reasonOf(error)].title} (${sayingOf(error)}): ${withoutGroups}`)
    return { username, groups: [] }
  }
}

/** At the moment of each proof, so that no age is too old. */
function proofsOf(subject: Subject | null): (readonly [Answer['proved'], Proof | null])[] {
  if (subject === null) return [['nothing', null]]
  return [
    ['password', { level: 1, passwordAt: 0, secondFactor: null }],
    ['password and Duo', { level: 2, passwordAt: 0, secondFactor: { how: 'push', at: 0 } }],
  ]
}

function heard(endpoint: Endpoint, judged: Judged): Heard {
  const page = expectedAnswer(endpoint, judged, true)
  const program = expectedAnswer(endpoint, judged, false)
  return { endpoint: endpoint.path, page: page.status, program: program.status, location: page.location }
}

function asData({ url, method, ip, subject, explanation, answers, notes }: Told): unknown {
  return {
    url: url.href,
    host: url.host,
    target: url.target,
    method,
    ip: ip ?? null,
    user: subject?.username ?? null,
    groups: subject?.groups ?? [],
    ...explanation,
    answers,
    notes,
  }
}

function asText({ url, method, ip, subject, explanation, answers, notes }: Told): string {
  const groups = subject === null || subject.groups.length === 0 ? '' : ` (${subject.groups.join(', ')})`
  const who = subject === null ? 'somebody who has not signed in' : `${subject.username}${groups}`
  const blocks = [
    [`${method} ${url.href}`, `for ${who}, from ${ip ?? 'an unknown address'}`, ...notes],
    ...explanation.readings.map((reading, index) => readingLines(reading, index, explanation)),
    decisionLines(explanation.decision),
    answerLines(answers),
  ]
  return blocks.map(lines => lines.map(printable).join('\n')).join('\n\n')
}

function readingLines(
  { resource, how, rules, decision }: ExplainedReading,
  index: number,
  { readings }: Explanation,
): string[] {
  const heading = `Read as ${resource}${how === '' ? '' : ` (${how})`}`
  const shown = rules.filter(({ verdict, criteria }) => verdict !== 'skipped' && criteria.domain !== 'miss')
  const left = rules.length - shown.length
  const table = columns([
    ['rule', 'policy', ...criteria, 'verdict'],
    ...shown.map(({ rule, policy, verdict, criteria: said }) => [
      `${rule}${rule === decision.rule ? ' *' : ''}`,
      policy,
      ...criteria.map(one => said[one]),
      verdict,
    ]),
  ])
  const rest = left === 0 ? [] : [`${left} more: of other hosts or people, or behind the one that decides.`]
  const outcome = readings.length > 1 ? [`→ ${decision.policy}`] : []
  const number = readings.length > 1 ? `${index + 1}. ` : ''
  return [`${number}${heading}`, ...(shown.length > 0 ? table : []), ...rest, ...outcome]
}

function decisionLines({ policy, why, maxAge, factors, unclear }: Decision): string[] {
  const more = [
    ...(maxAge === null ? [] : [`no proof older than ${maxAge / 1000} s`]),
    ...(factors.length === 0 ? [] : [`a factor really given: ${factors.join(', ')}`]),
  ]
  return [`Decision: ${unclear ? 'refused' : [policy, ...more].join(', ')}`, `Why: ${why}`]
}

function answerLines(answers: readonly Answer[]): string[] {
  const location = answers.flatMap(({ proxies }) => proxies.flatMap(({ location }) => location ?? []))[0]
  const table = columns([
    ['proved', 'verdict', ...(answers[0]?.proxies.map(({ endpoint }) => endpoint) ?? [])],
    ...answers.map(({ proved, verdict, proxies }) => [
      proved,
      verdict,
      ...proxies.map(({ page, program }) => (page === program ? String(page) : `${page}, program ${program}`)),
    ]),
  ])
  return [...table, ...(location === undefined ? [] : [`Location: ${location}`])]
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
  return rows.map(row => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
}
