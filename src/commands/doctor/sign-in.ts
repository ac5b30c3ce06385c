import { formatProblem } from '../../config/problem.ts'
import type { Config } from '../../config/schema.ts'
import { ldapDirectory } from '../../users/ldap-directory.ts'
import { reasonOf, sayingOf } from '../../users/ldap-fault.ts'
import { type LdapConfig, ldapSettings } from '../../users/ldap-settings.ts'
import { readUsersFile } from '../../users/people.ts'
import { everybodyOf } from '../../users/users-file.ts'
import { type Finding, known } from './finding.ts'

/** Who may sign in, as far as that can be told now. */
export interface WhoMaySignIn {
  readonly findings: readonly Finding[]
  /** Undefined: it cannot be told. */
  readonly people: readonly { readonly username: string; readonly email: string | undefined }[] | undefined
  /** Of whom Duo need not be asked. */
  readonly disabled: readonly string[]
}

/** Each is asked about at Duo: of a directory of thousands a part has to do. */
const PEOPLE_AT_MOST = 500

export async function whoMaySignIn({ file, ldap }: Config['authentication_backend']): Promise<WhoMaySignIn> {
  if (ldap !== undefined) return ofDirectory(ldap)
  return file === undefined ? { findings: [], people: undefined, disabled: [] } : ofFile(file)
}

async function ofFile(file: Parameters<typeof readUsersFile>[0]): Promise<WhoMaySignIn> {
  const area = 'users file' as const
  const read = await readUsersFile(file)
  const said = (severity: Finding['severity'], problems: readonly Parameters<typeof formatProblem>[0][]) =>
    problems.map(problem => ({ area, severity, what: formatProblem(problem) }))
  if (!read.ok) return { findings: said('error', read.problems), people: undefined, disabled: [] }
  const all = [...read.users.entries.values()]
  const able = all.filter(({ disabled, hash }) => !disabled && hash !== undefined).length
  const severity = able === 0 ? 'warning' : 'ok'
  return {
    findings: [
      ...said('warning', read.warnings),
      { area, severity, what: `${able} of ${all.length} people can sign in` },
    ],
    people: everybodyOf(read.users),
    disabled: all.filter(({ disabled }) => disabled).map(({ person }) => person.username),
  }
}

async function ofDirectory(config: LdapConfig): Promise<WhoMaySignIn> {
  const area = 'directory' as const
  try {
    const directory = ldapDirectory(await ldapSettings(config), Date.now, () => {})
    const { people, more } = await directory.list(PEOPLE_AT_MOST)
    const [first] = people
    // With their groups too: that place may be wrong where that of the people is right.
    if (first !== undefined) await directory.person(first.username)
    const what =
      first === undefined
        ? 'it answers, and nobody in it may sign in: check users_filter and additional_users_dn'
        : `it answers; ${more ? `more than ${people.length} people, the rest is not looked at` : `${people.length} people`}`
    return {
      findings: [{ area, severity: first === undefined ? 'warning' : 'ok', what }],
      people: people.map(({ username, emails }) => ({ username, email: emails[0] })),
      disabled: [],
    }
  } catch (error) {
    return { findings: [known(area, 'error', reasonOf(error), sayingOf(error))], people: undefined, disabled: [] }
  }
}
