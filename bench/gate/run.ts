// The subrequest of a logged-in visitor, beside an empty Fastify route and nginx's `return 204`, in one run: see README.md.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setUp } from '../../test/support/postern.ts'
import { freePort, node } from '../../test/support/process.ts'
import { type Timed, timed, wrkArguments } from './wrk.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, seconds: { type: 'string', default: '3' } },
})
const CONNECTIONS = 16
const MICROSECONDS_A_TICK = 10_000 // of /proc: USER_HZ is 100
const url = 'http://one.postern.localhost/some/page?with=a&query=too'

const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
const endings: (() => void)[] = [() => rmSync(folder, { recursive: true, force: true })]
// A server has one core and the load generator another, where the machine has them.
const cores = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0
const pinned = (core: 0 | 1, command: string, args: string[]) =>
  cores ? (['taskset', ['-c', String(core), command, ...args]] as const) : ([command, args] as const)

interface Contender {
  readonly name: string
  readonly port: number
  /** taskset becomes the program that it starts, so that this is the server's own. */
  readonly pid: number | undefined
  readonly cookie: string
  readonly answers: { status: number; user: string | undefined }
}

interface Result extends Omit<Timed, 'requests'> {
  /** Of the server's processes, in microseconds a request: what a core is worth, also while others use the machine. */
  readonly cpu: number
}

try {
  const contenders = [await postern(), await emptyRoute(), await nginx()]
  for (const contender of contenders) await check(contender)
  for (const contender of contenders) await time(contender, 2) // warm

  const results = new Map<string, Result[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < Number(values.rounds); round++)
    for (const contender of contenders) results.get(contender.name)?.push(await time(contender, Number(values.seconds)))
  for (const contender of contenders) await check(contender)
  print(results)
} finally {
  for (const end of endings.reverse()) end()
}

async function postern(): Promise<Contender> {
  const setup = await setUp({ folder, users: ['alice', 'bob'] })
  const started = await ready(node, [join(import.meta.dirname, 'contender.ts'), 'gate', setup.configFile])
  return { name: 'Postern', port: setup.port, ...started, answers: { status: 200, user: 'alice' } }
}

async function emptyRoute(): Promise<Contender> {
  const port = await freePort()
  const started = await ready(node, [join(import.meta.dirname, 'contender.ts'), 'empty', String(port)])
  return { name: 'empty Fastify route', port, ...started, answers: { status: 200, user: 'alice' } }
}

async function nginx(): Promise<Contender> {
  const port = await freePort()
  for (const name of ['client', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(name => `${name}_temp_path ${folder}/${name.replace('_body', '')};`)
    .join(' ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr error;
events { worker_connections 256; }
http { access_log off; keepalive_requests 1000000000; ${temporary} server { listen 127.0.0.1:${port}; return 204; } }`,
  )
  const [command, args] = pinned(0, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'])
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  endings.push(() => child.kill())
  const { pid } = child
  const contender = { name: 'nginx return 204', port, pid, cookie: 'x=y', answers: { status: 204, user: undefined } }
  for (let tries = 0; tries < 100; tries++) {
    if ((await answer(contender).catch(() => null)) !== null) return contender
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('nginx does not answer')
}

function ready(program: string, programArgs: string[]): Promise<Pick<Contender, 'pid' | 'cookie'>> {
  const [command, args] = pinned(0, program, programArgs)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  endings.push(() => child.kill())
  return new Promise((resolve, reject) => {
    let output = ''
    child.on('exit', code => reject(new Error(`It ended with ${code}:\n${output}`)))
    child.stdout.on('data', chunk => {
      output += chunk
      const cookie = /^ready (.+)$/m.exec(output)?.[1]
      if (cookie !== undefined) resolve({ pid: child.pid, cookie })
    })
  })
}

function headersOf({ cookie }: Contender) {
  return {
    'X-Original-URL': url,
    'X-Original-Method': 'GET',
    'X-Forwarded-For': '203.0.113.9',
    Cookie: cookie,
  }
}

function answer(contender: Contender): Promise<Contender['answers']> {
  return new Promise((resolve, reject) => {
    const headers = headersOf(contender)
    get(
      { host: '127.0.0.1', port: contender.port, path: '/api/authz/auth-request', headers, agent: false },
      response => {
        const user = response.headers['remote-user']
        response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, user: user?.toString() }))
      },
    ).on('error', reject)
  })
}

/** Whoever answers wrongly is not timed. */
async function check(contender: Contender): Promise<void> {
  const got = JSON.stringify(await answer(contender))
  const wanted = JSON.stringify(contender.answers)
  if (got !== wanted) throw new Error(`${contender.name} answers ${got}, not ${wanted}`)
}

async function time(contender: Contender, seconds: number): Promise<Result> {
  const options = [`-c${CONNECTIONS}`, `-d${seconds}s`, '--latency']
  const target = `http://127.0.0.1:${contender.port}/api/authz/auth-request`
  const [command, args] = pinned(1, 'wrk', wrkArguments(options, headersOf(contender), target))
  const before = cpuTicks(contender.pid)
  const { requests, ...result } = timed(command, args)
  return { cpu: ((cpuTicks(contender.pid) - before) * MICROSECONDS_A_TICK) / requests, ...result }
}

/** What a process and its children have used, from /proc: user and system time. */
function cpuTicks(pid: number | undefined): number {
  const stat = (id: string) =>
    readFileSync(`/proc/${id}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
  return readdirSync('/proc')
    .filter(id => /^\d+$/.test(id))
    .reduce((sum, id) => {
      try {
        const fields = stat(id)
        return Number(id) === pid || Number(fields[1]) === pid ? sum + Number(fields[11]) + Number(fields[12]) : sum
      } catch {
        return sum // it ended meanwhile
      }
    }, 0)
}

function print(results: Map<string, Result[]>): void {
  const gate = results.get('Postern') ?? []
  const where = cores ? 'server and load generator on a core each' : 'not pinned'
  console.log(`${values.rounds} rounds of ${values.seconds} s, interleaved; ${CONNECTIONS} connections; ${where}.`)
  console.log('Medians (lowest to highest). Ratios are made round by round: what slows the machine down slows all.\n')
  for (const [name, rounds] of results) {
    const ratio = (of: (result: Result) => number) =>
      show(rounds.map((result, round) => (100 * of(gate[round] ?? result)) / of(result)))
    console.log(name)
    console.log(
      `  ${show(rounds.map(({ perSecond }) => perSecond))} req/s; Postern serves ${ratio(({ perSecond }) => perSecond)} % of it`,
    )
    console.log(
      `  ${show(rounds.map(({ cpu }) => cpu))} µs of CPU a request; by that, a core of Postern serves ${ratio(({ cpu }) => 1 / cpu)} % of it`,
    )
    console.log(
      `  p50 ${show(
        rounds.map(({ p50 }) => p50),
        2,
      )} ms, p99 ${show(
        rounds.map(({ p99 }) => p99),
        2,
      )} ms`,
    )
  }
}

function show(numbers: number[], digits = 0): string {
  const sorted = numbers.toSorted((a, b) => a - b)
  const [middle, low, high] = [sorted[Math.floor(sorted.length / 2)], sorted[0], sorted.at(-1)].map(value =>
    (value ?? Number.NaN).toFixed(digits),
  )
  return `${middle} (${low} to ${high})`
}
