import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type ParsedDocument, parseDocument } from '../config/document.ts'
import { dotted, type Problem } from '../config/problem.ts'
import { quoted, schemaProblems } from '../config/schema-problems.ts'
import { describeCost, estimate, type PasswordHash, parsePasswordHash, WEAK } from './hashes.ts'
import { foldCase, isPlausibleName } from './names.ts'
import type { Person } from './users.ts'

/** One entry of the file. */
export interface Entry {
  readonly person: Person
  readonly disabled: boolean
  /** Undefined: what stands in the file is no hash that can be verified, so this person cannot log in. */
  readonly hash: PasswordHash | undefined
}

/** A users file that was read and found good. */
export interface UsersFile {
  /** By canonical name. */
  readonly entries: ReadonlyMap<string, Entry>
  /** Whom a typed name means: by name, then, where the configuration allows it, by name in other case, by mail. */
  resolve(typed: string): Entry | undefined
  /** One spelling for typed names that must be counted as one, whether somebody has them or not. */
  counted(typed: string): string
}

/** All who may sign in, with what a name for Duo is made of. */
export function everybodyOf({ entries }: UsersFile): { username: string; email: string | undefined }[] {
  return [...entries.values()].flatMap(({ person, disabled }) =>
    disabled ? [] : [{ username: person.username, email: person.emails[0] }],
  )
}

export type ParsedUsersFile =
  | { readonly ok: true; readonly users: UsersFile; readonly warnings: Problem[] }
  | { readonly ok: false; readonly problems: Problem[] }

export interface Search {
  readonly email: boolean
  readonly case_insensitive: boolean
}

/** Bounds the file for `readBounded`: some tens of thousands of users. */
export const USERS_FILE_BYTES_AT_MOST = 16 * 1024 * 1024

const hasControl = /[\p{Cc}\p{Zl}\p{Zp}]/u
const line = z.string().refine(text => text.isWellFormed() && !hasControl.test(text), 'a text of one line')
const group = line.refine(
  text => text.trim() !== '' && !text.includes(','),
  'a text without a comma (Remote-Groups separates groups by commas)',
)
const mail = z
  .string()
  .regex(/^(?:[^\s\p{C},]+@[^\s\p{C},]+)?$/u)
  .meta({ expected: 'a mail address such as john@example.com' })
const ignored = z.unknown().optional()

const entrySchema = z.strictObject({
  password: z.string().meta({ expected: 'a password hash as a text, in single quotes' }),
  displayname: line.nullish(),
  email: mail.nullish(),
  groups: z.array(group).nullish(),
  disabled: z.boolean().nullish(),
  // Authelia has these too; nothing here uses them.
  given_name: ignored,
  middle_name: ignored,
  family_name: ignored,
  nickname: ignored,
  gender: ignored,
  birthdate: ignored,
  website: ignored,
  profile: ignored,
  picture: ignored,
  zoneinfo: ignored,
  locale: ignored,
  phone_number: ignored,
  phone_extension: ignored,
  address: ignored,
  extra: ignored,
})

// Only for messages and for what stands around the map: a record of zod's would lose a user named __proto__.
const fileSchema = z.strictObject({ users: z.record(z.string(), entrySchema) })
const outerSchema = z.strictObject({
  users: z.custom<Record<string, unknown>>(
    value => typeof value === 'object' && value !== null && !Array.isArray(value),
    {
      error: 'a map of user names',
    },
  ),
})

type Report = (
  severity: Problem['severity'],
  path: readonly PropertyKey[],
  where: 'key' | 'value',
  message: string,
) => void

/**
 * Reads Authelia's users file. What makes an entry or a name ambiguous is an error, and then nothing of the file is used; a password
 * that cannot be verified is a warning: that person cannot log in.
 */
