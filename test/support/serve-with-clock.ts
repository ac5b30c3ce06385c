// Postern as `serve` starts it, with a clock that a test moves by a line on standard input: `61000` is 61 seconds ahead, `-61000` back.
import { createInterface } from 'node:readline'

// From the build, as in production; the types are the sources'.
const built = (path: string) => import(new URL(`../../dist/${path}`, import.meta.url).href)
const { listen, untilSignalled }: typeof import('../../src/commands/serve.ts') = await built('commands/serve.js')
const { loadConfig }: typeof import('../../src/config/load.ts') = await built('config/load.js')
const { buildServer }: typeof import('../../src/server.ts') = await built('server.js')
const { createLog }: typeof import('../../src/telemetry/log.ts') = await built('telemetry/log.js')

let offset = Number(process.argv[3] ?? 0)
const loaded = await loadConfig(process.argv[2] ?? '', process.env)
if (!loaded.ok) {
  console.error(JSON.stringify(loaded.problems))
  process.exit(1)
}
const log = createLog(loaded.config.log)
const app = await buildServer(loaded.config, { log, clock: () => Date.now() + offset })
createInterface({ input: process.stdin }).on('line', line => {
  offset += Number(line)
  console.log(`clock is ${offset} ms ahead`)
})
const ended = untilSignalled(app, log)
if (!(await listen(app, loaded.config.server.address, log))) process.exit(1)
console.log('listening')
process.exit(await ended)
