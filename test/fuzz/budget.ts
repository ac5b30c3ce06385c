import type { Parameters } from 'fast-check'

const long = process.env.POSTERN_LONG === '1'

/** How long one property is tried: some more than a second of one fixed course in CI; two minutes of another each time by `npm run test:long`. */
export const budget = {
  seed: long ? Date.now() % 2 ** 31 : 20_261_124,
  numRuns: 10_000_000,
  interruptAfterTimeLimit: long ? 120_000 : 1_200,
} satisfies Parameters<unknown>

export const timeout = long ? 180_000 : 20_000
