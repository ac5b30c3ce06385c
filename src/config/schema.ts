import { z } from 'zod'
import { MINUTE, type Milliseconds, SECOND } from '../clock.ts'
import { assertionLifespan, authzEndpoints } from './authz-endpoints.ts'
import { ldap } from './ldap.ts'
import {
  address,
  cookieName,
  duration,
  filePath,
  listOfLists,
  method,
  metricsAddress,
  name,
  network,
  networkOrName,
  oneOrMany,
  patterns,
  subject,
  trustedProxy,
  webUrl,
} from './notations.ts'
import { postgres } from './postgres.ts'
import { proxyUrl } from './proxy-url.ts'
import { rateLimits } from './rate-limits.ts'
import { redis } from './redis.ts'

export type { ListenAddress } from './notations.ts'

// Keys are named as in the file (Authelia's names), so that an error, the documentation and the code use one name.
// Checks that need two keys at once (a portal inside its cookie domain, a rule that no cookie covers) are in checks/.

/** Values that nothing ever shows, and that may come from a file named by an environment variable. */
export const secretKeys = [
  'authentication_backend.ldap.password',
  'authentication_backend.ldap.tls.private_key',
  'session.secret',
  'session.redis.password',
  'session.redis.high_availability.sentinel_password',
  'session.redis.tls.private_key',
  'storage.encryption_key',
  'storage.postgres.password',
  'storage.postgres.tls.private_key',
  'duo_api.integration_key',
  'duo_api.secret_key',
] as const

/** Keys whose value no message may show: the secrets, and what may hold one. */
export const hiddenKeys = [...secretKeys, 'duo_api.proxy'] as const

export const policies = ['bypass', 'one_factor', 'two_factor', 'deny'] as const
export type Policy = (typeof policies)[number]

const duoFactors = ['push', 'phone', 'sms', 'passcode'] as const

const sameSite = z.enum(['lax', 'strict', 'none'])
const rememberMe = z
  .union([z.literal([-1, '-1']).transform(() => null), duration])
  .meta({ expected: 'a duration such as 1M, or -1 for never' })

const cookie = z.strictObject({
  domain: name.meta({ expected: 'a domain such as example.com' }),
  authelia_url: webUrl,
  default_redirection_url: webUrl.optional(),
  name: cookieName.optional(),
  same_site: sameSite.optional(),
  inactivity: duration.optional(),
  expiration: duration.optional(),
  remember_me: rememberMe.optional(),
})

const session = z
  .strictObject({
    secret: z.string().min(32).meta({ expected: 'a random text' }),
    name: cookieName.default('authelia_session'),
    same_site: sameSite.default('lax'),
    inactivity: duration.default(5 * MINUTE),
    expiration: duration.default(60 * MINUTE),
    remember_me: rememberMe.default(30 * 24 * 60 * MINUTE),
    /** With one more sign-in the person's oldest session ends. */
    max_sessions_per_user: z.int().min(1).max(1000).optional(),
    cookies: z.array(cookie).min(1),
    redis: redis.optional(),
  })
  .transform(({ cookies, secret, redis, max_sessions_per_user, ...defaults }) => ({
    secret,
    redis,
    max_sessions_per_user,
    cookies: cookies.map(
      (entry): CookieDomain => ({
        domain: entry.domain.toLowerCase(),
        // Host in lower case, no default port, no final slash. A path is refused in checks/cookie-domains.ts.
        authelia_url: new URL(entry.authelia_url).origin,
        default_redirection_url: entry.default_redirection_url,
        name: entry.name ?? defaults.name,
        same_site: entry.same_site ?? defaults.same_site,
        inactivity: entry.inactivity ?? defaults.inactivity,
        expiration: entry.expiration ?? defaults.expiration,
        remember_me: entry.remember_me === undefined ? defaults.remember_me : entry.remember_me,
      }),
    ),
  }))

/** One entry of `session.cookies`, with the defaults of `session` filled in. */
export interface CookieDomain {
  /** Bare and lower case, without a leading dot: `example.com`. */
  readonly domain: string
  /** The portal, without a final slash: `https://auth.example.com`. */
  readonly authelia_url: string
  readonly default_redirection_url: string | undefined
  /** Name of the cookie. */
  readonly name: string
  readonly same_site: z.infer<typeof sameSite>
  readonly inactivity: Milliseconds
  readonly expiration: Milliseconds
  /** Null: the portal offers no *keep me signed in*. */
  readonly remember_me: Milliseconds | null
}

