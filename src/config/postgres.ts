import { isIP } from 'node:net'
import { z } from 'zod'
import { SECOND } from '../clock.ts'
import { duration, filePath, name } from './notations.ts'

/** Where PostgreSQL listens: a host, or the folder that its socket is in. */
export interface PostgresAddress {
  readonly host: string
  readonly port: number
}

const PORT = 5432
const words = 'an address such as tcp://postgres:5432 or unix:///run/postgresql'

const address = z
  .string()
  .transform((value, context): PostgresAddress => {
    const parsed = parseAddress(value)
    if (parsed !== undefined) return parsed
    context.addIssue({ code: 'custom', message: words })
    return z.NEVER
  })
  .meta({ expected: words })

function parseAddress(value: string): PostgresAddress | undefined {
  const socket = /^unix:\/\/(\/[^?#\p{Cc}]*)$/u.exec(value)?.[1]
  if (socket !== undefined) {
    const [, folder, digits] = /^(.*)\/\.s\.PGSQL\.(\d{1,5})$/.exec(socket) ?? []
    const host = (folder ?? socket).replace(/\/+$/, '')
    return host === '' ? undefined : { host, port: digits === undefined ? PORT : Number(digits) }
  }
  const [, host = '', digits] = /^tcp[46]?:\/\/(\[[0-9a-fA-F:.]+\]|[^:/?#[\]@]+)(?::(\d{1,5}))?\/?$/.exec(value) ?? []
  const bare = host.replace(/^\[|\]$/g, '')
  const port = digits === undefined ? PORT : Number(digits)
  const isName = /^(?!\d+(?:\.\d+)*$)[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(bare)
  if ((isIP(bare) === 0 && !isName) || (isIP(bare) === 6) !== host.startsWith('[')) return undefined
  return port === 0 || port > 65_535 ? undefined : { host: bare, port }
}

const pem = name.meta({ expected: 'a text in PEM' })

/** What goes together is told by checks/storage.ts. Authelia's keys, and below them `tls.ca_file`. */
export const postgres = z.strictObject({
  address,
  database: name.meta({ expected: 'the name of a database' }),
  schema: z
    .string()
    .regex(/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/)
    .meta({ expected: 'the name of a schema: lower-case letters, digits and _' })
    .default('postern'),
  username: name,
  password: name.optional(),
  /** For a connection to be ready, and for one answer. */
  timeout: duration
    .refine(timeout => timeout >= SECOND && timeout <= 60 * SECOND)
    .meta({ expected: 'a duration from 1s to 60s' })
    .default(5 * SECOND),
  tls: z
    .strictObject({
      server_name: name.optional(),
      skip_verify: z.boolean().default(false),
      minimum_version: z.enum(['TLS1.2', 'TLS1.3']).default('TLS1.2'),
      maximum_version: z.enum(['TLS1.2', 'TLS1.3']).default('TLS1.3'),
      certificate_chain: pem.optional(),
      private_key: pem.optional(),
      /** PEM file to trust instead of this machine's roots. */
      ca_file: filePath.optional(),
    })
    .meta({ expected: 'a map, if only an empty one: tls: {}' })
    .optional(),
})
