import { createHash, randomInt } from 'node:crypto'

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Eight random characters of Crockford's base 32, `7K4M-Q2XD`: the log holds the event under it, the page shows it. */
export function newReference(): string {
  return written(Array.from({ length: 8 }, () => randomInt(32)))
}

/** The same for the same id, in every process: all that the log holds of one push has it. */
export function referenceOf(id: string): string {
  return written([...createHash('sha256').update(id).digest().subarray(0, 8)].map(byte => byte % 32))
}

function written(digits: readonly number[]): string {
  const characters = digits.map(digit => crockford[digit]).join('')
  return `${characters.slice(0, 4)}-${characters.slice(4)}`
}
