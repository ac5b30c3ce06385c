import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { type Loaded, loadConfig } from './load.ts'
import { formatProblem, type Problem } from './problem.ts'
import type { Config } from './schema.ts'
import { watchFile } from './watch-file.ts'

/** What a new configuration changes while the server runs. The rest says that it needs a restart. */
const reloadable = ['access_control', 'definitions'] as const satisfies (keyof Config)[]

/** Reading the configuration again while the server runs. */
export interface Reload {
  /** Reads it now. Never rejects: what cannot be used is logged with its lines, and what was in force stays. One reading at a time. */
  again(): Promise<void>
  /** The last reading was refused: what is in force is older than the file. */
  readonly refused: boolean
  close(): Promise<void>
}

interface Parts {
  readonly file: string
  readonly env: NodeJS.ProcessEnv
  /** What is in force. */
  readonly config: Config
  readonly log: FastifyBaseLogger
  /** Builds all that is new, and only then swaps it in. @throws when it cannot be built; then nothing was swapped */
  readonly apply: (next: Config) => void
}

/** Reads the configuration when asked to, and when its file changes where `server.watch` says so. */
export function openReload({ file, env, config, log, apply }: Parts): Reload {
  let inForce = config
  let refused = false
  let work = Promise.resolve()

  async function read(): Promise<void> {
    const loaded = await loadConfig(file, env).catch(unreadable)
    if (!loaded.ok) return refuse(loaded.problems.map(formatProblem))
    try {
      apply(loaded.config)
    } catch (error) {
      return refuse([`${file}: error: ${error instanceof Error ? error.message : String(error)}`])
    }
    refused = false
    for (const warning of loaded.warnings) log.warn(formatProblem(warning))
    for (const key of changed(inForce, loaded.config))
      log.warn({ key }, `${key} has changed in ${file}: restart to use it`)
    const same = isDeepStrictEqual(pick(inForce), pick(loaded.config))
    inForce = { ...inForce, ...pick(loaded.config) }
    log.info({ file }, `the configuration was read anew: its rules are ${same ? 'the same' : 'in force'}`)
  }

  function refuse(lines: readonly string[]): void {
    refused = true
    for (const line of lines) log.error(line)
    log.error(
      { file, reason: 'configuration' },
      'the configuration cannot be used: the rules from before stay in force',
    )
  }

  /** One at a time; `read` catches what a file may hold, so what is left is a bug and is told as one. */
  function again(): Promise<void> {
    work = work.then(read).catch((error: unknown) => {
      refused = true
      log.error({ err: error }, 'a bug: the configuration could not be read anew')
    })
    return work
  }

  const watch = config.server.watch ? watchFile(file, again) : undefined
  return {
    again,
    get refused() {
      return refused
    },
    async close() {
      await watch?.close()
      await work
    },
  }

  function unreadable(error: unknown): Loaded {
    const message = error instanceof Error ? error.message : String(error)
    const problem: Problem = { severity: 'error', file, line: 0, column: 0, key: '', message }
    return { ok: false, problems: [problem] }
  }
}

/** The dotted keys that differ and that only a restart takes up: the deepest that says it all. */
function changed(before: Config, after: Config): string[] {
  const fixed = (config: Config) =>
    Object.fromEntries(Object.entries(config).filter(([key]) => !(reloadable as readonly string[]).includes(key)))
  return differences(fixed(before), fixed(after), '')
}

function differences(before: unknown, after: unknown, path: string): string[] {
  if (isDeepStrictEqual(before, after)) return []
  if (!isSection(before) || !isSection(after)) return [path]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap(key =>
    differences(before[key], after[key], path === '' ? key : `${path}.${key}`),
  )
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function pick(config: Config): Pick<Config, (typeof reloadable)[number]> {
  const { access_control, definitions } = config
  return { access_control, definitions }
}
