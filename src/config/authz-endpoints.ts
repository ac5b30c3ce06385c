import { z } from 'zod'
import { MINUTE, SECOND } from '../clock.ts'
import { duration } from './notations.ts'

const implementations = ['ForwardAuth', 'AuthRequest', 'ExtAuthz', 'Legacy'] as const

export const strategyNames = [
  'CookieSession',
  'HeaderAuthorization',
  'HeaderProxyAuthorization',
  'HeaderAuthRequestProxyAuthorization',
  'HeaderLegacy',
] as const

/** Below /api/authz/: as Authelia's, and without empty parts, which a router reads as it likes. Told by checks/authz-endpoints.ts. */
export const endpointName = /^(?=.{1,100}$)[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]+)*$/

const scheme = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['basic', 'bearer']))
  .meta({ expected: 'basic' })

const strategy = z.strictObject({
  name: z.enum(strategyNames),
  schemes: z.array(scheme).meta({ expected: 'a list with basic' }).default(['basic']),
  /** How long a right password is believed without another look at its hash; 0: not at all. */
  scheme_basic_cache_lifespan: z
    .union([z.literal([0, '0', '0s']).transform(() => 0), duration])
    .meta({ expected: 'a duration such as 5m, or 0 for none' })
    .default(0),
})

/** `server.endpoints.authz`. What two keys must agree about is told by checks/authz-endpoints.ts. */
export const authzEndpoints = z.record(
  z.string(),
  z.strictObject({
    implementation: z.enum(implementations),
    authn_strategies: z.array(strategy).min(1).optional(),
  }),
)

export type AuthzEndpoints = z.infer<typeof authzEndpoints>
export type StrategyName = (typeof strategyNames)[number]

const lifespanWords = 'a duration from 10s to 10m'

/** Shorter, and two clocks that differ a little refuse it; longer, and somebody who was removed is believed for too long. */
export const assertionLifespan = duration
  .refine(span => span >= 10 * SECOND && span <= 10 * MINUTE)
  .meta({ expected: lifespanWords })
