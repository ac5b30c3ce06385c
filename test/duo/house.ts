import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { redis as redisKeys } from '../../src/config/redis.ts'
import type { Duo, People } from '../../src/duo/duo.ts'
import type { Named } from '../../src/duo/names.ts'
import { openDuo } from '../../src/duo/open-duo.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { openRedis } from '../../src/storage/redis/open-redis.ts'
import type { AuditEvent } from '../../src/telemetry/audit.ts'
import { openRegulation } from '../../src/users/regulation.ts'
import { sqliteCounters } from '../../src/users/sqlite-counter.ts'
import { temporaryFolder } from '../support/process.ts'
import { duoConfig, keys } from './people.ts'

const phone = (id: string, name: string) => ({ id, name, number: '+15550100', capabilities: ['push' as const] })

export interface Opened extends Duo {
  readonly events: {
    event: AuditEvent
    reason?: string
    host?: string
    device?: string
    detail?: string
    factor?: string
  }[]
  readonly frauds: string[]
  readonly lines: string[]
  crash(): Promise<void>
}

export interface House {
  now: number
  readonly simulator: Simulator
  readonly file: string
  readonly caFile: string
  /** One more Postern over the same file and the same clock. `clock`: one of its own. */
  open(more?: {
    port?: number
    ca?: string
    clock?: () => number
    file?: string
    /** The port of the Redis that has the pushes. */
    redis?: number
    /** Of `duo_api`. */
    config?: object
    everybody?: { username: string; email: string | undefined }[]
  }): Promise<Opened>
}

/** A simulator, an SQLite file, and as many Duos over it as a test wants. */
export async function openHouse({ now = Date.UTC(2026, 10, 24, 13, 0, 0) } = {}): Promise<House> {
  const state = { now }
  const clock = () => state.now
  const simulator = await startSimulator({
    ...keys,
    clock,
    users: [
      { username: 'alice', devices: [phone('DPALICE1', 'Alice’s phone')] },
      { username: 'bob', devices: [phone('DPBOB1', 'Work'), phone('DPBOB2', 'Private')] },
      { username: 'carol', status: 'bypass', devices: [phone('DPCAROL1', 'Phone')] },
      { username: 'dave', status: 'locked out', devices: [phone('DPDAVE1', 'Phone')] },
      {
        username: 'erin',
        passcode: null,
        bypassCodes: ['987654321'],
        devices: [
          { ...phone('DPERIN1', 'Erin’s phone'), capabilities: ['push', 'sms', 'phone', 'mobile_otp'] },
          { id: 'DHERIN1', name: 'Key ring', type: 'token', capabilities: [] },
        ],
      },
    ],
  })
  onTestFinished(() => simulator.close())
  const folder = temporaryFolder()
  const file = join(folder, 'postern.sqlite3')
  const caFile = join(folder, 'ca.pem')
  writeFileSync(caFile, simulator.ca)

  const open: House['open'] = async (more = {}) => {
    const events: Opened['events'] = []
    const frauds: string[] = []
    const lines: string[] = []
    const log = pino({ level: 'debug' }, { write: line => void lines.push(line) })
    const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path: more.file ?? file } }, { log })
    const redis =
      more.redis === undefined
        ? null
        : await openRedis(redisKeys.parse({ host: '127.0.0.1', port: more.redis }), { clock: more.clock ?? clock, log })
    const ca_file = more.ca === undefined ? caFile : join(folder, `ca-${events.length}-${Math.random()}.pem`)
    if (more.ca !== undefined) writeFileSync(ca_file, more.ca)
    const duo = await openDuo({
      config: duoConfig({ hostname: `localhost:${more.port ?? simulator.apiPort}`, ca_file, ...more.config }),
      application: 'Postern',
      encryptionKey: 'x'.repeat(20),
      people: peopleOver(storage, more.clock ?? clock, more.everybody ?? []),
      storage,
      redis,
      clock: more.clock ?? clock,
      log,
      audit: (event, fields) => void events.push({ event, ...fields }),
    })
    duo.onFraud(async username => void frauds.push(username))
    let open = true
    const close = async () => {
      if (!open) return
      open = false
      await duo.close()
      await redis?.close()
      await storage.close()
    }
    onTestFinished(close)
    // `simulated` is read anew each time: Object.assign would freeze it.
    const opened = Object.create(duo, {
      simulated: { get: () => duo.simulated },
      events: { value: events },
      frauds: { value: frauds },
      lines: { value: lines },
      /** The process is gone from one moment to the next: nothing more reaches the file. */
      crash: {
        value: async () => {
          open = false
          await redis?.close()
          await storage.close()
          await duo.close().catch(() => {})
        },
      },
    })
    return opened as Opened
  }
  return Object.assign(state, { simulator, file, caFile, open })
}

/** Waits by the face that the portal uses, until the newest push of this session is over. */
export async function ended(duo: Duo, session: string) {
  const never = new AbortController().signal
  for (let seq = 0; ; ) {
    const push = await duo.change(session, seq, 5_000, never)
    if (push === null) throw new Error('no push')
    if (push.state !== 'sending' && push.state !== 'waiting') return push
    seq = push.seq
  }
}

/** As users/ has them: three wrong passcodes within two minutes bring a ban of five. */
function peopleOver(
  storage: Parameters<typeof sqliteCounters>[0],
  clock: () => number,
  everybody: readonly Named[],
): People {
  const limits = { modes: ['user' as const], max_retries: 3, find_time: 120_000, ban_time: 300_000 }
  const regulation = openRegulation(sqliteCounters(storage, clock), limits)
  return {
    everybody: () => everybody,
    ban: regulation.ban,
    tryPasscode: (username, { ip }) => regulation.beginPasscode({ person: username, ip }),
  }
}
