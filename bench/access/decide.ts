// What a decision costs among 10 rules and among 10,000, for as many hosts. All are timed in one run, in turns; the median of the rounds'
// ratios is compared with the limit. An answer that is wrong ends the run. See README.md.
//   node bench/access/decide.ts
import assert from 'node:assert/strict'
import { type Access, type AccessObject, compileAccess, type Subject } from '../../src/access/access.ts'
import type { Config } from '../../src/config/schema.ts'

const ROUNDS = 41
const DECISIONS_A_ROUND = 100_000
const LIMIT = 1.5

type Rule = Config['access_control']['rules'][number]
const alice: Subject = { username: 'alice', groups: ['staff', 'admins'] }

/** One rule a host, each with what rules have. */
function ruleOf(n: number): Rule {
  const domain = [`app${n}.example.com`]
  switch (n % 5) {
    case 0:
      return { domain, policy: 'one_factor' }
    case 1:
      return { domain, policy: 'two_factor', subject: [['group:staff']] }
    case 2:
      return { domain, policy: 'one_factor', methods: ['GET', 'HEAD'] }
    case 3:
      return { domain, policy: 'one_factor', networks: ['10.0.0.0/8'] }
    default:
      return { domain, policy: 'one_factor', resources: ['^/api([/?].*)?$'] }
  }
}

interface Contender {
  readonly access: Access
  /** What is asked for, in turn. */
  readonly objects: readonly AccessObject[]
}

/** @param hosts how many of them are asked for, spread over all, of each kind of rule as many */
function contender(rules: number, hosts: number): Contender {
  const access = compileAccess({
    access_control: { default_policy: 'deny', rules: Array.from({ length: rules }, (_, n) => ruleOf(n)) },
    definitions: { network: {} },
  })
  const objects = Array.from({ length: hosts }, (_, n) => ({
    host: `app${Math.floor((n * rules) / hosts / 5) * 5 + (n % 5)}.example.com`,
    target: '/api/items?page=2',
    method: 'GET',
    ip: '10.1.2.3',
  }))
  for (const object of objects) {
    const { policy, rule } = access.decide(alice, object)
    assert(policy !== 'deny' && rule !== null, object.host)
  }
  return { access, objects }
}

/** Nanoseconds a decision. */
function time({ access, objects }: Contender): number {
  let found = 0
  const start = process.hrtime.bigint()
  for (let n = 0; n < DECISIONS_A_ROUND; n += objects.length)
    for (const object of objects) if (access.decide(alice, object).policy !== 'deny') found++
  const took = Number(process.hrtime.bigint() - start) / DECISIONS_A_ROUND
  assert.equal(found, DECISIONS_A_ROUND)
  return took
}

const contenders = [
  { name: 'ten of 10 hosts', ...contender(10, 10) },
  { name: 'ten of 10,000 hosts', ...contender(10_000, 10) },
  { name: 'all of 10,000 hosts', ...contender(10_000, 10_000) },
]
for (let n = 0; n < 3; n++) for (const one of contenders) time(one) // warm

const times = contenders.map((): number[] => [])
for (let round = 0; round < ROUNDS; round++)
  // Who comes first alternates.
  for (const place of round % 2 === 0 ? [0, 1, 2] : [2, 1, 0]) {
    const one = contenders[place]
    if (one !== undefined) times[place]?.push(time(one))
  }

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const ratios = times.map(of => median(of.map((one, round) => one / (times[0]?.[round] ?? Number.NaN))))
for (const [place, { name }] of contenders.entries())
  console.log(
    `${name.padEnd(20)} ${median(times[place] ?? [])
      .toFixed(0)
      .padStart(6)} ns a decision   ${ratios[place]?.toFixed(2)} times`,
  )
const worst = Math.max(...ratios)
console.log(`median of ${ROUNDS} rounds; limit ${LIMIT}: ${worst <= LIMIT ? 'kept' : 'not kept'}`)
process.exitCode = worst <= LIMIT ? 0 : 1
