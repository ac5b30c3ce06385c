import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface StallingProxy {
  readonly port: number
  /** Connections stay open, and nothing passes any more: all of them, or only those on which Redis tells of changes. */
  stall(which: 'all' | 'watches'): void
  /** What was held back goes on. */
  resume(): void
  /** All connections break at once; new ones are refused until `resume`. */
  cut(): void
}

/** Stands between a Postern and its Redis, as a network that fails. */
export async function openStallingProxy(target: number): Promise<StallingProxy> {
  const pairs = new Set<{ client: Socket; upstream: Socket; watches: boolean }>()
  let stalled: 'none' | 'all' | 'watches' = 'none'
  let refusing = false
  const isHeld = ({ watches }: { watches: boolean }) => stalled === 'all' || (stalled === 'watches' && watches)
  const server = createServer(client => {
    if (refusing) {
      client.destroy()
      return
    }
    const upstream = connect(target, '127.0.0.1')
    const pair = { client, upstream, watches: false }
    pairs.add(pair)
    const over = () => {
      pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        if (from === client && chunk.includes('TRACKING')) pair.watches = true
        to.write(chunk)
        if (isHeld(pair)) from.pause()
      })
      from.on('error', over)
      from.on('close', over)
    }
    if (isHeld(pair)) client.pause()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    for (const { client, upstream } of pairs) {
      client.destroy()
      upstream.destroy()
    }
  }
  onTestFinished(() => {
    cut()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    stall(which) {
      stalled = which
      for (const pair of pairs)
        if (isHeld(pair)) {
          pair.client.pause()
          pair.upstream.pause()
        }
    },
    resume() {
      stalled = 'none'
      refusing = false
      for (const { client, upstream } of pairs) {
        client.resume()
        upstream.resume()
      }
    },
    cut() {
      refusing = true
      cut()
    },
  }
}
