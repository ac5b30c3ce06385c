import type { IncomingMessage } from 'node:http'

/**
 * Works on an answer that may be held for long. `gone` is aborted when whoever asked closes the connection. The connection keeps nothing of
 * it afterwards: a proxy's lives through thousands of requests.
 */
export async function whileConnected<T>(
  { socket }: IncomingMessage,
  work: (gone: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController()
  const abort = () => gone.abort()
  socket.once('close', abort)
  try {
    return await work(gone.signal)
  } finally {
    socket.off('close', abort)
  }
}
