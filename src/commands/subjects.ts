import { dotted, type Problem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { nearest, quoted } from '../config/schema-problems.ts'
import type { UsersFile } from '../users/users-file.ts'

/** Users and groups that rules name and the users file does not have: such a rule matches nobody. @param locate where a value stands */
export function unknownSubjects(
  { access_control: { rules } }: Config,
  { entries }: UsersFile,
  locate: (path: readonly PropertyKey[]) => Pick<Problem, 'file' | 'line' | 'column'>,
): Problem[] {
  const people = [...entries.values()].map(({ person }) => person)
  const known = {
    user: [...entries.keys()],
    group: [...new Set(people.flatMap(({ groups }) => groups))],
  }
  const subjects = rules.flatMap(({ subject = [] }, rule) =>
    subject.flatMap((all, one) =>
      all.map((text, part) => ({ text, path: ['access_control', 'rules', rule, 'subject', one, part] })),
    ),
  )
  return subjects.flatMap(({ text, path }): Problem[] => {
    const kind = text.startsWith('user:') ? 'user' : 'group'
    const name = text.slice(kind.length + 1)
    if (known[kind].includes(name)) return []
    const near = nearest(name, known[kind])
    const message =
      kind === 'user'
        ? `Nobody in the users file is named ${quoted(name)}.`
        : `Nobody in the users file is in a group ${quoted(name)}.`
    return [
      {
        severity: 'warning',
        ...locate(path),
        key: dotted(path.slice(0, 4)),
        message: near === undefined ? message : `${message} Did you mean ${quoted(near)}?`,
      },
    ]
  })
}
