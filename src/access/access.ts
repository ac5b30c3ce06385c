import type { Milliseconds } from '../clock.ts'
import type { Config, Factor, Policy } from '../config/schema.ts'

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

/** Of one rule, for one reading of the path. */
export type CriterionVerdict = 'hit' | 'miss' | 'may' | 'skipped'

export const criteria = ['domain', 'subject', 'networks', 'methods', 'resources', 'query'] as const
export type Criterion = (typeof criteria)[number]

export interface ExplainedRule {
  /** From 1. */
  readonly rule: number
  readonly policy: Policy
  /** `may`: the rule matches for an anonymous visitor, who may turn out to be somebody else. `skipped`: an earlier one decided. */
  readonly verdict: CriterionVerdict
  /** `skipped`: the rule has no such criterion, or an earlier one missed. `domain` stands for `domain_regex` too. */
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
 * Indexes the rules by host, once: a decision then costs one look-up a label of the host asked for, however many rules other hosts have.
 * `x` is this host; `*.x` is every host below it, at any depth, and not `x` itself. Upper and lower case are alike. The first rule in the
 * order of the file wins; without one, the default policy. A pattern of another form (`*x`, `{user}.x`) matches nothing.
 */
export function compileAccess({
  access_control: { default_policy, rules },
}: Pick<Config, 'access_control' | 'definitions'>): Access {
  const plain = { maxAge: null, factors: [], bySubject: false, unclear: false }
  const exact = new Map<string, Ruling>()
  const below = new Map<string, Ruling>()
  rules.forEach(({ domain: domains, policy }, position) => {
    for (const written of domains ?? []) {
      const domain = written.toLowerCase()
      const [index, key] = domain.startsWith('*.') ? [below, domain.slice(2)] : [exact, domain]
      if (/[*{}]/.test(key)) continue
      const why = `rule ${position + 1} (${domain}) says ${policy}`
      if (!index.has(key)) index.set(key, { position, decision: { ...plain, policy, rule: position + 1, why } })
    }
  })
  const fallback: Decision = {
    ...plain,
    policy: default_policy,
    rule: null,
    why: `no rule matches, the default is ${default_policy}`,
  }
  const used = new Set<Policy>([default_policy, ...rules.map(({ policy }) => policy)])
  return {
    explain(subject, object) {
      return { decision: this.decide(subject, object), readings: [] }
    },
    decide(_subject, { host }) {
      let first = exact.get(host)
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        const found = below.get(host.slice(dot + 1))
        if (found !== undefined && (first === undefined || found.position < first.position)) first = found
      }
      return first?.decision ?? fallback
    },
    namedHosts: [...exact.keys()],
    wants: policy => used.has(policy),
  }
}

/** What the first rule of a pattern says, made once. */
interface Ruling {
  readonly position: number
  readonly decision: Decision
}
