import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { problems } from '../../src/problems/problems.ts'
import { projectRoot } from '../support/process.ts'

const page = readFileSync(join(projectRoot, 'docs/problems.md'), 'utf8')
const entries = Object.entries(problems)

describe('the catalogue of problems', () => {
  it('says of each what it is in one line, and what to do in whole sentences', () => {
    for (const [slug, { title, mend }] of entries) {
      expect(slug).toMatch(/^[a-z]+(?:-[a-z]+)*$/)
      expect(title).toMatch(/^[^\n]{8,100}[^.\s]$/)
      expect(mend).toMatch(/^[A-Z][^\n]*\.$/)
    }
  })

  it('stands in docs/problems.md whole, in its order, each under its name as anchor', () => {
    const sections = page
      .split(/^## /m)
      .slice(1)
      .map(section => section.trim())
    expect(sections).toEqual(entries.map(([slug, { title, mend }]) => `${slug}\n\n**${title}.** ${mend}`))
  })
})
