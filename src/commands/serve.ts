import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { compileAccess } from '../access/access.ts'
import { liveRules } from '../access/live-rules.ts'
import { SECOND } from '../clock.ts'
import { caFileProblems } from '../config/ca-files.ts'
import { listenOptions, shownAddress, whyNotListening } from '../config/listen-address.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { openReload } from '../config/reload.ts'
import type { ListenAddress } from '../config/schema.ts'
import { removeStaleSocket } from '../config/stale-socket.ts'
import { buildServer } from '../server.ts'
import { StorageProblem } from '../storage/storage-problem.ts'
import { createLog } from '../telemetry/log.ts'

const DRAIN_AT_MOST = 10 * SECOND

/** Starts the server and serves until a signal ends it. Resolves with the exit code: 1 when it could not start, with nothing left half open. */
export async function serve(options: { config: string }): Promise<number> {
  const loaded = await loadConfig(options.config, process.env)
  const problems = loaded.ok ? await caFileProblems(loaded.config, loaded.locate) : loaded.problems
  if (!loaded.ok || problems.length > 0) {
    for (const problem of problems) console.error(formatProblem(problem))
    console.error(`postern: not started: ${options.config} has errors.`)
    return 1
  }
  const { config, warnings } = loaded
  let log: FastifyBaseLogger
  try {
    log = createLog(config.log)
  } catch (error) {
    return notStarted(error)
  }
  for (const warning of warnings) log.warn(formatProblem(warning))
  endOnBug(log)
  const rules = liveRules(compileAccess(config))
  const reload = openReload({
    file: options.config,
    env: process.env,
    config,
    log,
    apply: next => rules.replace(compileAccess(next)),
  })
  process.on('SIGHUP', () => void reload.again())
  let app: FastifyInstance
  try {
    app = await buildServer(config, { log, rules, configurationRefused: () => reload.refused })
  } catch (error) {
    await reload.close()
    return notStarted(error)
  }
  const ended = untilSignalled(app, log)
  const code = (await listen(app, config.server.address, log)) ? await ended : 1
  await reload.close()
  return code
}

function notStarted(error: unknown): number {
  const mend = error instanceof StorageProblem ? `. ${error.mend}` : ''
  console.error(`postern: not started: ${error instanceof Error ? error.message : String(error)}${mend}`)
  return 1
}

/** False when the address cannot be had; the server is closed then. */
export async function listen(app: FastifyInstance, address: ListenAddress, log: FastifyBaseLogger): Promise<boolean> {
  try {
    await removeStaleSocket(address)
    const place = await app.listen(listenOptions(address))
    log.info({ address: place }, 'serving')
    return true
  } catch (error) {
    const place = shownAddress(address)
    log.fatal({ address: place }, `cannot listen on server.address ${place}: ${whyNotListening(address, error)}`)
    await app.close()
    return false
  }
}

/** The first signal drains within the deadline; a second one ends at once. */
export function untilSignalled(app: FastifyInstance, log: FastifyBaseLogger): Promise<number> {
  return new Promise(resolve => {
    let draining = false
    const end = (signal: NodeJS.Signals) => {
      if (draining) process.exit(1)
      draining = true
      log.info({ signal }, 'ending: open requests are answered first')
      const deadline = setTimeout(() => {
        log.warn('some requests did not end in time')
        resolve(0)
      }, DRAIN_AT_MOST)
      app
        .close()
        .catch((error: unknown) => log.error({ err: error }, 'not everything was closed'))
        .finally(() => {
          clearTimeout(deadline)
          resolve(0)
        })
    }
    process.on('SIGTERM', end)
    process.on('SIGINT', end)
  })
}

/** After an exception that nobody caught nothing can be trusted: it is told, and the process ends. Reports of Node would hold the environment. */
function endOnBug(log: FastifyBaseLogger): void {
  if (process.report !== undefined) process.report.excludeEnv = true
  const end = (error: unknown) => {
    log.fatal({ err: error }, 'a bug ended the server')
    process.exit(1)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
  // A closed pipe or a full disk under stdout must not end a front door.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
}
