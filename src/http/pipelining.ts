import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Of one connection, asked before the answer to the one before was written. Proxies and browsers do not do it at all. */
const QUEUED_AT_MOST = 8

/**
 * Cuts a connection that asks on and on without waiting for answers. Node stops reading from who does not read, but not before all that came in
 * one piece is asked and answered into memory: over a thousand pages for each connection, and a few of them are enough to end the process.
 */
export function limitPipelining(server: Server): void {
  const [handle] = server.listeners('request')
  if (handle === undefined) throw new Error('the server has no handler yet')
  const queued = new WeakMap<Socket, number>()
  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    // A response has its socket once those before it are done.
    if (response.socket === null) {
      const { socket } = request
      const count = (queued.get(socket) ?? 0) + 1
      queued.set(socket, count)
      if (count > QUEUED_AT_MOST) return void socket.destroy()
    } else if (queued.has(response.socket)) queued.delete(response.socket)
    handle.call(server, request, response)
  })
}
