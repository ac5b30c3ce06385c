import fastifyCookie from '@fastify/cookie'
import fastifySession, { type SessionStore } from '@fastify/session'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Config } from '../config/schema.ts'
import { cookieDomainOf } from '../http/cookie-domain.ts'
import { cookieValues } from '../http/cookies.ts'
import { hostName } from '../http/host.ts'
import { idIn, keyOfId } from './cookie.ts'
import type { Found, Session as LiveSession, Sessions } from './session.ts'

declare module 'fastify' {
  /** What `request.session` holds. */
  interface Session {
    /** Who asks; undefined: nobody. */
    readonly record?: LiveSession
  }
}

interface Options {
  readonly sessions: Sessions
  readonly config: Config['session']
}

// @fastify/session knows one cookie name, and cookie domains may have several. No header can bring this one: it is taken out first.
const HANDED_OVER = '@postern/session'

/**
 * `request.session` by @fastify/session: `record` is the one live session that `find` makes out of the raw header, for the cookie domain of
 * the Host. It is a view. A record is written once, so `save`, `regenerate` and `reload` fail; `destroy` ends the session. Nothing is stored
 * for who is nobody, and no cookie is set or cleared here.
 * For portal and API only: on the gate it would cost more than the gate. Why it is built so: docs/decisions/0003-session-plugin.md.
 */
export const sessionPlugin = fastifyPlugin<Options>(usePlugins, { name: 'postern-session', fastify: '5.x' })

async function usePlugins(app: FastifyInstance, { sessions, config }: Options): Promise<void> {
  // Set by the first hook and taken by the second in one go: nothing else runs between them.
  let handedOver: LiveSession | null = null
  const store: SessionStore = {
    get(_id, callback) {
      const record = handedOver
      handedOver = null
      if (record === null) callback(new Error('A session is not read again: ask sessions.find'))
      else callback(null, { cookie: { originalMaxAge: null }, record })
    },
    set: (_id, _session, callback) =>
      callback(new Error('A session is written once: use sessions.start or sessions.raise')),
    destroy: (id, callback) => void sessions.end({ key: keyOfId(id) }).then(() => callback(), callback),
  }

  function handOver(request: FastifyRequest, values: readonly string[], found: Found): void {
    for (const { name } of config.cookies) delete request.cookies[name] // of two equal names it holds the first, not the right one
    delete request.cookies[HANDED_OVER]
    if (found.state === 'anonymous') return
    const { session } = found
    request.cookies[HANDED_OVER] = values.find(value => keyOfId(idIn(value)) === session.key)
    handedOver = session
  }

  await app.register(fastifyCookie)
  app.addHook('onRequest', (request, _reply, done) => {
    const { rawHeaders } = request.raw
    const host = hostName(request.raw)
    const domain = host === undefined ? undefined : cookieDomainOf(host, config.cookies)
    const values = domain === undefined ? [] : cookieValues(rawHeaders, domain.name)
    const take = (found: Found) => {
      handOver(request, values, found)
      done()
    }
    if (domain === undefined) return take({ state: 'anonymous', ended: null })
    // With the store down nobody is anybody here; who needs to know asks `find` and gets StoreDown. Styles and health still answer.
    const nobody = () => take({ state: 'anonymous', ended: null })
    try {
      const found = sessions.find(rawHeaders, domain)
      if (found instanceof Promise) found.then(take, nobody)
      else take(found)
    } catch {
      nobody()
    }
  })
  await app.register(fastifySession, {
    secret: config.secret,
    cookieName: HANDED_OVER,
    store,
    saveUninitialized: false,
    rolling: false,
    // It sends no cookie, whatever this says. With `true` it would not even try to save over http, and a mistake would go unnoticed.
    cookie: { secure: 'auto' },
  })
}
