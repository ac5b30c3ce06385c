import { lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import type { ListenAddress } from './notations.ts'

/**
 * Takes away a unix socket that nobody listens on any more. A process that was killed leaves its own behind, and the next one could not
 * listen there. One that somebody listens on, and a file that is no socket, stay.
 */
export async function removeStaleSocket(address: ListenAddress): Promise<void> {
  if (address.kind !== 'unix') return
  const found = await lstat(address.path).catch(() => undefined)
  if (!found?.isSocket() || (await isListenedOn(address.path))) return
  // Another process that starts at the same time may have made its own by now.
  const now = await lstat(address.path).catch(() => undefined)
  if (now?.ino === found.ino) await unlink(address.path).catch(() => {})
}

/** Whether a process listens on this socket: one that was killed leaves its own behind. */
export function isListenedOn(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', error => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  })
}
