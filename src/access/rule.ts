import type { Config } from '../config/schema.ts'
import type { AccessObject, Criterion, CriterionVerdict, Decision, Subject } from './access.ts'
import type { Who } from './names.ts'
import { type Address, compileNetworks, parseAddress } from './networks.ts'
import type { Pattern } from './pattern.ts'
import { compileCondition, parseQuery, type Query } from './query.ts'
import { type Reading, type Readings, readingsOf } from './readings.ts'

export type RuleConfig = Config['access_control']['rules'][number]
export type Match = Exclude<CriterionVerdict, 'skipped'>

/** One rule without its domains, which the index knows. */
export interface Rule {
  /** From 0. */
  readonly position: number
  readonly policy: Decision['policy']
  /** The decision is the same for each of its domains, but for the words. */
  readonly config: RuleConfig
  /** A criterion asks who somebody is. */
  readonly bySubject: boolean
  readonly tests: readonly Test[]
}

export interface Test {
  readonly criterion: Exclude<Criterion, 'domain'>
  match(asked: Asked): Match
}

/** One question, and what was worked out about it so far: only what a rule wanted to know. */
export interface Asked {
  readonly subject: Subject | null
  readonly object: AccessObject
  /** The one that is judged now; undefined: the plain one. */
  reading: Reading | undefined
  /** Undefined while no rule has asked for a resource. */
  readings: Readings | undefined
  query: Query | undefined
  /** Null: not read yet. */
  address: Address | undefined | null
}

export function ask(subject: Subject | null, object: AccessObject): Asked {
  return { subject, object, reading: undefined, readings: undefined, query: undefined, address: null }
}

export function resourceOf(asked: Asked): string {
  asked.readings ??= readingsOf(asked.object.target)
  return (asked.reading ?? asked.readings.list[0])?.resource ?? ''
}

function queryOf(asked: Asked): Query {
  asked.query ??= parseQuery(asked.object.target)
  return asked.query
}

function addressOf(asked: Asked): Address | undefined {
  if (asked.address === null) asked.address = parseAddress(asked.object.ip)
  return asked.address
}

/**
 * Rules with the same criteria share what was compiled of them.
 * @param networks what the names of definitions.network stand for
 */
export function ruleCompiler(
  networks: ReadonlyMap<string, readonly string[]>,
  compilePattern: (source: string) => Pattern,
): (config: RuleConfig, position: number) => Rule {
  const known = new Map<string, readonly Test[]>()
  return (config, position) => {
    const { policy, subject, methods, resources, query } = config
    const key = JSON.stringify([subject, config.networks, methods, resources, query])
    const tests = known.get(key) ?? compileTests(config, networks, compilePattern)
    known.set(key, tests)
    const namesPeople = resources?.some(source => compilePattern(source).namesPeople) === true
    return { position, policy, config, bySubject: subject !== undefined || namesPeople, tests }
  }
}

function compileTests(
  config: RuleConfig,
  networks: ReadonlyMap<string, readonly string[]>,
  compilePattern: (source: string) => Pattern,
): Test[] {
  const tests: Test[] = []
  const add = (criterion: Test['criterion'], match: Test['match']) => tests.push({ criterion, match })

  if (config.subject !== undefined) {
    const wanted = config.subject.map(all => all.map(compileSubject))
    add('subject', ({ subject }) =>
      subject === null ? 'may' : hit(wanted.some(all => all.every(who => who(subject)))),
    )
  }
  if (config.networks !== undefined) {
    const inside = compileNetworks(config.networks.flatMap(entry => networks.get(entry) ?? [entry]))
    add('networks', asked => {
      const address = addressOf(asked)
      return address === undefined ? 'may' : hit(inside(address))
    })
  }
  if (config.methods !== undefined) {
    const methods = new Set(config.methods)
    add('methods', ({ object }) => hit(methods.has(object.method)))
  }
  if (config.resources !== undefined) {
    const resources = config.resources.map(compilePattern)
    add('resources', asked => {
      const { subject } = asked
      const resource = resourceOf(asked)
      let may = false
      for (const { match } of resources) {
        const found = match(resource)
        if (found === true || (typeof found === 'function' && subject !== null && found(subject))) return 'hit'
        may ||= found !== false && subject === null
      }
      return may ? 'may' : 'miss'
    })
  }
  if (config.query !== undefined) {
    const wanted = config.query.map(all => all.map(one => compileCondition(one, compilePattern)))
    add('query', asked => {
      const query = queryOf(asked)
      return hit(wanted.some(all => all.every(holds => holds(query))))
    })
  }
  return tests
}

const hit = (holds: boolean): Match => (holds ? 'hit' : 'miss')

/** `user:NAME` or `group:NAME`, to the letter. */
function compileSubject(written: string): Who {
  const name = written.slice(written.indexOf(':') + 1)
  return written.startsWith('user:') ? subject => subject.username === name : subject => subject.groups.includes(name)
}
