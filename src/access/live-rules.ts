import type { Access } from './access.ts'

/** The rules in force, while the configuration may be read anew. */
export interface LiveRules {
  /** Answers by the rules that are in force at the moment of each call. */
  readonly access: Access
  /** From the next call on, these are in force: nobody is judged by half of the old and half of the new. */
  replace(next: Access): void
}

export function liveRules(first: Access): LiveRules {
  let current = first
  return {
    access: {
      decide: (subject, object) => current.decide(subject, object),
      explain: (subject, object) => current.explain(subject, object),
      get namedHosts() {
        return current.namedHosts
      },
      wants: policy => current.wants(policy),
    },
    replace(next) {
      current = next
    },
  }
}