export function parseUsersFile(bytes: Uint8Array, file: string, search: Search): ParsedUsersFile {
  const document = parseDocument(bytes, file)
  if (!document.ok) return document
  const outer = outerSchema.safeParse(document.value)
  if (!outer.success) return { ok: false, problems: schemaProblems(outer.error, fileSchema, document, SECRET) }

  const problems: Problem[] = []
  const report: Report = (severity, path, where, message) =>
    problems.push({ severity, ...document.locate(path, where), key: dotted(path), message })
  const entries = new Map<string, Entry>()
  for (const [name, value] of Object.entries(outer.data.users)) {
    checkName(name, report)
    const parsed = entrySchema.safeParse(value)
    if (parsed.success) entries.set(name, toEntry(name, parsed.data, report))
    else problems.push(...entryProblems(name, parsed.error, document))
  }
  if (Object.keys(outer.data.users).length === 0) report('error', ['users'], 'key', 'There is no user in this file.')
  const index = indexNames(entries, search, report)
  if (problems.some(({ severity }) => severity === 'error')) return { ok: false, problems }
  return { ok: true, users: { entries, ...index }, warnings: problems }
}

const SECRET = ['users', 'users.*', 'users.*.password']

function entryProblems(name: string, error: z.ZodError, document: ParsedDocument): Problem[] {
  const issues = error.issues.map(issue => ({ ...issue, path: ['users', name, ...issue.path] }))
  return schemaProblems(new z.ZodError(issues), fileSchema, document, SECRET)
}

function checkName(name: string, report: Report): void {
  const say = (message: string) => report('error', ['users', name], 'key', message)
  if (!isPlausibleName(name)) say('A user name is 1 to 256 characters long and has no control characters.')
  else if (name !== name.trim()) say('A user name neither begins nor ends with a space.')
  else if (/\p{Cf}/u.test(name)) say('This user name holds an invisible character; type it anew.')
}

function toEntry(name: string, fields: z.infer<typeof entrySchema>, report: Report): Entry {
  const path = ['users', name, 'password']
  const hash = parsePasswordHash(fields.password)
  if ('fault' in hash) report('warning', path, 'value', `This user cannot log in: ${hash.message}.`)
  else if (estimate(hash) < WEAK)
    report(
      'warning',
      path,
      'value',
      `This hash is weak (${describeCost(hash)}): whoever gets this file finds the password soon. Make a new one with \`postern hash\`.`,
    )
  return {
    person: Object.freeze({
      username: name,
      displayName: fields.displayname?.trim() || name,
      emails: fields.email ? [fields.email] : [],
      groups: [...new Set(fields.groups ?? [])],
      credential: createHash('sha256').update(fields.password).digest('base64url').slice(0, 16),
    }),
    disabled: fields.disabled === true,
    hash: 'fault' in hash ? undefined : hash,
  }
}

function indexNames(
  entries: ReadonlyMap<string, Entry>,
  search: Search,
  report: Report,
): Pick<UsersFile, 'resolve' | 'counted'> {
  const folded = new Map<string, Entry>()
  for (const [name, entry] of entries) {
    const other = folded.get(foldCase(name))?.person.username
    if (other === undefined) folded.set(foldCase(name), entry)
    else if (search.case_insensitive)
      report(
        'error',
        ['users', name],
        'key',
        `This name differs from ${quoted(other)} only by case, and search.case_insensitive is on: nobody could tell whom it means.`,
      )
    else
      report(
        'warning',
        ['users', name],
        'key',
        `This name differs from ${quoted(other)} only by case. Duo does not tell them apart: both would get the pushes of one Duo user.`,
      )
  }
  const byMail = new Map<string, Entry>()
  if (search.email)
    for (const [name, entry] of entries)
      for (const address of entry.person.emails) {
        const key = foldCase(address)
        const owner = byMail.get(key) ?? folded.get(key)
        if (owner !== undefined && owner !== entry)
          report(
            'error',
            ['users', name, 'email'],
            'value',
            `This address also means the user ${quoted(owner.person.username)}, and search.email is on: nobody could tell whom it means.`,
          )
        byMail.set(key, entry)
      }
  const { case_insensitive } = search
  return {
    resolve: typed =>
      entries.get(typed) ?? (case_insensitive ? folded.get(foldCase(typed)) : undefined) ?? byMail.get(foldCase(typed)),
    // The same rule for all names, else the spelling that is counted apart would tell which names exist.
    counted: typed => (case_insensitive ? foldCase(typed) : typed),
  }
}
