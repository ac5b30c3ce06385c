import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { type Clock, MINUTE } from '../../src/clock.ts'
import type { Config } from '../../src/config/schema.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { openRegulation } from '../../src/users/regulation.ts'
import { sqliteCounters } from '../../src/users/sqlite-counter.ts'
import { temporaryFolder } from '../support/process.ts'

/** A log whose lines can be read. */
export function readableLog() {
  const lines: { level: number; msg: string }[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  return { log, lines, texts: () => lines.map(({ msg }) => msg) }
}

/** The counters of one storage file, as the server opens them. */
export async function counting(
  clock: Clock,
  options: { settings?: Partial<typeof regulated>; path?: string; rows?: number } = {},
) {
  const path = options.path ?? join(temporaryFolder(), 'db.sqlite3')
  const storage = await openStorage(
    { encryption_key: 'k'.repeat(20), local: { path } },
    { log: pino({ level: 'silent' }) },
  )
  onTestFinished(() => storage.close())
  const settings = { ...regulated, ...options.settings }
  const open = sqliteCounters(storage, clock, options.rows)
  return { storage, database: storage.counters, open, regulation: openRegulation(open, settings) }
}

/** A clock that the test moves. */
export function movableClock(now = 1_700_000_000_000) {
  return {
    read: () => now,
    move(span: number) {
      now += span
    },
  }
}

export const regulated: Config['regulation'] = {
  modes: ['user'],
  max_retries: 3,
  find_time: 2 * MINUTE,
  ban_time: 5 * MINUTE,
}

export const backend = (path: string, search = {}): Config['authentication_backend'] => ({
  refresh_interval: 'always',
  password_reset: { disable: false },
  file: { path, watch: true, search: { email: false, case_insensitive: false, ...search } },
})

// The password of each is `postern`; cheap parameters, so that a suite takes no time. Made with argon2-cffi, OpenSSL and crypt(3).
export const hashes = {
  argon2id: '$argon2id$v=19$m=256,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$pmb6fNhUswES0hHB323abOqMM4cpdZQCy4O6C268Gtk',
  pbkdf2:
    '$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$zuGDK5q8ODvNb.mdcQnxYuILr8iyCjTp3tzQU2PjzdXxB0x49mA4ABz3SR0I5C8RWZYj3rx8Ux4zId3tQD/tjA',
  bcrypt: '$2b$05$abcdefghijklmnopqrstuunlo9kyfNX1D5MhZzEiagqmb/GwbDXGy',
} as const

/** A users file: one line an entry, further fields as written. */
export const usersFile = (entries: Record<string, string>): string =>
  `users:\n${Object.entries(entries)
    .map(([name, fields]) => `  ${name}: { ${fields} }\n`)
    .join('')}`
export const withHash = (hash: string, more = ''): string => `password: '${hash}'${more === '' ? '' : `, ${more}`}`
