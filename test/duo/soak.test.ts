import { type ChildProcess, fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import type { Session } from '../../src/session/session.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { node, temporaryFolder, until } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'
import { keys } from './people.ts'
import type { Calls, FromParent, ToParent } from './soak-postern.ts'

const LONG = process.env.POSTERN_LONG === '1'
const PUSHES = LONG ? 2_000 : 60
const USERS = LONG ? 200 : 12
const AT_ONCE = LONG ? 24 : 8
/** Half of them by SIGKILL. */
const RESTARTS = LONG ? 80 : 6
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
  /** In its session, whatever level that has. */
  readonly mark: string
  readonly session: Session
  /** A sign-out was over before anybody claimed. */
  signedOut: boolean
}

type Args<K extends keyof Calls> = Calls[K] extends (id: number, ...args: infer A) => unknown ? A : never
interface Asked<T> extends Promise<T> {
  /** Whoever asked is gone. */
  leave(): void
}
interface Process {
  ask<K extends keyof Calls>(call: K, ...args: Args<K>): Asked<Awaited<ReturnType<Calls[K]>>>
  tell(message: FromParent): void
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** What was asked of a Postern that is gone, or whose store did not answer in time: on a busy machine it does not always. */
class Unanswered extends Error {}

async function startProcess(args: readonly string[]): Promise<Process> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'soak-postern.ts'), args, {
    execPath: node,
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const asked = new Map<number, { resolve(value: never): void; reject(error: Error): void }>()
  let count = 0
  let gone = false
  const exit = new Promise<void>(resolve => child.once('exit', () => resolve())).then(() => {
    gone = true
    for (const { reject } of asked.values()) reject(new Unanswered())
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const ready = new Promise<void>((resolve, reject) => {
    exit.then(() => reject(new Error('it ended before it was ready')))
    child.on('message', (message: ToParent) => {
      if ('ready' in message) return resolve()
      const waits = asked.get(message.id)
      asked.delete(message.id)
      if (!('error' in message)) waits?.resolve(message.value as never)
      else waits?.reject(message.unavailable ? new Unanswered(message.error) : new Error(message.error))
    })
  })
  const tell = (message: FromParent) => {
    // A message that a dying process no longer takes is lost, as a request would be.
    if (!gone && child.connected) child.send(message, () => {})
  }
  await ready
  return {
    tell,
    ask: (call, ...args) => {
      const id = count++
      const answer = new Promise((resolve, reject) => {
        if (gone) return reject(new Unanswered())
        asked.set(id, { resolve, reject })
        tell({ id, call, args })
      })
      answer.catch(() => {}) // whoever asked hears of it by a promise of their own
      return Object.assign(answer, { leave: () => tell({ gone: id }) }) as never
    },
    async end(signal) {
      child.kill(signal)
      await exit
    },
  }
}

/** Where sessions and pushes are; and whether no push is open, and none is followed. */
interface Store {
  readonly redisPort: string
  isQuiet(): Promise<boolean>
}

async function inFile(file: string): Promise<Store> {
  return {
    redisPort: '',
    async isQuiet() {
      const database = new DatabaseSync(file, { timeout: 5_000 })
      try {
        expect(database.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
        const open = 'select 1 from postern_pushes where ended_at is null or lease_until is not null'
        return database.prepare(open).get() === undefined
      } finally {
        database.close()
      }
    },
  }
}

async function inRedis(): Promise<Store> {
  const { port, ask } = await startRedis({ cleanup: onTestFinished })
  const none = async (pattern: string) => (await ask('KEYS', `postern:push:{push}:${pattern}`)) === ''
  return {
    redisPort: String(port),
    isQuiet: async () => (await none('leases:')) && (await none('in-flight:*')) && (await none('ringing:*')),
  }
}

it.each([
  { where: 'a file', openStore: inFile },
  { where: 'Redis', openStore: inRedis },
])(
  `${PUSHES} pushes of ${USERS} people over two Posterns on $where, with answers, aborts, reloads, logouts, restarts and kills at random: no session has a level that it did not earn, and nobody is left stuck`,
  async ({ openStore }) => {
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
    const caFile = join(folder, 'ca.pem')
    writeFileSync(caFile, simulator.ca)

    const store = await openStore(file)
    const openPostern = () => startProcess([file, String(simulator.apiPort), caFile, String(ahead), store.redisPort])
    const posterns = [await openPostern(), await openPostern()]
    const any = () => pick(posterns)
    const moveClock = (by: number) => {
      ahead += by
      for (const one of posterns) one.tell({ ahead })
    }
    const episodes: Episode[] = []
    const count = { killed: 0, restarted: 0, raised: 0 }
    let restarting = Promise.resolve()
    let restartAt = PUSHES / RESTARTS / 2

    const onPhone = ({ key }: Session) =>
      simulator.pushes().filter(({ pushinfo }) => pushinfo.some(([name, value]) => name === 'Browser' && value === key))

    async function episode(): Promise<void> {
      const username = pick(names)
      const mark = `episode ${episodes.length} ${random()}`
      const session = await any().ask('signIn', username, mark)
      const { key } = session
      const mine: Episode = { mark, session, signedOut: false }
      episodes.push(mine)
      const start = () => any().ask('start', username, key, deviceOf(username))
      const leave = async () => {
        await any().ask('signOut', session)
        mine.signedOut = true
      }
      await start()
      if (chance(0.3)) await Promise.all([start(), any().ask('state', key)]) // a reload, a second tab
      const watching = any().ask('watch', key, 3_000)
      if (chance(0.2)) watching.leave() // the page is closed
      if (chance(0.1)) await leave()
      const [ringing] = onPhone(session).filter(({ state }) => state === 'pending')
      if (ringing !== undefined && !chance(0.1)) {
        await sleep(random() * 30)
        simulator.answer(ringing.id, pick(['approve', 'approve', 'approve', 'approve', 'approve', 'deny', 'fraud']))
      } else if (chance(0.5)) await any().ask('cancel', key)
      if (chance(0.05)) await leave()
      await watching.catch(() => {})
      const over = async () => !['sending', 'waiting'].includes((await any().ask('state', key)) ?? '')
      for (
        let tries = 0;
        tries < 40 && onPhone(session).some(({ state }) => state !== 'pending') && !(await over());
        tries += 1
      )
        await sleep(50)
      // Two tabs at once, in both processes; one of them may be killed meanwhile.
      const claims = await Promise.allSettled(posterns.map(one => one.ask('claim', session)))
      const taken = claims.filter(claim => claim.status === 'fulfilled' && claim.value).length
      expect(taken).toBeLessThanOrEqual(1)
      count.raised += taken
    }

    async function restart(): Promise<void> {
      const index = Math.floor(random() * posterns.length)
      const old = posterns[index]
      if (old === undefined) return
      if (count.killed <= count.restarted) {
        await old.end('SIGKILL')
        posterns[index] = await openPostern()
        count.killed += 1
      } else {
        posterns[index] = await openPostern()
        await old.end('SIGTERM')
        count.restarted += 1
      }
      moveClock(0) // it moved while the new one started
    }

    async function work(): Promise<void> {
      while (simulator.pushes().length < PUSHES) {
        if (simulator.pushes().length >= restartAt) {
          restartAt += PUSHES / RESTARTS
          restarting = restarting.then(restart)
        }
        // It fails as for a browser, which is told 503 or nothing.
        await episode().catch((error: unknown) => {
          if (!(error instanceof Unanswered)) throw error
        })
        // Where everybody is paused or has a push in flight, nothing above waits for I/O: without this, no answer would ever be heard.
        await nextTurn()
        // A push that nobody answers holds its person for a minute, and with all of them held the walk would stand still for as long.
        moveClock(20)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    await restarting

    // Of all sessions at level 2, whoever was told of them: somebody pressed Approve for this very sign-in, and had not signed out before.
    const byMark = new Map(episodes.map(one => [one.mark, one]))
    const level2 = await any().ask('level2')
    for (const credential of level2) {
      const of = byMark.get(credential)
      expect(of).toMatchObject({ signedOut: false })
      expect(of && onPhone(of.session).map(({ state }) => state)).toContain('approved')
    }

    // Later, all of it is over, and each of them can sign in.
    moveClock(3_600_000)
    simulator.clockMoved()
    // With its lease a push gives up the last that Duo may say of it: no denial of before is heard after that.
    await until(
      () => {
        moveClock(100) // whoever followed some is gone, and a lease lasts
        return store.isQuiet()
      },
      'no push is open, and none is followed',
      30_000,
    )
    moveClock(2_001) // the longest pause
    simulator.setPolicy({ answer: 'allow' })
    const last = any()
    for (const username of names) {
      const session = await last.ask('signIn', username, 'at last')
      expect(await last.ask('start', username, session.key, deviceOf(username)), username).toBe('started')
      await until(async () => (await last.ask('state', session.key)) !== 'waiting', 'it is over')
      expect(await last.ask('claim', session), username).toBe(true)
    }
    const states = simulator.pushes().map(({ state }) => state)
    const many = (state: string) => states.filter(one => one === state).length
    console.log(
      `${states.length} pushes, ${many('approved')} approved, ${many('denied')} denied, ${many('fraud')} reported; ${episodes.length} sessions, ${count.raised} raised; ${count.killed} killed, ${count.restarted} restarted`,
    )
    expect(count.raised).toBeGreaterThan(PUSHES / 20)
    expect(count.killed).toBeGreaterThan(0)
    expect(count.restarted).toBeGreaterThan(0)
  },
  LONG ? 1_800_000 : 120_000,
)
