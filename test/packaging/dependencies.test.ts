import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { projectRoot } from '../support/process.ts'

const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8')
const versions = z.record(z.string(), z.string())
const packageFile = z
  .object({ dependencies: versions, devDependencies: versions })
  .parse(JSON.parse(read('package.json')))
const lock = z
  .object({
    packages: z.record(
      z.string(),
      z.object({
        version: z.string().optional(),
        license: z.string().optional(),
        dev: z.boolean().optional(),
        resolved: z.string().optional(),
        integrity: z.string().optional(),
      }),
    ),
  })
  .parse(JSON.parse(read('package-lock.json'))).packages
const installed = Object.entries(lock).filter(([path]) => path !== '')

/** What may be shipped with an Apache-2.0 project without further duties than a notice. */
const permissive = [
  'MIT',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
]
/** Tools that only run here, and are not shipped, may also be these. */
const forTools = [...permissive, 'MPL-2.0', 'CC-BY-4.0', 'Python-2.0', 'MIT OR Apache-2.0']

/** Rows of the tables: | `name` | licence | why | weighed against |. */
const documented = new Map(
  [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| ([^|]+?) \| ([^|]+?) \| [^|]+ \|$/gm)].map(
    ([, name = '', licence = '', why = '']) => [name, { licence, why }],
  ),
)

describe('the dependencies', () => {
  const direct = { ...packageFile.dependencies, ...packageFile.devDependencies }

  it('are all in docs/dependencies.md, and nothing else is', () => {
    expect([...documented.keys()].toSorted()).toEqual(Object.keys(direct).toSorted())
  })

  it.each(Object.keys(direct))('%s has the licence that its line names, and a reason', name => {
    expect(documented.get(name)?.licence).toBe(lock[`node_modules/${name}`]?.license)
    expect(documented.get(name)?.why.length).toBeGreaterThan(10)
  })

  it('have exact versions, the ones of the lock file', () => {
    for (const [name, version] of Object.entries(direct))
      expect(`${name} ${lock[`node_modules/${name}`]?.version}`).toBe(`${name} ${version}`)
  })

  it('ship under permissive licences only, those of dependencies included', () => {
    const shipped = installed.filter(([, { dev }]) => !dev)
    expect(shipped.filter(([, { license }]) => !permissive.includes(license ?? '')).map(([path]) => path)).toEqual([])
    expect(shipped.length).toBeGreaterThan(50)
  })

  it('are under licences that tools may have, the others too', () => {
    expect(installed.filter(([, { license }]) => !forTools.includes(license ?? '')).map(([path]) => path)).toEqual([])
  })

  it('are locked by content, and to no address', () => {
    expect(installed.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([])
    expect(installed.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([])
  })
})
