import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { freePort, projectRoot, type Running, requiredProgram, start, temporaryFolder, until } from './process.ts'

/** `caddy` is Debian's (2.6). */
export const proxyKinds = ['nginx', 'caddy', 'caddy 2.11', 'traefik', 'haproxy', 'envoy'] as const
export type ProxyKind = (typeof proxyKinds)[number]

interface Ports {
  readonly publicPort: number
  /** An address of loopback, so that several proxies can have one port. Default: 127.0.0.1. */
  readonly address?: string
  readonly posternPort: number
  /** Further Posterns, for nginx alone: one request here, the next one there. */
  readonly morePosternPorts?: readonly number[]
  readonly appPort: number
  /** PEM. Without one the proxy listens without TLS: browsers take http on *.localhost as secure. */
  readonly certificate?: Certificate
}

interface Certificate {
  readonly cert: string
  readonly key: string
}

type Cleanup = (end: () => void | Promise<void>) => void

/** A program of 40 MB that is read from the disk for the first time, beside two other suites. */
const START_WITHIN = 40_000

const apps = ['public', 'one', 'two', 'closed'].map(name => `${name}.postern.localhost`)
const deploy = join(projectRoot, 'deploy')

/**
 * Starts a real reverse proxy with the very files of deploy/, in which only hosts, ports and TLS are changed: the portal is
 * auth.postern.localhost, the application of the file is public, one, two and closed.
 */
export async function startProxy(kind: ProxyKind, ports: Ports, cleanup: Cleanup): Promise<Running> {
  const place = { address: '127.0.0.1', folder: temporaryFolder(cleanup), ...ports }
  if (ports.certificate !== undefined) {
    const { cert, key } = ports.certificate
    const files = { 'fullchain.pem': cert, 'privkey.pem': key, 'site.pem': `${cert}\n${key}` }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(place.folder, name), text)
  }
  const proxy = await starters[kind](place, cleanup)
  let ended = false
  void proxy.exit.then(() => {
    ended = true
  })
  await until(
    () => {
      if (ended) throw new Error(`${kind} ended:\n${proxy.output()}`)
      return routes(place)
    },
    `${kind} answers`,
    START_WITHIN,
  )
  return proxy
}

type Place = Ports & { readonly address: string; readonly folder: string }

const starters: Readonly<Record<ProxyKind, (place: Place, cleanup: Cleanup) => Promise<Running>>> = {
  nginx: startNginx,
  caddy: (place, cleanup) => startCaddy(requiredProgram('/usr/bin/caddy', 'apt-get install caddy'), place, cleanup),
  'caddy 2.11': (place, cleanup) => startCaddy(ofPython('caddy'), place, cleanup),
  traefik: startTraefik,
  haproxy: startHaproxy,
  envoy: startEnvoy,
}

/** A program that a PyPI package brings, in the folder of the project's Python packages. */
const ofPython = (name: string) =>
  requiredProgram(join(projectRoot, '.venv/bin', name), '`npm test` does, into .venv, as scripts/needs.mjs says')

/** Replaces one after the other. A change that finds nothing to change is an error: the file has become another. */
function changed(text: string, changes: readonly (readonly [from: string | RegExp, to: string])[]): string {
  return changes.reduce((result, [from, to]) => {
    const next = result.replaceAll(typeof from === 'string' ? from : new RegExp(from, `${from.flags}g`), to)
    if (next === result) throw new Error(`Nothing to change for ${from} in:\n${result}`)
    return next
  }, text)
}

async function startNginx(place: Place, cleanup: Cleanup): Promise<Running> {
  const { folder, address, publicPort, posternPort, appPort, certificate } = place
  const program = requiredProgram('nginx', 'apt-get install nginx-light')
  const conf = join(folder, 'conf.d')
  cpSync(join(deploy, 'nginx'), conf, { recursive: true })
  const edit = (name: string, changes: Parameters<typeof changed>[1]) =>
    writeFileSync(join(conf, name), changed(readFileSync(join(conf, name), 'utf8'), changes))
  const ssl = certificate === undefined ? '' : ' ssl'
  const posterns = [posternPort, ...(place.morePosternPorts ?? [])].map(port => `server 127.0.0.1:${port};`)
  edit('postern.conf', [['server postern:9091;', posterns.join(' ')]])
  edit('site.conf', [
    ['listen 443 ssl default_server;', `listen ${address}:${publicPort}${ssl} default_server;`],
    ['listen 443 ssl;', `listen ${address}:${publicPort}${ssl};`],
    ['listen 80;', `listen unix:${join(folder, 'http.sock')};`],
    ['server_name auth.example.com app.example.com;', 'server_name redirect.localhost;'],
    ['auth.example.com', 'auth.postern.localhost'],
    ['app.example.com', apps.join(' ')],
    ['http://app:8080', `http://127.0.0.1:${appPort}`],
  ])
  if (certificate === undefined) writeFileSync(join(conf, 'snippets/tls.conf'), '')
  else edit('snippets/tls.conf', [['/etc/nginx/certs', folder]])
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

async function startCaddy(program: string, place: Place, cleanup: Cleanup): Promise<Running> {
  const { folder, address, publicPort, posternPort, appPort, certificate } = place
  const scheme = certificate === undefined ? 'http' : 'https'
  const sites = apps.map(host => `${scheme}://${host}:${publicPort}`).join(', ')
  const file = changed(readFileSync(join(deploy, 'caddy/Caddyfile'), 'utf8'), [
    ['auth.example.com', `${scheme}://auth.postern.localhost:${publicPort}`],
    ['app.example.com', sites],
    ['app:8080', `127.0.0.1:${appPort}`],
    ['postern:9091', `127.0.0.1:${posternPort}`],
  ])
  // Certificates by an authority of its own.
  const options = [
    'admin off',
    `default_bind ${address}`,
    'local_certs',
    'skip_install_trust',
    'auto_https disable_redirects',
  ]
  writeFileSync(join(folder, 'Caddyfile'), `{\n${options.join('\n')}\n}\n${file}`)
  return start(program, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], {
    cleanup,
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  })
}

