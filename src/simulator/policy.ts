import { z } from 'zod'

/** Settings of the simulated account that a test or a person changes while it runs. */
export const policySchema = z.strictObject({
  /** What happens to a user that Duo does not know, or who has no device yet. */
  newUser: z.enum(['enroll', 'allow', 'deny']).default('enroll'),
  /** `simple`: `CORP\name` and `name@corp.example` are the user `name`. */
  usernameNormalization: z.enum(['none', 'simple']).default('none'),
  /** Phones that answer by themselves; null: a person answers. */
  answer: z.enum(['allow', 'deny']).nullable().default(null),
  /** Whether the final status of a transaction can be fetched once, as at Duo, or again. */
  deliver: z.enum(['once', 'again']).default('once'),
  /** How many passcodes a text message has. */
  smsBatch: z.int().min(1).max(10).default(10),
  /** The application's name, as the phone shows it. */
  application: z.string().min(1).max(60).default('Postern'),
  /** Whether the application has a logo. */
  logo: z.boolean().default(false),
})

export type Policy = z.infer<typeof policySchema>
export type PolicyInput = z.input<typeof policySchema>
