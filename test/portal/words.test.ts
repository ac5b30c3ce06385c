import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { h } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { describe, expect, it } from 'vitest'
import english from '../../src/portal/words/en.json' with { type: 'json' }
import { createWords } from '../../src/portal/words/words.ts'

const portal = join(import.meta.dirname, '../../src/portal')
const sources = readdirSync(portal, { recursive: true, encoding: 'utf8' })
  .filter(file => /\.tsx?$/.test(file))
  .map(file => readFileSync(join(portal, file), 'utf8'))
  .join('\n')

describe(createWords, () => {
  const words = createWords()

  it('has its keys in order, each used by a page', () => {
    const keys = Object.keys(english)
    expect(keys).toEqual(keys.toSorted())
    expect(keys.filter(key => !sources.includes(`'${key}'`) && !sources.includes(`"${key}"`))).toEqual([])
  })

  it('has no markup but b, code and link', () => {
    const tags = Object.values(english).flatMap(message => [...message.matchAll(/<\/?([^>]*)>/g)].map(([, tag]) => tag))
    expect(tags.filter(tag => tag === undefined || !['b', 'code', 'link'].includes(tag))).toEqual([])
  })

  it('counts in words', () => {
    expect(words.text('signin.wrong.left', { n: 1, duration: '5 minutes' })).toBe(
      'One try left before a pause of 5 minutes.',
    )
    expect(words.text('signin.wrong.left', { n: 2, duration: '5 minutes' })).toBe(
      '2 tries left before a pause of 5 minutes.',
    )
  })

  it('row 60: takes no markup from an argument', () => {
    const evil = '<b>x</b><script>alert(1)</script>{n}'
    expect(renderToString(h('p', null, words.rich('signin.lede', { site: evil })))).toBe(
      '<p>To continue to &lt;b>x&lt;/b>&lt;script>alert(1)&lt;/script>{n}</p>',
    )
  })

  it('says a duration in the largest unit that leaves no rest', () => {
    expect(words.duration(5 * 60_000)).toBe('5\u00A0minutes')
    expect(words.duration(90_000)).toBe('90\u00A0seconds')
    expect(words.duration(30 * 86_400_000)).toBe('30\u00A0days')
    expect(words.duration(3_600_000)).toBe('1\u00A0hour')
    expect(words.duration(0)).toBe('1\u00A0second')
  })
})
