import type { ListenAddress } from './notations.ts'

/** For Node's `listen`. An empty host is every address of this machine. */
export function listenOptions(address: ListenAddress): { path: string } | { host: string; port: number } {
  return address.kind === 'unix'
    ? { path: address.path }
    : { host: address.host === '' ? '::' : address.host, port: address.port }
}

/** As it stands in the configuration. */
export function shownAddress(address: ListenAddress): string {
  return address.kind === 'unix' ? `unix://${address.path}` : `tcp://${address.host}:${address.port}`
}

// Node says EACCES of a socket whose folder is missing, too.
const inTheWay = {
  EADDRINUSE: {
    tcp: 'something else listens there already',
    unix: 'something else listens there already, or a file that is no socket stands there',
  },
  EACCES: {
    tcp: 'this user may not listen there; ports below 1024 are for root',
    unix: 'its folder is missing, or this user may not write to it',
  },
  EADDRNOTAVAIL: { tcp: 'this machine has no such address', unix: undefined },
  ENOTFOUND: { tcp: 'its name cannot be looked up', unix: undefined },
} as const

/** Half a sentence for an administrator. */
export function whyNotListening(address: ListenAddress, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const known = Object.entries(inTheWay).find(([one]) => one === code)?.[1]
  return known?.[address.kind] ?? String(error)
}
