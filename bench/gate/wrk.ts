import { spawnSync } from 'node:child_process'

export interface Timed {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** What wrk sends: its options, the headers, and where to. */
export const wrkArguments = (options: readonly string[], headers: Record<string, string>, target: string) => [
  '-t1',
  ...options,
  ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
  target,
]

/** Runs it with `--latency` to its end. Whoever answers wrongly is not timed. @throws Error */
export function timed(command: string, args: readonly string[]): Timed {
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`wrk (apt-get install wrk) failed: ${stderr}`)
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`Something was answered wrongly:\n${stdout}`)
  const milliseconds = (percentile: string) => {
    const [, value = '', unit = ''] = new RegExp(`${percentile}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout) ?? []
    return Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? Number.NaN)
  }
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    p50: milliseconds('50'),
    p99: milliseconds('99'),
  }
}
