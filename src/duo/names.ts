import { isPlain } from './text.ts'

/** Of a person, what a name for Duo can be made of. */
export interface Named {
  readonly username: string
  readonly email: string | undefined
}

const LENGTH_AT_MOST = 256

/**
 * The name that Duo is asked for: `duo_api.username` with `{username}` and `{email}` filled in. Null when it comes out empty, or with what
 * Duo takes in no name.
 */
export function duoName(template: string, { username, email }: Named): string | null {
  if (template.includes('{email}') && (email ?? '') === '') return null
  const name = template
    .replace(/\{(username|email)\}/g, (_, what) => (what === 'email' ? (email ?? '') : username))
    .trim()
  // Duo's own libraries refuse the bar. What normalisation would make empty is no name either.
  const isUsable = isPlain(name) && !name.includes('|') && name.length <= LENGTH_AT_MOST && normalised(name) !== ''
  return isUsable ? name : null
}

/**
 * What Duo may make of a name before it looks for the user, by the application's setting *username normalization: simple*: without
 * `DOMAIN\` and `@domain`, in any case. With *none* it compares whole names. Postern cannot ask which it is.
 */
export function normalised(name: string): string {
  return name.replace(/^.*\\/, '').replace(/@.*$/, '').trim().toLowerCase()
}

/** People whom Duo could take for one: each group has the usernames of two or more. Nobody of them may be asked about: one's phone would answer for another. */
export function namesakes(
  template: string,
  people: Iterable<Named>,
): { readonly duo: string; readonly usernames: readonly string[] }[] {
  const groups = new Map<string, string[]>()
  for (const person of people) {
    const name = duoName(template, person)
    if (name === null) continue
    const key = normalised(name)
    groups.set(key, [...(groups.get(key) ?? []), person.username])
  }
  return [...groups].flatMap(([duo, usernames]) => (usernames.length > 1 ? [{ duo, usernames }] : []))
}
