import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hash } from '../../src/commands/hash.ts'
import { type PasswordHash, parsePasswordHash } from '../../src/users/hashes.ts'
import { openVerifier } from '../../src/users/verify.ts'
import { node, projectRoot, requiredProgram, start } from '../support/process.ts'

const main = join(projectRoot, 'src/main.ts')

async function accepts(text: string, password: string): Promise<boolean> {
  const parsed: PasswordHash | { fault: string } = parsePasswordHash(text)
  if ('fault' in parsed) throw new Error(parsed.fault)
  const verifier = openVerifier()
  const accepted = await verifier.verify(parsed, password)
  await verifier.close()
  return accepted
}

function piped(input: string | Buffer) {
  const running = start(node, [main, 'hash'], { cwd: projectRoot })
  running.child.stdin?.end(input)
  return running
}

/** On a terminal of its own. */
function onTerminal() {
  const script = requiredProgram('script', 'apt-get install bsdutils')
  const running = start(script, ['--quiet', '--return', '--command', `${node} ${main} hash`, '/dev/null'], {
    cwd: projectRoot,
  })
  return { ...running, type: (text: string) => void running.child.stdin?.write(text) }
}

describe(hash, () => {
  it('prints the hash of a line from standard input, and nothing else', async () => {
    const running = piped('pässwörd 1\r\n')
    expect(await running.exit).toBe(0)
    expect(running.output()).toMatch(/^\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\n/)
    expect(await accepts(running.output().split('\n')[0] ?? '', 'pässwörd 1')).toBe(true)
  })

  it.each([
    ['nothing', '', /empty/],
    ['an empty line', '\n', /empty/],
    ['two lines', 'one\ntwo\n', /more than one line/],
    ['a megabyte', 'x'.repeat(1_000_000), /at most 1024 bytes/],
    ['what is not UTF-8', Buffer.from([0x70, 0xff, 0x0a]), /not UTF-8/],
  ])('refuses %s with exit code 1 and a reason', async (_, input, reason) => {
    const running = piped(input)
    running.child.stdin?.on('error', () => {}) // it does not read on
    expect(await running.exit).toBe(1)
    expect(running.output()).toMatch(reason)
    expect(running.output()).not.toContain('$argon2')
  })

  it('asks twice on a terminal, without showing what is typed', async () => {
    const terminal = onTerminal()
    await terminal.line(/Password: /)
    terminal.type('s3cret\x7ft!\r')
    await terminal.line(/Again: /)
    terminal.type('s3cret!\r')
    const [text = ''] = await terminal.line(/\$argon2id\$[^\s]+/)
    expect(await terminal.exit).toBe(0)
    expect(await accepts(text, 's3cret!')).toBe(true)
    expect(terminal.output()).not.toContain('s3cret')
  })

  it('refuses two that differ, and ends on Ctrl-C', async () => {
    const differing = onTerminal()
    await differing.line(/Password: /)
    differing.type('one\r')
    await differing.line(/Again: /)
    differing.type('two\r')
    expect(await differing.exit).toBe(1)
    expect(differing.output()).toMatch(/not the same/)

    const broken = onTerminal()
    await broken.line(/Password: /)
    broken.type('half\x03')
    expect(await broken.exit).toBe(130)
    expect(broken.output()).not.toContain('half')
  })
})
