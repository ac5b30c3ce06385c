import { doubled } from '../http/headers.ts'

/** Each header by which a proxy asks, by its exact name: its one line, or `doubled`. Aliases such as `X_Forwarded_Host` are other headers. */
export interface ProxyHeaders {
  'x-original-url': string | undefined | typeof doubled
  'x-original-method': string | undefined | typeof doubled
  'x-forwarded-proto': string | undefined | typeof doubled
  'x-forwarded-host': string | undefined | typeof doubled
  'x-forwarded-uri': string | undefined | typeof doubled
  'x-forwarded-method': string | undefined | typeof doubled
  'x-authelia-url': string | undefined | typeof doubled
  'x-requested-with': string | undefined | typeof doubled
  accept: string | undefined | typeof doubled
  'content-length': string | undefined | typeof doubled
  'transfer-encoding': string | undefined | typeof doubled
}

/** Reads them in one walk over Node's raw list: `headers` joins or drops doubled lines. */
export function proxyHeaders(rawHeaders: readonly string[]): ProxyHeaders {
  const found: ProxyHeaders = {
    'x-original-url': undefined,
    'x-original-method': undefined,
    'x-forwarded-proto': undefined,
    'x-forwarded-host': undefined,
    'x-forwarded-uri': undefined,
    'x-forwarded-method': undefined,
    'x-authelia-url': undefined,
    'x-requested-with': undefined,
    accept: undefined,
    'content-length': undefined,
    'transfer-encoding': undefined,
  }
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const written = rawHeaders[i] as string
    // Each of the names has 14 to 18 letters, but for one: most of what a browser sends is not looked at any further.
    if (written.length !== 6 && (written.length < 14 || written.length > 18)) continue
    const name = written.toLowerCase()
    if (isWanted(name)) found[name] = found[name] === undefined ? (rawHeaders[i + 1] as string) : doubled
  }
  return found
}

function isWanted(name: string): name is keyof ProxyHeaders {
  switch (name) {
    case 'x-original-url':
    case 'x-original-method':
    case 'x-forwarded-proto':
    case 'x-forwarded-host':
    case 'x-forwarded-uri':
    case 'x-forwarded-method':
    case 'x-authelia-url':
    case 'x-requested-with':
    case 'accept':
    case 'content-length':
    case 'transfer-encoding':
      return true
    default:
      return false
  }
}

/** Whether a body follows, which nobody reads. */
export function bringsBody(headers: ProxyHeaders): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}
