import type { Milliseconds } from '../clock.ts'
import type { Config, Factor, Policy } from '../config/schema.ts'
import { explainDecision } from './explain.ts'
import { type Candidate, indexByHost } from './hosts.ts'
import { patternCompiler } from './pattern.ts'
import { type Asked, ask, ruleCompiler, type Test } from './rule.ts'

export type { Factor } from '../config/schema.ts'

/** Who asks. Null: nobody has signed in. */
export interface Subject {
  readonly username: string
  readonly groups: readonly string[]
}

/** What is asked for. */
export interface AccessObject {
  /** Lower case, without port. */
  readonly host: string
  /** Path and query as sent, beginning with `/`. */
  readonly target: string
  readonly method: string
  /** In its plain form. Undefined: not known; then no rule that lets more through can match by network. */
  readonly ip: string | undefined
}

/** 0: nothing proved; 1: the password; 2: a second factor too. */
export type Level = 0 | 1 | 2

export interface Decision {
  readonly policy: Policy
  /** Its position in `access_control.rules`, from 1; null: the default policy. */
  readonly rule: number | null
  readonly why: string
  /** How old the proof may be that the policy wants; null: as old as the session. */
  readonly maxAge: Milliseconds | null
  /** The second factor must be one of these that a person really gave; empty: any. */
  readonly factors: readonly Factor[]
  /** The rule that matched has a subject criterion: who is anonymous may become somebody it does not deny. */
  readonly bySubject: boolean
  /** The path can be read in more ways than are judged. The policy is `deny`; the gate answers 400. */
  readonly unclear: boolean
}

/** What a session has proved. A `Session` fits. */
export interface Proof {
  readonly level: Level
  readonly passwordAt: Milliseconds
  readonly secondFactor: { readonly how: string; readonly at: Milliseconds } | null
}

/** `may`: it matches for an anonymous visitor, who may turn out to be somebody else, or for an unknown address. */
export type CriterionVerdict = 'hit' | 'miss' | 'may' | 'skipped'

export const criteria = ['domain', 'subject', 'networks', 'methods', 'resources', 'query'] as const
export type Criterion = (typeof criteria)[number]

export interface ExplainedRule {
  /** From 1. */
  readonly rule: number
  readonly policy: Policy
  /** `skipped`: an earlier rule decided. */
  readonly verdict: CriterionVerdict
  /** `skipped`: the rule has no such criterion, or its domain missed. `domain` stands for `domain_regex` too. */
  readonly criteria: Readonly<Record<Criterion, CriterionVerdict>>
}

/** How a server may read the path that was sent. */
export interface ExplainedReading {
  /** The path as it was read, with the query: what resources are matched against. */
  readonly resource: string
  /** What a server must do to read it so, in words: `decoded twice, \ as /`. */
  readonly how: string
  readonly rules: readonly ExplainedRule[]
  readonly decision: Decision
}

export interface Explanation {
  readonly decision: Decision
  /** The first is the plain one; more only where the path is ambiguous and a rule for the host has resources. */
  readonly readings: readonly ExplainedReading[]
}

export interface Access {
  decide(subject: Subject | null, object: AccessObject): Decision
  /** The same decision with each rule's and each criterion's part in it. Slow: for people, not for the gate. */
  explain(subject: Subject | null, object: AccessObject): Explanation
  /** Hosts that rules write out in full: the candidates for a person's list of sites. */
  readonly namedHosts: readonly string[]
  /** Whether any rule, or the default, wants this policy. */
  wants(policy: Policy): boolean
}

/** Ways in which Duo lets somebody pass without having asked for a factor. */
const notAsked: ReadonlySet<string> = new Set(['duo-allow', 'failmode'])

/**
 * What a decision means for who has proved this much. `password` and `second-factor`: what the portal must ask for next.
 * An age is counted from the proof that the policy wants; one that is exactly `maxAge` old is too old.
 * @param proof null: nobody
 */
export function verdict(
  { policy, maxAge, factors, bySubject }: Decision,
  proof: Proof | null,
  now: Milliseconds,
): 'allowed' | 'password' | 'second-factor' | 'forbidden' {
  if (policy === 'deny') return proof === null && bySubject ? 'password' : 'forbidden'
  if (policy === 'bypass') return 'allowed'
  if (proof === null || proof.level === 0) return 'password'
  const { passwordAt, secondFactor } = proof
  const young = (at: Milliseconds) => maxAge === null || now - at < maxAge
  if (policy === 'one_factor')
    return young(Math.max(passwordAt, secondFactor?.at ?? passwordAt)) ? 'allowed' : 'password'
  if (proof.level < 2) return 'second-factor'
  if (maxAge !== null && (secondFactor === null || !young(secondFactor.at))) return 'second-factor'
  const asked = secondFactor !== null && !notAsked.has(secondFactor.how)
  return factors.length === 0 || asked ? 'allowed' : 'second-factor'
}

