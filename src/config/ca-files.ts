import { X509Certificate } from 'node:crypto'
import type { Problem } from './problem.ts'
import { readBounded, UnreadableFile } from './read.ts'
import type { Config } from './schema.ts'
import { valueAt } from './schema-problems.ts'

const SIZE_LIMIT_BYTES = 1024 * 1024
const keys = [
  ['authentication_backend', 'ldap', 'tls', 'ca_file'],
  ['session', 'redis', 'tls', 'ca_file'],
  ['storage', 'postgres', 'tls', 'ca_file'],
  ['duo_api', 'ca_file'],
] as const

/** The files with certificates that a configuration names, where one cannot be read or holds none: Postern would not start, or trust nobody. */
export async function caFileProblems(
  config: Config,
  locate: (path: readonly PropertyKey[]) => Pick<Problem, 'file' | 'line' | 'column'>,
): Promise<Problem[]> {
  // A section that is switched off opens nothing.
  const used = config.duo_api?.disable === true ? keys.filter(([section]) => section !== 'duo_api') : keys
  const faults = used.map(async (path): Promise<Problem[]> => {
    const file = valueAt(config, path)
    const fault = typeof file === 'string' ? await faultOf(file) : undefined
    if (fault === undefined) return []
    return [{ severity: 'error', ...locate(path), key: path.join('.'), message: `The file ${String(file)} ${fault}.` }]
  })
  return (await Promise.all(faults)).flat()
}

async function faultOf(file: string): Promise<string | undefined> {
  try {
    const certificates = certificatesIn((await readBounded(file, SIZE_LIMIT_BYTES)).toString('latin1'))
    return certificates.length === 0 ? 'holds no certificate in PEM (-----BEGIN CERTIFICATE-----)' : undefined
  } catch (error) {
    return error instanceof UnreadableFile ? error.message : 'holds a certificate that is damaged'
  }
}

/**
 * The certificates in a PEM, each with its lines, under all the names that OpenSSL reads: Node's TLS takes them as CAs, and leaves out without a word what is damaged.
 * @throws when one is damaged
 */
export function certificatesIn(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----[^-]+-----END \1-----/g) ?? []
  for (const block of blocks) new X509Certificate(block)
  return blocks
}
