import { loadConfig } from '../config/load.ts'
import { formatProblem, type Problem } from '../config/problem.ts'

/** Tells all that is wrong with a configuration, without starting anything. Resolves with the exit code: 1 when there is an error. */
export async function check(options: { config: string }): Promise<number> {
  const loaded = await loadConfig(options.config, process.env)
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  for (const problem of problems) console.log(formatProblem(problem))
  console.log(closingLine(options.config, problems))
  return problems.some(({ severity }) => severity === 'error') ? 1 : 0
}

function closingLine(file: string, problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const warnings = problems.length - errors
  const counted = [counts(errors, 'error'), counts(warnings, 'warning')].filter(text => text !== '').join(' and ')
  if (errors > 0) return `${file} has ${counted}. Postern would not start.`
  return warnings > 0 ? `${file} is valid, with ${counted}.` : `${file} is valid.`
}

function counts(number: number, noun: string): string {
  return number === 0 ? '' : `${number} ${noun}${number === 1 ? '' : 's'}`
}
