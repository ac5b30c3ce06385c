// Brings what tests and demo need, on a machine where nobody installed anything: plain JavaScript for any Node from 20.
// Everything here does nothing, quickly, when all is there.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { venv as venvNeed } from './needs.mjs'

export const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..')
const venvFolder = join(root, '.venv')
/** Node of this project, whatever Node runs this script. */
export const node = join(root, 'node_modules/.bin/node')

const environment = { ...process.env, VENV: venvFolder, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
const say = text => console.error(`set-up: ${text}`)

const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal)
    if (running.size === 0) process.exit(1)
  })
}

/**
 * Runs a program to its end; signals that this process gets are passed on. `quiet` keeps its output unless it fails.
 * @returns {Promise<{code: number, output: string}>} code 0 is success
 */
export function run(command, args, { quiet = false, env = {}, cwd = root } = {}) {
  return new Promise(resolve => {
    const stdio = quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit'
    const child = spawn(command, args, { cwd, stdio, env: { ...environment, ...env } })
    running.add(child)
    let output = ''
    const keep = chunk => {
      output += chunk
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    const end = (code, error = '') => {
      running.delete(child)
      resolve({ code, output: output + error })
    }
    child.on('error', error => end(127, String(error)))
    child.on('close', (code, signal) => end(signal ? 128 : (code ?? 1)))
  })
}

const holds = command => spawnSync('sh', ['-c', command], { env: environment, stdio: 'ignore' }).status === 0
const lastLines = output => output.trim().split('\n').slice(-15).join('\n')

/** The npm packages, when what is installed is not what package-lock.json says. Exits when npm fails. */
export async function ensurePackages() {
  if (packagesAreThere()) return
  say('npm packages')
  const ci = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  let { code, output } = await run('npm', ci, { quiet: true })
  const npm = process.env.npm_execpath
  if (code === 0 && leavesOutOptionalPackages(process.versions.node) && npm) {
    say('npm packages, once more under the Node that they brought')
    const folder = mkdtempSync(join(tmpdir(), 'postern-node-')) // npm ci takes node_modules away while it runs
    copyFileSync(node, join(folder, 'node'))
    const env = { PATH: `${folder}:${environment.PATH}` }
    const again = await run(join(folder, 'node'), [npm, ...ci], { quiet: true, env })
    code = again.code
    output = again.output
    rmSync(folder, { recursive: true })
  }
  if (code !== 0) {
    console.error(`${lastLines(output)}\nset-up: npm ci failed (its last lines are above)`)
    process.exit(1)
  }
}

/** npm under an older Node silently leaves out the binaries of rolldown, and vitest would not start. */
function leavesOutOptionalPackages(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < 20 || (major === 20 && minor < 19) || major === 21 || (major === 22 && minor < 12)
}

function packagesAreThere() {
  try {
    const read = file => JSON.parse(readFileSync(join(root, file), 'utf8')).packages
    const wanted = read('package-lock.json')
    const installed = read('node_modules/.package-lock.json')
    const missing = Object.keys(wanted).filter(
      path => path !== '' && !wanted[path].optional && wanted[path].version !== installed[path]?.version,
    )
    return missing.length === 0 && existsSync(node)
  } catch {
    return false
  }
}

/** dist/, when a source is newer than what it was built from. Exits when the build fails. */
export async function ensureBuild() {
  const stamp = join(root, 'dist/.built-from')
  const sources = fingerprint(['src', 'package.json', 'package-lock.json', 'tsconfig.json'])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return
  say('build')
  rmSync(stamp, { force: true })
  const { code, output } = await run('npm', ['run', '--silent', 'build'], { quiet: true })
  if (code !== 0) {
    console.error(`${output.trim()}\nset-up: the build failed`)
    process.exit(1)
  }
  writeFileSync(stamp, sources)
}

function fingerprint(paths) {
  const hash = createHash('sha256')
  const add = path => {
    const facts = statSync(join(root, path))
    if (facts.isDirectory()) for (const name of readdirSync(join(root, path)).sort()) add(`${path}/${name}`)
    else hash.update(`${path} ${facts.size} ${facts.mtimeMs}\n`)
  }
  for (const path of paths) add(path)
  return hash.digest('hex')
}

/**
 * Installs what is missing of these needs.
 * @param {readonly import('./needs.mjs').Need[]} needs
 * @returns {Promise<{need: import('./needs.mjs').Need, reason: string, reached: boolean}[]>} what can't be had. `reached`: the registry that has it
 *   answers on this machine, or this machine has no such package manager to ask
 */
export async function ensureNeeds(needs) {
  const isMissing = need => !holds(need.found)
  const missing = needs.filter(isMissing)
  if (missing.length === 0) return []
  const python = missing.filter(need => need.python)
  const pythonFirst = python.length > 0 && !existsSync(join(venvFolder, 'bin/pip')) && isMissing(venvNeed)
  const debian = await installDebian(
    [...missing, ...(pythonFirst ? [venvNeed] : [])].flatMap(need => need.debian ?? []),
  )
  const pip = await installPython(python.flatMap(need => need.python))
  return missing
    .filter(isMissing)
    .map(need => ({ need, ...(need.python ? pip : debian) }))
    .map(({ need, reason, reached }) => ({ need, reason: reason || 'it was installed, but it is not there', reached }))
}

async function installDebian(packages) {
  if (packages.length === 0) return { reason: '', reached: true }
  const line = `apt-get install --no-install-recommends ${packages.join(' ')}`
  if (!holds('command -v apt-get'))
    return { reason: `this machine has no apt-get; Debian’s is: ${line}`, reached: true }
  const asRoot = process.getuid() === 0 ? [] : ['sudo', '-n']
  if (asRoot.length > 0 && !holds('sudo -n true')) return { reason: `needs root: ${line}`, reached: true }
  say(`Debian packages: ${packages.join(' ')}`)
  const apt = (...args) => {
    const whole = [
      ...asRoot,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      '-q',
      '-o',
      'DPkg::Lock::Timeout=120',
      ...args,
    ]
    return run(whole[0], whole.slice(1), { quiet: true })
  }
  await apt('update') // its failures show below: one source of several may be down
  const { code, output } = await withoutStartingServices(asRoot, () =>
    apt('install', '-y', '--no-install-recommends', ...packages),
  )
  if (code === 0) return { reason: '', reached: true }
  const folder = mkdtempSync(join(tmpdir(), 'postern-reach-'))
  const { code: unreachable } = await run('apt-get', ['-q', 'download', 'hostname'], { quiet: true, cwd: folder })
  rmSync(folder, { recursive: true })
  return unreachable === 0
    ? { reason: `failed: ${line}\n${lastLines(output)}`, reached: true }
    : { reason: 'this machine does not reach Debian’s packages', reached: false }
}

const policyFile = '/usr/sbin/policy-rc.d'
const policy =
  '#!/bin/sh\n# Put here by the set-up of postern while it installs packages; it may be removed.\nexit 101\n'

/** Debian starts nginx, caddy and haproxy when it installs them, and they would take ports. This policy keeps them from it. */
async function withoutStartingServices(asRoot, work) {
  const shell = script =>
    run([...asRoot, 'sh'][0], [...asRoot, 'sh', '-c', script].slice(1), { quiet: true, env: { policy } })
  const existing = existsSync(policyFile) ? readFileSync(policyFile, 'utf8') : null
  if (existing !== null && existing !== policy) return work() // somebody's own
  const before = servicesHere()
  await shell(`cat > ${policyFile} <<'END'\n${policy}END\nchmod 755 ${policyFile}`)
  try {
    return await work()
  } finally {
    await shell(`rm -f ${policyFile}`)
    const added = servicesHere().filter(name => !before.includes(name))
    if (added.length > 0 && existsSync('/run/systemd/system')) await shell(`systemctl disable ${added.join(' ')}`) // nor at the next start
  }
}

const servicesHere = () =>
  ['nginx', 'caddy', 'haproxy'].filter(name => existsSync(`/lib/systemd/system/${name}.service`))

async function installPython(packages) {
  if (packages.length === 0) return { reason: '', reached: true }
  const pip = join(venvFolder, 'bin/pip')
  if (!existsSync(pip)) {
    if (!holds(venvNeed.found)) return { reason: 'python3 with its venv module is missing', reached: true }
    const { code, output } = await run('python3', ['-m', 'venv', venvFolder], { quiet: true })
    if (code !== 0) return { reason: `python3 -m venv failed\n${lastLines(output)}`, reached: true }
  }
  say(`PyPI packages: ${packages.join(' ')}`)
  const { code, output } = await run(pip, ['install', '-q', '--disable-pip-version-check', ...packages], {
    quiet: true,
  })
  if (code === 0) return { reason: '', reached: true }
  const folder = mkdtempSync(join(tmpdir(), 'postern-reach-'))
  const { code: unreachable } = await run(pip, ['download', '-q', '--no-deps', '-d', folder, 'pip'], { quiet: true })
  rmSync(folder, { recursive: true })
  return unreachable === 0
    ? { reason: `pip install failed\n${lastLines(output)}`, reached: true }
    : { reason: 'this machine does not reach PyPI', reached: false }
}
