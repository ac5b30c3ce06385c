import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  endsWithSuite,
  freePort,
  projectRoot,
  requiredProgram,
  start,
  temporaryFolder,
  until,
} from '../support/process.ts'
import { ask, cookieOf, exchange, type House, house, john, proxiesOf } from './house.ts'

const endsWith = endsWithSuite()
const read = (path: string) => readFileSync(join(projectRoot, path), 'utf8')

/** The recipe of docs/authz.md: what belongs into http { }, and what into the gate's location. */
function recipe(folder: string): { outside: string; inside: string } {
  const [, block = ''] = /```nginx\n(# in http.*?)```/s.exec(read('docs/authz.md')) ?? []
  const [outside = '', inside = ''] = block.split(/# in location.*\n/)
  return { outside: outside.replace('/var/cache/nginx/postern', join(folder, 'cache')), inside }
}

let at: House
let port: number
let reached: string[]

/** nginx with the files of deploy/ and the recipe, before an application that says who it was told. */
beforeAll(async () => {
  at = await house(endsWith, { trusted: ['127.0.0.0/8'] })
  at.people.set('jane', { ...john, username: 'jane', groups: [] })
  const folder = temporaryFolder(endsWith)
  port = await freePort()
  reached = []
  const app = createServer((request, response) => {
    const who = String(request.headers['remote-user'] ?? '')
    reached.push(`${request.method} ${request.headers.host} ${request.url} ${who}`)
    response.end(who)
  })
  const appPort = await freePort()
  app.listen(appPort, '127.0.0.1')
  endsWith(() => void app.close())
  const { outside, inside } = recipe(folder)
  const location = read('deploy/nginx/snippets/postern-location.conf')
  expect(location).toContain('proxy_cache off;')
  const files: Record<string, string> = {
    'location.conf': location.replace('proxy_cache off;', inside).replace('$scheme://$host', 'https://$host'),
    'authrequest.conf': read('deploy/nginx/snippets/postern-authrequest.conf'),
    'postern.conf': read('deploy/nginx/postern.conf').replace('postern:9091', `127.0.0.1:${at.port}`),
    'nginx.conf': `user ${userInfo().username}; daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${folder}/${name};`).join(' ')}
  ${outside}
  include postern.conf;
  server {
    listen 127.0.0.1:${port};
    include location.conf;
    location / {
      include authrequest.conf;
      proxy_set_header Host $host;
      proxy_pass http://127.0.0.1:${appPort};
    }
  }
}
`,
  }
  mkdirSync(join(folder, 'cache'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const program = requiredProgram('nginx', 'apt-get install nginx-light')
  start(program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], { cleanup: endsWith })
  await until(() => visit({ host: 'public.example.com' }).catch(() => null), 'nginx answers')
})

interface Visit {
  readonly host?: string
  readonly path?: string
  readonly method?: string
  readonly more?: readonly string[]
}

async function visit({ host = 'one.example.com', path = '/', method = 'GET', more = [] }: Visit) {
  const lines = [`${method} ${path} HTTP/1.0`, `Host: ${host}`, 'Accept: text/html', ...more, 'Connection: close']
  const { status, body } = await exchange({ port }, `${lines.join('\r\n')}\r\n\r\n`)
  return { status, body: status === 200 ? body : '' }
}

/** How often the gate was asked meanwhile. */
async function asksDuring(work: () => Promise<unknown>): Promise<number> {
  let asked = 0
  const count = () => asked++
  at.app.server.on('request', count)
  await work()
  at.app.server.off('request', count)
  return asked
}

const cookie = (name: string) => `Cookie: ${cookieOf(name, 1)}`
const basic = (text: string) => `Authorization: Basic ${Buffer.from(text).toString('base64')}`

describe('the recipe for a cache of the gate’s answers', () => {
  it('row 51: asks once for the same request', async () => {
    const same = { path: '/picture?a', more: [cookie('john')] }
    expect(await visit(same)).toEqual({ status: 200, body: 'john' })
    expect(
      await asksDuring(async () => {
        for (let i = 0; i < 5; i++) expect(await visit(same)).toEqual({ status: 200, body: 'john' })
      }),
    ).toBe(0)
  })

  it('row 51: a cached yes serves no other cookie, host, method, path, query, password or address', async () => {
    const path = '/only?x=1'
    expect((await visit({ path, more: [cookie('john')] })).body).toBe('john')
    for (const [other, body] of [
      [{ path }, ''],
      [{ path, more: [cookie('jane')] }, 'jane'],
      [{ path, more: ['Cookie: authelia_session=garbage'] }, ''],
      [{ path, more: [cookie('john')], host: 'other.example.com' }, ''],
      [{ path, more: [cookie('john')], host: 'two.example.com' }, ''],
      [{ path, more: [basic('john:secret')] }, 'john'],
      [{ path, more: [basic('john:wrong')] }, ''],
    ] as const)
      expect(await visit(other)).toEqual({ status: body === '' ? expect.not.toBeOneOf([200]) : 200, body })
    for (const other of [
      { path: '/only?x=2' },
      { path: '/only' },
      { path, method: 'DELETE' },
      { path, method: 'HEAD' },
    ])
      expect(await asksDuring(() => visit({ ...other, more: [cookie('john')] }))).toBe(1)
  })

  it('row 51: no two requests share a key by what stands between its parts', async () => {
    const yes = { path: `/a|${cookieOf('john', 1)}`, more: [cookie('john')] }
    expect((await visit(yes)).status).toBe(200)
    for (const [path, name] of [
      ['/a', `${cookieOf('john', 1)}|${cookieOf('john', 1)}`],
      ['/a', `|${cookieOf('john', 1)}`],
      ['/a\\n', cookieOf('john', 1)],
    ] as const)
      expect(await asksDuring(() => visit({ path, more: [`Cookie: ${name}`] }))).toBe(1)
  })
})

describe('nginx', () => {
  it('passes the challenge on to a program whose password was wrong', async () => {
    const lines = ['GET / HTTP/1.0', 'Host: one.example.com', basic('john:wrong'), 'Accept: text/html']
    const { status, headers, raw } = await exchange({ port }, `${lines.join('\r\n')}\r\n\r\n`)
    expect([status, headers['www-authenticate'], headers.location]).toEqual([
      401,
      'Basic realm="Authorization Required"',
      undefined,
    ])
    expect(raw.match(/www-authenticate/gi)).toHaveLength(1)
  })
})

describe.each(proxiesOf)('asked as %s', (_name, asProxy) => {
  it('row 51: every answer says that it is not to be stored', async () => {
    for (const answer of [
      await asProxy(at, { cookie: cookieOf('john', 1) }),
      await asProxy(at, {}),
      await asProxy(at, { url: 'https://public.example.com/' }),
      await asProxy(at, { url: 'https://other.example.com/', cookie: cookieOf('john', 2) }),
      await asProxy(at, { url: 'https://nowhere.example.net/' }),
      await ask(at, '/api/authz/forward-auth', [], 'POST'),
    ])
      expect(answer.headers['cache-control']).toBe('no-store')
  })
})
