import type { RunningTable } from './running.ts'

/** How a dialect's proxy carries the question. README.md has the same in words. */
export type Kind = 'forward-auth' | 'auth-request' | 'ext-authz' | 'legacy' | 'legacy-forwarded'

export interface Row {
  readonly title?: string | undefined
  /** A kind, or `endpoint:kind`. */
  readonly dialect: string
  readonly method: string
  readonly url: string
  readonly session?: string | undefined
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>> | undefined
  readonly path?: string | undefined
  readonly by?: string | undefined
}

export const kindOf = ({ dialect }: Pick<Row, 'dialect'>): Kind => dialect.split(':').at(-1) as Kind

function endpointOf(row: Row): string {
  const [name, named] = row.dialect.split(':')
  if (named !== undefined) return `/api/authz/${name}`
  return name === 'legacy' || name === 'legacy-forwarded' ? '/api/verify' : `/api/authz/${name}`
}

/** The bytes that the proxy of this row sends. */
export function requestOf(row: Row, cookies: RunningTable['cookies']): string {
  const [, scheme = '', authority = '', target = ''] = /^([^:/]*):\/\/([^/?#]*)(.*)$/s.exec(row.url) ?? []
  const forwarded = { 'X-Forwarded-Proto': scheme, 'X-Forwarded-Host': authority, 'X-Forwarded-URI': target }
  const kind = kindOf(row)
  const carriers: Record<Kind, Record<string, string>> = {
    'forward-auth': { ...forwarded, 'X-Forwarded-Method': row.method },
    'auth-request': { 'X-Original-URL': row.url, 'X-Original-Method': row.method },
    'ext-authz': { Host: authority, 'X-Forwarded-Proto': scheme },
    legacy: { 'X-Original-URL': row.url, 'X-Forwarded-Method': row.method },
    'legacy-forwarded': { ...forwarded, 'X-Forwarded-Method': row.method },
  }
  const session = row.session === undefined ? undefined : cookies.get(row.session)
  if (row.session !== undefined && session === undefined) throw new Error(`setup.json has no session ${row.session}`)
  const fields: Record<string, string | readonly string[] | null> = {
    Host: 'postern',
    'X-Forwarded-For': '203.0.113.9',
    Accept: 'text/html',
    ...(session === undefined ? {} : { Cookie: 'authelia_session={session}' }),
    ...carriers[kind],
    ...row.headers,
  }
  const lines = Object.entries(fields).flatMap(([name, values]) =>
    (values === null ? [] : [values].flat()).map(
      value => `${name}: ${value.replaceAll('{session}', session ?? '')}\r\n`,
    ),
  )
  // Envoy writes its path_prefix, which ends with a slash, before the path of the visitor.
  const path = endpointOf(row) + (kind === 'ext-authz' ? `/${target}` : (row.path ?? ''))
  const method = kind === 'ext-authz' ? row.method : (row.by ?? 'GET')
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}Connection: close\r\n\r\n`, 'utf8').toString(
    'latin1',
  )
}
