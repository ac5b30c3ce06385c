import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'

export interface ConnectProxy {
  readonly port: number
  /** What was asked for with CONNECT: `host:port`. */
  readonly tunnels: string[]
  readonly authorizations: (string | undefined)[]
  readonly open: () => number
}

/** A small real HTTP proxy: CONNECT and nothing else. `handle` may answer in its own way; false leaves the tunnel to the proxy. */
export async function connectProxy(
  handle: (request: IncomingMessage, socket: Duplex) => boolean = () => false,
  to?: number,
): Promise<ConnectProxy> {
  const tunnels: string[] = []
  const authorizations: (string | undefined)[] = []
  const sockets = new Set<Duplex>()
  const server = createServer((_, response) => response.writeHead(405).end())
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('connect', (request, socket, head) => {
    tunnels.push(request.url ?? '')
    authorizations.push(request.headers['proxy-authorization'])
    socket.on('end', () => socket.destroy())
    if (handle(request, socket)) return
    const [host = '', port = ''] = (request.url ?? '').split(':')
    const upstream = connect(to ?? Number(port), host)
    sockets.add(upstream)
    upstream.on('close', () => {
      sockets.delete(upstream)
      socket.destroy()
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
    socket.on('close', () => upstream.destroy())
    upstream.on('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(socket)
      socket.pipe(upstream)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, tunnels, authorizations, open: () => sockets.size }
}
