import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash } from 'argon2'
import { stringify } from 'yaml'

/** What the demo asks Duo with: the simulator's own keys, or the real ones of the environment. */
export interface DuoKeys {
  readonly hostname: string
  readonly integrationKey: string
  readonly secretKey: string
  /** PEM of the simulator's authority; null for the real Duo. */
  readonly ca: string | null
}

export const DEMO_PASSWORD = 'postern'
const groups = { alice: ['staff', 'admins'], bob: ['staff'] }

/** Writes the demo's configuration, users file and CA into a folder, as an administrator would. Returns the configuration's path. */
export async function writeConfiguration(
  folder: string,
  hosts: { portal: string; apps: { one: string; two: string } },
  address: string,
  duo: DuoKeys,
): Promise<string> {
  const file = (name: string) => join(folder, name)
  const secret = () => randomBytes(32).toString('hex')
  const password = await hash(DEMO_PASSWORD)
  const people = Object.entries(groups).map(([name, of]) => [
    name,
    {
      displayname: `${name.charAt(0).toUpperCase()}${name.slice(1)} Example`,
      password,
      email: `${name}@example.com`,
      groups: of,
    },
  ])
  await writeFile(file('users.yml'), stringify({ users: Object.fromEntries(people) }), { mode: 0o600 })
  if (duo.ca !== null) await writeFile(file('duo-ca.pem'), duo.ca)
  const configuration = {
    // Everything of a demo comes from one address.
    server: { address, endpoints: { rate_limits: { second_factor_duo: { enable: false } } } },
    log: { level: 'info', format: 'text', file_path: file('postern.log') },
    authentication_backend: { file: { path: file('users.yml') } },
    session: { secret: secret(), cookies: [{ domain: 'postern.localhost', authelia_url: `http://${hosts.portal}` }] },
    storage: { encryption_key: secret(), local: { path: file('postern.sqlite3') } },
    access_control: {
      default_policy: 'deny',
      rules: [
        { domain: withoutPort(hosts.apps.one), policy: 'one_factor' },
        { domain: withoutPort(hosts.apps.two), policy: 'two_factor' },
      ],
    },
    duo_api: {
      hostname: duo.hostname,
      integration_key: duo.integrationKey,
      secret_key: duo.secretKey,
      ...(duo.ca === null ? {} : { ca_file: file('duo-ca.pem') }),
    },
    portal: {
      sites: [
        { name: 'Sample app one', url: `http://${hosts.apps.one}/` },
        { name: 'Sample app two', url: `http://${hosts.apps.two}/` },
      ],
    },
  }
  await writeFile(file('configuration.yml'), stringify(configuration), { mode: 0o600 })
  return file('configuration.yml')
}

const withoutPort = (host: string) => host.replace(/:\d+$/, '')
