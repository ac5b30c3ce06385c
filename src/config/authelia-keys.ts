import type { ParsedDocument } from './document.ts'
import { isKnown, isOptional, keysAt } from './keys.ts'
import { dotted, type Problem } from './problem.ts'
import { configSchema, secretKeys } from './schema.ts'
import { isSecretKey } from './schema-problems.ts'

interface Foreign {
  readonly severity: Problem['severity']
  readonly message: string
}

const ignored = (message: string): Foreign => ({ severity: 'warning', message: `Ignored: ${message}` })
const refused = (message: string): Foreign => ({ severity: 'error', message })
const unusedAttributes =
  'family_name given_name middle_name nickname gender birthdate website profile picture zoneinfo locale phone_number phone_extension street_address locality region postal_code country extra'
const oldLdapKeys: Record<string, string> = {
  url: 'address',
  skip_verify: 'tls.ca_file',
  minimum_tls_version: 'tls.minimum_version',
  username_attribute: 'attributes.username',
  mail_attribute: 'attributes.mail',
  display_name_attribute: 'attributes.display_name',
  group_name_attribute: 'attributes.group_name',
}
const emptyTls = 'This section is empty, so nothing would be encrypted. Write tls: {} for its defaults, or take it out.'
const plainHttp = 'Postern speaks plain HTTP to the proxy beside it. Take this out, and let the proxy end TLS.'

/**
 * Keys that Authelia has and Postern does not, by pattern. What can be left out without letting more through is ignored with a warning;
 * what limits access, or says where data lives, is an error. Everything else that is unknown is an error of the schema's.
 */
const foreignKeys: Record<string, Foreign> = {
  // Nothing of these lets anybody in, or keeps anybody out, at the gate.
  default_2fa_method: ignored('Duo is the only second factor; each person’s last way is offered first.'),
  totp: ignored('one-time passwords are not part of Postern; Duo is its second factor.'),
  webauthn: ignored('security keys are not part of Postern; Duo is its second factor.'),
  notifier: ignored('Postern sends no mail.'),
  'telemetry.metrics.buffers': ignored('Postern has limits of its own.'),
  'telemetry.metrics.timeouts': ignored('Postern has deadlines of its own.'),
  ntp: ignored('Postern compares its clock with Duo’s answers.'),
  identity_providers: ignored('Postern is no OpenID Connect provider; apps that log in by it will not work.'),
  identity_validation: ignored('Postern sends no mail that would have to be confirmed.'),
  password_policy: ignored('Postern sets no passwords.'),
  jwt_secret: ignored('Postern resets no passwords.'),
  privacy_policy: ignored('the portal has no privacy policy yet; portal.links can link to it.'),
  certificates_directory: ignored(
    'a certificate of your own is named where it counts: duo_api.ca_file, and tls.ca_file of ldap, redis and postgres.',
  ),
  'definitions.user_attributes': ignored('nothing refers to it.'),
  'server.asset_path': ignored('the portal’s look is set by portal.name and portal.accent.'),
  'server.headers': ignored('the portal has its own Content-Security-Policy, which is stricter.'),
  'server.buffers': ignored('Postern has limits of its own.'),
  'server.timeouts': ignored('Postern has deadlines of its own.'),
  'server.disable_healthcheck': ignored('/api/health is always there.'),
  'server.endpoints.rate_limits.reset_password_start': ignored('Postern resets no passwords.'),
  'server.endpoints.rate_limits.reset_password_finish': ignored('Postern resets no passwords.'),
  'server.endpoints.rate_limits.second_factor_totp': ignored('one-time passwords are not part of Postern.'),
  'server.endpoints.rate_limits.second_factor_password': ignored(
    'Postern has no passkeys, after which a password would be the second factor.',
  ),
  'server.endpoints.rate_limits.session_elevation_start': ignored(
    'Postern sends no mail that would have to be confirmed.',
  ),
  'server.endpoints.rate_limits.session_elevation_finish': ignored(
    'Postern sends no mail that would have to be confirmed.',
  ),
  'server.endpoints.rate_limits.openid_connect_token': ignored('Postern is no OpenID Connect provider.'),
  'server.endpoints.rate_limits.openid_connect_pushed_authorization_request': ignored(
    'Postern is no OpenID Connect provider.',
  ),
  'server.endpoints.rate_limits.openid_connect_userinfo': ignored('Postern is no OpenID Connect provider.'),
  'server.endpoints.rate_limits.openid_connect_introspection': ignored('Postern is no OpenID Connect provider.'),
  'server.endpoints.rate_limits.openid_connect_revocation': ignored('Postern is no OpenID Connect provider.'),
  'server.endpoints.enable_pprof': ignored('Postern has no such endpoint.'),
  'server.endpoints.enable_expvars': ignored('Postern has no such endpoint.'),
  'authentication_backend.password_change': ignored('Postern changes no passwords.'),
  'authentication_backend.file.password': ignored(
    'it concerns new hashes only; every algorithm that Authelia writes is verified.',
  ),
  'authentication_backend.file.extra_attributes': ignored('nothing refers to extra attributes.'),
  'authentication_backend.ldap.pooling': ignored('each look-up has a connection of its own, a few at a time.'),
  ...Object.fromEntries(
    unusedAttributes
      .split(' ')
      .map(name => [`authentication_backend.ldap.attributes.${name}`, ignored('nothing refers to it.')]),
  ),
  'session.redis.maximum_active_connections': ignored('all commands share one connection, which is never waited for.'),
  'session.redis.minimum_idle_connections': ignored('all commands share one connection, which stays open.'),
  'session.redis.max_retries': ignored(
    'a command that may have been done is not sent again; the connection heals by itself.',
  ),
  'session.redis.high_availability.route_by_latency': ignored(
    'a replica could show a session that has ended; only the primary is asked.',
  ),
  'session.redis.high_availability.route_randomly': ignored(
    'a replica could show a session that has ended; only the primary is asked.',
  ),

  // To ignore these would serve in the clear, look in the wrong place, or forget whom a limit kept out.
  'server.tls': refused(plainHttp),
  'server.path': refused('A path is not supported; serve the portal on a host of its own.'),
  'server.host': refused('Give it as server.address, such as tcp://127.0.0.1:9091/.'),
  'server.port': refused('Give it as server.address, such as tcp://:9091/.'),
  host: refused('Give it as server.address, such as tcp://127.0.0.1:9091/.'),
  port: refused('Give it as server.address, such as tcp://:9091/.'),
  ...Object.fromEntries(
    Object.entries(oldLdapKeys).map(([old, now]) => [
      `authentication_backend.ldap.${old}`,
      refused(`Its name is authentication_backend.ldap.${now}.`),
    ]),
  ),
  'authentication_backend.disable_reset_password': refused(
    'Its name is authentication_backend.password_reset.disable.',
  ),
  'session.domain': refused('Give it as session.cookies: a list, each entry with domain and authelia_url.'),
  'session.remember_me_duration': refused('Its name is session.remember_me.'),
  'storage.mysql': refused('MySQL is not supported; give storage.local.path or storage.postgres.'),
  'storage.postgres.servers': refused('Give an address that always leads to the primary: docs/postgres.md.'),
  'storage.postgres.ssl': refused('Its name is storage.postgres.tls.'),
  'storage.postgres.host': refused('Give it as storage.postgres.address, such as tcp://postgres:5432.'),
  'storage.postgres.port': refused('Give it as storage.postgres.address, such as tcp://postgres:5432.'),
}

