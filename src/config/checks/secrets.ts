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

/** Whether a value is one that a template left for somebody to fill in. */
export function isPlaceholder(value: string): boolean {
  return placeholders.some(pattern => pattern.test(value))
}

/** Secrets that are no secrets. Their length is the schema's. */
export function checkSecrets(report: Report): void {
  for (const key of [...secretKeys, 'duo_api.hostname']) {
    const path = key.split('.')
    const value = report.text(path)
    if (
      value !== undefined &&
      isPlaceholder(value) &&
      !(key.startsWith('duo_api') && report.value(['duo_api', 'disable']) === true)
    )
      report.error(path, `This is still what the template has in its place. ${mend(key)}`)
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

function mend(key: string): string {
  return key.startsWith('duo_api')
    ? 'Copy the real one from the application’s page in Duo.'
    : 'Make a random one: openssl rand -hex 32.'
}
