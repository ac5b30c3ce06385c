import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Behind, Hosts } from './small-proxy.ts'

const deploy = join(import.meta.dirname, '../../../deploy/nginx')

/** Starts nginx on deploy/nginx, in front of the demo's parts, on loopback. Null where it is not installed. Rejects when it ends at once. */
export async function startNginx(
  folder: string,
  port: number,
  hosts: Hosts,
  behind: Behind,
): Promise<{ program: string; stop(): Promise<void> } | null> {
  const program = findProgram()
  if (program === null) return null
  const conf = join(folder, 'conf.d')
  await cp(deploy, conf, { recursive: true })
  // Of the folder's site the demo takes the parts that it includes, and names its own hosts.
  await rm(join(conf, 'site.conf'))
  const common = await readFile(join(conf, 'postern.conf'), 'utf8')
  await writeFile(
    join(conf, 'postern.conf'),
    common.replace('server postern:9091;', `server ${new URL(behind.postern).host};`),
  )
  const temporary = ['client', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  await Promise.all(temporary.map(name => mkdir(join(folder, name))))
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, port, hosts, behind))
  const child = spawn(program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await listens(child, port)
  return {
    program,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGQUIT')
      await once(child, 'exit')
    },
  }
}

function findProgram(): string | null {
  const path = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`
  const found = spawnSync('sh', ['-c', 'command -v nginx'], { encoding: 'utf8', env: { ...process.env, PATH: path } })
  return found.stdout?.trim() || null
}

const withoutPort = (host: string) => host.replace(/:\d+$/, '')

function configuration(folder: string, port: number, hosts: Hosts, { apps, phone }: Behind): string {
  // As root the workers would be nobody, who may not enter this folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  const direct = (host: string, upstream: string) => `
  server {
    listen 127.0.0.1:${port};
    server_name ${withoutPort(host)};
    location / {
      include conf.d/snippets/postern-proxy.conf;
      proxy_read_timeout 60s;
      proxy_pass ${upstream};
    }
    location /api/authz/ { return 404; }
    location = /api/verify { return 404; }
  }`
  return `daemon off; worker_processes 1; ${user} pid ${folder}/nginx.pid; error_log stderr error;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${folder}/client; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  include conf.d/postern.conf;
  server { listen 127.0.0.1:${port} default_server; return 404; }
${direct(hosts.portal, 'http://postern')}
${phone === null ? '' : direct(hosts.phone, phone)}
  server {
    listen 127.0.0.1:${port};
    server_name ${hosts.apps.map(withoutPort).join(' ')};
    include conf.d/snippets/postern-location.conf;
    location / {
      include conf.d/snippets/postern-authrequest.conf;
      include conf.d/snippets/postern-proxy.conf;
      proxy_pass ${apps};
    }
  }
}
`
}

/** Resolves when something answers on the port; rejects with nginx's words when it ends first. */
async function listens(child: ChildProcess, port: number): Promise<void> {
  let said = ''
  child.stderr?.on('data', chunk => {
    said += String(chunk)
  })
  while (child.exitCode === null) {
    if (await canConnect(port)) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`nginx ended at once: ${said.trim()}`)
}

function canConnect(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
