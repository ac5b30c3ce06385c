// The subrequest of a logged-in visitor while others guess passwords at the gate, beside the same without guesses, in one run: see README.md.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hash } from 'argon2'
import { setUp } from '../../test/support/postern.ts'
import { node } from '../../test/support/process.ts'
import { type Timed, timed, wrkArguments } from './wrk.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' } },
})
const generator = 'wrk'
const url = 'http://one.postern.localhost/some/page?with=a&query=too'
const asked = { 'X-Original-URL': url, 'X-Original-Method': 'GET' }
const folder = mkdtempSync(join(tmpdir(), 'postern-flood-'))

// Names and passwords that are never the same, from 200 addresses.
const guesses = join(folder, 'guesses.lua')
writeFileSync(
  guesses,
  `local b = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local function encoded(text)
  return ((text:gsub('.', function(x)
    local r, byte = '', x:byte()
    for i = 8, 1, -1 do r = r .. (byte % 2 ^ i - byte % 2 ^ (i - 1) > 0 and '1' or '0') end
    return r
  end) .. '0000'):gsub('%d%d%d?%d?%d?%d?', function(x)
    if #x < 6 then return '' end
    local c = 0
    for i = 1, 6 do c = c + (x:sub(i, i) == '1' and 2 ^ (6 - i) or 0) end
    return b:sub(c + 1, c + 1)
  end) .. ({ '', '==', '=' })[#text % 3 + 1])
end
local n = 0
request = function()
  n = n + 1
  wrk.headers['Authorization'] = 'Basic ' .. encoded('name-' .. n .. ':guess')
  wrk.headers['X-Forwarded-For'] = '198.51.100.' .. (n % 200)
  return wrk.format('GET', '/api/authz/auth-request')
end
`,
)

const setup = await setUp({ folder, users: ['alice'] })
// Authelia's default, unlike the tests' own: about as much as a password costs.
const usersFile = join(folder, 'users.yml')
const dear = await hash('correct horse', { memoryCost: 65_536, timeCost: 3, parallelism: 4 })
writeFileSync(usersFile, readFileSync(usersFile, 'utf8').replace(/password: .*/, `password: ${dear}`))
const server = spawn(node, [join(import.meta.dirname, 'contender.ts'), 'gate', setup.configFile], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const cookie = await new Promise<string>((resolve, reject) => {
    let output = ''
    server.on('exit', code => reject(new Error(`It ended with ${code}:\n${output}`)))
    server.stdout.on('data', chunk => {
      output += chunk
      const found = /^ready (.+)$/m.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  const target = `http://127.0.0.1:${setup.port}/api/authz/auth-request`
  const wrk = (options: string[], headers: Record<string, string>) => wrkArguments(options, headers, target)
  const results = {
    'nobody else': [] as Timed[],
    'as many without a password': [] as Timed[],
    guesses: [] as Timed[],
  }
  timed(generator, wrk(['-c4', '-d1s', '--latency'], { ...asked, Cookie: cookie })) // warm
  for (let round = 0; round < Number(values.rounds); round++) {
    const visitor = wrk(['-c4', `-d${values.seconds}s`, '--latency'], { ...asked, Cookie: cookie })
    results['nobody else'].push(timed(generator, visitor))
    results['as many without a password'].push(await during(wrk(['-c64', '-d600s'], asked), visitor))
    results.guesses.push(await during(wrk(['-c64', '-d600s', '-s', guesses], asked), visitor))
    await untilHashed(target)
  }
  console.log(
    `${values.rounds} rounds of ${values.seconds} s, interleaved. Visitors: 4 connections, each answer a 200. The others: 64.`,
  )
  for (const [name, rounds] of Object.entries(results)) {
    const middle = (of: (result: Timed) => number) => rounds.map(of).toSorted((a, b) => a - b)[rounds.length >> 1]
    console.log(
      `${name}: ${middle(r => r.perSecond)?.toFixed(0)} req/s, p50 ${middle(r => r.p50)} ms, p99 ${middle(r => r.p99)} ms`,
    )
  }
} finally {
  server.removeAllListeners('exit')
  server.kill()
  rmSync(folder, { recursive: true, force: true })
}

/** Those who wait for a hash are served in turn: who comes last is answered when the others have been. A full queue is 503. */
async function untilHashed(target: string): Promise<void> {
  for (let n = 0; ; n++) {
    // Another name each time: one that failed too often is refused without a hash.
    const guess = Buffer.from(`last-${Date.now()}-${n}:guess`).toString('base64')
    const { status } = await fetch(target, { headers: { ...asked, Authorization: `Basic ${guess}` } })
    if (status === 401) return
    if (status !== 503) throw new Error(`A guess was answered with ${status}`)
  }
}

async function during(floodArgs: string[], args: string[]): Promise<Timed> {
  const flood = spawn(generator, floodArgs, { stdio: 'ignore' })
  await new Promise(resolve => setTimeout(resolve, 1000)) // nothing tells when 64 connections have come to a steady state
  const result = timed(generator, args)
  flood.kill()
  await new Promise(resolve => flood.once('exit', resolve))
  return result
}
