import { secretKeys } from '../schema.ts'
import type { Report } from './report.ts'

// What config.template.yml stands for its secrets with, and what Authelia's own templates and examples do: everybody knows them.
const placeholders = [
  /^(?:change|replace)[-_ ]?(?:me|this|it)?\b/i,
  /^(?:insecure|unsecure)_/i,
  /^a_very_important_secret$/i,
  /^you_must_generate_a_random_string/i,
  /^(?:DI|api-)?x{6,}/i,
]

// Authelia can fill these in (its file filters). Here the text itself would be the secret, and it stands in everybody's notes.
const unfilled = [/\{\{.*\}\}/s, /^\$\{.*\}$/s]
/** In the file a variable of Authelia's expansion; whoever gives it by the environment has chosen a password that begins so. */
const variableName = /^\$[A-Z0-9_]+$/

/** Whether a value is one that a template left for somebody, or for a program, to fill in. */
export function isPlaceholder(value: string): boolean {
  return [...placeholders, ...unfilled, variableName].some(pattern => pattern.test(value))
}

/** Secrets that are no secrets. Their length is the schema's. */
export function checkSecrets(report: Report): void {
  for (const key of [...secretKeys, 'duo_api.hostname']) {
    const path = key.split('.')
    const value = report.text(path)
    if (value === undefined || !isPlaceholder(value)) continue
    if (key.startsWith('duo_api') && report.value(['duo_api', 'disable']) === true) continue
    const written = report.isWritten(path)
    if (!written && variableName.test(value)) continue
    report.error(
      path,
      placeholders.some(pattern => pattern.test(value))
        ? `This is still what the template has in its place. ${mend(key)}`
        : unfilledHere(key, written),
    )
  }
  const session = ['session', 'secret']
  const storage = ['storage', 'encryption_key']
  const secret = report.text(session)
  if (secret !== undefined && !isPlaceholder(secret) && secret === report.text(storage))
    report.error(
      session,
      `It is the same as storage.encryption_key (${report.where(storage)}). Each needs a random value of its own. ${mend('session.secret')}`,
    )
  for (const path of [session, storage]) {
    const value = report.text(path)
    // Long and yet guessable: one character over and over, or a short piece repeated.
    if (value !== undefined && value.length >= 20 && new Set(value).size < 6)
      report.error(path, `It repeats the same few characters, so it can be guessed. ${mend('session.secret')}`)
  }
}

function unfilledHere(key: string, written: boolean): string {
  const what = 'Templates and variables are not filled in here, so this text would be the secret.'
  return written
    ? `${what} Give it by ${variable(key)}, or name its file in ${variable(key)}_FILE.`
    : `${what} Give the secret itself.`
}

const variable = (key: string) => `POSTERN_${key.replaceAll('.', '_').toUpperCase()}`

function mend(key: string): string {
  return key.startsWith('duo_api')
    ? 'Copy the real one from the application’s page in Duo.'
    : 'Make a random one: openssl rand -hex 32.'
}
