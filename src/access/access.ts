import type { Policy } from '../config/schema.ts'

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
