import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFinished } from 'vitest'

/** Node of this project (26), whatever Node the machine has. */
export const node = join(import.meta.dirname, '../../node_modules/.bin/node')
export const projectRoot = join(import.meta.dirname, '../..')

export type Cleanup = (end: () => void | Promise<void>) => void

/** For what a `beforeAll` starts: the last first. Call it where the suite is described; `afterAll` inside a hook does nothing. */
export function endsWithSuite(): Cleanup {
  const ends: (() => void | Promise<void>)[] = []
  afterAll(async () => {
    for (const end of ends.toReversed()) await end()
  })
  return end => void ends.push(end)
}

/** A folder of its own under the temporary one, removed when the test ends. From a `beforeAll`, pass what `endsWithSuite` gives. */
export function temporaryFolder(cleanup: Cleanup = onTestFinished): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-test-'))
  cleanup(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

// Below the ports that the kernel gives to outgoing connections (Linux: from 32,768), one of which could have it before the program that it is
// for, or while that one is stopped; above 10,080, which browsers refuse. Each of vitest’s workers has a range of its own.
const portsEach = 5_000
const firstPort = 11_000 + portsEach * (Number(process.env.VITEST_POOL_ID ?? 0) % 4)
let nextPort = Math.floor(Math.random() * portsEach)

/** A TCP port of loopback that is free, and stays so. Never the same twice. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < portsEach; tried++) {
    const port = firstPort + (nextPort++ % portsEach)
    if (await isFree(port)) return port
  }
  throw new Error('no port')
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

export interface Running {
  readonly child: ChildProcess
  /** All that it has written so far, stdout and stderr. */
  output(): string
  /** Resolves with the first match in its output, past or future; rejects when it ends first. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves with its exit code, or the name of the signal that ended it. */
  readonly exit: Promise<number | string>
  stop(signal?: NodeJS.Signals): Promise<number | string>
}

/** Starts a program; it ends with the test, its children included. From a `beforeAll`, pass what `endsWithSuite` gives as `cleanup`. */
export function start(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; cleanup?: Cleanup } = {},
): Running {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true, // a group of its own, so that its children end with it
  })
  let output = ''
  const watchers = new Set<() => void>()
  const notify = (chunk: Buffer) => {
    output += chunk.toString()
    for (const watch of watchers) watch()
  }
  child.stdout.on('data', notify)
  child.stderr.on('data', notify)
  let ended = false
  const exit = new Promise<number | string>(resolve => {
    child.on('error', error => {
      output += String(error)
      resolve(-1)
    })
    child.on('close', (code, signal) => resolve(code ?? signal ?? -1))
  }).finally(() => {
    ended = true
    for (const watch of watchers) watch()
  })
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (!ended && child.pid !== undefined) {
      try {
        process.kill(-child.pid, signal)
      } catch {} // it ended meanwhile
    }
    return exit
  }
  const cleanup = options.cleanup ?? onTestFinished
  cleanup(async () => {
    const gone = stop()
    const timer = setTimeout(() => void stop('SIGKILL'), 5_000)
    await gone
    clearTimeout(timer)
  })
  return {
    child,
    output: () => output,
    exit,
    stop,
    line: pattern =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(output)
          if (!match && !ended) return
          watchers.delete(look)
          if (match) resolve(match)
          else reject(new Error(`${command} ended before it wrote ${pattern}:\n${output}`))
        }
        watchers.add(look)
        look()
      }),
  }
}

/** The path of a program that a test needs. Missing, it fails the test with what to install; it never passes silently. */
export function requiredProgram(name: string, install: string): string {
  const found = spawnSync('sh', ['-c', `command -v ${name}`], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin:${join(projectRoot, '.venv/bin')}` },
  }).stdout.trim()
  if (found === '') throw new Error(`This test needs ${name}. Install it: ${install}`)
  return found
}

/** Asks again until the answer is given (neither undefined, null nor false) or ten seconds are over. */
export async function until<T>(ask: () => T | Promise<T>, what: string, within = 10_000): Promise<NonNullable<T>> {
  const end = Date.now() + within
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== null && answer !== false) return answer
    if (Date.now() > end) throw new Error(`It never happened: ${what}`)
    await new Promise(resolve => setImmediate(() => setTimeout(resolve, 20)))
  }
}

/** SIGSTOP, and returns when no thread of it runs any more: the signal alone takes its time on a busy machine. */
export function freeze(pid = 0): void {
  if (pid === 0) throw new Error('it has no process')
  process.kill(pid, 'SIGSTOP')
  const end = performance.now() + 10_000
  const pause = new Int32Array(new SharedArrayBuffer(4))
  while (isRunning(pid)) {
    if (performance.now() > end) throw new Error(`Process ${pid} does not stand still`)
    Atomics.wait(pause, 0, 0, 1)
  }
}

/** Whether a thread of it is anything but stopped or gone. Source: proc_pid_stat(5), the field after the name in parentheses. */
function isRunning(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some(
      thread => !/\) [TZX] [^)]*$/.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')),
    )
  } catch {
    return false // it ended meanwhile
  }
}
