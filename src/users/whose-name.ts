import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { countedName } from './ldap-backend.ts'
import { ldapDirectory } from './ldap-directory.ts'
import { ldapSettings } from './ldap-settings.ts'
import { readUsersFile } from './people.ts'

export interface NamedPerson {
  /** The canonical name; undefined: nobody's. */
  readonly username: string | undefined
  /** As the name is counted when it is typed at the portal. */
  readonly counted: (typed: string) => string
}

/** Whose name it is now, asked once: for a command. @throws when nobody can tell */
export async function whoseName(
  { file, ldap }: Config['authentication_backend'],
  name: string,
  clock: Clock,
): Promise<NamedPerson> {
  if (ldap !== undefined) {
    const directory = ldapDirectory(await ldapSettings(ldap), clock, () => {})
    return { username: (await directory.identify(name))?.username, counted: countedName }
  }
  if (file === undefined) throw new Error('The configuration names neither a users file nor a directory.')
  const read = await readUsersFile(file)
  if (!read.ok) throw new Error('The users file cannot be used; `postern check` says why.')
  return { username: read.users.resolve(name)?.person.username, counted: read.users.counted }
}
