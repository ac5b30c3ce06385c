import ipaddr from 'ipaddr.js'
import type { Config } from '../../config/schema.ts'
import { type Finding, known } from './finding.ts'

/** What may be wrong with server.trusted_proxies that the schema cannot tell. */
export function proxiesFindings({ address, trusted_proxies: entries }: Config['server']): Finding[] {
  const findings = entries.flatMap(entry => (isWide(entry) ? [known('proxies', 'warning', 'proxies-wide', entry)] : []))
  const missing = address.kind === 'unix' ? !entries.includes('unix') : entries.every(entry => entry === 'unix')
  if (missing) {
    const detail = address.kind === 'unix' ? 'it listens on a unix socket, and unix is not listed' : 'none is listed'
    return [...findings, known('proxies', 'error', 'gate-untrusted-peer', detail)]
  }
  if (findings.length > 0) return findings
  const onlyLoopback = address.kind === 'tcp' && entries.every(entry => entry === 'unix' || isLoopback(entry))
  const listens = address.kind === 'tcp' && !isLoopback(address.host || '::')
  const hint = onlyLoopback && listens ? ': one on another machine or in another container would be refused' : ''
  return [{ area: 'proxies', severity: 'ok', what: `trusted are ${entries.join(', ')}${hint}` }]
}

function rangeOf(entry: string): { name: string; prefix: number; bits: number } | undefined {
  const [text = '', digits] = entry.split('/')
  if (!ipaddr.isValid(text)) return undefined
  const address = ipaddr.parse(text)
  const bits = address.kind() === 'ipv6' ? 128 : 32
  return { name: address.range(), prefix: digits === undefined ? bits : Number(digits), bits }
}

function isLoopback(entry: string): boolean {
  return entry === 'localhost' || rangeOf(entry)?.name === 'loopback'
}

/** More than one machine of the Internet, or more than any container network has. */
function isWide(entry: string): boolean {
  const range = rangeOf(entry)
  if (range === undefined || range.name === 'loopback') return false
  const own = ['private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat'].includes(range.name)
  return own ? range.prefix < (range.bits === 32 ? 12 : 48) : range.prefix < range.bits
}
