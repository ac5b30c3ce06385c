import type { LightMyRequestResponse } from 'fastify'
import type { UnderTest } from './portal-under-test.ts'

/** A browser without script: it keeps cookies, reads the form that it was shown, and follows no redirect by itself. */
export interface Visitor {
  get(url: string, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  /** Fills in the page's form (its token goes along) and sends it. */
  post(url: string, fields?: Record<string, string>, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  readonly cookies: Map<string, string>
  /** The token of the form that was shown last. */
  token: string
}

export const PORTAL = 'https://auth.example.com'

/** @param origin of the portal */
export function visitor({ app }: Pick<UnderTest, 'app'>, origin = PORTAL): Visitor {
  const cookies = new Map<string, string>()
  const keep = (answer: LightMyRequestResponse) => {
    for (const { name, value } of answer.cookies) {
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    self.token = /name="token" value="([^"]+)"/.exec(answer.body)?.[1] ?? self.token
    return answer
  }
  const base = () => ({
    host: new URL(origin).host,
    cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
  })
  const self: Visitor = {
    cookies,
    token: '',
    get: async (url, headers) => keep(await app.inject({ url, headers: { ...base(), ...headers } })),
    post: async (url, fields = {}, headers) =>
      keep(
        await app.inject({
          method: 'POST',
          url,
          headers: {
            ...base(),
            origin,
            'sec-fetch-site': 'same-origin',
            'content-type': 'application/x-www-form-urlencoded',
            ...headers,
          },
          payload: new URLSearchParams({ token: self.token, ...fields }).toString(),
        }),
      ),
  }
  return self
}