async function startTraefik(place: Place, cleanup: Cleanup): Promise<Running> {
  const { folder, address, publicPort, posternPort, appPort, certificate } = place
  const program = ofPython('traefik')
  const read = (name: string) => readFileSync(join(deploy, 'traefik', name), 'utf8')
  const settings = changed(read('traefik.yml'), [
    ['":80"', `"127.0.0.1:${await freePort()}"`],
    ['":443"', `"${address}:${publicPort}"`],
    ['/etc/traefik/dynamic.yml', join(folder, 'dynamic.yml')],
  ])
  const dynamic = changed(read('dynamic.yml'), [
    certificate === undefined ? [/\n +tls: \{\}/, ''] : ['/certs/', `${folder}/`],
    ['Host(`auth.example.com`)', 'Host(`auth.postern.localhost`)'],
    ['Host(`app.example.com`)', apps.map(host => `Host(\`${host}\`)`).join(' || ')],
    ['http://app:8080', `http://127.0.0.1:${appPort}`],
    ['http://postern:9091', `http://127.0.0.1:${posternPort}`],
  ])
  writeFileSync(join(folder, 'traefik.yml'), settings)
  writeFileSync(join(folder, 'dynamic.yml'), dynamic)
  return start(program, [`--configFile=${join(folder, 'traefik.yml')}`], { cleanup, cwd: folder })
}

async function startHaproxy(place: Place, cleanup: Cleanup): Promise<Running> {
  const { folder, address, publicPort, posternPort, appPort, certificate } = place
  const program = requiredProgram('haproxy', 'apt-get install haproxy')
  const read = (name: string) => readFileSync(join(deploy, 'haproxy', name), 'utf8')
  const gateSocket = ['abns@postern-gate', `abns@postern-gate-${address}-${publicPort}`] as const
  const settings = changed(read('haproxy.cfg'), [
    [/ +(?:user|group) haproxy\n/, ''],
    ['bind :80', `bind ${address}:${await freePort()}`],
    ['bind :443', `bind ${address}:${publicPort}`],
    certificate === undefined ? [/ ssl crt .*/, ''] : ['/etc/haproxy/certs', folder],
    ['/etc/haproxy/postern.lua', join(folder, 'postern.lua')],
    gateSocket,
    ['auth.example.com', 'auth.postern.localhost'],
    ['app.example.com', apps.join(' ')],
    ['server app app:8080', `server app 127.0.0.1:${appPort}`],
    ['postern:9091', `127.0.0.1:${posternPort}`],
  ])
  writeFileSync(join(folder, 'haproxy.cfg'), settings)
  writeFileSync(join(folder, 'postern.lua'), changed(read('postern.lua'), [gateSocket]))
  return start(program, ['-db', '-f', join(folder, 'haproxy.cfg')], { cleanup, cwd: folder })
}

async function startEnvoy(place: Place, cleanup: Cleanup): Promise<Running> {
  const { folder, address, publicPort, posternPort, appPort, certificate } = place
  const program = ofPython('envoy')
  const at = (host: string, port: number) => `address: ${host}, port_value: ${port} `
  const settings = changed(readFileSync(join(deploy, 'envoy/envoy.yaml'), 'utf8'), [
    certificate === undefined ? [/\n +# Your certificate\..*?(?=\n\n)/s, ''] : ['/etc/envoy/certs', folder],
    [at('0.0.0.0', 80), at(address, await freePort())],
    [at('0.0.0.0', 443), at(address, publicPort)],
    [at('postern', 9091), at('127.0.0.1', posternPort)],
    [at('app', 8080), at('127.0.0.1', appPort)],
    ['auth.example.com', 'auth.postern.localhost'],
    ['app.example.com', apps.join(', ')],
  ])
  writeFileSync(join(folder, 'envoy.yaml'), settings)
  const args = ['-c', join(folder, 'envoy.yaml'), '--disable-hot-restart', '--concurrency', '1', '-l', 'warning']
  return start(program, args, { cleanup, cwd: folder })
}

/** Whether it has read its routes: some listen before that. By hand: fetch() does not let a caller choose Host. */
function routes({ address, publicPort, certificate }: Place): Promise<boolean> {
  return new Promise(resolve => {
    const at = { host: address, port: publicPort }
    const servername = 'one.postern.localhost'
    const socket =
      certificate === undefined ? connect(at) : connectTls({ ...at, servername, rejectUnauthorized: false })
    socket.on('error', () => resolve(false))
    socket.on('data', head => {
      resolve(!head.toString().startsWith('HTTP/1.1 404'))
      socket.destroy()
    })
    socket.on('close', () => resolve(false))
    socket.write('GET / HTTP/1.1\r\nHost: one.postern.localhost\r\nConnection: close\r\n\r\n')
  })
}
