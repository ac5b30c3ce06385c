import { BlockList, isIPv6 } from 'node:net'
import { z } from 'zod'

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])
const networks = z.array(network).max(100).default([])

/** Settings of the simulated account that a test or a person changes while it runs. */
export const policySchema = z.strictObject({
  /** What happens to a user that Duo does not know, or who has no device yet. */
  newUser: z.enum(['enroll', 'allow', 'deny']).default('enroll'),
  /** `simple`: `CORP\name` and `name@corp.example` are the user `name`. */
  usernameNormalization: z.enum(['none', 'simple']).default('none'),
  /** By the `ipaddr` that the client sends: from `deny` nobody gets in, from `allow` who is enrolled needs no second factor. */
  networks: z.strictObject({ allow: networks, deny: networks }).default({ allow: [], deny: [] }),
  /** `required`: a push wants the code that the client shows entered on the phone, where the client says that it can. */
  verifiedPush: z.enum(['off', 'required']).default('off'),
  verificationDigits: z.int().min(3).max(6).default(3),
  /** Where Verified Push is required and the client does not say that it can (Duo's notes differ): a plain push, or no push at all. */
  withoutVerifiedPush: z.enum(['push', 'no-push']).default('push'),
  /** For how long a browser that proved itself needs no second factor; null: always. */
  rememberedDevices: z
    .strictObject({
      days: z.int().min(1).max(365),
      /** Only from the address of that time. */
      sameAddress: z.boolean().default(false),
    })
    .nullable()
    .default(null),
  /** So many failures in a row lock a user. */
  failuresToLock: z.int().min(1).max(1000).default(10),
  /** After so many minutes a user whom failures locked is active again; null: never. */
  autoUnlockMinutes: z.int().min(1).max(100_000).nullable().default(null),
  /** How many calls of `auth` a user has in a minute before they are answered with 429; null: as many as they like. */
  rateLimit: z
    .strictObject({
      authsPerMinute: z.int().min(0).max(10_000),
      /** Seconds, in the header of that name; Duo has been seen without. */
      retryAfter: z.int().min(0).max(3600).optional(),
    })
    .nullable()
    .default(null),
  /** How many passcodes a text message has. */
  smsBatch: z.int().min(1).max(10).default(10),
  /** Phones that answer by themselves; null: a person answers. */
  answer: z.enum(['allow', 'deny']).nullable().default(null),
  /** Whether the final status of a transaction can be fetched once, as at Duo, or again. */
  deliver: z.enum(['once', 'again']).default('once'),
  /** How far Duo's clock is ahead of this machine's. */
  clockAheadSeconds: z.int().min(-1_000_000).max(1_000_000).default(0),
  /** The application's name, as the phone shows it. */
  application: z.string().min(1).max(60).default('Postern'),
  /** Whether the application has a logo. */
  logo: z.boolean().default(false),
})

export type Policy = z.infer<typeof policySchema>
export type PolicyInput = z.input<typeof policySchema>

/** Whether an address is in one of the networks. An IPv4 address written as IPv6 counts as what it is. */
export function isWithin(address: string | undefined, given: readonly string[]): boolean {
  if (address === undefined || given.length === 0) return false
  const list = new BlockList()
  for (const entry of given) {
    const [base = '', prefix] = entry.split('/')
    const family = isIPv6(base) ? 'ipv6' : 'ipv4'
    list.addSubnet(base, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family)
  }
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
