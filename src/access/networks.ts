import ipaddr from 'ipaddr.js'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

/** @returns whether an address lies in one of these addresses and CIDRs; an IPv4 that is mapped into IPv6 is that IPv4 on both sides */
export function compileNetworks(entries: readonly string[]): (address: Address) => boolean {
  const ranges = entries.map(range)
  return address => ranges.some(([first, bits]) => first.kind() === address.kind() && address.match(first, bits))
}

/** Undefined: this is no address; nor are octal, hexadecimal and short forms, which others read as 10.x. */
export function parseAddress(text: string | undefined): Address | undefined {
  const valid = text !== undefined && (ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text))
  return valid ? ipaddr.process(text) : undefined
}

function range(entry: string): [first: Address, bits: number] {
  const [address = '', digits] = entry.split('/')
  const parsed = ipaddr.parse(address)
  const plain = ipaddr.process(address)
  const bits = digits === undefined ? (parsed.kind() === 'ipv4' ? 32 : 128) : Number(digits)
  if (parsed.kind() === plain.kind()) return [plain, bits]
  // Mapped: the 96 bits before the IPv4 are all alike. A range that is wider than them holds more than IPv4.
  return bits >= 96 ? [plain, bits - 96] : [parsed, bits]
}
