// `npm run demo`: from a fresh clone to the running demo. What it prints is the demo's own.
import { spawn } from 'node:child_process'
import { libatomic, nginx } from './needs.mjs'
import { ensureBuild, ensureNeeds, ensurePackages, node, root } from './setup.mjs'

const [broken] = await ensureNeeds([libatomic])
if (broken) {
  console.error(`set-up: ${broken.need.name} is missing, ${broken.need.why}. ${broken.reason}`)
  process.exit(1)
}
await ensurePackages()
await ensureBuild()
for (const { reason } of await ensureNeeds([nginx])) console.error(`set-up: without nginx. ${reason}`)

const demo = spawn(node, ['dist/main.js', 'demo', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
// A terminal sends its signals to the whole group, npm passes them on once more: the demo takes the first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.removeAllListeners(signal)
  process.on(signal, () => demo.kill(signal))
}
demo.on('close', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
