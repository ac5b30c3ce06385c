import { type AccessObject, compileAccess, type Subject } from '../../src/access/access.ts'
import type { Config, Policy } from '../../src/config/schema.ts'
import { configSchema } from '../../src/config/schema.ts'

type Rules = Config['access_control']
export type RuleConfig = Rules['rules'][number]

export const access = (rules: readonly RuleConfig[], default_policy: Policy = 'deny', network = {}) =>
  compileAccess({ access_control: { default_policy, rules: [...rules] }, definitions: { network } })

/** As a file has them, read by the schema. */
export const accessOf = (access_control: unknown, definitions: unknown = {}) =>
  compileAccess({
    access_control: configSchema.shape.access_control.parse(access_control),
    definitions: configSchema.shape.definitions.parse(definitions),
  })

export const object = (over: Partial<AccessObject> = {}): AccessObject => ({
  host: 'app.example.com',
  target: '/',
  method: 'GET',
  ip: '192.0.2.1',
  ...over,
})

export const john: Subject = { username: 'john', groups: ['dev', 'Night Shift'] }
export const bob: Subject = { username: 'bob', groups: [] }

export const strictness: Record<Policy, number> = { bypass: 0, one_factor: 1, two_factor: 2, deny: 3 }

/** Whether one rule matches. */
export const matches = (rule: Omit<RuleConfig, 'policy'>, subject: Subject | null, over: Partial<AccessObject> = {}) =>
  access([{ domain: ['app.example.com'], ...rule, policy: 'one_factor' }]).decide(subject, object(over)).policy ===
  'one_factor'
