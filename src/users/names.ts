/** More than any passphrase; a bound on what is hashed. */
export const PASSWORD_BYTES_AT_MOST = 1024
const NAME_LENGTH_AT_MOST = 256

/**
 * Whether somebody may have typed this as a name: not empty, at most 256 characters, no control characters, no lone surrogates. Anything
 * else must not reach a look-up, a directory, Duo or a log: answer 400.
 */
export function isPlausibleName(typed: string): boolean {
  return (
    typed.trim() !== '' &&
    typed.length <= NAME_LENGTH_AT_MOST &&
    typed.isWellFormed() &&
    !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(typed)
  )
}

/** Whether this can be somebody's password: not empty, within the bound, and Unicode (a lone surrogate would be hashed as another character). */
export function isPlausiblePassword(password: string): boolean {
  return password !== '' && password.isWellFormed() && Buffer.byteLength(password) <= PASSWORD_BYTES_AT_MOST
}

/** One spelling for names that differ only by case. */
export const foldCase = (name: string): string => name.toLowerCase()
