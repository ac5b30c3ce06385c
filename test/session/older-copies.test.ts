import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { watchOlderCopies } from '../../src/session/older-copies.ts'
import { MARK_EVERY } from '../../src/storage/older-copy.ts'

it('row 163: the mark of a file is moved by one after the other, and none is under way once it is closed', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const begun: PromiseWithResolvers<void>[] = []
  const mark = {
    path: 'db.sqlite3',
    holdsRecords: false,
    look: () => ({ store: null, beside: null }),
    standing: () => 0,
    isOverwritten: () => false,
    move() {
      begun.push(Promise.withResolvers<void>())
      return begun.at(-1)?.promise ?? Promise.reject(new Error('it was begun'))
    },
  }
  const log = pino({ level: 'silent' })
  const [storage, clock] = [{ mark, records: {} as never, health: {} as never }, Date.now]
  const watch = watchOlderCopies({ storage, redis: null, clock, now: clock, log, audit: () => {} })
  const ready = watch.begin(async () => 0)
  begun[0]?.resolve()
  await ready
  vi.advanceTimersByTime(2 * MARK_EVERY)
  await vi.waitFor(() => expect(begun).toHaveLength(2))
  let isClosed = false
  const closed = watch.close().then(() => {
    isClosed = true
  })
  for (const i of [1, 2, 3]) {
    await vi.waitFor(() => expect(begun).toHaveLength(i + 1))
    expect(isClosed).toBe(false)
    begun[i]?.resolve()
  }
  await closed
  expect(begun).toHaveLength(4)
})
