import { isIP } from 'node:net'
import { z } from 'zod'
import { SECOND } from '../clock.ts'
import { duration, filePath, name } from './notations.ts'

const port = z.int().min(1).max(65_535)
const isHost = (text: string) => isIP(text) !== 0 || /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text)
const host = z
  .string()
  .refine(text => isHost(text) || /^\/[^\p{Cc}]+$/u.test(text))
  .meta({ expected: 'a host name, an address or the path of a socket such as /run/redis.sock, without a port' })
const nodeHost = z.string().refine(isHost).meta({ expected: 'a host name or an address, without a port' })
const nodes = (usual: number) =>
  z
    .array(
      z
        .strictObject({ host: nodeHost, port: port.default(usual) })
        .meta({ expected: `a map such as { host: redis-1, port: ${usual} }` }),
    )
    .default([])
const tlsVersion = z.enum(['TLS1.2', 'TLS1.3'])

/** What goes together is told by checks/redis.ts. Authelia's keys, and below them `cluster` and `tls.ca_file`. */
export const redis = z.strictObject({
  host: host.optional(),
  port: z.int().min(0).max(65_535).default(6379),
  username: name.optional(),
  password: name.optional(),
  /** For one answer, and for a connection to be ready. */
  timeout: duration
    .refine(timeout => timeout >= SECOND / 10 && timeout <= 10 * SECOND)
    .meta({ expected: 'a duration from 100ms to 10s' })
    .default(SECOND),
  database_index: z.int().min(0).max(10_000).default(0),
  tls: z
    .strictObject({
      server_name: name.optional(),
      skip_verify: z.boolean().default(false),
      minimum_version: tlsVersion.default('TLS1.2'),
      maximum_version: tlsVersion.default('TLS1.3'),
      certificate_chain: name.meta({ expected: 'a certificate in PEM' }).optional(),
      private_key: name.meta({ expected: 'a key in PEM' }).optional(),
      /** PEM file to trust instead of this machine's roots. */
      ca_file: filePath.optional(),
    })
    .meta({ expected: 'a map, if only an empty one: tls: {}' })
    .optional(),
  high_availability: z
    .strictObject({
      sentinel_name: name,
      sentinel_username: name.optional(),
      sentinel_password: name.optional(),
      nodes: nodes(26_379),
    })
    .optional(),
  cluster: z.strictObject({ nodes: nodes(6379) }).optional(),
})
