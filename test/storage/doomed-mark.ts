// Moves the marks of a file without pause, ten minutes at a time, until it is killed.
import { pino } from 'pino'
import { whenFree } from '../../src/storage/busy.ts'
import { openStorage } from '../../src/storage/open-storage.ts'

const path = process.argv[2] ?? ''
const storage = await openStorage(
  { encryption_key: 'k'.repeat(20), local: { path } },
  { log: pino({ level: 'silent' }) },
)
console.log('ready')
for (;;) {
  await storage.mark?.move(standing => Math.max(standing, Date.UTC(2026, 0)) + 600_000)
  await whenFree(() =>
    storage.counters.exec('CREATE TABLE IF NOT EXISTS postern_work (n); INSERT INTO postern_work VALUES (1)'),
  )
}
