import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { node, projectRoot, start, temporaryFolder } from '../support/process.ts'

const main = join(projectRoot, 'dist/main.js')

/** What a command says where there is no configuration, and how it ends. */
async function run(args: readonly string[], options: readonly string[] = []) {
  const folder = temporaryFolder()
  const running = start(node, [...options, main, ...args], { cwd: folder, env: { PATH: process.env.PATH } })
  return { code: await running.exit, output: running.output() }
}

const commands = [
  'serve',
  'check',
  'doctor',
  'explain --url https://app.example.com/',
  'sessions list',
  'sessions revoke --all',
  'bans list',
  'bans add alice',
  'bans revoke alice',
  'migrate',
  'change-encryption-key',
]

describe('postern', () => {
  it('has the commands of docs/commands.md, and no other', async () => {
    const named = async (...above: string[]) => {
      const { output } = await run([...above, '--help'])
      const [, list = ''] = output.split('\nCommands:\n')
      return [...list.matchAll(/^ {2}([a-z-]+) /gm)].flatMap(([, name = '']) => (name === 'help' ? [] : [name]))
    }
    const names: string[] = []
    for (const name of await named()) {
      const below = name === 'sessions' || name === 'bans' ? await named(name) : []
      names.push(...(below.length === 0 ? [name] : below.map(one => `${name} ${one}`)))
    }
    const page = readFileSync(join(projectRoot, 'docs/commands.md'), 'utf8')
    const rows = [...page.matchAll(/^\| `postern ([^`]+)` \|/gm)].map(([, name]) => name)
    expect(rows.toSorted()).toEqual(names.toSorted())
  })

  it('ends with 1 where there is no configuration file, and says how to name one, whatever the command', async () => {
    const ended = await Promise.all(commands.map(command => run(command.split(' '))))
    for (const [index, { code, output }] of ended.entries()) {
      expect(output, commands[index]).toContain(
        'configuration.yml: error: The configuration file does not exist. Name it with --config, or in POSTERN_CONFIG.\n',
      )
      expect(output.trimEnd().split('\n').length, output).toBeLessThanOrEqual(2)
      expect(code, commands[index]).toBe(1)
    }
  })

  it('names a port that is taken, whatever would answer there', async () => {
    const other = createServer((_, response) => response.end('not the demo')).listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await once(other, 'listening')
    const address = other.address()
    const port = String(typeof address === 'object' ? address?.port : address)
    expect(await run(['demo', '--port', port])).toEqual({
      code: 1,
      output: `postern demo: port ${port} cannot be had: something else listens on it. Choose another: --port N\n`,
    })
    expect(await run(['simulator', '--port', port, '--integration-key', 'DITEST', '--secret-key', 'x'])).toEqual({
      code: 1,
      output: `postern simulator: listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`,
    })
  })

  it('says so where Node is too old, in place of a stack', async () => {
    const old = join(temporaryFolder(), 'old.mjs')
    const versions = "{ value: { ...process.versions, node: '20.20.2' } }"
    writeFileSync(old, `Object.defineProperty(process, 'versions', ${versions})\n`)
    expect(await run(['check'], ['--import', old])).toEqual({
      code: 1,
      output: 'postern: Node 24 or newer is needed, and this is 20.20.2: npm ci brings one, node_modules/.bin/node.\n',
    })
  })
})
