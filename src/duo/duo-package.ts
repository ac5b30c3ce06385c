import constants from '@duosecurity/duo_api/lib/constants.js'
import signatures from '@duosecurity/duo_api/lib/duo_sig.js'
import packageFile from '@duosecurity/duo_api/package.json' with { type: 'json' }
import { z } from 'zod'

/** The package's own signature: version 2, HMAC-SHA-512. */
type Sign = (
  integrationKey: string,
  secretKey: string,
  method: 'GET' | 'POST',
  host: string,
  path: string,
  parameters: Record<string, string>,
  date: string,
) => string

const shape = z.object({
  sign: z.custom<Sign>(value => typeof value === 'function' && value.length === 7),
  roots: z.string().includes('-----BEGIN CERTIFICATE-----'),
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
})

// Computed apart from the package, with OpenSSL, over `date\nPOST\nhost\npath\na=1%20%2A&b=%C3%BC`.
const known = {
  parameters: { b: 'ü', a: '1 *' },
  date: 'Tue, 24 Nov 2026 13:00:00 GMT',
  authorization:
    'Basic RElLRVk6ZGVjODQzMDQ5OWIyM2FmNDI5YWI4Y2I4ZGEyOTkzNmZjYzkyMzhjNzBhNGVmY2RlYmRkNTY3YjliMzQ3NzJhZGY5ZWM2YWFjYjFkOWM3MmFlNzgxMTU3MDZlZTFiNmQ3N2I2OTY3NDUyM2U4ZGExOGNjYTE4N2U0MmUxOTZjMjY=',
}

/**
 * What Postern takes from Duo's own package: signature, pinned roots, user agent.
 * @throws when a release of the package no longer has them in this form, or signs otherwise
 */
export function duoPackage(): { sign: Sign; roots: string; userAgent: string } {
  const found = shape.safeParse({
    sign: Reflect.get(Object(signatures), 'sign'),
    roots: Reflect.get(Object(constants), 'DUO_PINNED_CERT'),
    version: packageFile.version,
  })
  if (!found.success) throw new Error(`@duosecurity/duo_api is not as expected: ${z.prettifyError(found.error)}`)
  const { sign, roots, version } = found.data
  const signed = sign('DIKEY', 'secret', 'POST', 'API.example.com', '/auth/v2/auth', known.parameters, known.date)
  if (signed !== known.authorization) throw new Error('@duosecurity/duo_api signs otherwise than Duo documents')
  return { sign, roots, userAgent: `duo_api_nodejs/${version}` }
}
