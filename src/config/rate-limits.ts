import { z } from 'zod'
import { MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import { duration } from './notations.ts'

/** So many requests in any stretch of `period`. */
export interface Bucket {
  readonly period: Milliseconds
  readonly requests: number
}

const bucket = z.strictObject({
  period: duration.refine(period => period >= 10 * SECOND).meta({ expected: 'a duration of 10s or more, such as 1m' }),
  requests: z.int().min(1).max(1000),
})

const limit = (defaults: { enable: boolean; buckets: readonly Bucket[] }) =>
  z
    .strictObject({
      enable: z.boolean().default(defaults.enable),
      /** All of them hold. */
      buckets: z
        .array(bucket)
        .min(1)
        .max(10)
        .default([...defaults.buckets]),
    })
    .prefault({})

/** For one client address, or one IPv6 network of 64 bits. */
export const rateLimits = z.strictObject({
  /** Postern's own. Off: an office behind one address signs in at nine. */
  first_factor: limit({
    enable: false,
    buckets: [
      { period: MINUTE, requests: 30 },
      { period: 10 * MINUTE, requests: 100 },
    ],
  }),
  second_factor_duo: limit({
    enable: true,
    buckets: [
      { period: MINUTE, requests: 10 },
      { period: 2 * MINUTE, requests: 15 },
    ],
  }),
})
