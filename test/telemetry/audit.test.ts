import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { severity } from '../../src/telemetry/audit.ts'
import { projectRoot } from '../support/process.ts'

describe('docs/logs.md', () => {
  it('lists every audit event with its level, and no other', () => {
    const page = readFileSync(join(projectRoot, 'docs/logs.md'), 'utf8')
    const listed = [...page.matchAll(/^\| `([a-z.-]+)` \| (\w+) \| \S/gm)].map(([, event, level]) => [event, level])
    expect(Object.fromEntries(listed)).toEqual({ ...severity })
    expect(listed).toHaveLength(Object.keys(severity).length)
  })
})
