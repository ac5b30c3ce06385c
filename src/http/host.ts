import type { IncomingMessage } from 'node:http'
import { singleHeader } from './headers.ts'

/** The name in the Host header, lower case, without port and final dot; undefined when it is missing or doubled. */
export function hostName({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): string | undefined {
  const host = singleHeader(rawHeaders, 'host')
  return typeof host === 'string' ? host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase() : undefined
}
