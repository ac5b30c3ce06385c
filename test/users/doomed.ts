// Counts tries and bans without pause, until it is killed. Tells each step after it, in one write each.
import { pino } from 'pino'
import { HOUR } from '../../src/clock.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { sqliteCounters } from '../../src/users/sqlite-counter.ts'

const [path = '', name = ''] = process.argv.slice(2)
const storage = await openStorage(
  { encryption_key: 'k'.repeat(20), local: { path } },
  { log: pino({ level: 'silent' }) },
)
const people = sqliteCounters(storage, Date.now)('people', { max_retries: 3, find_time: HOUR, ban_time: HOUR })
// Not faster than somebody reads it: a pipe that is full throws from writeSync.
const tell = (what: string, key: string) => new Promise(resolve => process.stdout.write(`${what} ${key}\n`, resolve))

await tell('ready', name)
for (let i = 0; ; i++) {
  const [guessed, told] = [`${name}-${i}-guessed`, `${name}-${i}-told`]
  for (const what of ['tried', 'tried', 'banned']) {
    await people.count(guessed)
    await tell(what, guessed)
  }
  await people.ban(told, { until: null, reason: null })
  await tell('banned', told)
}
