import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { temporaryFolder } from '../support/process.ts'
import { secrets } from './secrets.ts'

// A case is a file (not .yml, since its second half is none): the configuration, a dashed line, and the exact text expected. A line `# env NAME=value` sets a variable.
const folder = join(import.meta.dirname, 'cases')
const dashes = '-'.repeat(20)

describe('a configuration with something wrong in it', () => {
  it.each(readdirSync(folder))('%s', async name => {
    const [input = '', expected] = readFileSync(join(folder, name), 'utf8').split(`${dashes}\n`)
    const file = join(temporaryFolder(), 'postern.yml')
    writeFileSync(file, input)
    const env = Object.fromEntries(
      [...input.matchAll(/^# env (\w+)=(.*)$/gm)].map(([, variable, value]) => [variable, value]),
    )
    const loaded = await loadConfig(file, { ...secrets, ...env })
    const text = (loaded.ok ? loaded.warnings : loaded.problems)
      .map(problem => `${formatProblem(problem).replaceAll(file, 'postern.yml')}\n`)
      .join('')
    expect(text).toBe(expected)
    for (const secret of Object.values(secrets)) expect(text).not.toContain(secret)
  })
})