export const queryOperators = ['present', 'absent', 'equal', 'not equal', 'pattern', 'not pattern'] as const

/** Which of operator and value go together is told by checks/rule-criteria.ts. */
const queryCondition = z.strictObject({
  operator: z.enum(queryOperators).optional(),
  key: name,
  value: z.string().optional(),
})

const factors = ['duo'] as const
export type Factor = (typeof factors)[number]

// An empty list is refused: it would be a criterion that is not there, and the rule would decide about more than it says.
const rule = z.strictObject({
  domain: oneOrMany(name)
    .meta({ expected: 'a host such as app.example.com or *.example.com, or a list of them' })
    .optional(),
  domain_regex: patterns.optional(),
  policy: z.enum(policies),
  /** One of these, each of which wants all of its own. */
  subject: z
    .union([subject.transform(one => [[one]]), listOfLists(subject)])
    .meta({ expected: 'user:NAME or group:NAME, or a list of them or of lists of them' })
    .optional(),
  networks: oneOrMany(networkOrName)
    .meta({ expected: 'an address, a range, a name of definitions.network, or a list of them' })
    .optional(),
  methods: oneOrMany(method).meta({ expected: 'a method such as GET, or a list of them' }).optional(),
  resources: patterns.optional(),
  /** One of these, each of which wants all of its own. */
  query: listOfLists(queryCondition).optional(),
  /** Of the proof that the policy wants. */
  max_age: duration.optional(),
  factors: oneOrMany(z.enum(factors)).meta({ expected: 'duo' }).optional(),
})