/** The same for an environment variable, by its name without the prefix: `SESSION_REDIS_PASSWORD`. */
export function foreignVariable(name: string): Foreign | undefined {
  const key = Object.keys(foreignKeys).find(pattern => {
    const start = pattern.replaceAll('.', '_').toUpperCase()
    return name === start || name.startsWith(`${start}_`)
  })
  return key === undefined ? undefined : foreignKeys[key]
}

const noValue: Foreign = {
  severity: 'warning',
  message: 'It has no value, so it counts as not given. (A text that begins with # needs quotes.)',
}

/** Sections that count by being there, without content. */
const emptySection: Foreign = {
  severity: 'warning',
  message: 'This section is empty, so it counts as not given.',
}
const emptySections: Record<string, Foreign> = {
  'server.identity_assertion': {
    severity: 'warning',
    message:
      'This section is empty, so nothing is signed. Write identity_assertion: {} for its defaults, or take it out.',
  },
  'session.redis.tls': refused(emptyTls),
  'storage.postgres.tls': refused(emptyTls),
}

/**
 * The value without the keys that only Authelia has, and what is to be said about them. A key without a value (`rules:`) counts as not given;
 * every default is the strict one.
 */
export function withoutForeignKeys(document: ParsedDocument): { value: unknown; problems: Problem[] } {
  const problems: Problem[] = []
  const copy = (value: unknown, path: readonly PropertyKey[]): unknown => {
    if (Array.isArray(value)) return value.map((item, index) => copy(item, [...path, index]))
    if (typeof value !== 'object' || value === null) return value
    const kept: Record<string, unknown> = Object.create(null)
    for (const [key, item] of Object.entries(value)) {
      const here = [...path, key]
      const pattern = here
        .map(part => (typeof part === 'number' ? '[]' : `.${String(part)}`))
        .join('')
        .slice(1)
      const foreign = Object.hasOwn(foreignKeys, pattern) ? foreignKeys[pattern] : undefined
      if (foreign === undefined) {
        if (item !== null || !isKnown(configSchema, here)) kept[key] = copy(item, here)
        else {
          const isSection = keysAt(configSchema, here).length > 0
          const said = isSection ? (emptySections[pattern] ?? emptySection) : noValue
          if (isSection ? isOptional(configSchema, here) : !isSecretKey(here, secretKeys))
            problems.push({ ...said, ...document.locate(here, 'key'), key: dotted(here) })
        }
      } else problems.push({ ...foreign, ...document.locate(here, 'key'), key: dotted(here) })
    }
    return kept
  }
  return { value: copy(document.value, []), problems }
}
