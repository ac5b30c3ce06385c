import { z } from 'zod'
import { MINUTE, type Milliseconds } from '../clock.ts'
import { parseDuration } from './duration.ts'

// Keys are named as in the file (Authelia's names), so that an error, the documentation and the code use one name.
// Checks that need two keys at once (a portal inside its cookie domain, a rule that no cookie covers) are in rules.ts.

const duration = z.union([z.string(), z.number()]).transform((value, context): Milliseconds => {
  const parsed = parseDuration(value)
  if (parsed !== undefined) return parsed
  context.addIssue({ code: 'custom', message: 'a duration such as 30s, 5m, 1h, 1M, "5 minutes" or bare seconds' })
  return z.NEVER
})

const oneOrMany = <T extends z.ZodType>(item: T) =>
  z.union([item, z.array(item)]).transform(value => (Array.isArray(value) ? value : [value]))

/** `tcp://[host]:port/`, or `unix:///path`. */
export type ListenAddress = { kind: 'tcp'; host: string; port: number } | { kind: 'unix'; path: string }

const address = z.string().transform((value, context): ListenAddress => {
  const unix = /^unix:\/\/(\/[^?#]+)$/.exec(value)
  if (unix?.[1]) return { kind: 'unix', path: unix[1] }
  const tcp = /^tcp[46]?:\/\/(\[[0-9a-fA-F:.]+\]|[^:/[\]]*)(?::(\d{1,5}))?\/?$/.exec(value)
  const port = tcp?.[2] === undefined ? 9091 : Number(tcp[2])
  if (tcp && port <= 65_535) return { kind: 'tcp', host: (tcp[1] ?? '').replace(/^\[|\]$/g, ''), port }
  context.addIssue({ code: 'custom', message: 'an address such as tcp://:9091/ or unix:///run/postern.sock' })
  return z.NEVER
})

export const policies = ['bypass', 'one_factor', 'two_factor', 'deny'] as const
export type Policy = (typeof policies)[number]

const sameSite = z.enum(['lax', 'strict', 'none'])
const rememberMe = z.union([z.literal([-1, '-1']).transform(() => null), duration])

const cookie = z.strictObject({
  domain: z.string().min(1),
  authelia_url: z.url({ protocol: /^https?$/ }),
  default_redirection_url: z.url({ protocol: /^https?$/ }).optional(),
  name: z.string().min(1).optional(),
  same_site: sameSite.optional(),
  inactivity: duration.optional(),
  expiration: duration.optional(),
  remember_me: rememberMe.optional(),
})

const session = z
  .strictObject({
    secret: z.string().min(32),
    name: z.string().min(1).default('authelia_session'),
    same_site: sameSite.default('lax'),
    inactivity: duration.default(5 * MINUTE),
    expiration: duration.default(60 * MINUTE),
    remember_me: rememberMe.default(30 * 24 * 60 * MINUTE),
    cookies: z.array(cookie).min(1),
  })
  .transform(({ cookies, secret, ...defaults }) => ({
    secret,
    cookies: cookies.map(entry => ({
      ...defaults,
      ...Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)),
      domain: entry.domain.toLowerCase(),
      authelia_url: entry.authelia_url.replace(/\/$/, ''),
      default_redirection_url: entry.default_redirection_url,
    })) as readonly CookieDomain[],
  }))

/** One entry of `session.cookies`, with the defaults of `session` filled in. */
export interface CookieDomain {
  /** Bare and lower case, without a leading dot: `example.com`. */
  readonly domain: string
  /** The portal, without a final slash: `https://auth.example.com`, or with a path. */
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

const rule = z.strictObject({ domain: oneOrMany(z.string().min(1)), policy: z.enum(policies) })

export const configSchema = z.strictObject({
  theme: z.enum(['light', 'dark', 'auto', 'grey', 'oled']).default('auto'),
  server: z
    .strictObject({
      address: address.prefault('tcp://:9091/'),
      /** CIDRs, or `unix` for the peer of a unix socket. */
      trusted_proxies: z.array(z.string()).default(['127.0.0.0/8', '::1/128']),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
      format: z.enum(['text', 'json']).default('text'),
      file_path: z.string().optional(),
      keep_stdout: z.boolean().default(false),
    })
    .prefault({}),
  authentication_backend: z.strictObject({
    refresh_interval: z.union([z.enum(['always', 'disable']), duration]).default('always'),
    password_reset: z
      .strictObject({ disable: z.boolean().default(false), custom_url: z.url().optional() })
      .prefault({}),
    file: z.strictObject({
      path: z.string().min(1),
      watch: z.boolean().default(true),
      search: z
        .strictObject({ email: z.boolean().default(false), case_insensitive: z.boolean().default(false) })
        .prefault({}),
    }),
  }),
  session,
  regulation: z
    .strictObject({
      modes: z.array(z.enum(['user'])).default(['user']),
      max_retries: z.int().min(0).default(3),
      find_time: duration.default(2 * MINUTE),
      ban_time: duration.default(5 * MINUTE),
    })
    .prefault({}),
  storage: z.strictObject({
    encryption_key: z.string().min(20),
    local: z.strictObject({ path: z.string().min(1) }),
  }),
  access_control: z
    .strictObject({ default_policy: z.enum(policies).default('deny'), rules: z.array(rule).default([]) })
    .prefault({}),
  duo_api: z
    .strictObject({
      disable: z.boolean().default(false),
      /** May carry a port, which is not signed. */
      hostname: z.string(),
      integration_key: z.string(),
      secret_key: z.string(),
      enable_self_enrollment: z.boolean().default(false),
      /** PEM file to trust instead of Duo's pinned roots. */
      ca_file: z.string().optional(),
    })
    .optional(),
  portal: z
    .strictObject({
      name: z.string().min(1).max(60).default('Postern'),
      /** `#rrggbb`; made readable for both themes. */
      accent: z
        .string()
        .regex(/^#[0-9a-fA-F]{6}$/)
        .optional(),
      links: z
        .array(z.strictObject({ name: z.string(), url: z.url() }))
        .max(4)
        .default([]),
      help: z
        .strictObject({
          text: z.string().max(200).optional(),
          url: z.url().optional(),
          email: z.email().optional(),
          phone: z.string().optional(),
        })
        .prefault({}),
      sites: z.array(z.strictObject({ name: z.string(), url: z.url() })).default([]),
    })
    .prefault({}),
})

/** The whole configuration, checked, with defaults filled in and durations in milliseconds. */
export type Config = z.infer<typeof configSchema>
