import { isIP } from 'node:net'
import { generate } from 'selfsigned'
import { DAY } from '../clock.ts'

const names = [
  'localhost',
  '*.localhost',
  '*.postern.localhost', // Node takes no wildcard directly below a top-level domain
  'api-*.duosecurity.test',
  '*.duosecurity.test', // Python takes no wildcard inside a label
]

/** A certificate authority that lives as long as the process, and a certificate by it for the names of this machine. All PEM. @param host where the API listens */
export async function makeCertificate(host: string): Promise<{ ca: string; cert: string; key: string }> {
  // Certificates are judged by the machine's clock, whatever clock a test moves.
  const validity = { notBeforeDate: new Date(Date.now() - DAY), notAfterDate: new Date(Date.now() + 365 * DAY) }
  const kind = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256', ...validity } as const
  const authority = await generate([{ name: 'commonName', value: 'Postern Duo simulator CA' }], {
    ...kind,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  })
  const addresses = ['127.0.0.1', '::1', ...(isIP(host) && host !== '0.0.0.0' && host !== '::' ? [host] : [])]
  const leaf = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...kind,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...(isIP(host) ? names : [...new Set([...names, host])]).map(value => ({ type: 2, value }) as const),
          ...[...new Set(addresses)].map(ip => ({ type: 7, ip }) as const),
        ],
      },
    ],
  })
  return { ca: authority.cert, cert: leaf.cert, key: leaf.private }
}
