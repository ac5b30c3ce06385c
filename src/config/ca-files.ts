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
  const faults = keys.map(async (path): Promise<Problem[]> => {
    const file = valueAt(config, path)
    const fault = typeof file === 'string' ? await faultOf(file) : undefined
    if (fault === undefined) return []
    return [{ severity: 'error', ...locate(path), key: path.join('.'), message: `The file ${String(file)} ${fault}.` }]
  })
  return (await Promise.all(faults)).flat()
}

async function faultOf(file: string): Promise<string | undefined> {
  try {
    const text = (await readBounded(file, SIZE_LIMIT_BYTES)).toString('latin1')
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
    if (blocks === null) return 'holds no certificate in PEM (-----BEGIN CERTIFICATE-----)'
    for (const block of blocks) new X509Certificate(block)
    return undefined
  } catch (error) {
    return error instanceof UnreadableFile ? error.message : 'holds a certificate that is damaged'
  }
}
