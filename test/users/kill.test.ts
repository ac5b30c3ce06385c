import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { HOUR } from '../../src/clock.ts'
import { node, start, temporaryFolder } from '../support/process.ts'
import { counting } from './parts.ts'

const KILLS = process.env.POSTERN_LONG === '1' ? 198 : 3
/** Processes on one file at a time. */
const TOGETHER = 3
const LONGEST_LIFE = 150

it(`row 160: ${KILLS} times killed while wrong passwords are counted and people banned: no ban and no try is forgotten`, {
  timeout: KILLS * 5_000,
}, async () => {
  const path = join(temporaryFolder(), 'db.sqlite3')
  const settings = { max_retries: 3, find_time: HOUR, ban_time: HOUR }
  let bans = 0
  for (let round = 0; round < KILLS / TOGETHER; round++) {
    const outputs = await Promise.all(
      Array.from({ length: TOGETHER }, async (_, n) => {
        const doomed = start(node, [join(import.meta.dirname, 'doomed.ts'), path, `${round}-${n}`])
        await doomed.line(/^banned \S+-told$/m)
        await pause(((round * TOGETHER + n + 1) / KILLS) * LONGEST_LIFE)
        expect(await doomed.stop('SIGKILL'), doomed.output().slice(-3000)).toBe('SIGKILL')
        return doomed.output()
      }),
    )
    const { storage, open } = await counting(Date.now, { path })
    const people = open('people', settings)
    for (const output of outputs) {
      // A line that the kill cut off was not told.
      const told = output.slice(0, output.lastIndexOf('\n')).split('\n')
      const tries = new Map<string, number>()
      const banned = new Set<string>()
      for (const line of told) {
        const [what, key = ''] = line.split(' ')
        if (what === 'tried') tries.set(key, (tries.get(key) ?? 0) + 1)
        if (what === 'banned') banned.add(key)
      }
      for (const key of banned) expect(await people.banned(key), 'no ban is forgotten').not.toBeNull()
      for (const [key, count] of tries)
        if (!banned.has(key) && (await people.banned(key)) === null) {
          const next = await people.count(key)
          expect('left' in next && next.left, 'no try is forgotten').toBeLessThanOrEqual(2 - count)
        }
      bans += banned.size
    }
    expect(storage.counters.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    await storage.close()
  }
  expect(bans).toBeGreaterThanOrEqual(KILLS)
})
