import { describe, expect, it } from 'vitest'
import { formatProblem } from '../../src/config/problem.ts'
import { parseUsersFile, type Search } from '../../src/users/users-file.ts'
import { hashes, usersFile, withHash } from './parts.ts'

const parse = (text: string, search: Partial<Search> = {}) =>
  parseUsersFile(Buffer.from(text), 'users.yml', { email: false, case_insensitive: false, ...search })

function good(text: string, search: Partial<Search> = {}) {
  const parsed = parse(text, search)
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'))
  return parsed
}
const problemsOf = (text: string, search: Partial<Search> = {}) => {
  const parsed = parse(text, search)
  return parsed.ok ? [] : parsed.problems.map(formatProblem)
}
const warningsOf = (text: string, search: Partial<Search> = {}) => good(text, search).warnings.map(formatProblem)

const hash = hashes.bcrypt.replace('$05$', '$10$') // strong enough for no warning
const password = withHash(hash)

describe(parseUsersFile, () => {
  it('reads a file of Authelia with every field that Authelia knows', () => {
    const { users } = good(`---
users:
  john:
    disabled: false
    displayname: 'John Doe'
    password: '${hash}'
    email: 'john.doe@example.com'
    groups:
      - admins
      - 'dev ops'
      - admins
    given_name: John
    middle_name: Jay
    family_name: Doe
    nickname: Johnny
    gender: male
    birthdate: '1970-01-01'
    website: https://example.com
    profile: https://example.com/john
    picture: https://example.com/john.jpg
    zoneinfo: Europe/Vienna
    locale: de-AT
    phone_number: '+43 1 234'
    phone_extension: 12
    address: { street_address: Ring 1, locality: Vienna, region: Vienna, postal_code: 1010, country: AT }
    extra: { badge: 7 }
  jane: { password: '${hash}', displayname: , email: , groups: , disabled: true }
...
`)
    expect([...users.entries.values()].map(({ person, disabled }) => ({ ...person, disabled }))).toEqual([
      {
        username: 'john',
        displayName: 'John Doe',
        emails: ['john.doe@example.com'],
        groups: ['admins', 'dev ops'],
        credential: expect.any(String),
        disabled: false,
      },
      { username: 'jane', displayName: 'jane', emails: [], groups: [], credential: expect.any(String), disabled: true },
    ])
  })

  it.each([
    ['no users', 'users: {}\n', /^users\.yml:1:1: error: users: There is no user/],
    ['nothing under users', 'users:\n', /^users\.yml:1:1: error: users: Found nothing, expected a map/],
    ['no map', '- john\n', /error: .*map/],
    ['an empty file', '', /The file is empty/],
    [
      'a password that is missing',
      'users:\n  john: { displayname: John }\n',
      /^users\.yml:2:3: error: users\.john\.password: This key is required/,
    ],
    ['an entry that is missing', 'users:\n  john:\n', /^users\.yml:2:3: error: users\.john/],
    [
      'a misspelt key',
      `users:\n  john:\n    ${password.slice(0, -1)}'\n    disable: true\n`,
      /^users\.yml:4:5: error: users\.john\.disable: .*Did you mean disabled\?/,
    ],
    [
      'disabled that is no boolean',
      usersFile({ john: `${password}, disabled: yes` }),
      /users\.john\.disabled: .*Write true/,
    ],
    [
      'a group with a comma',
      usersFile({ john: `${password}, groups: ['a,b']` }),
      /users\.john\.groups\[0\]: .*without a comma/,
    ],
    ['an empty group', usersFile({ john: `${password}, groups: ['']` }), /users\.john\.groups\[0\]/],
    [
      'a display name with a control character',
      usersFile({ john: `${password}, displayname: "a\\r\\nb"` }),
      /users\.john\.displayname: .*one line/,
    ],
    [
      'a mail with a line break',
      usersFile({ john: `${password}, email: "a@b\\n.c"` }),
      /users\.john\.email: .*mail address/,
    ],
    ['a name with a control character', usersFile({ '"jo\\ehn"': password }), /control characters/],
    ['a name that begins with a space', usersFile({ '" john"': password }), /neither begins nor ends with a space/],
    ['a name with a zero-width space', usersFile({ '"jo\\u200bhn"': password }), /invisible character/],
    ['an empty name', usersFile({ '""': password }), /1 to 256 characters/],
    ['a name of 10 KB', usersFile({ [`? ${'x'.repeat(10_240)}\n  `]: password }), /error/],
  ])('refuses %s, with the line', (_, text, message) => {
    expect(problemsOf(text).join('\n')).toMatch(message)
  })

  it('row 28 of the mistakes: a tab, a wrong indent and a user given twice are told with their lines', () => {
    expect(problemsOf('users:\n\tjohn:\n').join()).toMatch(/^users\.yml:2:.*tab/)
    expect(problemsOf(`users:\n  john:\n    password: x\n   email: y\n`).join()).toMatch(/^users\.yml:4:.*indentation/)
    expect(problemsOf(usersFile({ john: password }) + usersFile({ john: password }).slice(7)).join()).toMatch(
      /^users\.yml:3:3: error: users\.john: This key is given twice; the first is on line 2/,
    )
  })

  it('row 28 of the mistakes: a password in plain text is told with its line and with how to hash it, and is not repeated', () => {
    const warnings = warningsOf('users:\n  john:\n    password: hunter2\n')
    expect(warnings).toEqual([
      expect.stringMatching(/^users\.yml:3:15: warning: users\.john\.password: .*cannot log in.*postern hash/),
    ])
    expect(warnings.join()).not.toContain('hunter2')
  })

  it('names all that is wrong at once', () => {
    expect(
      problemsOf('users:\n  john: { password: 1 }\n  jane: { groups: 1 }\n  " x": { password: a }\n'),
    ).toHaveLength(5)
  })

  it('row 142: what YAML 1.1 reads as something else stays a text, and what is none must be put in quotes', () => {
    const { users } = good(usersFile({ yes: `${password}, groups: [no, on, y]`, 1000: password, '0x10': password }))
    expect([...users.entries.keys()].sort()).toEqual(['0x10', '1000', 'yes'])
    expect(users.resolve('yes')?.person.groups).toEqual(['no', 'on', 'y'])
    expect(users.resolve('true')).toBeUndefined()
    for (const [text, message] of [
      [usersFile({ john: `${password}, groups: [no, 1, null]` }), /groups\[1\]: .*quotes/],
      [usersFile({ john: `${password}, groups: [null]` }), /groups\[0\]/],
      [usersFile({ john: 'password: 12345' }), /users\.john\.password: .*quotes/],
      ['users:\n  john:\n    password:\n', /users\.john\.password/],
      [usersFile({ true: password }), /quotes/],
      [usersFile({ null: password }), /quotes/],
    ] as const)
      expect(problemsOf(text).join('\n')).toMatch(message)
    expect(problemsOf(usersFile({ john: 'password: 12345' })).join()).not.toContain('12345')
  })

  it('row 143: a user named __proto__ or constructor is a user like others, and nobody is one by heritage', () => {
    const { users } = good(
      usersFile({ __proto__x: password, "'__proto__'": `${password}, groups: [a]`, constructor: password }),
    )
    expect(users.resolve('__proto__')?.person).toMatchObject({ username: '__proto__', groups: ['a'] })
    expect(users.resolve('constructor')?.person.username).toBe('constructor')
    for (const name of ['toString', 'hasOwnProperty', 'valueOf']) expect(users.resolve(name)).toBeUndefined()
    expect(good(usersFile({ john: password })).users.resolve('__proto__')).toBeUndefined()
    expect(problemsOf('users:\n  john: { __proto__: { disabled: false } }\n').join()).toMatch(/no such key/)
  })

  it('row 143: John beside john is an error where case does not count, and a warning about Duo where it does', () => {
    const both = usersFile({ John: password, john: password })
    expect(problemsOf(both, { case_insensitive: true })).toEqual([
      expect.stringMatching(/^users\.yml:3:3: error: users\.john: .*“John” only by case/),
    ])
    expect(warningsOf(both)).toEqual([expect.stringMatching(/^users\.yml:3:3: warning: users\.john: .*Duo/)])
  })

  it('row 143: a mail that is another’s name or mail is an error where mails are searched', () => {
    const asName = usersFile({ 'a@example.com': password, bob: `${password}, email: A@example.com` })
    const twice = usersFile({ ann: `${password}, email: x@example.com`, bob: `${password}, email: X@example.com` })
    expect(problemsOf(asName, { email: true }).join()).toMatch(
      /^users\.yml:3:\d+: error: users\.bob\.email: .*“a@example\.com”/,
    )
    expect(problemsOf(twice, { email: true }).join()).toMatch(/users\.bob\.email: .*“ann”/)
    expect(problemsOf(asName)).toEqual([])
    expect(problemsOf(usersFile({ 'a@b.c': `${password}, email: a@b.c` }), { email: true })).toEqual([])
  })

  it('row 144: a hash that cannot be verified is told with its line, and the others can log in', () => {
    const { users, warnings } = good(
      usersFile({
        ann: password,
        bob: withHash(hash.replace('$10$', '$31$')),
        cid: withHash(hash.slice(0, -1)),
        dan: withHash(''),
        eve: withHash('$y$j9T$abc$def'),
      }),
    )
    expect(warnings.map(({ line, key }) => `${line} ${key}`)).toEqual([
      '3 users.bob.password',
      '4 users.cid.password',
      '5 users.dan.password',
      '6 users.eve.password',
    ])
    expect([...users.entries].filter(([, { hash }]) => hash).map(([name]) => name)).toEqual(['ann'])
  })

  it('warns of a weak hash', () => {
    expect(warningsOf(usersFile({ ann: withHash(hashes.pbkdf2) }))).toEqual([
      expect.stringMatching(/weak .*pbkdf2-sha512 with 1000/),
    ])
  })
})

describe('whom a typed name means', () => {
  const text = usersFile({ john: `${password}, email: John@Example.com`, Ann: password })
  const named = (typed: string, search: Partial<Search> = {}) =>
    good(text, search).users.resolve(typed)?.person.username

  it('row 92: only the very name, unless the configuration says more', () => {
    expect(named('john')).toBe('john')
    for (const typed of [' john', 'john ', 'JOHN', 'ｊohn', 'john\u200b', 'jo\u0301hn', 'ann', 'john@example.com'])
      expect(named(typed)).toBeUndefined()
  })

  it('row 92: in other case and by mail where that is on, and always as the canonical name', () => {
    const search = { case_insensitive: true, email: true }
    for (const typed of ['john', 'JOHN', 'John', 'john@example.com', 'JOHN@EXAMPLE.COM'])
      expect(named(typed, search)).toBe('john')
    expect(named('ANN', search)).toBe('Ann')
    for (const typed of [' john', 'john ', 'ｊohn', 'john\u200b', 'john@example.com '])
      expect(named(typed, search)).toBeUndefined()
  })
})
