import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hash } from 'argon2'
import { freePort, node, type Running, start, temporaryFolder } from './process.ts'

/** Keys of the demo's kind: accepted towards loopback only. */
export const duoKeys = { integrationKey: 'DIDEMO0000TEST000001', secretKey: 'secretsecretsecretsecretsecretsecret1234' }

export const password = 'correct horse'
// Weak parameters: these tests are about what follows a right password.
const passwordHash = await hash(password, { memoryCost: 1024, timeCost: 1, parallelism: 1 })

export interface Setup {
  /** What the browser sees: the port of the proxy in front. */
  readonly publicPort: number
  /** Where Postern itself listens. */
  readonly port: number
  readonly folder: string
  readonly configFile: string
}

interface Wishes {
  readonly publicPort?: number
  readonly folder?: string
  readonly duo?: { readonly apiPort: number; readonly ca: string }
  readonly selfEnrollment?: boolean
  /** Further keys of `duo_api`, YAML: `autopush: true`. */
  readonly duoKeys?: string
  readonly users?: readonly string[]
  /** In place of the users file: `authentication_backend`, YAML in one line. */
  readonly people?: string
  readonly rules?: readonly { domain: string; policy: string }[]
  /** `server.endpoints.rate_limits`, YAML. Default: none, since all of a test comes from one address. */
  readonly rateLimits?: string
  /** `storage.postgres`, YAML in braces. */
  readonly postgres?: string
  /** Further top-level sections, YAML. */
  readonly more?: string
  /** Further keys of `session`, YAML on one line: `redis: { … }`. */
  readonly session?: string
  readonly trustedProxies?: readonly string[]
}

/** Writes a configuration, a users file and the CA into a folder of the test's own. Hosts are `*.postern.localhost`. */
export async function setUp(wishes: Wishes = {}, cleanup?: Parameters<typeof temporaryFolder>[0]): Promise<Setup> {
  const folder = wishes.folder ?? temporaryFolder(cleanup)
  const port = await freePort()
  const publicPort = wishes.publicPort ?? port
  const file = (name: string) => join(folder, name)
  const rules = wishes.rules ?? [
    { domain: 'public.postern.localhost', policy: 'bypass' },
    { domain: 'unheard-of.postern.localhost', policy: 'bypass' },
    { domain: 'one.postern.localhost', policy: 'one_factor' },
    { domain: 'two.postern.localhost', policy: 'two_factor' },
    { domain: 'closed.postern.localhost', policy: 'deny' },
  ]
  const users = wishes.users ?? ['alice', 'bob', 'nobody-in-duo']
  writeFileSync(
    file('users.yml'),
    `users:\n${users.map(name => `  ${name}:\n    displayname: ${name[0]?.toUpperCase()}${name.slice(1)} Example\n    password: ${passwordHash}\n    email: ${name}@example.com\n    groups: [staff]\n`).join('')}`,
  )
  const duo = wishes.duo
  if (duo !== undefined) writeFileSync(file('duo-ca.pem'), duo.ca)
  writeFileSync(
    file('configuration.yml'),
    `server:
  address: tcp://127.0.0.1:${port}/
  endpoints: { rate_limits: ${wishes.rateLimits ?? '{ second_factor_duo: { enable: false } }'} }
  trusted_proxies: [${(wishes.trustedProxies ?? ['127.0.0.0/8', '::1/128']).map(entry => JSON.stringify(entry)).join(', ')}]
log: { level: debug, format: json }
authentication_backend: ${wishes.people ?? `{ file: { path: ${file('users.yml')} } }`}
session:
  secret: a-secret-of-this-test-alone-0123456789
  cookies: [{ domain: postern.localhost, authelia_url: "http://auth.postern.localhost:${publicPort}" }]
  ${wishes.session ?? ''}
storage: { encryption_key: another-secret-of-this-test, local: { path: ${file('postern.sqlite3')} }${wishes.postgres === undefined ? '' : `, postgres: ${wishes.postgres}`} }
access_control:
  default_policy: deny
  rules: ${JSON.stringify(rules)}
${
  duo === undefined
    ? ''
    : `duo_api: { hostname: "localhost:${duo.apiPort}", integration_key: ${duoKeys.integrationKey}, secret_key: ${duoKeys.secretKey}, ca_file: ${file('duo-ca.pem')}, enable_self_enrollment: ${wishes.selfEnrollment ?? false}${wishes.duoKeys === undefined ? '' : `, ${wishes.duoKeys}`} }
`
}${wishes.more ?? ''}`,
  )
  return { publicPort, port, folder, configFile: file('configuration.yml') }
}

export interface Postern extends Running {
  readonly url: string
  /** Moves Postern's clock; resolves when it is moved. */
  moveClock(milliseconds: number): Promise<void>
}

/** Starts the built server in a process of its own, with a clock that can be moved. */
export async function startPostern(
  setup: Setup,
  options: { cleanup?: (end: () => Promise<void> | void) => void; ahead?: number } = {},
): Promise<Postern> {
  const entry = join(import.meta.dirname, 'serve-with-clock.ts')
  const running = start(
    node,
    [entry, setup.configFile, String(options.ahead ?? 0)],
    options.cleanup === undefined ? {} : { cleanup: options.cleanup },
  )
  await running.line(/^listening$/m)
  let ahead = options.ahead ?? 0
  return {
    ...running,
    url: `http://127.0.0.1:${setup.port}`,
    async moveClock(milliseconds) {
      ahead += milliseconds
      running.child.stdin?.write(`${milliseconds}\n`)
      await running.line(new RegExp(`^clock is ${ahead} ms ahead$`, 'm'))
    },
  }
}
