import { createHash, hash as hashOnce } from 'node:crypto'

// Own code, where a package would be first choice: unixcrypt (3.0.4) gives other hashes than crypt(3) for passwords of 32, 64, 96 … bytes,
// so that whoever had such a password could not log in; and it takes the rounds through an array of callbacks.

// https://www.akkadia.org/drepper/SHA-crypt.txt, step 22: the order in which the bytes are written, three at a time.
const order = {
  sha256: [
    0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26, 27, 7, 17, 18, 28, 8, 9, 19, 29,
  ],
  sha512: [
    0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8, 29, 9, 30, 51, 31,
    52, 10, 53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39, 60, 40, 61, 19,
    62, 20, 41,
  ],
} as const
const rest = { sha256: [31, 30], sha512: [63] } as const
const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const repeated = (bytes: Buffer, length: number) => Buffer.alloc(length, bytes)

/** crypt(3)'s `$5$` and `$6$` (Drepper's SHA-crypt): the last field of the string. Takes its time in the thread that calls it. */
export function shaCrypt(digest: 'sha256' | 'sha512', password: string, saltText: string, rounds: number): string {
  const key = Buffer.from(password)
  const salt = Buffer.from(saltText)
  const b = createHash(digest).update(key).update(salt).update(key).digest()
  const a = createHash(digest).update(key).update(salt)
  if (key.length > 0) a.update(repeated(b, key.length))
  for (let bits = key.length; bits > 0; bits >>= 1) a.update(bits & 1 ? b : key)
  let c = a.digest()

  const dp = createHash(digest)
  for (let i = 0; i < key.length; i++) dp.update(key)
  const p = key.length > 0 ? repeated(dp.digest(), key.length) : key
  const ds = createHash(digest)
  for (let i = 0; i < 16 + (c[0] ?? 0); i++) ds.update(salt)
  const s = salt.length > 0 ? repeated(ds.digest(), salt.length) : salt

  for (let round = 0; round < rounds; round++) {
    const odd = round % 2 === 1
    const parts = [odd ? p : c]
    if (round % 3 !== 0) parts.push(s)
    if (round % 7 !== 0) parts.push(p)
    parts.push(odd ? c : p)
    c = hashOnce(digest, Buffer.concat(parts), 'buffer')
  }
  return write(c, digest)
}

function write(bytes: Buffer, digest: 'sha256' | 'sha512'): string {
  const byte = (index: number | undefined) => (index === undefined ? 0 : (bytes[index] ?? 0))
  const group = (value: number, characters: number) =>
    Array.from({ length: characters }, (_, i) => alphabet[(value >> (6 * i)) & 63]).join('')
  let text = ''
  const indexes = order[digest]
  for (let i = 0; i < indexes.length; i += 3) {
    text += group((byte(indexes[i]) << 16) | (byte(indexes[i + 1]) << 8) | byte(indexes[i + 2]), 4)
  }
  const [first, second] = rest[digest]
  return text + (second === undefined ? group(byte(first), 2) : group((byte(first) << 8) | byte(second), 3))
}
