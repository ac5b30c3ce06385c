import { ResultCodeError } from 'ldapts'
import { problems, type Reason } from '../problems/problems.ts'
import { Unavailable } from '../problems/unavailable.ts'
import { DirectoryDown } from './users.ts'

export type LdapReason = Extract<Reason, `directory-${string}`>

const REFERRAL = 10

const reasons: Readonly<Record<number, LdapReason>> = {
  8: 'directory-tls', // strongerAuthRequired
  [REFERRAL]: 'directory-base',
  13: 'directory-tls', // confidentialityRequired
  32: 'directory-base', // noSuchObject
  48: 'directory-denied', // inappropriateAuthentication
  49: 'directory-denied', // invalidCredentials
  50: 'directory-denied', // insufficientAccessRights
}

/** What is wrong, as an administrator is told. */
export function reasonOf(error: unknown): LdapReason {
  if (error instanceof ResultCodeError) return reasons[error.code] ?? 'directory-down'
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const said = error instanceof Error ? error.message : ''
  return /^ERR_(?:TLS|SSL)|CERT/.test(code) || /certificate|self-signed|StartTLS|altnames|SSL/i.test(said)
    ? 'directory-tls'
    : 'directory-down'
}

/** `connect ECONNREFUSED 127.0.0.1:389`, without the stack. Where a name has several addresses, Node packs one error for each and no words. */
export function sayingOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(sayingOf).join('; ')
  // ldapts has no words for it.
  if (error instanceof ResultCodeError && error.code === REFERRAL)
    return 'it refers to another server, and referrals are not followed'
  return error instanceof Error ? error.message.trim() || error.name : String(error)
}

export function directoryDown(error: unknown): DirectoryDown {
  return error instanceof DirectoryDown ? error : new DirectoryDown(problems[reasonOf(error)].title, { cause: error })
}

/** What the directory answered to the bind of one entry is neither yes nor no. It answers: nobody else is meant by that. */
export class EntryUnclear extends Unavailable {
  readonly reason = 'directory-entry'

  constructor(dn: string, cause: ResultCodeError) {
    super(`${dn}: ${sayingOf(cause)}`, { cause })
  }
}
