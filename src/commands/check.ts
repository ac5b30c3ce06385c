import { caFileProblems } from '../config/ca-files.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem, inOrder, type Problem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { duoName, namesakes } from '../duo/names.ts'
import { problems as catalogue } from '../problems/problems.ts'
import { slowHashes } from '../users/costs.ts'
import { readUsersFile } from '../users/people.ts'
import { everybodyOf, type UsersFile } from '../users/users-file.ts'
import { unknownSubjects } from './subjects.ts'

/**
 * Tells all that is wrong with a configuration, and with the users file and the certificates that it names, without starting anything or asking anybody.
 * Resolves with the exit code: 1 when there is an error.
 */
export async function check(options: { config: string }): Promise<number> {
  const loaded = await loadConfig(options.config, process.env)
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  if (loaded.ok) problems.push(...(await caFileProblems(loaded.config, loaded.locate)))
  const file = loaded.ok ? loaded.config.authentication_backend.file : undefined
  if (loaded.ok && file !== undefined) {
    const read = await readUsersFile(file)
    problems.push(...inOrder(read.ok ? read.warnings : read.problems))
    if (read.ok) problems.push(...unknownSubjects(loaded.config, read.users, loaded.locate))
    const slow = read.ok ? await slowHashes(read.users) : []
    const unasked = read.ok ? namesNotForDuo(loaded.config.duo_api, read.users) : []
    for (const message of [...slow, ...unasked])
      problems.push({ severity: 'warning', file: file.path, line: 0, column: 0, key: '', message })
  }
  for (const problem of problems) console.log(formatProblem(problem))
  console.log(closingLine(options.config, problems))
  return problems.some(isError) ? 1 : 0
}

/** People whom Duo could not be asked about: without a name for it, or with one that another has too. */
function namesNotForDuo(duo: Config['duo_api'], users: UsersFile): string[] {
  if (duo === undefined || duo.disable) return []
  const people = everybodyOf(users)
  const nameless = people.filter(person => duoName(duo.username, person) === null).map(({ username }) => username)
  const told = (reason: 'duo-name-empty' | 'duo-name-shared', names: readonly string[]) =>
    `${catalogue[reason].title}: ${names.join(', ')}. ${catalogue[reason].mend}`
  return [
    ...(nameless.length > 0 ? [told('duo-name-empty', nameless)] : []),
    ...namesakes(duo.username, people).map(({ usernames }) => told('duo-name-shared', usernames)),
  ]
}

const isError = ({ severity }: Problem) => severity === 'error'

function closingLine(file: string, problems: readonly Problem[]): string {
  const errors = problems.filter(isError).length
  const warnings = problems.length - errors
  if (errors > 0) {
    const also = warnings > 0 ? ` and ${counted(warnings, 'warning')}` : ''
    return `${counted(errors, 'error')}${also}: Postern would not start with ${file}.`
  }
  return warnings > 0 ? `${file} can be used, with ${counted(warnings, 'warning')}.` : `${file} can be used.`
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
