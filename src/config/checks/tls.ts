import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Report } from './report.ts'

const PAIR = ['certificate_chain', 'private_key'] as const

/**
 * A `tls` section of Authelia's: what would weaken it, and what goes together in it.
 * @param path of the section that it is in
 * @param danger what anybody on the way could do without it; ends as a sentence
 * @param isSocket whether the address is one of this machine, where there is no TLS
 */
export function checkTls(report: Report, path: readonly string[], danger: string, isSocket: boolean): void {
  const at = (key: (typeof PAIR)[number] | 'server_name' | 'skip_verify' | 'minimum_version' | 'maximum_version') => [
    ...path,
    'tls',
    key,
  ]
  if (isSocket && report.value([...path, 'tls']) !== undefined)
    report.error([...path, 'tls'], 'There is no TLS on a socket. Take this out.')
  if (report.value(at('skip_verify')) === true)
    report.error(
      at('skip_verify'),
      `With it anybody on the way could ${danger} Take this out, and name the CA in ${path.join('.')}.tls.ca_file.`,
    )
  if (/[/:\s]/.test(report.text(at('server_name')) ?? '') && isIP(report.text(at('server_name')) ?? '') === 0)
    report.error(at('server_name'), 'Give the bare name that is in the certificate, without a scheme, port or path.')
  const [missing, more] = PAIR.filter(key => report.text(at(key)) === undefined)
  if (missing !== undefined && more === undefined)
    report.error(at(missing), 'A certificate and its key go together: one of them is missing.')
  for (const key of PAIR)
    if (report.text(at(key))?.includes('-----BEGIN ') === false)
      report.error(at(key), 'This is no PEM: it begins with -----BEGIN, and keeps its lines (in YAML, after a |).')
  const [cert, key] = PAIR.map(one => report.text(at(one)))
  if (cert?.includes('-----BEGIN ') && key?.includes('-----BEGIN ') && !goTogether(cert, key))
    report.error(
      at('certificate_chain'),
      'It cannot be used with private_key: one of them is damaged or has a passphrase, or the key is that of another certificate.',
    )
  if (report.text(at('minimum_version')) === 'TLS1.3' && report.text(at('maximum_version')) === 'TLS1.2')
    report.error(at('maximum_version'), 'It is below minimum_version.')
}

function goTogether(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key })
    return true
  } catch {
    return false
  }
}
