import type { EvenTime, Timer } from './even-time.ts'
import type { Place, Pool } from './pool.ts'
import type { Person, RefusalCause, Users } from './users.ts'

/** Whom a typed name means now. */
export interface Candidate {
  /** One spelling for typed names that must be counted as one, whether somebody has them or not. */
  readonly counted: string
  /** Whose name it is; undefined: nobody's. */
  readonly username: string | undefined
  /**
   * The person, if it is their password, or why nobody is accepted. Costs alike whoever it is, and if it is nobody.
   * @param mayBeEvaluated false: the password must not be looked at
   * @throws when that cannot be told; then nothing is known about the password
   */
  judge(password: string, mayBeEvaluated: boolean, place: Place): Promise<Person | RefusalCause>
}

/** Where people come from: the users file or a directory. */
export interface Backend extends Pick<Users, 'fault' | 'find' | 'everybody'> {
  /** Not looked at before a place is taken. @throws when nobody can tell; a promise only where the answer is not at hand */
  resolve(typed: string): Candidate | Promise<Candidate>
  /** Settles when answers can be even: what was to be measured for that is. */
  readonly measured: Promise<unknown>
  close(): Promise<void>
}

/** What a backend works with. */
export interface Workshop {
  readonly pool: Pool
  readonly evenTime: EvenTime
  readonly timer: Timer
}
