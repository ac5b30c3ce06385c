import { BlockList, isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { headerLines } from './headers.ts'

export interface TrustedProxies {
  /** @param address a socket's remote address; undefined for a unix socket's peer */
  has(address: string | undefined): boolean
}

/** @param entries checked CIDRs or addresses, and `unix` for the peer of a unix socket */
export function trustedProxies(entries: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const entry of entries) {
    if (entry === 'unix') continue
    const [address = '', prefix] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family)
  }
  const unix = entries.includes('unix')
  const known = new Map<string, boolean>() // proxies are few; bounded below, since an attacker's addresses are not
  return {
    has(address) {
      if (address === undefined) return unix
      const cached = known.get(address)
      if (cached !== undefined) return cached
      const plain = plainAddress(address)
      const trusted = plain !== undefined && list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
      if (known.size > 1000) known.clear()
      known.set(address, trusted)
      return trusted
    },
  }
}

/**
 * An address in its one plain form (RFC 5952), so that equal ones are equal texts; an IPv4 that is mapped into IPv6 becomes that IPv4.
 * Undefined for octal, hexadecimal, short and zoned forms, which others read as 10.x, and for anything else.
 */
export function plainAddress(text: string): string | undefined {
  const version = isIP(text)
  if (version === 4) return text
  if (version === 0 || text.includes('%')) return undefined
  // ::10.0.0.9 is another address than 10.0.0.9 (RFC 4291, section 2.5.5.1), but ipaddr.js takes it for that one: 0::10.0.0.9 it reads well.
  const address = ipaddr.IPv6.parse(text.replace(/^::(?=\d+\.)/, '0::'))
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String()
}

/**
 * What an address is counted by: itself, or its IPv6 network of 64 bits, since whoever has one address of that has all 2^64.
 * Null for what is no address.
 */
export function networkOf(address: string): string | null {
  const plain = plainAddress(address)
  if (plain === undefined || isIP(plain) === 4) return plain ?? null
  const { parts } = ipaddr.IPv6.parse(plain)
  return `${new ipaddr.IPv6([...parts.slice(0, 4), 0, 0, 0, 0]).toRFC5952String()}/64`
}

/** The same for every client: all whose address nobody knows are counted together, since one that cannot be read must be no way around. */
export const keyOfClient = (address: string | undefined): string =>
  (address === undefined ? null : networkOf(address)) ?? 'unknown'

/** What it takes of a request of Node's. */
interface Incoming {
  readonly socket: { readonly remoteAddress?: string | undefined }
  readonly rawHeaders: readonly string[]
}

/** What is known of who sent a request. `address` is undefined where a trusted proxy names none that can be read. */
export interface Client {
  readonly address: string | undefined
  readonly peer: string | undefined
  readonly peerIsTrusted: boolean
}

/**
 * The client's address: the right-most one of X-Forwarded-For that is not a trusted proxy, and the peer's own where the peer is not trusted.
 * The walk stops at an entry that is no address: nothing to the left of it can be believed (Authelia takes the left-most, which a client chooses).
 */
export function clientOf(request: Incoming, proxies: TrustedProxies): Client {
  const socketAddress = request.socket.remoteAddress
  const peer = socketAddress === undefined ? undefined : plainAddress(socketAddress)
  const peerIsTrusted = proxies.has(socketAddress)
  if (!peerIsTrusted) return { address: peer, peer, peerIsTrusted }
  const chain = headerLines(request.rawHeaders, 'x-forwarded-for').join(',')
  let address = peer
  let end = chain.length
  while (end > 0) {
    const comma = chain.lastIndexOf(',', end - 1)
    const entry = plainAddress(chain.slice(comma + 1, end).trim())
    if (entry === undefined) return { address: undefined, peer, peerIsTrusted }
    address = entry
    if (!proxies.has(entry)) break
    end = comma
  }
  return { address, peer, peerIsTrusted }
}
