import type { FastifyBaseLogger } from 'fastify'
import { type Clock, MINUTE } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { Backend, Workshop } from './backend.ts'
import { ldapDirectory } from './ldap-directory.ts'
import { ldapPeople } from './ldap-people.ts'
import { type LdapConfig, ldapSettings } from './ldap-settings.ts'
import { foldCase } from './names.ts'

const REFRESH_INTERVAL = 5 * MINUTE
const GROUPS_TOLD_AT_MOST = 100

interface Parts {
  readonly refreshInterval: Config['authentication_backend']['refresh_interval']
  readonly clock: Clock
  readonly log: FastifyBaseLogger
}

/** One spelling for typed names, as directories compare names. */
export const countedName = (typed: string): string => foldCase(typed.normalize('NFKC').trim())

/**
 * The people of a directory, and their passwords by a bind. One that is down is no reason not to start: it may come up later.
 * @throws when `tls.ca_file` cannot be read
 */
export async function ldapBackend(
  config: LdapConfig,
  { evenTime, timer }: Workshop,
  { refreshInterval = REFRESH_INTERVAL, clock, log }: Parts,
): Promise<Backend> {
  const told = new Set<string>()
  const directory = ldapDirectory(await ldapSettings(config), clock, group => {
    if (told.has(group) || told.size >= GROUPS_TOLD_AT_MOST) return
    told.add(group)
    log.warn({ group }, 'a group with a comma in its name is left out: Remote-Groups would make two groups of it')
  })
  const people = ldapPeople({ directory, refreshInterval, grace: config.grace, clock, log })
  // Told in the log before somebody wants to sign in.
  people.ask(() => directory.list(1)).catch(() => {})

  return {
    get fault() {
      return people.fault
    },

    measured: Promise.resolve(),
    find: people.find,
    everybody: people.everybody,

    async resolve(typed) {
      const began = timer.now()
      const entry = await people.ask(() => directory.identify(typed))
      const looked = timer.now() - began
      return {
        counted: countedName(typed),
        username: entry?.username,
        judge: (password, mayBeEvaluated, place) =>
          place.run(async () => {
            const dn = entry !== undefined && mayBeEvaluated ? entry.dn : null
            const bound = timer.now()
            // Everybody costs a search and a bind: a name that nobody has is bound too, as nobody.
            const answer = await people.ask(() => directory.bind(dn, password))
            evenTime.learn(dn === null ? 'nobody' : 'somebody', looked + timer.now() - bound)
            if (entry === undefined) return 'unknown'
            if (dn === null) return 'banned'
            if (answer !== 'right') return answer === 'refused' ? 'disabled' : 'wrong-password'
            // As they are now: who was disabled meanwhile does not come in.
            const person = await people.ask(() => directory.person(entry.username))
            if (person !== undefined) people.learn(person)
            return person ?? 'disabled'
          }),
      }
    },

    async close() {
      people.close()
    },
  }
}
