import { z } from 'zod'

export const endpointNames = [
  'ping',
  'check',
  'logo',
  'preauth',
  'auth',
  'auth_status',
  'enroll',
  'enroll_status',
] as const
export type EndpointName = (typeof endpointNames)[number]

const where = {
  /** Which calls it meets; `any` for all. */
  path: z.enum([...endpointNames, 'any']).default('any'),
  /** How many of them; then all is well again. */
  times: z.int().min(1).max(10_000).default(1),
}
const kind = <const Kind extends string, Shape extends z.ZodRawShape>(name: Kind, shape: Shape) =>
  z.strictObject({ kind: z.literal(name), ...where, ...shape })

/** One thing that goes wrong between a client and Duo. */
export const scenarioSchema = z.discriminatedUnion('kind', [
  // The call is processed, its answer is what suffers.
  kind('late', { milliseconds: z.int().min(0).max(120_000) }),
  kind('lost', {}), // the connection ends before a byte of the answer
  kind('cut', { reset: z.boolean().default(false) }), // half of the body, then FIN or RST
  kind('silent', {}), // headers, then nothing
  // The call is not processed.
  kind('refused', {}), // the connection ends at once
  kind('hanging', {}), // no answer at all
  kind('throttled', { retryAfter: z.int().min(0).max(3600).optional() }), // 429
  kind('server-error', { status: z.int().min(500).max(599).default(500) }),
  kind('html', { status: z.int().min(200).max(599).default(502) }), // a front end's page
  kind('malformed', { status: z.int().min(200).max(599).default(200) }), // JSON that ends too early
  kind('deprecated-client', {}), // 40301 because of the User-Agent
  kind('wrong-application', {}), // 40301: keys of another type of application
])

export type ScenarioInput = z.input<typeof scenarioSchema>
export type Scenario = z.infer<typeof scenarioSchema>

const SCENARIOS_AT_MOST = 100

export interface Scenarios {
  /** Adds one behind those that are set. @throws ZodError */
  add(scenario: ScenarioInput): void
  clear(): void
  list(): readonly Scenario[]
  /** The first that meets this call; it is one less then. */
  take(path: EndpointName): Scenario | undefined
}

export function openScenarios(): Scenarios {
  let scenarios: Scenario[] = []
  return {
    add(input) {
      const scenario = scenarioSchema.parse(input)
      scenarios = [...scenarios, scenario].slice(-SCENARIOS_AT_MOST)
    },
    clear() {
      scenarios = []
    },
    list: () => scenarios,
    take(path) {
      const found = scenarios.find(scenario => scenario.path === path || scenario.path === 'any')
      if (!found) return undefined
      scenarios = scenarios.flatMap(scenario =>
        scenario !== found ? [scenario] : found.times > 1 ? [{ ...found, times: found.times - 1 }] : [],
      )
      return found
    },
  }
}
