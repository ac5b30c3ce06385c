/** The visitor's input was refused before anything read it: doubled, nested or too many parameters. */
export class BadParameters extends Error {}

const AT_MOST = 40
const names = [
  'rd',
  'rm',
  'm',
  'held',
  'paused',
  'after',
  'username',
  'password',
  'keepMeLoggedIn',
  'another',
  'way',
  'passcode',
  'remember',
  'token',
  'switch',
  'to',
  'session',
  'browser',
  'which',
  'forget',
]

/**
 * One value for each name, from a query or a form body. A name that comes twice, or that is dressed as a list (`rm[]`), is refused:
 * one part of a server would check the first value and another use the last.
 * @throws {BadParameters}
 */
export function parseParameters(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  if (text === '') return values
  // Counted before it is decoded: three thousand parameters cost nothing.
  if (text.split('&', AT_MOST + 1).length > AT_MOST) throw new BadParameters('too many parameters')
  for (const [name, value] of new URLSearchParams(text)) {
    const bare = name.replace(/[[.].*$/s, '').trim()
    if (bare !== name && names.includes(bare)) throw new BadParameters('a parameter is given as a list')
    if (!names.includes(name)) continue // what a mail program or a campaign adds
    if (values.has(name)) throw new BadParameters('a parameter is given twice')
    values.set(name, value)
  }
  return values
}

/** The query of a request target. @throws {BadParameters} */
export function queryOf(target: string): ReadonlyMap<string, string> {
  const question = target.indexOf('?')
  return parseParameters(question === -1 ? '' : target.slice(question + 1))
}
