import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { SECOND } from '../../src/clock.ts'
import { knownKeys } from '../../src/config/keys.ts'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { configSchema } from '../../src/config/schema.ts'
import { temporaryFolder } from '../support/process.ts'
import { secrets } from './secrets.ts'

const keys = knownKeys(configSchema).map(({ key }) => key)
const SECRET = 'Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1'

/** Puts a value at a path such as `session.cookies[].domain`, making what is above it. */
function put(root: Record<string, unknown>, key: string, value: unknown): void {
  let at: Record<string, unknown> = root
  const parts = key.split('.')
  parts.forEach((part, index) => {
    const last = index === parts.length - 1
    const name = part.replace('[]', '')
    const inner: Record<string, unknown> = {}
    if (!part.endsWith('[]')) {
      const there = at[name]
      const next =
        typeof there === 'object' && there !== null && !Array.isArray(there)
          ? (there as Record<string, unknown>)
          : inner
      at[name] = last ? value : next
      at = next
    } else {
      at[name] = [last ? value : inner]
      at = inner
    }
  })
}

async function survives(file: string, env: NodeJS.ProcessEnv = secrets): Promise<string> {
  const loaded = await loadConfig(file, env)
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  if (!loaded.ok) expect(problems.some(({ severity }) => severity === 'error')).toBe(true)
  for (const { file: place, line, column, message } of problems) {
    expect(place === file ? Math.min(line, column) : 1).toBeGreaterThan(0)
    expect(message).toMatch(/[.?)]$/)
    expect(message).not.toMatch(/undefined|NaN:|\[object|Invalid input/)
  }
  const text = problems.map(formatProblem).join('\n')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none may reach a terminal
  expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
  for (const secret of Object.values(secrets)) expect(text).not.toContain(secret)
  return text
}

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1.5,
    1e300,
    Number.NaN,
    '',
    ' ',
    '-1',
    'yes',
    '../x',
    'a\u0000b',
    '*.',
    '.',
    '::',
    '[',
    'https://',
    '__proto__',
    [],
    {},
    [[]],
    [null],
    [{}],
    { a: 1 },
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.webUrl(),
  fc.domain(),
  fc.ipV6(),
  fc.jsonValue({ maxDepth: 2 }),
)

describe(loadConfig, () => {
  it('survives any bytes: a configuration, or errors that all have a place', async () => {
    const file = join(temporaryFolder(), 'postern.yml')
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async bytes => {
        writeFileSync(file, bytes)
        await survives(file)
      }),
      { numRuns: 500 },
    )
  })

  it('survives any value under any key, and any key', async () => {
    const file = join(temporaryFolder(), 'postern.yml')
    const entry = fc.tuple(
      fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...keys) }, fc.string({ maxLength: 20 })),
      odd,
    )
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 12 }), async entries => {
        const root: Record<string, unknown> = {}
        for (const [key, value] of entries) put(root, key, value)
        writeFileSync(file, stringify(root))
        await survives(file)
      }),
      { numRuns: 1500, interruptAfterTimeLimit: 8 * SECOND }, // each costs a file and a whole check
    )
  })

  it('row 174: a secret under any key, known or not, at any level, is never shown', async () => {
    const file = join(temporaryFolder(), 'postern.yml')
    const sections = [
      'session',
      'storage',
      'duo_api',
      'access_control',
      'secret',
      'session.sekret',
      'duo_api.secretkey',
      'x.y',
    ]
    for (const key of [...keys, ...sections]) {
      for (const value of [
        SECRET,
        [SECRET],
        { [SECRET]: 1 },
        { secret: SECRET },
        [[SECRET]],
        `https://u:${SECRET}@x.example/`,
      ]) {
        const root: Record<string, unknown> = {}
        put(root, key, value)
        writeFileSync(file, stringify(root))
        expect(await survives(file), key).not.toContain(SECRET)
      }
    }
  })

  it('survives any environment', async () => {
    const file = join(temporaryFolder(), 'postern.yml')
    writeFileSync(file, 'session: {}\n')
    const variable = fc.tuple(
      fc.constantFrom('POSTERN_', 'AUTHELIA_'),
      fc.oneof(
        fc.constantFrom(...keys.map(key => key.replaceAll('.', '_').toUpperCase())),
        fc.stringMatching(/^[A-Z_]{0,20}$/),
      ),
      fc.constantFrom('', '_FILE'),
      fc.oneof(fc.string(), fc.constantFrom('true', '1', '/dev/zero', '/', file)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(variable, { maxLength: 8 }), async variables => {
        await survives(
          file,
          Object.fromEntries(variables.map(([prefix, name, suffix, value]) => [prefix + name + suffix, value])),
        )
      }),
      { numRuns: 300 },
    )
  })

  it.each([
    ['is missing', '/nowhere/postern.yml', 'does not exist'],
    ['is a folder', '/tmp', 'is a folder, not a file'],
    ['is a device', '/dev/zero', 'is a device, not a file'],
  ])('says so when the file %s', async (_, file, why) => {
    const loaded = await loadConfig(file, {})
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
      `${file}: error: The configuration file ${why}. Name it with --config, or in POSTERN_CONFIG.`,
    ])
  })

  it('row 140: refuses a file of 100 MB without reading it', async () => {
    const file = join(temporaryFolder(), 'postern.yml')
    writeFileSync(file, Buffer.alloc(100 * 1024 * 1024, 'a: b\n'))
    const loaded = await loadConfig(file, {})
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([
      `${file}: error: The configuration file is larger than 1,048,576 bytes. Name it with --config, or in POSTERN_CONFIG.`,
    ])
  })
})
