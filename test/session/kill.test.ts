import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { node, start, temporaryFolder } from '../support/process.ts'
import { openHouse, secret } from './house.ts'

const KILLS = process.env.POSTERN_LONG === '1' ? 200 : 15
const SEED = 160
/** Processes on one file at a time. */
const TOGETHER = 3
const LONGEST_LIFE = 150

/** Park and Miller's generator: the same points of time in each run, as far as a machine keeps time. */
function* random(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 48_271) % 2_147_483_647
    yield state / 2_147_483_647
  }
}

const config = JSON.stringify({
  secret,
  cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
})

it(`row 160: ${KILLS} times killed in logins, rises and logouts: nothing half written, no logout undone, nobody logged out`, {
  timeout: KILLS * 5_000,
}, async () => {
  const path = join(temporaryFolder(), 'db.sqlite3')
  const alive = new Set<string>()
  const dead = new Set<string>()
  let steps = 0
  const numbers = random(SEED)
  for (let round = 0; round < KILLS / TOGETHER; round++) {
    const outputs = await Promise.all(
      Array.from({ length: TOGETHER }, async (_, n) => {
        const doomed = start(node, [join(import.meta.dirname, 'doomed.ts'), path, config, `${round}-${n}`])
        await doomed.line(/^ready$/m)
        await pause(numbers.next().value * LONGEST_LIFE)
        expect(await doomed.stop('SIGKILL')).toBe('SIGKILL')
        return doomed.output()
      }),
    )
    // A line that the kill cut off was not told.
    const told = outputs.flatMap(output => output.slice(0, output.lastIndexOf('\n')).split('\n'))
    for (const line of told) {
      const [what, old = '', next = ''] = line.split(' ')
      if (what === 'started') alive.add(old)
      if (what === 'replacing' || what === 'raising' || what === 'ending') alive.delete(old) // may be either from here on
      if (what === 'replaced' || what === 'raised' || what === 'ended') dead.add(old)
      if (what === 'replaced' || what === 'raised') alive.add(next)
      steps++
    }
    const house = await openHouse({ path, now: Date.now() })
    const check = (pragma: string) => house.intruder.prepare(`PRAGMA ${pragma}`).all()
    expect(check('integrity_check')).toEqual([{ integrity_check: 'ok' }])
    expect(check('foreign_key_check')).toEqual([])
    const count = (table: string) => house.intruder.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n
    expect(count('postern_sessions')).toBe(count('postern_session_activity'))
    for (const key of alive) expect(await house.sessions.lives(key), 'nobody is logged out').toBe(true)
    for (const key of dead) expect(await house.sessions.lives(key), 'no logout is undone').toBe(false)
    expect(house.events('session.invalid-record')).toEqual([])
    // One that was killed while it was replaced is the old or the new one, never both.
    const doubled =
      'SELECT username FROM postern_sessions WHERE username NOT LIKE ? GROUP BY username HAVING count(*) > 1'
    expect(house.intruder.prepare(doubled).all('%-kept')).toEqual([])
    await house.sessions.close()
    await house.storage.close()
    house.intruder.close()
  }
  expect(steps).toBeGreaterThan(KILLS * 5)
  expect(dead.size).toBeGreaterThan(KILLS)
  expect(alive.size).toBeGreaterThan(0)
})
