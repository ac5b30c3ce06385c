import ipaddr from 'ipaddr.js'

/** 32 bits each: one for IPv4, four for IPv6. */
export type Address = readonly number[]

/** @returns whether an address lies in one of these addresses and CIDRs; an IPv4 that is mapped into IPv6 is that IPv4 on both sides */
export function compileNetworks(entries: readonly string[]): (address: Address) => boolean {
  const ranges = entries.map(range)
  return address => ranges.some(({ first, bits }) => first.length === address.length && isWithin(address, first, bits))
}

// The addresses that come are few at a time. Bounded, since they need not be.
const ADDRESSES_AT_MOST = 1000
const addresses = new Map<string, Address | undefined>()

/** Undefined: this is no address; nor are octal, hexadecimal and short forms, which others read as 10.x. */
export function parseAddress(text: string | undefined): Address | undefined {
  if (text === undefined) return undefined
  if (addresses.has(text)) return addresses.get(text)
  const valid = ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)
  const address = valid ? wordsOf(ipaddr.process(text)) : undefined
  if (addresses.size >= ADDRESSES_AT_MOST) addresses.clear()
  addresses.set(text, address)
  return address
}

function range(entry: string): { first: Address; bits: number } {
  const [address = '', digits] = entry.split('/')
  const parsed = ipaddr.parse(address)
  const plain = ipaddr.process(address)
  const bits = digits === undefined ? (parsed.kind() === 'ipv4' ? 32 : 128) : Number(digits)
  if (parsed.kind() === plain.kind()) return { first: wordsOf(plain), bits }
  // Mapped: the 96 bits before the IPv4 are all alike. A range that is wider than them holds more than IPv4.
  return bits >= 96 ? { first: wordsOf(plain), bits: bits - 96 } : { first: wordsOf(parsed), bits }
}

function wordsOf(address: ipaddr.IPv4 | ipaddr.IPv6): Address {
  const bytes = address.toByteArray()
  return Array.from({ length: bytes.length / 4 }, (_, word) =>
    bytes.slice(word * 4, word * 4 + 4).reduce((all, byte) => (all << 8) | byte, 0),
  )
}

function isWithin(address: Address, first: Address, bits: number): boolean {
  return first.every((word, at) => {
    const left = Math.min(32, Math.max(0, bits - at * 32))
    // A shift by 32 is none.
    return left === 0 || (word ^ (address[at] ?? 0)) >>> (32 - left) === 0
  })
}
