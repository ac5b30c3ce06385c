import fc from 'fast-check'

const long = process.env.POSTERN_LONG === '1'
const seed = long ? Date.now() % 2 ** 31 : 20_261_124

/** Tried whatever the time, so that a slow machine has tried something too. */
const FIRST_RUNS = 5

/**
 * Tries a property: some more than a second of one fixed course in CI; two minutes of another each time by `npm run test:long`. What fails is
 * told with the seed to try it again.
 */
export async function tryOut<T>(property: fc.IProperty<T> | fc.IAsyncProperty<T>): Promise<void> {
  await fc.assert(property as fc.IAsyncProperty<T>, { seed, numRuns: FIRST_RUNS })
  await fc.assert(property as fc.IAsyncProperty<T>, {
    seed: seed + 1,
    numRuns: 10_000_000,
    interruptAfterTimeLimit: long ? 120_000 : 1_100,
  })
}

export const timeout = long ? 180_000 : 20_000
