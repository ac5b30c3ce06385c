import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'

const BODY_BYTES_AT_MOST = 16 * 1024

export class BadRequest extends Error {}

/** What a program sent, as this endpoint takes it. @throws {BadRequest} */
export function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const { data, success } = schema.safeParse(body)
  if (!success) throw new BadRequest('The body is not what this endpoint takes.')
  return data
}

/**
 * JSON only, bounded. A doubled key is refused, since two readers would take different ones (RFC 8259, section 4). An empty body is
 * undefined: Authelia's front end posts without one.
 */
export function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string', bodyLimit: BODY_BYTES_AT_MOST },
    (_request, body: string, done) => {
      try {
        done(null, body === '' ? undefined : parseJson(body))
      } catch {
        done(new BadRequest('The body is not well-formed JSON, or names a key twice.'))
      }
    },
  )
}

function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (namesKeyTwice(text)) throw new BadRequest()
  return value
}

// A string, with the colon that makes it a key, or a brace.
const keysAndBraces = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}]/g

/** In one walk: anybody may send a body, and a general parser takes half a second for 16 KB of keys. @param json well-formed */
function namesKeyTwice(json: string): boolean {
  const objects: Set<unknown>[] = []
  for (const [token, colon] of json.matchAll(keysAndBraces)) {
    if (token === '{') objects.push(new Set())
    else if (token === '}') objects.pop()
    else if (colon !== undefined) {
      const key: unknown = JSON.parse(token.slice(0, -colon.length)) // `"\u0061"` is `"a"`
      const keys = objects.at(-1)
      if (keys?.has(key)) return true
      keys?.add(key)
    }
  }
  return false
}
