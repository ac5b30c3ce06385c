import type { Config, Policy } from '../config/schema.ts'

/** Who asks. Null: nobody has signed in. */
export interface Subject {
  readonly username: string
  readonly groups: readonly string[]
}

/** What is asked for. */
export interface AccessObject {
  /** Lower case, without port. */
  readonly host: string
  readonly path: string
  readonly method: string
}

/** 0: nothing proved; 1: the password; 2: a second factor too. */
export type Level = 0 | 1 | 2

export interface Decision {
  readonly policy: Policy
  /** Its position in `access_control.rules`, from 1; null: the default policy. */
  readonly rule: number | null
  readonly why: string
}

export interface Access {
  decide(subject: Subject | null, object: AccessObject): Decision
  /** Hosts that rules write out in full: the candidates for a person's list of sites. */
  readonly namedHosts: readonly string[]
  /** Whether any rule, or the default, wants this policy. */
  wants(policy: Policy): boolean
}

const requiredLevel = { bypass: 0, one_factor: 1, two_factor: 2 } as const satisfies Record<
  Exclude<Policy, 'deny'>,
  Level
>

/** What a policy means for who has proved this much. */
export function verdict(policy: Policy, level: Level): 'allowed' | 'log-in' | 'forbidden' {
  if (policy === 'deny') return 'forbidden'
  return level >= requiredLevel[policy] ? 'allowed' : 'log-in'
}

/**
 * Indexes the rules by host, once: a decision then costs one look-up a label of the host asked for, however many rules other hosts have.
 * `x` is this host; `*.x` is every host below it, at any depth, and not `x` itself. Upper and lower case are alike. The first rule in the
 * order of the file wins; without one, the default policy. A pattern of another form (`*x`, `{user}.x`) matches nothing.
 */
export function compileAccess({ default_policy, rules }: Config['access_control']): Access {
  const exact = new Map<string, Ruling>()
  const below = new Map<string, Ruling>()
  rules.forEach(({ domain: domains, policy }, position) => {
    for (const written of domains) {
      const domain = written.toLowerCase()
      const [index, key] = domain.startsWith('*.') ? [below, domain.slice(2)] : [exact, domain]
      if (/[*{}]/.test(key)) continue
      const why = `rule ${position + 1} (${domain}) says ${policy}`
      if (!index.has(key)) index.set(key, { position, decision: { policy, rule: position + 1, why } })
    }
  })
  const fallback: Decision = {
    policy: default_policy,
    rule: null,
    why: `no rule matches, the default is ${default_policy}`,
  }
  const used = new Set<Policy>([default_policy, ...rules.map(({ policy }) => policy)])
  return {
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
