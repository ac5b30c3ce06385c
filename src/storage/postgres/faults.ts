import { DatabaseError } from 'pg'

// SQLSTATE: https://www.postgresql.org/docs/15/errcodes-appendix.html
const READ_ONLY = '25006'
const unavailable = [
  /^08/, // the connection
  /^25P0[34]$/, // a transaction that took too long
  /^28/, // the password was changed under us
  /^3D000$/, // the database is gone
  /^40P01$/, // two transactions waited for each other
  /^53/, // connections, memory, disk
  /^55P03$/, // a lock was waited for too long
  /^57/, // shutdown, restart, deadline, killed by an administrator
  /^58/, // its disk
  /^XX/, // damaged
]

/**
 * Whether this says that PostgreSQL cannot be used now, or not be written, rather than something about the statement: null. What is no
 * answer of the server's is the connection's or a deadline's.
 */
export function unavailability(error: unknown): 'all' | 'writes' | null {
  if (!(error instanceof DatabaseError)) return 'all'
  const code = error.code ?? ''
  if (code === READ_ONLY) return 'writes'
  return unavailable.some(pattern => pattern.test(code)) ? 'all' : null
}