/**
 * Compiles the rules, once. The first rule in the order of the file whose criteria all match decides; without one, the default policy.
 * Where a path can be read differently, each reading is judged and the strictest answer for this subject is given; so are both, a network's
 * yes and no, where the address is unknown. A path that is not UTF-8 earns no bypass by its resource.
 * @throws when a rule names a network that is not defined; the configuration was checked
 */
export function compileAccess({ access_control, definitions }: Pick<Config, 'access_control' | 'definitions'>): Access {
  const { default_policy, networks = [], rules } = access_control
  const known = new Map([
    ...networks.map(({ name, networks }) => [name, networks] as const),
    ...Object.entries(definitions.network),
  ])
  const compilePattern = patternCompiler()
  const compiled = rules.map(ruleCompiler(known, compilePattern))
  const index = indexByHost(compiled, compilePattern)
  const fallback: Decision = {
    policy: default_policy,
    rule: null,
    why: `no rule matches, the default is ${default_policy}`,
    maxAge: null,
    factors: [],
    bySubject: false,
    unclear: false,
  }

  /** For the reading that `asked` is at. */
  function firstMatch(candidates: readonly Candidate[], asked: Asked): Decision {
    let unsure: Decision | undefined
    for (const { rule, who, decision } of candidates) {
      if (who !== null && asked.subject !== null && !who(asked.subject)) continue
      const matches = matchesAll(rule.tests, asked)
      if (matches === true) return unsure === undefined ? decision : atUnknownAddress(stricter(unsure, decision))
      // It may match or not: both its answer and that of what comes after it count.
      if (matches === 'unsure') unsure = unsure === undefined ? decision : stricter(unsure, decision)
    }
    return unsure === undefined ? fallback : atUnknownAddress(stricter(unsure, fallback))
  }

  function decide(subject: Subject | null, object: AccessObject): Decision {
    const candidates = index.candidates(object.host)
    const asked = ask(subject, object)
    let decision = firstMatch(candidates, asked)
    const readings = asked.readings
    if (readings === undefined) return decision
    if (readings.unclear)
      return unclear('the path can be read in too many ways, is overlong UTF-8 or holds a control character')
    for (const reading of readings.list.slice(1)) {
      asked.reading = reading
      const strictest = stricter(decision, firstMatch(candidates, asked))
      if (strictest.why !== decision.why)
        decision = { ...strictest, why: `${strictest.why}, when the path is read otherwise: ${reading.how}` }
      else decision = strictest
    }
    return !readings.validUtf8 && decision.policy === 'bypass'
      ? unclear('a path that is not UTF-8 earns no bypass')
      : decision
  }

  const used = new Set<Policy>([default_policy, ...rules.map(({ policy }) => policy)])
  return {
    decide,
    explain: (subject, object) => explainDecision(subject, object, { rules: compiled, index, firstMatch, decide }),
    namedHosts: index.named,
    wants: policy => used.has(policy),
  }
}

/** `unsure`: all match, but it is not known whether the address lies in the rule's networks. */
function matchesAll(tests: readonly Test[], asked: Asked): boolean | 'unsure' {
  let unsure = false
  for (const { criterion, match } of tests) {
    const found = match(asked)
    if (found === 'miss') return false
    // An anonymous visitor who may be meant is sent to log in; an address does not become known.
    if (found === 'may' && criterion === 'networks') unsure = true
  }
  return unsure ? 'unsure' : true
}

const strictness = { bypass: 0, one_factor: 1, two_factor: 2, deny: 3 } as const satisfies Record<Policy, number>

/** Deny, two_factor, one_factor, bypass; ages and factors of both add up. Of equals the first. */
function stricter(a: Decision, b: Decision): Decision {
  if (a === b) return a
  const most = strictness[b.policy] > strictness[a.policy] ? b : a
  const maxAge = a.maxAge === null || b.maxAge === null ? (a.maxAge ?? b.maxAge) : Math.min(a.maxAge, b.maxAge)
  const factors = [...new Set([...a.factors, ...b.factors])]
  // Who is denied for good by one of them must not be sent to log in by the other.
  const bySubject = a.policy === b.policy ? a.bySubject && b.bySubject : most.bySubject
  const asIs = maxAge === most.maxAge && factors.length === most.factors.length && bySubject === most.bySubject
  return asIs ? most : { ...most, maxAge, factors, bySubject }
}

const atUnknownAddress = (decision: Decision): Decision => ({
  ...decision,
  why: `${decision.why}, the address being unknown`,
})

function unclear(why: string): Decision {
  return { policy: 'deny', rule: null, why, maxAge: null, factors: [], bySubject: false, unclear: true }
}
