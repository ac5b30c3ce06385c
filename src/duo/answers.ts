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
const words = z.string().optional().default('').catch('')

export const answers = {
  ping: time,
  check: time,
  preauth: z.object({
    result: z.enum(['auth', 'allow', 'deny', 'enroll']),
    status_msg: words,
    devices: z.array(z.unknown()).optional().default([]).catch([]),
    enroll_portal_url: words,
  }),
  auth: z.object({ txid: z.string().regex(/^[\x21-\x7e]{1,256}$/) }),
  // Only these exact strings: a result that merely looks like `allow` is none.
  authStatus: z.object({ result: z.enum(['waiting', 'allow', 'deny']), status: words, status_msg: words }),
} as const

export type Preauth = z.infer<typeof answers.preauth>
export type AuthStatus = z.infer<typeof answers.authStatus>

export const deviceAnswer = z.object({
  device: z.string().min(1).max(100),
  type: z.string().max(40),
  name: words,
  number: words,
  display_name: words,
  capabilities: z.array(z.string().max(40)).max(20).optional().default([]).catch([]),
})
