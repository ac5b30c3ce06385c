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
