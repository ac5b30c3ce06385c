import { z } from 'zod'

// Duo adds fields without notice: unknown ones are ignored, and only what a decision needs is demanded.

/** The envelope of every answer. The stat decides before anything of the response is looked at. */
export const envelope = z.object({
  stat: z.string(),
  response: z.unknown().optional(),
  code: z.unknown().optional(),
  message: z.unknown().optional(),
  message_detail: z.unknown().optional(),
})

const time = z.object({ time: z.number().int().positive() })
/** Beyond it Duo's answer is cut: nobody chooses among so many. */
const DEVICES_AT_MOST = 500
const words = z.string().optional().default('').catch('')

const txid = z.string().regex(/^[\x21-\x7e]{1,256}$/)
/** Opaque; goes back with preauth as it came. */
const trustedDeviceToken = z
  .string()
  .regex(/^[\x21-\x7e]{1,2048}$/)
  .optional()
  .catch(undefined)

/** One of preauth's devices. Its id is opaque. */
export const deviceAnswer = z.object({
  device: z.string().min(1).max(100),
  type: z.string().max(40),
  name: words,
  number: words,
  display_name: words,
  /** Of `auto`, `push`, `sms`, `phone`, `mobile_otp`; a token has none. */
  capabilities: z.array(z.string().max(40)).max(20).optional().default([]).catch([]),
  /** The first character of the next passcode of the last batch; there only while one is unused. */
  sms_nextcode: z
    .string()
    .regex(/^[0-9a-z]$/i)
    .optional()
    .catch(undefined),
})

/** Entries that are none are left out: one odd device must not lock its owner out of the others. */
const devices = z
  .array(z.unknown())
  .optional()
  .default([])
  .catch([])
  .transform(listed => listed.slice(0, DEVICES_AT_MOST).flatMap(entry => deviceAnswer.safeParse(entry).data ?? []))

// Only these exact strings: a result that merely looks like `allow` is none.
const outcome = { status: words, status_msg: words, trusted_device_token: trustedDeviceToken }

export const answers = {
  ping: time,
  check: time,
  preauth: z.object({
    result: z.enum(['auth', 'allow', 'deny', 'enroll']),
    status_msg: words,
    devices,
    enroll_portal_url: words,
    /** The three of Verified Push: there when the policy wants it and the client said that it can. */
    txid: txid.optional().catch(undefined),
    /** What the person types on the phone. */
    verification_code: z
      .string()
      .regex(/^\d{3,10}$/)
      .optional()
      .catch(undefined),
    /** Until when the code is good; seconds since the epoch. */
    expiration: z.number().int().positive().max(1e11).optional().catch(undefined),
  }),
  auth: z.object({ txid }),
  authSync: z.object({ result: z.enum(['allow', 'deny']), ...outcome }),
  authStatus: z.object({ result: z.enum(['waiting', 'allow', 'deny']), ...outcome }),
} as const

export type Preauth = z.infer<typeof answers.preauth>
export type DeviceAnswer = z.infer<typeof deviceAnswer>
/** `status` is an open list: `allow`, `deny`, `fraud`, `timeout`, `locked_out`, `sent`, `bypass`; only `result` decides. */
export type AuthResult = z.infer<typeof answers.authSync>
export type AuthStatus = z.infer<typeof answers.authStatus>
