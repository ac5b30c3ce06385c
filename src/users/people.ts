import type { FastifyBaseLogger } from 'fastify'
import { formatProblem, inOrder, type Problem } from '../config/problem.ts'
import { readBounded, UnreadableFile } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import { watchFile } from '../config/watch-file.ts'
import { type ParsedUsersFile, parseUsersFile, USERS_FILE_BYTES_AT_MOST, type UsersFile } from './users-file.ts'

export interface People {
  /** The newest good users file. */
  readonly current: UsersFile
  /** Why the file on disk is not the current one; undefined when it is. */
  readonly fault: string | undefined
  close(): Promise<void>
}

/** The users file cannot be used as it is. The message holds every problem, one a line. */
class UsersFileRefused extends Error {
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super(inOrder(problems).map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** Reads a users file once: for the start, and for whoever only wants to check it. Never throws. */
export async function readUsersFile({
  path,
  search,
}: Pick<NonNullable<Config['authentication_backend']['file']>, 'path' | 'search'>): Promise<ParsedUsersFile> {
  try {
    return parseUsersFile(await readBounded(path, USERS_FILE_BYTES_AT_MOST), path, search)
  } catch (error) {
    // A file that breaks the reader is refused like any other: the last good one must stay in use.
    const why =
      error instanceof UnreadableFile
        ? error.message
        : `cannot be read (${error instanceof Error ? error.name : 'unknown cause'})`
    const message = `The users file ${why}. It is named by authentication_backend.file.path; docs/users.md shows how to write one.`
    return { ok: false, problems: [{ severity: 'error', file: path, line: 0, column: 0, key: '', message }] }
  }
}

/**
 * Keeps up with the users file. An edit that cannot be used changes nothing: the last good one stays, and the log says what is wrong.
 * @param taken called with each file that comes into use, the first one included
 * @throws {UsersFileRefused} when the first one cannot be used
 */
export async function openPeople(
  file: NonNullable<Config['authentication_backend']['file']>,
  log: FastifyBaseLogger,
  taken: (users: UsersFile) => void,
): Promise<People> {
  let current: UsersFile
  let fault: string | undefined
  let warned = new Set<string>()

  function take(users: UsersFile, warnings: readonly Problem[]): void {
    current = users
    // Once each, however often the file is written.
    const texts = warnings.map(formatProblem)
    for (const text of texts) if (!warned.has(text)) log.warn(text)
    warned = new Set(texts)
    taken(users)
  }

  async function reread(): Promise<void> {
    const read = await readUsersFile(file)
    if (read.ok) {
      if (fault !== undefined) log.info({ path: file.path }, 'the users file is good again and in use')
      fault = undefined
      take(read.users, read.warnings)
      return
    }
    const { message } = new UsersFileRefused(read.problems)
    if (message !== fault)
      log.error(
        { path: file.path },
        `the users file was changed and cannot be used; the last good one stays in use. ${message}`,
      )
    fault = message
  }

  const first = await readUsersFile(file)
  if (!first.ok) throw new UsersFileRefused(first.problems)
  current = first.users
  take(first.users, first.warnings)
  const watch = file.watch ? watchFile(file.path, reread) : undefined
  return {
    get current() {
      return current
    },
    get fault() {
      return fault
    },
    close: async () => watch?.close(),
  }
}
