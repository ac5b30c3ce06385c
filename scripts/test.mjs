// `npm test`: everything, from a fresh clone. Arguments are vitest's: npm test -- test/gate
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { libatomic, testNeeds } from './needs.mjs'
import { ensureBuild, ensureNeeds, ensurePackages, node, root, run } from './setup.mjs'

const began = Date.now()
const [broken] = await ensureNeeds([libatomic])
if (broken) {
  console.error(`set-up: ${broken.need.name} is missing, ${broken.need.why}. ${broken.reason}`)
  process.exit(1)
}
const missing = await ensureNeeds(testNeeds)
await ensurePackages()

const bin = name => join(root, 'node_modules/.bin', name)
const failed = []
const stage = async (name, command, args) => {
  const start = Date.now()
  const { code } = await run(command, args)
  console.log(`${name}: ${code === 0 ? 'ok' : 'FAILED'} (${Math.round((Date.now() - start) / 1000)} s)`)
  if (code !== 0) failed.push(name)
}

await ensureBuild() // which checks the types of src/
await stage('type check', node, [bin('tsc'), '-p', 'test/tsconfig.json'])
const results = join(root, 'node_modules/.cache/postern-test.json')
rmSync(results, { force: true })
const excluded = missing.flatMap(({ need }) => need.tests).flatMap(tests => ['--exclude', tests])
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`]
await stage('tests', node, [bin('vitest'), 'run', ...reporters, ...excluded, ...process.argv.slice(2)])

// Closing lines: what was not run and why, then the count.
for (const { need, reason } of missing)
  console.log(`NOT RUN: ${need.tests.join(', ')}: no ${need.name} (${need.why}): ${reason}`)
// In CI a part that is missing is a failure, unless such a machine cannot get it at all.
if (process.env.CI && missing.some(({ reached }) => reached)) failed.push('set-up')
const counts = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : {} // none: vitest itself did not start
const { numPassedTests: passed = 0, numFailedTests: red = 1, numPendingTests: skipped = 0 } = counts
if (passed === 0) failed.push('tests: none was run')
console.log(
  `npm test: ${failed.length === 0 ? 'ok' : `FAILED: ${failed.join(', ')}`} (${Math.round((Date.now() - began) / 1000)} s)`,
)
console.log(`${passed} passed, ${red} failed, ${skipped} skipped`)
process.exit(failed.length === 0 ? 0 : 1)
