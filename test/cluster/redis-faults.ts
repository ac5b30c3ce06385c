import { join } from 'node:path'
import { request } from 'undici'
import { expect, onTestFinished } from 'vitest'
import { password, setUp } from '../support/postern.ts'
import { type Cleanup, node, projectRoot, start, until } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'

export interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly after: number
}

interface Line {
  readonly level: string
  readonly reason?: string
  readonly event?: string
  readonly msg: string
}

/** A Postern as it ships, with its sessions in the Redis that these keys name. */
export async function postern(redisKeys: string, cleanup: Cleanup) {
  const setup = await setUp({ session: `redis: { ${redisKeys} }` }, cleanup)
  const running = start(node, [join(projectRoot, 'dist/main.js'), 'serve', '--config', setup.configFile], { cleanup })
  await running.line(/"msg":"serving"/)
  const url = `http://127.0.0.1:${setup.port}`
  const host = `auth.postern.localhost:${setup.publicPort}`

  async function send(
    path: string,
    options: Parameters<typeof request>[1],
  ): Promise<Answer & { body: string; cookie: string }> {
    const begun = performance.now()
    const answer = await request(`${url}${path}`, options)
    const { location, 'set-cookie': set } = answer.headers
    const session = [set ?? []].flat().find(line => line.startsWith('authelia_session='))
    return {
      status: answer.statusCode,
      location: typeof location === 'string' ? location : undefined,
      cookie: session?.split(';')[0] ?? '',
      body: await answer.body.text(),
      after: performance.now() - begun,
    }
  }

  /** What the proxy is told about a site. */
  const gate = (site: string, cookie = '') =>
    send('/api/authz/forward-auth', {
      headers: {
        accept: 'text/html',
        'x-forwarded-method': 'GET',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': `${site}.postern.localhost:${setup.publicPort}`,
        'x-forwarded-uri': '/',
        'x-forwarded-for': '192.0.2.7',
        ...(cookie === '' ? {} : { cookie }),
      },
    })
  const portal = (path: string, cookie = '') =>
    send(path, { headers: { host, accept: 'text/html', ...(cookie === '' ? {} : { cookie }) } })
  const api = (path: string, body: object, cookie = '') =>
    send(path, {
      method: 'POST',
      headers: { host, 'content-type': 'application/json', ...(cookie === '' ? {} : { cookie }) },
      body: JSON.stringify(body),
    })
  const signInWith = (given: string) => api('/api/firstfactor', { username: 'alice', password: given })
  const signIn = () => signInWith(password)
  const lines = () =>
    running
      .output()
      .split('\n')
      .flatMap((line): Line[] => (line.startsWith('{') ? [JSON.parse(line)] : []))

  return {
    gate,
    portal,
    signIn,
    signInWith,
    signOut: (cookie: string) => api('/api/logout', {}, cookie),
    health: async () => await send('/api/health', { headers: { host } }),
    lines,

    /** Alice, who is signed in and was let in. */
    async alice(): Promise<string> {
      const { status, cookie } = await signIn()
      expect(status).toBe(200)
      expect((await gate('one', cookie)).status).toBe(200)
      return cookie
    },

    /** Waits until nothing is let in by what was cached before. */
    async closes(cookie: string): Promise<void> {
      await until(async () => (await gate('one', cookie)).status === 503, 'it closes', 3_000)
    },

    /** A bypass answers, all else is refused with 503 and never sent round; soon, and with a bounded log. */
    async isClosed(cookie: string, reason: string): Promise<void> {
      const before = lines().length
      for (let round = 0; round < 10; round++) {
        expect(await gate('public')).toMatchObject({ status: 200 })
        expect(await gate('public', cookie)).toMatchObject({ status: 200 })
        for (const site of ['one', 'two']) {
          const answer = await gate(site, cookie)
          expect(answer).toMatchObject({ status: 503, location: undefined })
          expect(answer.after).toBeLessThan(1_500)
        }
        expect((await portal('/', cookie)).status).toBe(503)
        expect((await signIn()).status).toBe(503)
      }
      const { status, body } = await health()
      expect({ status, notices: JSON.parse(body).notices }).toEqual({ status: 200, notices: [reason] })
      const told = lines().filter(line => line.level === 'error' && line.event === undefined)
      expect(told.map(line => line.reason)).toEqual([reason])
      // That people cannot sign in; and what else is told once, and not for each.
      expect(lines().length - before).toBeLessThan(4)
    },

    /** By itself, without a restart. */
    async opens(cookie: string, status = 200): Promise<void> {
      await until(async () => (await gate('one', cookie)).status === status, `it answers ${status} again`, 15_000)
      await until(async () => JSON.parse((await health()).body).notices === undefined, 'nothing is wrong any more')
      expect((await signIn()).status).toBe(200)
    },
  }

  function health() {
    return send('/api/health', { headers: { host } })
  }
}

export const at = (port: number) => `host: 127.0.0.1, port: ${port}`

/** A Postern and a Redis of its own, and alice, who is signed in. */
export async function house(lines: readonly string[] = []) {
  const redis = await startRedis({ cleanup: onTestFinished, lines })
  const door = await postern(at(redis.port), onTestFinished)
  return { redis, door, cookie: await door.alice() }
}
