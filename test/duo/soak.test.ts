import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { openDuo } from '../../src/duo/open-duo.ts'
import { openSessions } from '../../src/session/open-sessions.ts'
import type { Session } from '../../src/session/session.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { temporaryFolder, until } from '../support/process.ts'
import { duoConfig, facts, keys, push, unregulated } from './people.ts'
import { silent } from './scripted-duo.ts'

const LONG = process.env.POSTERN_LONG === '1'
const PUSHES = LONG ? 2_000 : 60
const USERS = LONG ? 200 : 12
const AT_ONCE = LONG ? 24 : 8
const SEED = 20_261_124

/** Mulberry32: the same walk each time, as far as the machine's own timing lets it. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** One sign-in and what became of it: what was done, never what Postern says. */
interface Episode {
  readonly username: string
  readonly session: Session
  readonly endedBefore: { claim: boolean }
  raised: Session | null
}

it(
  `${PUSHES} pushes of ${USERS} people over two Posterns, with answers, aborts, reloads, logouts and restarts at random: no session has a level that it did not earn, and nobody is left stuck`,
  async () => {
    const random = randomFrom(SEED)
    const chance = (share: number) => random() < share
    const pick = <T>(of: readonly T[]): T => {
      const one = of[Math.floor(random() * of.length)]
      if (one === undefined) throw new Error('nothing to pick')
      return one
    }
    let ahead = 0
    const clock = () => Date.now() + ahead
    const names = Array.from({ length: USERS }, (_, index) => `user${index}`)
    const deviceOf = (username: string) => `DP${username.toUpperCase()}`
    const simulator = await startSimulator({
      ...keys,
      clock,
      users: names.map(username => ({
        username,
        devices: [{ id: deviceOf(username), capabilities: ['push' as const] }],
      })),
    })
    simulator.setPolicy({ failuresToLock: 1_000 })
    onTestFinished(() => simulator.close())
    const folder = temporaryFolder()
    const file = join(folder, 'postern.sqlite3')
    const ca_file = join(folder, 'ca.pem')
    writeFileSync(ca_file, simulator.ca)
    const sessionConfig = configSchema.shape.session.parse({
      secret: 'the secret of these tests, and of no server',
      cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
    })
    const [domain] = sessionConfig.cookies
    if (domain === undefined) throw new Error('no domain')

    async function openPostern() {
      const storage = await openStorage({ encryption_key: 'x'.repeat(20), local: { path: file } }, { log: silent })
      const audit = () => {}
      const sessions = await openSessions({ config: sessionConfig, storage, clock, log: silent, audit })
      const guard = {
        first_pause: '1s',
        longest_pause: '2s',
        fraud_lock: '2s',
        pushes_per_user: 10_000,
        pushes_per_address: 100_000,
        pushes_in_all: 1_000_000,
      }
      const duo = await openDuo({
        config: duoConfig({ hostname: `localhost:${simulator.apiPort}`, ca_file, guard }),
        application: 'Postern',
        encryptionKey: 'x'.repeat(20),
        people: unregulated,
        storage,
        clock,
        log: silent,
        audit,
      })
      duo.onFraud(async username => void (await sessions.endAllOf(username)))
      return {
        duo,
        sessions,
        async close() {
          await duo.close()
          await sessions.close()
          await storage.close()
        },
        /** Nothing more reaches the file from one moment to the next. */
        async crash() {
          await storage.close()
          await duo.close().catch(() => {})
          await sessions.close().catch(() => {})
        },
      }
    }
    const posterns = [await openPostern(), await openPostern()]
    onTestFinished(() => Promise.allSettled(posterns.map(one => one.close())).then(() => {}))
    const any = () => pick(posterns)
    const episodes: Episode[] = []
    let restarts = 0
    let restarting = Promise.resolve()

    const onPhone = (session: Session) =>
      simulator
        .pushes()
        .filter(({ pushinfo }) => pushinfo.some(([name, value]) => name === 'Browser' && value === session.key))

    async function episode(): Promise<void> {
      const username = pick(names)
      const { session } = await any().sessions.start(
        domain as NonNullable<typeof domain>,
        { username, credential: 'c', remember: false },
        null,
      )
      const mine: Episode = { username, session, endedBefore: { claim: false }, raised: null }
      episodes.push(mine)
      const owner = { sessionKey: session.key, username, displayName: username, email: undefined }
      const about = facts({ browser: session.key, at: clock() })
      const start = () => any().duo.start(owner, push(deviceOf(username)), about)
      const leave = async () => {
        await any().duo.cancel(session.key)
        await any().sessions.end(session)
        mine.endedBefore.claim = true
      }
      await start()
      if (chance(0.3)) await Promise.all([start(), any().duo.newest(session.key)]) // a reload, a second tab
      const gone = new AbortController()
      const watching = any().duo.change(session.key, 0, 3_000, gone.signal)
      watching.catch(() => {}) // killed meanwhile; it is awaited below
      if (chance(0.2)) gone.abort() // the page is closed
      if (chance(0.1)) await leave()
      const [ringing] = onPhone(session).filter(({ state }) => state === 'pending')
      if (ringing !== undefined && !chance(0.1)) {
        await sleep(random() * 30)
        simulator.answer(ringing.id, pick(['approve', 'approve', 'approve', 'approve', 'approve', 'deny', 'fraud']))
      } else if (chance(0.5)) await any().duo.cancel(session.key)
      if (chance(0.05)) await leave()
      await watching
      const over = async () => !['sending', 'waiting'].includes((await any().duo.newest(session.key))?.state ?? '')
      for (
        let tries = 0;
        tries < 40 && onPhone(session).some(({ state }) => state !== 'pending') && !(await over());
        tries += 1
      )
        await sleep(50)
      // Two tabs at once, in both processes.
      const claims = await Promise.all(posterns.map(one => one.duo.claim(session.key)))
      const taken = claims.filter(claim => claim !== null)
      expect(taken.length).toBeLessThanOrEqual(1)
      if (taken.length === 0) return
      const raised = await any().sessions.raise(session, { how: 'push', at: clock(), said: '' })
      if (raised !== 'ended') mine.raised = raised.session
    }

    async function restart(): Promise<void> {
      const index = Math.floor(random() * posterns.length)
      const old = posterns[index]
      if (old === undefined) return
      posterns[index] = await openPostern()
      await (chance(0.5) ? old.close() : old.crash())
      restarts += 1
    }

    async function work(): Promise<void> {
      while (simulator.pushes().length < PUSHES) {
        if (chance(LONG ? 0.01 : 0.04)) restarting = restarting.then(restart)
        // What was asked of a Postern that was just killed fails, as it does for a browser.
        await episode().catch((error: unknown) => {
          if (error instanceof Error && error.name === 'AssertionError') throw error
        })
        // Where everybody is paused or has a push in flight, nothing above waits for I/O: without this, no answer would ever be heard.
        await nextTurn()
        // A push that nobody answers holds its person for a minute, and with all of them held the walk would stand still for as long.
        ahead += 20
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    await restarting

    const level2 = episodes.filter(({ raised }) => raised !== null)
    for (const { session, endedBefore } of level2) {
      expect(endedBefore.claim).toBe(false)
      expect(onPhone(session).map(({ state }) => state)).toContain('approved')
    }
    const database = new DatabaseSync(file, { timeout: 5_000 })
    onTestFinished(() => database.close())
    const raisedKeys = new Set(level2.map(({ raised }) => raised?.key))
    for (const { key } of database.prepare('select key from postern_sessions where level = 2').all())
      expect(raisedKeys.has(String(key))).toBe(true)

    // Later, all of it is over, and each of them can sign in.
    ahead += 3_600_000
    simulator.clockMoved()
    // With its lease a push gives up the last that Duo may say of it: no denial of before is heard after that.
    await until(
      () =>
        database.prepare('select 1 from postern_pushes where ended_at is null or lease_until is not null').get() ===
        undefined,
      'no push is open, and none is followed',
      30_000,
    )
    ahead += 2_001 // the longest pause
    simulator.setPolicy({ answer: 'allow' })
    const { duo } = any()
    for (const username of names) {
      const owner = { sessionKey: `${username} at last`, username, displayName: '', email: undefined }
      expect(await duo.start(owner, push(deviceOf(username)), facts())).toMatchObject({ outcome: 'started' })
      await until(async () => (await duo.newest(owner.sessionKey))?.state !== 'waiting', 'it is over')
      expect(await duo.claim(owner.sessionKey), username).toMatchObject({ how: 'push' })
    }
    const states = simulator.pushes().map(({ state }) => state)
    const count = (state: string) => states.filter(one => one === state).length
    console.log(
      `${states.length} pushes, ${count('approved')} approved, ${count('denied')} denied, ${count('fraud')} reported; ${episodes.length} sessions, ${level2.length} raised; ${restarts} restarts`,
    )
    expect(level2.length).toBeGreaterThan(PUSHES / 10)
    expect(restarts).toBeGreaterThan(0)
  },
  LONG ? 1_800_000 : 120_000,
)
