import type { FastifyInstance } from 'fastify'
import { parseDocument as parseYaml } from 'yaml'

const BODY_BYTES_AT_MOST = 16 * 1024

export class BadRequest extends Error {}

/**
 * JSON only, bounded. A doubled key is refused, since two readers would take different ones (RFC 8259, section 4); JSON is YAML, and
 * the YAML parser tells of them. An empty body is undefined: Authelia's front end posts without one.
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
  const [fault] = parseYaml(text, { schema: 'json', uniqueKeys: true, logLevel: 'silent' }).errors
  if (fault !== undefined) throw fault
  return value
}
