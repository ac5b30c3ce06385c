import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// For the Posterns and commands that tests start: what one has compiled, hundreds of others need not.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/compile')

/** In a fresh clone vitest begins with the largest files. What drives a browser takes long, however small it is: as the last one it would run alone. */
class BrowserFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const inBrowser = ({ moduleId }: TestSpecification) => moduleId.includes('/test/browser/')
    return (await super.sort(files)).toSorted((a, b) => Number(inBrowser(b)) - Number(inBrowser(a)))
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    // Two cores in CI, and a third worker for what these leave idle: much of the time goes by in waiting for deadlines and for processes.
    maxWorkers: 3,
    sequence: { sequencer: BrowserFirst },
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
})
