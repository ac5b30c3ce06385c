import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAudit } from '../../src/telemetry/audit.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { temporaryFolder } from '../support/process.ts'

function logged(format: 'text' | 'json', write: (log: ReturnType<typeof createLog>) => void): string {
  const file = join(temporaryFolder(), 'log')
  write(createLog({ level: 'trace', format, file_path: file, keep_stdout: false }))
  return readFileSync(file, 'utf8')
}

const hostile =
  'x\n2026-11-24T00:00:00.000Z info login.succeeded user="admin" \u001b[2J " \u0085 \u2028 \u202e \u009b31m'

describe(createLog, () => {
  it.each(['text', 'json'] as const)(
    'row 172: a name from outside stays inside its own line and field, in %s',
    format => {
      const text = logged(format, log => createAudit(log)('login.failed', { username: hostile, ip: '192.0.2.1' }))
      expect(text.split('\n')).toHaveLength(2)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(text.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/)
      expect(text).toContain('login.failed')
      expect(text).toContain('192.0.2.1')
    },
  )

  it('row 173: the address is a field of its own, apart from free text', () => {
    const line = logged('json', log =>
      createAudit(log)('login.failed', { username: 'x from 192.0.2.1', ip: '203.0.113.9' }),
    )
    expect(JSON.parse(line)).toMatchObject({ event: 'login.failed', ip: '203.0.113.9', username: 'x from 192.0.2.1' })
  })

  it.each(['text', 'json'] as const)('row 175: what is secret is redacted at every level, in %s', format => {
    const text = logged(format, log => {
      for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) {
        log[level]({
          password: 'hunter2',
          headers: { cookie: 'hunter2', authorization: 'hunter2' },
          duo: { body: { passcode: 'hunter2', txid: 'hunter2' } },
        })
      }
    })
    expect(text).not.toContain('hunter2')
    expect(text.match(/\[redacted\]/g)).toHaveLength(6 * 5)
  })

  it('tells an error with its causes', () => {
    const text = logged('json', log =>
      log.error({ err: new Error('outer', { cause: Object.assign(new Error('inner'), { code: 'EIO' }) }) }, 'x'),
    )
    expect(JSON.parse(text).err).toMatchObject({ message: 'outer', cause: { message: 'inner', code: 'EIO' } })
  })
})
