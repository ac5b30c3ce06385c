import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type Clock, MINUTE, type Milliseconds } from '../clock.ts'
import type { Policy } from './policy.ts'

const USERS_AT_MOST = 10_000
const capabilities = ['auto', 'push', 'sms', 'phone', 'mobile_otp'] as const

const device = z.strictObject({
  /** `DP…` for a phone, `DH…` for a hardware token. */
  id: z.string().regex(/^D[PH][A-Z0-9]{1,18}$/),
  name: z.string().max(100).default(''),
  type: z.enum(['phone', 'token']).default('phone'),
  /** In full; clients get it masked. Empty for a tablet. */
  number: z.string().max(40).default(''),
  platform: z.string().max(40).default('iOS'),
  /** `auto` is added where push or phone is there. */
  capabilities: z.array(z.enum(capabilities)).default(['push']),
  /** False: Duo says that a push could not be delivered. The app finds it when it is opened, so it can still be answered. */
  reachable: z.boolean().default(true),
})

const user = z.strictObject({
  username: z.string().min(1).max(1024),
  aliases: z.array(z.string().min(1).max(1024)).max(8).default([]),
  status: z.enum(['active', 'bypass', 'disabled', 'locked out']).default('active'),
  /** Left out: enrolled when there is a device. */
  enrolled: z.boolean().optional(),
  /** Always right, as often as it is used: for programs that cannot look at a phone. Null for none. */
  passcode: z
    .string()
    .regex(/^\d{6,8}$/)
    .nullable()
    .default('123456'),
  /** Each is right once. */
  bypassCodes: z
    .array(z.string().regex(/^\d{6,10}$/))
    .max(100)
    .default([]),
  devices: z.array(device).max(100).default([]),
})

/** The users of a simulated Duo account: device ids are unique, as in Duo. */
export const usersSchema = z
  .array(user)
  .max(USERS_AT_MOST)
  .refine(
    users => {
      const ids = users.flatMap(({ devices }) => devices.map(({ id }) => id))
      return new Set(ids).size === ids.length
    },
    { error: 'a device id is there twice' },
  )

export type SimulatedDevice = z.infer<typeof device>
export type SimulatedUser = z.input<typeof user>
/** A user with the defaults filled in, Duo's id for it, and what happened to it since. */
export type AccountUser = z.infer<typeof user> & {
  readonly id: string
  /** In a row. */
  failures: number
  /** When failures locked this user. */
  lockedAt: Milliseconds | undefined
  unusedBypassCodes: string[]
}

export type UsernameNormalization = 'simple' | 'none'

export interface Account {
  users(): readonly AccountUser[]
  replace(users: readonly SimulatedUser[]): void
  /** @throws Error when the account is full */
  add(user: SimulatedUser): AccountUser
  /** By name or alias, without regard to case. With `simple`, `CORP\name` and `name@corp.example` are `name`. */
  byName(name: string, normalization: UsernameNormalization): AccountUser | undefined
  byId(id: string): AccountUser | undefined
  byDevice(deviceId: string): { user: AccountUser; device: SimulatedDevice } | undefined
  /** Counts an authentication. So many failures in a row as the policy says lock a user; a success forgets them. */
  record(user: AccountUser, outcome: 'success' | 'failure'): void
}

/** @throws ZodError when the users are not what the schema says */
export function openAccount(initial: readonly SimulatedUser[], policy: () => Policy, clock: Clock): Account {
  let users: AccountUser[] = []
  const admit = (entry: z.infer<typeof user>): AccountUser => ({
    ...entry,
    id: userId(entry.username),
    failures: 0,
    lockedAt: undefined,
    unusedBypassCodes: [...entry.bypassCodes],
  })
  /** The users as they are now: whom failures locked may be active again. */
  const current = () => {
    const { autoUnlockMinutes } = policy()
    if (autoUnlockMinutes === null) return users
    for (const entry of users) {
      if (entry.lockedAt === undefined || clock() < entry.lockedAt + autoUnlockMinutes * MINUTE) continue
      Object.assign(entry, { status: 'active', failures: 0, lockedAt: undefined } satisfies Partial<AccountUser>)
    }
    return users
  }
  const account: Account = {
    users: current,
    replace(given) {
      users = usersSchema.parse(given).map(admit)
    },
    add(given) {
      if (users.length >= USERS_AT_MOST) throw new Error('This account has as many users as the simulator keeps.')
      const added = admit(user.parse(given))
      users = [...users, added]
      return added
    },
    byName(name, normalization) {
      const key = (text: string) => normalized(text, normalization)
      return current().find(({ username, aliases }) => [username, ...aliases].some(known => key(known) === key(name)))
    },
    byId: id => current().find(entry => entry.id === id),
    byDevice(deviceId) {
      for (const entry of current()) {
        const found = entry.devices.find(({ id }) => id === deviceId)
        if (found) return { user: entry, device: found }
      }
      return undefined
    },
    record(entry, outcome) {
      entry.failures = outcome === 'success' ? 0 : entry.failures + 1
      if (entry.status !== 'active' || entry.failures < policy().failuresToLock) return
      entry.status = 'locked out'
      entry.lockedAt = clock()
    },
  }
  account.replace(initial)
  return account
}

function normalized(name: string, normalization: UsernameNormalization): string {
  const bare = normalization === 'simple' ? name.replace(/^[^\\]*\\/, '').replace(/@[^@]*$/, '') : name
  return bare.toLowerCase()
}

/** Stable for a name, so that a restart does not change it. */
function userId(username: string): string {
  return `DU${createHash('sha256').update(username).digest('hex').toUpperCase().slice(0, 18)}`
}

export const isEnrolled = (entry: AccountUser) => entry.enrolled ?? entry.devices.length > 0

/** `XXX-XXX-0100`; empty for a device without a number. */
export function maskedNumber(number: string): string {
  const digits = number.replace(/\D/g, '')
  return digits === '' ? '' : `XXX-XXX-${digits.slice(-4)}`
}

export function offeredCapabilities(given: readonly string[]): string[] {
  const auto = given.includes('push') || given.includes('phone')
  return [...new Set(auto ? ['auto', ...given] : given)]
}
