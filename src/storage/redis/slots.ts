export const SLOTS = 16_384

/** What decides the node of a Cluster. Source: Redis Cluster specification, "Hash tags". */
export function hashTag(key: string): string {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key
}

/** From 0 to 16383. Source: Redis Cluster specification, "Key distribution model" (CRC16, XMODEM). */
export function slotOf(key: string): number {
  let crc = 0
  for (const byte of Buffer.from(hashTag(key))) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  }
  return (crc & 0xffff) % SLOTS
}
