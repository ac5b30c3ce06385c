import { request } from 'undici'
import { password } from '../support/postern.ts'

export interface Said {
  readonly status: number
  readonly location: string | undefined
  readonly json: { readonly status?: string; readonly data?: Record<string, unknown>; readonly message?: string }
}

/** Somebody at a proxy's door and at the portal's API, with the cookie that was given last. */
export function visitor(port: number) {
  const state = { cookie: '' }
  async function send(path: string, host: string, json?: object, headers: Record<string, string> = {}): Promise<Said> {
    const answer = await request(`http://127.0.0.1:${port}${path}`, {
      method: json === undefined ? 'GET' : 'POST',
      headers: {
        host,
        ...(state.cookie === '' ? {} : { cookie: state.cookie }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      headersTimeout: 60_000,
    })
    const text = await answer.body.text()
    const given = [answer.headers['set-cookie'] ?? []].flat().map(one => one.split(';')[0] ?? '')
    state.cookie = given.find(one => one.startsWith('authelia_session=')) ?? state.cookie
    const location = answer.headers.location
    return {
      status: answer.statusCode,
      location: typeof location === 'string' ? location : undefined,
      json: String(answer.headers['content-type']).includes('json') ? JSON.parse(text) : {},
    }
  }
  return {
    get cookie() {
      return state.cookie
    },
    set cookie(value) {
      state.cookie = value
    },
    /** What a proxy is answered for this site. */
    gate: (site: string) =>
      send('/api/authz/forward-auth', 'auth.postern.localhost', undefined, {
        'x-forwarded-method': 'GET',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': `${site}.postern.localhost`,
        'x-forwarded-uri': '/',
      }),
    api: (path: string, json?: object) => send(path, 'auth.postern.localhost', json),
    signIn: (username = 'alice', typed = password) =>
      send('/api/firstfactor', 'auth.postern.localhost', { username, password: typed, keepMeLoggedIn: false }),
    async level() {
      return (await send('/api/state', 'auth.postern.localhost')).json.data?.authentication_level
    },
  }
}

export type Visitor = ReturnType<typeof visitor>

/** How many lines of a log match. */
export const lines = (output: string, pattern: RegExp): number =>
  output.split('\n').filter(line => pattern.test(line)).length
