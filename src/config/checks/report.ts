import type { ParsedDocument } from '../document.ts'
import { dotted, type Problem } from '../problem.ts'
import { valueAt } from '../schema-problems.ts'

type Path = readonly PropertyKey[]

/**
 * What a check reads and writes. Checks look at the values as they stand in the file, so that they run, and tell all they find, while
 * something else in it is still wrong; what is missing or of another type is the schema's to tell.
 */
export interface Report {
  text(path: Path): string | undefined
  list(path: Path): readonly unknown[]
  value(path: Path): unknown
  /** `line 12`, or the environment variable that gave it. */
  where(path: Path): string
  /** Whether it stands in the file, and was not given by the environment. */
  isWritten(path: Path): boolean
  error(path: Path, message: string): void
  warning(path: Path, message: string): void
  readonly problems: readonly Problem[]
}

export function createReport(document: ParsedDocument): Report {
  const problems: Problem[] = []
  const add = (severity: Problem['severity']) => (path: Path, message: string) => {
    problems.push({ severity, ...document.locate(path), key: dotted(path), message })
  }
  const value = (path: Path) => valueAt(document.value, path)
  return {
    value,
    text: path => {
      const found = value(path)
      return typeof found === 'string' && found !== '' ? found : undefined
    },
    list: path => {
      const found = value(path)
      return Array.isArray(found) ? found : []
    },
    where: path => {
      const { file, line } = document.locate(path)
      return line === 0 ? file : `line ${line}`
    },
    isWritten: path => document.locate(path).line > 0,
    error: add('error'),
    warning: add('warning'),
    problems,
  }
}
