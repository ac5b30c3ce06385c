// \p{Cs} matches halves of surrogate pairs only. Bidi controls could make one text read as another.
const unwanted = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]+/gu

/** Text of Duo's or of a browser, for people and log lines: one line, no control or direction characters, at most so many characters. */
export function plainText(text: string, limit: number): string {
  // Cut first: cleaning 100 KB to keep 200 characters would be work for an attacker to order.
  const bounded = text.slice(0, limit * 4)
  const clean = bounded.replace(unwanted, ' ').replace(/\s+/g, ' ').trim()
  const characters = [...clean]
  return characters.length <= limit ? clean : `${characters.slice(0, limit - 1).join('')}…`
}

/** Whether a parameter can be signed and sent as it is: well-formed Unicode without control characters. */
export function isPlain(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text)
}
