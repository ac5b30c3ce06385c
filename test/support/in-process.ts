import type { FastifyInstance } from 'fastify'
import { type Logger, pino } from 'pino'
import { onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { buildServer } from '../../src/server.ts'
import { type Setup, setUp } from './postern.ts'

export interface MemoryLog {
  readonly log: Logger
  /** Everything that was logged, as one text. */
  text(): string
  /** The audit events of one name, or all. */
  events(name?: string): Record<string, unknown>[]
}

function memoryLog(): MemoryLog {
  const lines: string[] = []
  const log = pino({ level: 'trace', base: null }, { write: line => lines.push(line) })
  return {
    log,
    text: () => lines.join(''),
    events: name =>
      lines
        .map(line => JSON.parse(line) as Record<string, unknown>)
        .filter(({ event }) => event !== undefined && (name === undefined || event === name)),
  }
}

export interface InProcess extends MemoryLog {
  readonly app: FastifyInstance
  readonly setup: Setup
  readonly url: string
  now: number
}

/** The whole server in this process, listening on a free port, with a clock that is a variable. */
export async function openPostern(
  wishes: Parameters<typeof setUp>[0] = {},
  cleanup: (end: () => Promise<void> | void) => void = onTestFinished,
): Promise<InProcess> {
  const setup = await setUp(wishes, cleanup)
  const loaded = await loadConfig(setup.configFile, {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2))
  const memory = memoryLog()
  const state = { now: Date.now() }
  const app = await buildServer(loaded.config, { log: memory.log, clock: () => state.now })
  cleanup(() => app.close())
  await app.listen({ host: '127.0.0.1', port: setup.port })
  return Object.assign(state, { ...memory, app, setup, url: `http://127.0.0.1:${setup.port}` })
}
