import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Clock, DAY } from '../clock.ts'
import type { Policy } from './policy.ts'

/** Remembered devices: a token instead of a second factor. */
export interface TrustedDevices {
  /** Undefined when the policy remembers none. */
  token(username: string, ipaddr: string | undefined): string | undefined
  /** Whether it was given to this user and the policy still goes by it. */
  accepts(token: string, username: string, ipaddr: string | undefined): boolean
}

const ownerSchema = z.tuple([z.string(), z.string().nullable()])

/** The tokens look like Duo's: base64, time and HMAC, with `|` between. */
export function openTrustedDevices(clock: Clock, policy: () => Policy): TrustedDevices {
  const secret = randomBytes(32)
  const sign = (text: string) => createHmac('sha256', secret).update(text).digest('hex')
  return {
    token(username, ipaddr) {
      if (!policy().rememberedDevices) return undefined
      const text = `${Buffer.from(JSON.stringify([username, ipaddr ?? null])).toString('base64')}|${clock()}`
      return `${text}|${sign(text)}`
    },
    accepts(token, username, ipaddr) {
      const remembered = policy().rememberedDevices
      const [, text = '', owner = '', time = '', mac = ''] = /^(([^|]*)\|(\d+))\|([0-9a-f]{64})$/.exec(token) ?? []
      if (!remembered || mac === '' || !timingSafeEqual(Buffer.from(mac), Buffer.from(sign(text)))) return false
      const [name, address] = ownerSchema.parse(JSON.parse(Buffer.from(owner, 'base64').toString()))
      if (name !== username || clock() >= Number(time) + remembered.days * DAY) return false
      return !remembered.sameAddress || (address !== null && address === ipaddr)
    },
  }
}
