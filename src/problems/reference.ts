import { randomInt } from 'node:crypto'

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Eight random characters of Crockford's base 32, `7K4M-Q2XD`: the log holds the event under it, the page shows it. */
export function newReference(): string {
  const characters = Array.from({ length: 8 }, () => crockford[randomInt(32)]).join('')
  return `${characters.slice(0, 4)}-${characters.slice(4)}`
}