export const configSchema = z.strictObject({
  theme: z.enum(['light', 'dark', 'auto', 'grey', 'oled']).default('auto'),
  server: z
    .strictObject({
      address: address.prefault('tcp://:9091/'),
      /** CIDRs, or `unix` for the peer of a unix socket. */
      trusted_proxies: z.array(trustedProxy).default(['127.0.0.0/8', '::1/128']),
      /** Whether to read the configuration anew when its file changes. */
      watch: z.boolean().default(false),
      /** What proxies ask, by its name below /api/authz/; the built-in ones may be given anew. */
      endpoints: z
        .strictObject({ authz: authzEndpoints.default({}), rate_limits: rateLimits.prefault({}) })
        .prefault({}),
      /** Present: every 200 of the gate carries a signed Remote-Assertion. */
      identity_assertion: z.strictObject({ lifespan: assertionLifespan.default(30 * SECOND) }).optional(),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
      format: z.enum(['text', 'json']).default('text'),
      file_path: filePath.optional(),
      keep_stdout: z.boolean().default(false),
    })
    .prefault({}),
  telemetry: z
    .strictObject({
      metrics: z
        .strictObject({ enabled: z.boolean().default(false), address: metricsAddress.prefault('tcp://:9959/metrics') })
        .prefault({}),
    })
    .prefault({}),
  authentication_backend: z
    .strictObject({
      /** Of a directory; a users file is always up to date. Default there: 5m. */
      refresh_interval: z
        .union([z.enum(['always', 'disable']), duration])
        .meta({ expected: 'always, disable or a duration such as 5m' })
        .optional(),
      password_reset: z
        .strictObject({ disable: z.boolean().default(false), custom_url: webUrl.optional() })
        .prefault({}),
      // One of the two, which checks/people.ts sees to.
      file: z
        .strictObject({
          path: filePath,
          watch: z.boolean().default(true),
          search: z
            .strictObject({ email: z.boolean().default(false), case_insensitive: z.boolean().default(false) })
            .prefault({}),
        })
        .optional(),
      ldap: ldap.optional(),
    })
    .meta({ expected: 'a map with file or ldap' }),
  session,
  regulation: z
    .strictObject({
      modes: z.array(z.enum(['user', 'ip'])).default(['user']),
      max_retries: z.int().min(0).max(1000).default(3),
      find_time: duration.default(2 * MINUTE),
      ban_time: duration.default(5 * MINUTE),
    })
    .prefault({}),
  storage: z.strictObject({
    encryption_key: z.string().min(20).meta({ expected: 'a random text' }),
    // That one of them is there is told by checks/storage.ts.
    local: z.strictObject({ path: filePath }).optional(),
    /** For records. Without Redis, sessions and counters stay in the file of `local`. */
    postgres: postgres.optional(),
  }),
  definitions: z.strictObject({ network: z.record(z.string(), oneOrMany(network)).default({}) }).prefault({}),
  access_control: z
    .strictObject({
      default_policy: z.enum(policies).default('deny'),
      /** The older place of definitions.network. */
      networks: z.array(z.strictObject({ name, networks: oneOrMany(network) })).optional(),
      rules: z.array(rule).default([]),
    })
    .prefault({}),
  duo_api: z
    .strictObject({
      disable: z.boolean().default(false),
      // Which of the three is missing, and their shapes, is told by checks/duo-keys.ts.
      /** May carry a port, which is not signed. */
      hostname: z.string().meta({ expected: 'a host name such as api-XXXXXXXX.duosecurity.com' }).default(''),
      integration_key: z.string().meta({ expected: 'DI and 18 letters and digits' }).default(''),
      secret_key: z.string().meta({ expected: '40 letters and digits' }).default(''),
      enable_self_enrollment: z.boolean().default(false),
      /** PEM file to trust instead of Duo's pinned roots. */
      ca_file: filePath.optional(),
      /** For one answer of Duo's. Ten seconds for a factor, and Duo's own minute more for a poll. */
      timeout: duration
        .refine(timeout => timeout >= SECOND && timeout <= 10 * SECOND)
        .meta({ expected: 'a duration from 1s to 10s' })
        .default(5 * SECOND),
      /** May hold a password. */
      proxy: proxyUrl.optional(),
      /** Which of the ways that Duo offers a person may be used. */
      factors: z
        .array(z.enum(duoFactors))
        .min(1)
        .default([...duoFactors]),
      verified_push: z.boolean().default(true),
      matching_code: z.boolean().default(false),
      /** Whether the sign-in itself sends the push, in the way that was used last. */
      autopush: z.boolean().default(false),
      failmode: z.enum(['secure', 'safe']).default('secure'),
      /** The name that Duo is asked for. */
      username: z
        .string()
        .regex(/^[^{}\p{Cc}]*(?:\{(?:username|email)\}[^{}\p{Cc}]*)+$/u)
        .meta({ expected: 'a text with {username} or {email}, such as {username}@example.com' })
        .default('{username}'),
      /** The word that the phone shows before *request*. */
      type: name.max(40).default('Login'),
      remembered_devices: z.boolean().default(false),
      guard: z
        .strictObject({
          first_pause: duration.default(30 * SECOND),
          longest_pause: duration.default(15 * MINUTE),
          fraud_lock: duration.default(60 * MINUTE),
          find_time: duration.default(10 * MINUTE),
          pushes_per_user: z.int().min(1).max(10_000).default(10),
          pushes_per_address: z.int().min(1).max(100_000).default(100),
          pushes_in_all: z.int().min(1).max(1_000_000).default(1000),
        })
        .prefault({}),
    })
    // As in Authelia: a section without any of the three is one that is switched off.
    .transform(duo => ({
      ...duo,
      disable: duo.disable || `${duo.hostname}${duo.integration_key}${duo.secret_key}` === '',
    }))
    .optional(),
  portal: z
    .strictObject({
      name: name.max(60).default('Postern'),
      /** Made readable for both themes. */
      accent: z
        .string()
        .regex(/^#[0-9a-fA-F]{6}$/)
        .meta({ expected: 'a colour such as #2f6f6a, in quotes' })
        .optional(),
      links: z
        .array(z.strictObject({ name: name.max(60), url: webUrl }))
        .max(4)
        .default([]),
      help: z
        .strictObject({
          text: name.max(200).optional(),
          url: webUrl.optional(),
          email: z.email().meta({ expected: 'a mail address' }).optional(),
          phone: name.max(60).optional(),
        })
        .prefault({}),
      sites: z.array(z.strictObject({ name: name.max(60), url: webUrl })).default([]),
    })
    .prefault({}),
})

/** The whole configuration, checked, with defaults filled in and durations in milliseconds. */
export type Config = z.infer<typeof configSchema>
