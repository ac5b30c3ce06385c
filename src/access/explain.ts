import type {
  AccessObject,
  Criterion,
  CriterionVerdict,
  Decision,
  ExplainedReading,
  ExplainedRule,
  Explanation,
  Subject,
} from './access.ts'
import type { Candidate, HostIndex } from './hosts.ts'
import { type Asked, ask, type Rule, resourceOf } from './rule.ts'

interface Parts {
  readonly rules: readonly Rule[]
  readonly index: HostIndex
  firstMatch(candidates: readonly Candidate[], asked: Asked): Decision
  decide(subject: Subject | null, object: AccessObject): Decision
}

/** The decision again, with what each rule and each criterion had to say, by the very tests that decide. */
export function explainDecision(subject: Subject | null, object: AccessObject, parts: Parts): Explanation {
  const candidates = parts.index.candidates(object.host)
  const byRule = new Map(candidates.map(one => [one.rule, one]))
  const asked = ask(subject, object)
  parts.firstMatch(candidates, asked)
  const ambiguous = asked.readings?.list.slice(1) ?? []
  const plain = { resource: resourceOf(asked), how: '' }
  const readings = [plain, ...ambiguous].map((reading): ExplainedReading => {
    asked.reading = reading
    let decided = false
    const rules = parts.rules.map(rule => {
      if (decided) return { ...named(rule), verdict: 'skipped' as const, criteria: skipped }
      const explained = explainRule(rule, byRule.get(rule), asked)
      const { verdict, criteria } = explained
      decided = verdict === 'hit' || (verdict === 'may' && criteria.networks !== 'may')
      return explained
    })
    return { ...reading, rules, decision: parts.firstMatch(candidates, asked) }
  })
  return { decision: parts.decide(subject, object), readings }
}

const skipped: Record<Criterion, CriterionVerdict> = {
  domain: 'skipped',
  subject: 'skipped',
  networks: 'skipped',
  methods: 'skipped',
  resources: 'skipped',
  query: 'skipped',
}

const named = ({ position, policy }: Rule) => ({ rule: position + 1, policy })

function explainRule(rule: Rule, candidate: Candidate | undefined, asked: Asked): ExplainedRule {
  const { subject } = asked
  if (candidate === undefined || (candidate.who !== null && subject !== null && !candidate.who(subject)))
    return { ...named(rule), verdict: 'miss', criteria: { ...skipped, domain: 'miss' } }
  const criteria: Record<Criterion, CriterionVerdict> = { ...skipped }
  criteria.domain = candidate.who !== null && subject === null ? 'may' : 'hit'
  for (const test of rule.tests) criteria[test.criterion] = test.match(asked)
  const said = Object.values(criteria)
  return {
    ...named(rule),
    verdict: said.includes('miss') ? 'miss' : said.includes('may') ? 'may' : 'hit',
    criteria,
  }
}
